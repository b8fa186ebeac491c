// What compiling takes, as counted work: of modules made to ask for much it grows as they do.
#include "jit/cost.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <numeric>

#include "jit/batches.h"
#include "jit/costly_modules_check.h"
#include "jit/emit_batch.h"
#include "jit/pipeline.h"
#include "jit/split_blocks.h"
#include "llvm/IR/Instructions.h"
#include "wasm/decode_module.h"

namespace {
/// Bytes that were ever allocated: what was done leaves its trace there.
std::atomic<uint64_t> allocated_bytes;
}  // namespace

void* operator new(size_t size) {
  allocated_bytes.fetch_add(size, std::memory_order_relaxed);
  void* memory = std::malloc(size);
  if (!memory) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace rotor::jit {
namespace {

struct Work {
  uint64_t instructions = 0;   ///< of LLVM's, as emitted and as the code generator left them
  uint64_t phi_entries = 0;    ///< of the same
  uint64_t largest_block = 0;  ///< that the code generator saw
  uint64_t object_bytes = 0;
  uint64_t allocated = 0;
};

void count_ir(const llvm::Module& module, Work& work) {
  for (const llvm::Function& function : module)
    for (const llvm::BasicBlock& block : function) {
      work.instructions += block.size();
      for (const llvm::PHINode& phi : block.phis()) work.phi_entries += phi.getNumIncomingValues();
    }
}

/// Does what a worker does, on this thread.
Work compile(const std::vector<uint8_t>& bytes, OptLevel opt) {
  auto module = wasm::decode_module(bytes, {});
  EXPECT_TRUE(module) << module.error().to_string();
  CompileOptions options;
  options.opt = opt;
  CostCounter counter(*module, bytes, options.features);
  BatchEmitter emitter(*module, bytes, options.features);
  ModulePlan plan(*module, opt == OptLevel::o0 ? Calls::slots : Calls::straight, false);
  CpuTarget cpu = *cpu_target("baseline");
  Work work;
  uint64_t before = allocated_bytes;
  for (const Batch& batch : make_batches(*module, options.batch_functions)) {
    std::vector<uint32_t> functions(batch.count);
    std::iota(functions.begin(), functions.end(), batch.first);
    uint32_t bad;
    auto sorted = sort_batch(counter, functions, opt, options, module->imported_funcs, bad);
    EXPECT_TRUE(sorted) << sorted.error().to_string();
    for (OptLevel level : {OptLevel::o0, OptLevel::o1}) {
      const auto& piece = level == OptLevel::o0 ? sorted->at_o0 : sorted->at_o1;
      if (piece.empty()) continue;
      auto pipeline = *Pipeline::create(level, cpu, options.wide_products);
      auto llvm_module =
          emitter.emit(plan, pipeline->target(), pipeline->context(1), piece, pipeline->wide_products(), bad);
      EXPECT_TRUE(llvm_module) << llvm_module.error().to_string();
      count_ir(**llvm_module, work);
      work.object_bytes += pipeline->run(**llvm_module).size();
      count_ir(**llvm_module, work);
      for (const llvm::Function& function : **llvm_module)
        for (const llvm::BasicBlock& block : function)
          work.largest_block = std::max<uint64_t>(work.largest_block, block.size());
    }
  }
  work.allocated = allocated_bytes - before;
  return work;
}

class CostTest : public testing::TestWithParam<std::tuple<size_t, OptLevel>> {};
INSTANTIATE_TEST_SUITE_P(Modules, CostTest,
                         testing::Combine(testing::Range<size_t>(0, costly_modules().size()),
                                          testing::Values(OptLevel::o0, OptLevel::o1)),
                         [](const auto& info) {
                           std::string name = costly_modules()[std::get<0>(info.param)].name;
                           std::ranges::replace(name, ' ', '_');
                           return name + (std::get<1>(info.param) == OptLevel::o0 ? "_o0" : "_o1");
                         });

TEST_P(CostTest, GrowsAsTheModuleDoes) {
  auto [index, opt] = GetParam();
  const CostlyModule& maker = costly_modules()[index];
  // The first doubling may be where a function goes over to the form that is linear: it is let off.
  Work half = compile(maker.make(maker.size / 4), opt), whole = compile(maker.make(maker.size / 2), opt);
  constexpr double kGrowth = 2.2;
  constexpr double kInstructions = 2000, kBytes = 4 << 20;
  EXPECT_LE(whole.instructions, kGrowth * half.instructions + kInstructions);
  EXPECT_LE(whole.phi_entries, kGrowth * half.phi_entries + kInstructions);
  EXPECT_LE(whole.object_bytes, kGrowth * half.object_bytes + 4096);
  EXPECT_LE(whole.allocated, kGrowth * half.allocated + kBytes);
  EXPECT_LE(whole.largest_block, kBlockInstructions + 100);
}

}  // namespace
}  // namespace rotor::jit
