#include "jit/batches.h"

#include "code/compiler.h"

namespace rotor::jit {

namespace {

/// The most bytes of bodies in a batch, which is what one worker has in memory and the grain of the work.
constexpr uint64_t kBatchBytes = 128 << 10;
/// The most bytes that the functions of one LLVM module take together, by estimates: all of them are in memory until
/// the module is compiled.
constexpr uint64_t kPieceMemoryBytes = 256 << 20;

}  // namespace

std::vector<Batch> make_batches(const wasm::Module& module, uint32_t functions) {
  std::vector<Batch> batches;
  uint64_t batch_bytes = 0;
  for (uint32_t i = 0; i < module.bodies.size(); ++i) {
    uint64_t body = module.bodies[i].end - module.bodies[i].begin;
    if (batches.empty() || batches.back().count >= functions || batch_bytes + body > kBatchBytes) {
      batches.push_back({i, 0});
      batch_bytes = 0;
    }
    ++batches.back().count;
    batch_bytes += body;
  }
  return batches;
}

Result<SortedBatch> sort_batch(CostCounter& counter, std::span<const uint32_t> defined_funcs, OptLevel opt,
                               const code::CompileOptions& options, uint32_t imported_funcs, uint32_t& bad) {
  SortedBatch sorted;
  for (uint32_t func : defined_funcs) {
    Cost cost = counter.count(func);
    auto form = form_of(cost, opt, options, func + imported_funcs);
    if (!form) {
      bad = func;
      return std::unexpected(std::move(form).error());
    }
    (*form == Form::optimised ? sorted.at_o1 : sorted.at_o0)
        .push_back({func, *form == Form::frame, cost.operands, estimate(cost, *form).memory_bytes});
  }
  return sorted;
}

std::span<const BatchFunction> take_piece(std::span<const BatchFunction>& functions, uint64_t& memory_bytes) {
  size_t count = 0;
  memory_bytes = 0;
  while (count < functions.size() && (count == 0 || memory_bytes + functions[count].memory_bytes <= kPieceMemoryBytes))
    memory_bytes += functions[count++].memory_bytes;
  auto piece = functions.first(count);
  functions = functions.subspan(count);
  return piece;
}

}  // namespace rotor::jit
