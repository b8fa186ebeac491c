#include "jit/batches.h"

#include "wasm/reader.h"

namespace rotor::jit {

namespace {

/// Bodies a batch holds at most: a batch is what one worker has in memory and the grain of the work.
constexpr uint64_t kBatchBytes = 128 << 10;

/// A function with more locals or a longer body than these is compiled as --opt 0 does at every level: LLVM's register
/// allocator takes time that grows with the square of the live values (4,000 locals live across a call: 15 s). The
/// largest function of kimchi has 193 local declarations and 39 KB.
constexpr uint64_t kManyLocals = 1000;
constexpr uint64_t kHugeBodyBytes = 512 << 10;

}  // namespace

bool is_huge(const wasm::FunctionBody& body, std::span<const uint8_t> bytes) {
  if (body.end - body.begin > kHugeBodyBytes) return true;
  wasm::ByteReader reader(bytes);
  reader.seek(body.begin);
  reader.set_end(body.end);
  uint32_t groups = 0, count = 0;
  uint64_t locals = 0;
  if (!reader.u32(groups)) return false;
  for (uint32_t i = 0; i < groups && locals <= kManyLocals; ++i) {
    if (!reader.u32(count) || !reader.skip(1)) return false;
    locals += count;
  }
  return locals > kManyLocals;
}

std::vector<Batch> make_batches(const wasm::Module& module, std::span<const uint8_t> bytes, uint32_t functions) {
  std::vector<Batch> batches;
  uint64_t batch_bytes = 0;
  for (uint32_t i = 0; i < module.bodies.size(); ++i) {
    uint64_t body = module.bodies[i].end - module.bodies[i].begin;
    bool huge = is_huge(module.bodies[i], bytes);
    if (batches.empty() || batches.back().count >= functions || batch_bytes + body > kBatchBytes ||
        huge != batches.back().huge) {
      batches.push_back({i, 0, huge});
      batch_bytes = 0;
    }
    ++batches.back().count;
    batch_bytes += body;
  }
  return batches;
}

}  // namespace rotor::jit
