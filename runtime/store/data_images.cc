#include "runtime/store/data_images.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "memory/image.h"
#include "memory/linear_memory.h"
#include "runtime/store/preformed.h"

namespace rotor::runtime {

namespace {

using memory::LinearMemory;

/// An active segment with its place.
struct Placed {
  const wasm::DataSegment* segment;
  uint64_t offset;
};

/// What the data write into a memory.
struct Written {
  std::vector<Placed> segments;
  uint64_t bytes = 0;
  uint64_t extent = 0;  ///< where the last of them ends
};

void write(std::span<const Placed> segments, std::span<const uint8_t> bytes, uint8_t* base) {
  for (const Placed& placed : segments)
    if (placed.segment->size)
      std::memcpy(base + placed.offset, bytes.data() + placed.segment->begin, placed.segment->size);
}

/// Makes what the segments, in order, leave. Errors: io.
Result<std::shared_ptr<const memory::SlotContents>> make_contents(const Written& data, std::span<const uint8_t> bytes,
                                                                  bool on_slab) {
  if (on_slab || (data.bytes < DataImages::kLeastBytes && data.extent <= DataImages::kMostCopiedExtent)) {
    std::vector<uint8_t> copied(data.extent);
    write(data.segments, bytes, copied.data());
    return std::make_shared<const memory::CopiedContents>(std::move(copied));
  }
  ROTOR_TRY(auto space, LinearMemory::create(data.extent, data.extent, memory::os::round_up_to_page(data.extent),
                                             LinearMemory::Kind::imageable));
  write(data.segments, bytes, space->base());
  return space->seal_image();
}

/// Finds the places of the active segments. Segments are written in order, up to the first that does not fit, and what
/// was written before stays where others can see it: in an imported memory, and in the instance's own, if its functions
/// are in a table of another. So either all are known to fit, or each instance writes all of them: then `how` says why.
std::vector<Written> place_data(const wasm::Module& module, Module::DataInit& how) {
  std::vector<Written> by_memory(module.memories.size());
  for (const wasm::DataSegment& segment : module.data) {
    if (segment.mode != wasm::SegmentMode::active) continue;
    const uint32_t memory = raw(segment.memory);
    const MemoryType& type = module.memories[memory];
    auto offset = constant_offset(segment.memory_offset, type.is64);
    const uint64_t min_bytes = type.limits.min << type.page_size_log2;
    if (memory < module.imported_memories)
      how = Module::DataInit::imported_memory;
    else if (!offset)
      how = Module::DataInit::offset_by_global;
    else if (*offset > min_bytes || segment.size > min_bytes - *offset)
      how = Module::DataInit::out_of_bounds;
    if (how != Module::DataInit::copied) return {};
    Written& written = by_memory[memory];
    written.segments.push_back({&segment, *offset});
    written.bytes += segment.size;
    written.extent = std::max(written.extent, *offset + segment.size);
  }
  return by_memory;
}

}  // namespace

std::shared_ptr<const memory::SlotContents> DataImages::stored(uint32_t memory, uint64_t size_bytes) const {
  const auto found = std::ranges::find(stored_.images, memory, &code::DataImage::memory);
  if (!stored_.file || found == stored_.images.end() || found->size_bytes != size_bytes) return nullptr;
  // A file that was cut since it was loaded, or a system with larger pages: then the data are copied, as for a module
  // without a file.
  if (found->file_offset % memory::os::page_bytes() || found->pages.size() % memory::os::page_bytes()) return nullptr;
  auto part = memory::os::MemoryFile::part_of(stored_.file->file(), found->file_offset, found->pages.size());
  if (!part) return nullptr;
  auto image = memory::Image::seal(*part, size_bytes);
  return image ? *image : nullptr;
}

DataImages::Made DataImages::make(const wasm::Module& module, std::span<const uint8_t> bytes,
                                  std::span<const code::MemoryCheck> checks) const {
  DataImages::Made made;
  made.contents.resize(module.memories.size());
  std::vector<Written> data = place_data(module, made.how);
  for (size_t i = module.imported_memories; !data.empty() && i < module.memories.size(); ++i) {
    const bool on_slab = checks[i] == code::MemoryCheck::slab;
    if (auto mapped = on_slab ? nullptr : stored(static_cast<uint32_t>(i), data[i].extent)) {
      made.contents[i] = std::move(mapped);
      made.how = Module::DataInit::mapped_file;
      continue;
    }
    auto contents = make_contents(data[i], bytes, on_slab);
    if (!contents) {
      made.how = Module::DataInit::no_memory_for_image;
      data.clear();
      break;
    }
    made.contents[i] = std::move(*contents);
    if (made.contents[i]->image() && made.how != Module::DataInit::mapped_file) made.how = Module::DataInit::mapped;
  }
  made.have_data = !data.empty();
  for (size_t i = module.imported_memories; data.empty() && i < module.memories.size(); ++i)
    made.contents[i] = std::make_shared<const memory::CopiedContents>(std::vector<uint8_t>());
  return made;
}

std::vector<code::DataImage> DataImages::worth_storing(const Made& made) {
  std::vector<code::DataImage> images;
  for (size_t i = 0; i < made.contents.size(); ++i) {
    const memory::Image* image = made.contents[i] ? made.contents[i]->image() : nullptr;
    // The file holds zeroes for all that lies between the data.
    if (!image || image->resident_bytes() < image->mapped_bytes() / 2) continue;
    auto pages = image->view();
    if (!pages) continue;  // the next one makes it of the segments
    const uint64_t bytes = code::round_up_to_page(image->size_bytes());
    if (bytes <= pages->size())
      images.push_back({.memory = static_cast<uint32_t>(i),
                        .size_bytes = image->size_bytes(),
                        .pages = pages->first(bytes),
                        .file_offset = 0,
                        .checksum = 0});
  }
  return images;
}

const DataImages::Made& DataImages::of(const wasm::Module& module, std::span<const uint8_t> bytes,
                                       std::span<const code::MemoryCheck> checks) const {
  if (const Made* made = made_.load(std::memory_order_acquire)) return *made;
  // Two threads that come first at once each make them, and one keeps them.
  auto fresh = std::make_unique<const Made>(make(module, bytes, checks));
  const Made* expected = nullptr;
  if (made_.compare_exchange_strong(expected, fresh.get(), std::memory_order_acq_rel)) return *fresh.release();
  return *expected;
}

}  // namespace rotor::runtime
