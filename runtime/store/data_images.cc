#include "runtime/store/data_images.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "memory/linear_memory.h"
#include "wasm/const_expr.h"

namespace rotor::runtime {

namespace {

using memory::LinearMemory;

/// Returns the offset of a segment; nullopt if a global decides on it, which may differ from instance to instance.
std::optional<uint64_t> constant_offset(const wasm::ConstExpr& expr, bool is64) {
  for (const wasm::ConstInstr& instr : expr.code)
    if (instr.op == wasm::Opcode::GlobalGet) return std::nullopt;
  uint64_t offset = wasm::eval_const_expr(
      expr, [](wasm::GlobalIndex) { return uint64_t{0}; }, [](wasm::FuncIndex) { return uint64_t{0}; });
  return is64 ? offset : static_cast<uint32_t>(offset);
}

/// An active segment with its place.
struct Placed {
  const wasm::DataSegment* segment;
  uint64_t offset;
};

/// Writes segments, in order, into a file of their extent. Errors: io.
Result<std::shared_ptr<const memory::Image>> make_image(std::span<const Placed> segments, uint64_t extent,
                                                        std::span<const uint8_t> bytes) {
  ROTOR_TRY(auto space,
            LinearMemory::create(extent, extent, memory::os::round_up_to_page(extent), LinearMemory::Kind::imageable));
  for (const Placed& placed : segments)
    if (placed.segment->size)
      std::memcpy(space->base() + placed.offset, bytes.data() + placed.segment->begin, placed.segment->size);
  return space->seal_image();
}

DataImages::Made make(const wasm::Module& module, std::span<const uint8_t> bytes) {
  DataImages::Made made;
  std::vector<std::vector<Placed>> by_memory(module.memories.size());
  std::vector<uint64_t> data_bytes(module.memories.size()), extents(module.memories.size());
  // Segments are written in order, up to the first that does not fit, and what was written before stays where others
  // can see it: in an imported memory, and in the instance's own, if its functions are in a table of another. So either
  // all are known to fit, or each instance writes all of them.
  for (const wasm::DataSegment& segment : module.data) {
    if (segment.mode != wasm::SegmentMode::active) continue;
    const uint32_t memory = raw(segment.memory);
    const MemoryType& type = module.memories[memory];
    auto offset = constant_offset(segment.memory_offset, type.is64);
    if (memory < module.imported_memories) return {{}, Module::DataInit::imported_memory};
    if (!offset) return {{}, Module::DataInit::offset_by_global};
    const uint64_t min_bytes = type.limits.min << type.page_size_log2;
    if (*offset > min_bytes || segment.size > min_bytes - *offset) return {{}, Module::DataInit::out_of_bounds};
    by_memory[memory].push_back({&segment, *offset});
    data_bytes[memory] += segment.size;
    extents[memory] = std::max(extents[memory], *offset + segment.size);
  }
  made.images.resize(module.memories.size());
  for (size_t i = module.imported_memories; i < module.memories.size(); ++i) {
    if (data_bytes[i] < DataImages::kLeastBytes) continue;
    auto image = make_image(by_memory[i], extents[i], bytes);
    if (!image) return {{}, Module::DataInit::no_memory_for_image};
    made.images[i] = std::move(*image);
    made.how = Module::DataInit::mapped;
  }
  if (made.how != Module::DataInit::mapped) made.images.clear();
  return made;
}

}  // namespace

const DataImages::Made& DataImages::of(const wasm::Module& module, std::span<const uint8_t> bytes) const {
  if (const Made* made = made_.load(std::memory_order_acquire)) return *made;
  // Two threads that come first at once each make them, and one keeps them.
  auto fresh = std::make_unique<const Made>(make(module, bytes));
  const Made* expected = nullptr;
  if (made_.compare_exchange_strong(expected, fresh.get(), std::memory_order_acq_rel)) return *fresh.release();
  return *expected;
}

}  // namespace rotor::runtime
