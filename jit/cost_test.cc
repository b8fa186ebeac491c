// What compiling takes, as counted work: of modules made to ask for much it grows as they do.
#include "jit/cost.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <new>
#include <numeric>
#include <utility>

#include "code/compiler.h"
#include "jit/batches.h"
#include "jit/emit/batch.h"
#include "jit/passes/split_blocks.h"
#include "jit/pipeline.h"
#include "jit/testing/costly_modules.h"
#include "llvm/IR/Instructions.h"
#include "memory/testing/child.h"
#include "wasm/decode_module.h"
#include "wasm/testing/assemble.h"

namespace {
/// Bytes that were ever allocated: what was done leaves its trace there.
std::atomic<uint64_t> allocated_bytes;
}  // namespace

#ifndef __SANITIZE_ADDRESS__  // which has its own, and wants to see every kind of them replaced
// Not inlined: the compiler would see a pointer of `new` freed by `free`.
[[gnu::noinline]] void* operator new(size_t size) {
  allocated_bytes.fetch_add(size, std::memory_order_relaxed);
  void* memory = std::malloc(size);
  if (!memory) std::abort();
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }
#endif

namespace rotor::jit {
namespace {

struct Work {
  uint64_t instructions = 0;   ///< of LLVM's, as emitted and as the code generator left them
  uint64_t phi_entries = 0;    ///< of the same
  uint64_t largest_block = 0;  ///< that the code generator saw
  uint64_t object_bytes = 0;
  uint64_t allocated = 0;
  size_t optimised = 0;  ///< functions
};

void count_ir(const llvm::Module& module, Work& work) {
  for (const llvm::Function& function : module)
    for (const llvm::BasicBlock& block : function) {
      work.instructions += block.size();
      for (const llvm::PHINode& phi : block.phis()) work.phi_entries += phi.getNumIncomingValues();
    }
}

/// Does what a worker does, on this thread. `best`: the level that functions may have in code for `opt`.
Work compile(const std::vector<uint8_t>& bytes, OptLevel opt, OptLevel best) {
  auto module = wasm::decode_module(bytes, {});
  EXPECT_TRUE(module) << module.error().to_string();
  code::CompileOptions options;
  options.settings.opt = opt;
  options.settings.features.legacy_exceptions = true;
  CostCounter counter(*module, bytes, options.settings);
  BatchEmitter emitter(*module, bytes, options.settings.features);
  ModulePlan plan(*module, options.settings, opt == OptLevel::o0 ? Calls::slots : Calls::direct, false);
  CpuTarget cpu = *cpu_target("baseline");
  Work work;
  uint64_t before = allocated_bytes;
  for (const Batch& batch : make_batches(*module, options.batch_functions)) {
    std::vector<uint32_t> functions(batch.count);
    std::iota(functions.begin(), functions.end(), batch.first);
    uint32_t bad;
    auto sorted = sort_batch(counter, functions, best, options, module->imported_funcs, bad);
    EXPECT_TRUE(sorted) << sorted.error().to_string();
    for (OptLevel level : {OptLevel::o0, OptLevel::o1}) {
      const auto& piece = level == OptLevel::o0 ? sorted->at_o0 : sorted->at_o1;
      if (piece.empty()) continue;
      auto pipeline = *Pipeline::create(level, cpu, options.settings.wide_products);
      auto llvm_module =
          emitter.emit(plan, pipeline->target(), pipeline->context(1), piece, pipeline->wide_products(), bad);
      EXPECT_TRUE(llvm_module) << llvm_module.error().to_string();
      count_ir(**llvm_module, work);
      if (level == OptLevel::o1) work.optimised += piece.size();
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
  constexpr double kGrowth = 2.2;
  // What a block that is cut, or a function that goes over to another form, adds at once.
  constexpr double kInstructions = 2000, kObjectBytes = 16 << 10, kBytes = 4 << 20;
  Work half = compile(maker.make(maker.size / 4), opt, opt);
  for (uint32_t size : {maker.size / 2, maker.size}) {
    Work whole = compile(maker.make(size), opt, opt);
    // What is no longer optimised is compared with what was not: the optimiser may have left nothing.
    if (whole.optimised < half.optimised) half = compile(maker.make(size / 2), opt, OptLevel::o0);
    EXPECT_LE(whole.instructions, kGrowth * half.instructions + kInstructions) << size;
    EXPECT_LE(whole.phi_entries, kGrowth * half.phi_entries + kInstructions) << size;
    EXPECT_LE(whole.object_bytes, kGrowth * half.object_bytes + kObjectBytes) << size;
    EXPECT_LE(whole.allocated, kGrowth * half.allocated + kBytes) << size;
    EXPECT_LE(whole.largest_block, kBlockInstructions + 100) << size;
    half = whole;
  }
}

// Which form a function gets.

Form form(const Cost& cost, OptLevel opt, const code::CompileOptions& options = {}) {
  auto form = form_of(cost, opt, options, 7);
  EXPECT_TRUE(form) << form.error().to_string();
  return form ? *form : Form::frame;
}

TEST(Form, OrdinaryFunctionsAreCompiledAsAskedFor) {
  Cost cost{.body_bytes = 1000, .instructions = 3000, .phi_entries = 500, .loop_depth = 4};
  EXPECT_EQ(form(cost, OptLevel::o1), Form::optimised);
  EXPECT_EQ(form(cost, OptLevel::o0), Form::fast);
}

TEST(Form, TooManyStepsForTheBytesGoIntoTheFrame) {
  Cost instructions{.body_bytes = 1000, .instructions = 17'000}, phis{.body_bytes = 1000, .phi_entries = 17'000};
  for (OptLevel opt : {OptLevel::o0, OptLevel::o1}) {
    EXPECT_EQ(form(instructions, opt), Form::frame);
    EXPECT_EQ(form(phis, opt), Form::frame);
  }
}

TEST(Form, DeepLoopsAreNotOptimised) {
  EXPECT_EQ(form({.body_bytes = 10'000, .instructions = 10'000, .loop_depth = 5000}, OptLevel::o1), Form::fast);
}

TEST(Form, WithoutAllowanceEveryFunctionKeepsItsValuesInTheFrame) {
  code::CompileOptions options;
  options.settings.steps_per_byte = 0;
  EXPECT_EQ(form({.body_bytes = 2, .instructions = 14}, OptLevel::o1, options), Form::frame);
}

TEST(Form, MemoryAndTimeMakeItCheaperAndThenAnError) {
  Cost cost{.body_bytes = 10'000, .instructions = 100'000};
  code::CompileOptions options;
  uint64_t optimised = estimate(cost, Form::optimised).memory_bytes;
  options.memory = std::make_shared<code::CompileMemory>(optimised - 1);
  EXPECT_EQ(form(cost, OptLevel::o1, options), Form::fast);
  options.memory = std::make_shared<code::CompileMemory>(1 << 20);
  auto none = form_of(cost, OptLevel::o1, options, 7);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::limit);
  EXPECT_NE(none.error().message.find("function 7"), std::string::npos) << none.error().message;
  EXPECT_NE(none.error().message.find("compile_memory_bytes"), std::string::npos) << none.error().message;

  code::CompileOptions hasty;
  hasty.settings.deadline_ms = estimate(cost, Form::optimised).cpu_us / 1000 - 1;
  EXPECT_EQ(form(cost, OptLevel::o1, hasty), Form::fast);
  hasty.settings.deadline_ms = 1;
  none = form_of(cost, OptLevel::o1, hasty, 7);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::limit);
  EXPECT_NE(none.error().message.find("compile_deadline_ms"), std::string::npos) << none.error().message;
}

TEST(Cost, LocalsOfALoopAreCountedOnceEach) {
  const std::vector<uint8_t> bytes = wasm::test::assemble(R"((module (func (local i32 i32)
    (loop
      (local.set 0 (i32.const 1))
      (local.set 0 (i32.const 2))
      (local.set 1 (i32.const 3))
      (br_if 0 (i32.const 0))))))");
  auto module = wasm::decode_module(bytes, {});
  ASSERT_TRUE(module) << module.error().to_string();
  Cost cost = CostCounter(*module, bytes, code::CodeSettings()).count(0);
  EXPECT_EQ(cost.phi_entries, 2u * 2u);  // two locals, from before the loop and from its end
  EXPECT_EQ(cost.loop_depth, 1u);
  EXPECT_EQ(cost.used_locals, 2u);
  EXPECT_EQ(cost.operands, 1u);
}

/// Returns LLVM's instructions of a module as emitted, and what they were counted as.
std::pair<uint64_t, uint64_t> emitted_and_counted(const std::vector<uint8_t>& bytes, bool metered) {
  auto module = wasm::decode_module(bytes, {});
  EXPECT_TRUE(module) << module.error().to_string();
  code::CompileOptions options;
  options.settings.features.legacy_exceptions = true;
  options.settings.fuel = metered;
  options.settings.steps_per_byte = UINT32_MAX;  // all in one form
  CostCounter counter(*module, bytes, options.settings);
  BatchEmitter emitter(*module, bytes, options.settings.features);
  ModulePlan plan(*module, options.settings, Calls::slots, false);
  auto pipeline = *Pipeline::create(OptLevel::o0, *cpu_target("baseline"), false);
  std::vector<uint32_t> functions(module->bodies.size());
  std::iota(functions.begin(), functions.end(), 0);
  uint32_t bad;
  auto sorted = sort_batch(counter, functions, OptLevel::o0, options, module->imported_funcs, bad);
  EXPECT_TRUE(sorted) << sorted.error().to_string();
  auto llvm_module = emitter.emit(plan, pipeline->target(), pipeline->context(1), sorted->at_o0, false, bad);
  EXPECT_TRUE(llvm_module) << llvm_module.error().to_string();
  Work work;
  count_ir(**llvm_module, work);
  uint64_t counted = 0;
  for (uint32_t function : functions) counted += counter.count(function).instructions;
  return {work.instructions, counted};
}

TEST(Cost, WhatMeteringAddsIsCounted) {
  for (const CostlyModule& maker : costly_modules()) {
    const std::vector<uint8_t> bytes = maker.make(maker.size / 32 + 1);
    const auto [emitted, counted] = emitted_and_counted(bytes, false);
    const auto [metered_emitted, metered_counted] = emitted_and_counted(bytes, true);
    EXPECT_GT(metered_emitted, emitted) << maker.name;
    EXPECT_LE(metered_emitted - emitted, metered_counted - counted) << maker.name;
  }
}

// Threads.

/// Runs `work` on a thread with the smallest stack.
void on_small_thread(const std::function<void()>& work) {
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 64 << 10);
  pthread_t thread;
  auto run = [](void* argument) -> void* { return (*static_cast<const std::function<void()>*>(argument))(), nullptr; };
  ASSERT_EQ(pthread_create(&thread, &attributes, run, const_cast<std::function<void()>*>(&work)), 0);
  pthread_join(thread, nullptr);
}

std::vector<uint8_t> costly(const char* name, uint32_t size) {
  auto found = std::ranges::find(costly_modules(), std::string_view(name), &CostlyModule::name);
  EXPECT_NE(found, costly_modules().end());
  return found->make(size);
}

TEST(CompileThreads, TheCallersStackMayBeSmall) {
  for (uint32_t loops : {90u, 1500u}) {  // as optimised code, and as no longer
    std::vector<uint8_t> bytes = costly("nested loops", loops);
    auto module = wasm::decode_module(bytes, {});
    ASSERT_TRUE(module);
    on_small_thread([&] {
      auto compiled = code::compile_module(*module, bytes, {});
      EXPECT_TRUE(compiled) << compiled.error().to_string();
    });
  }
}

TEST(CompileThreads, NestsAsDeepAsTheyGetCompile) {
  std::vector<uint8_t> bytes = costly("nested loops", 50'000);
  auto module = wasm::decode_module(bytes, {});
  ASSERT_TRUE(module);
  auto compiled = code::compile_module(*module, bytes, {});
  EXPECT_TRUE(compiled) << compiled.error().to_string();
}

TEST(CompileThreads, WithoutAThreadThereIsAnError) {
  std::vector<uint8_t> bytes = costly("sum", 10);
  auto module = wasm::decode_module(bytes, {});
  ASSERT_TRUE(module);
  EXPECT_TRUE(memory::test::in_child([&] {
    memory::test::deny_threads();
    auto compiled = code::compile_module(*module, bytes, {});
    return !compiled && compiled.error().kind == ErrorKind::io;
  }));
}

}  // namespace
}  // namespace rotor::jit
