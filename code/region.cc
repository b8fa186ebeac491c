#include "code/region.h"

#include <algorithm>
#include <cstring>

#include "code/region_table.h"
#include "code/run_page.h"
#include "code/stubs.h"
#include "memory/os.h"

namespace rotor::code {

namespace {

/// The mappings of a region: text in use and text to come, read-only data in use and to come, and the run page.
constexpr uint32_t kMappings = 5;

}  // namespace

Result<std::unique_ptr<CodeRegion>> CodeRegion::create(const CodeOwner& owner, PerfMap* perf_map,
                                                       const RegionLayout& layout) {
  std::unique_ptr<CodeRegion> region(new CodeRegion(owner, perf_map, layout));
  if (layout.total_bytes() == 0) return region;
  ROTOR_TRY(region->base_, memory::os::reserve(layout.total_bytes(), kMappings));
  ROTOR_CHECK(memory::os::commit(region->run_page(), layout.run_page_bytes));
  if (layout.text_bytes) {
    auto begin = reinterpret_cast<uintptr_t>(region->text());
    add_to_table(region.get(), begin, begin + layout.text_bytes);
    region->registered_ = true;
  }
  return region;
}

CodeRegion::~CodeRegion() {
  delete pages_.load(std::memory_order_relaxed);
  if (registered_) take_from_table(this);
  if (base_) memory::os::release(base_, layout_.total_bytes(), kMappings);
}

Result<CodeRegion::Place> CodeRegion::allocate(uint64_t text_bytes, uint64_t rodata_bytes) {
  memory::ForkPass pass;
  std::scoped_lock lock(mutex_);
  if (text_bytes > layout_.text_bytes - text_used_ || rodata_bytes > layout_.rodata_bytes - rodata_used_)
    return fail(ErrorKind::limit, "compiled code is over the limit code_limit_bytes");
  Place place{text_used_, rodata_used_};
  text_used_ += text_bytes;
  rodata_used_ += rodata_bytes;
  return place;
}

Result<void> CodeRegion::put(const Place& place, std::span<const uint8_t> text, std::span<const uint8_t> rodata) {
  ROTOR_CHECK(memory::os::add_code(base_ + place.text_offset, text.size(), text));
  if (rodata.empty()) return {};
  uint8_t* at = base_ + layout_.rodata() + place.rodata_offset;
  ROTOR_CHECK(memory::os::commit(at, rodata.size()));
  std::memcpy(at, rodata.data(), rodata.size());
  return memory::os::protect_read(at, rodata.size());
}

Result<void> CodeRegion::add(CodeImage image) {
  Place place{image.text_offset, image.rodata_offset};
  ROTOR_CHECK(put(place, image.text, image.rodata));
  struct Owner {
    std::vector<FunctionCode> functions;
    std::vector<uint8_t> lines;
    std::vector<LandingPad> pads;
  };
  auto owner = std::make_shared<Owner>(std::move(image.functions), std::move(image.lines), std::move(image.pads));
  list_for_perf(owner->functions);
  memory::ForkPass pass;
  std::scoped_lock lock(mutex_);
  add_part({place, image.text.size(), image.rodata.size(), owner->functions, owner->lines, owner->pads, owner});
  return {};
}

Result<void> CodeRegion::add_stubs() {
  const wasm::Module& module = owner_.wasm();
  const uint32_t defined = module.defined_funcs();
  CodeImage image;
  image.text = Stubs::code(defined, RunPageLayout(module), layout_.run_page());
  image.text.resize(round_up_to_page(image.text.size()), 0xcc);
  // Functions are added in any order.
  ROTOR_CHECK(memory::os::unite_parts(base_, layout_.run_page()));
  ROTOR_TRY(Place place, allocate(image.text.size(), 0));
  image.text_offset = place.text_offset;
  if (perf_map_) perf_map_->add_stubs(base_ + place.text_offset, Stubs::stub(defined), owner_.names());
  return add(std::move(image));
}

Result<void> CodeRegion::add_file(const CodeFile& code, std::shared_ptr<const MappedFile> file) {
  ROTOR_CHECK(memory::os::map_code_file(base_, code.text.size(), file->file(), code.text_file_offset));
  uint8_t* rodata = base_ + layout_.rodata();
  ROTOR_CHECK(memory::os::map_code_file(rodata, code.rodata.size(), file->file(), code.rodata_file_offset));
  if (!code.rodata.empty()) ROTOR_CHECK(memory::os::protect_read(rodata, code.rodata.size()));
  take_tables(code, std::move(file));
  return {};
}

Result<void> CodeRegion::add_copy(const CodeFile& code, std::shared_ptr<const void> tables_owner) {
  ROTOR_CHECK(put({0, 0}, code.text, code.rodata));
  take_tables(code, std::move(tables_owner));
  return {};
}

void CodeRegion::take_tables(const CodeFile& code, std::shared_ptr<const void> owner) {
  list_for_perf(code.functions);
  memory::ForkPass pass;
  std::scoped_lock lock(mutex_);
  text_used_ = code.text.size();
  rodata_used_ = code.rodata.size();
  add_part({{0, 0}, text_used_, rodata_used_, code.functions, code.lines, code.pads, std::move(owner)});
}

void CodeRegion::add_part(Part part) {
  const uint64_t offset = part.place.text_offset;
  const Part* added = &parts_.emplace(offset, std::move(part)).first->second;
  if (offset == 0) {
    first_part_.store(added, std::memory_order_release);
    return;
  }
  Pages* pages = pages_.load(std::memory_order_relaxed);
  if (!pages) pages_.store(pages = new Pages(layout_.text_bytes), std::memory_order_release);
  for (uint64_t page = offset / kCodePageBytes, end = page + added->text_bytes / kCodePageBytes; page < end; ++page) {
    std::atomic<Pages::Chunk*>& place = pages->chunks[page / Pages::kChunkPages];
    Pages::Chunk* chunk = place.load(std::memory_order_relaxed);
    if (!chunk) place.store(chunk = new Pages::Chunk{}, std::memory_order_release);
    (*chunk)[page % Pages::kChunkPages].store(added, std::memory_order_release);
  }
}

const FunctionCode* CodeRegion::Part::function_at(uint32_t offset) const {
  auto after = std::ranges::upper_bound(functions, offset, {}, &FunctionCode::begin);
  if (after == functions.begin()) return nullptr;
  const FunctionCode& function = *std::prev(after);
  return offset < function.end ? &function : nullptr;
}

const CodeRegion::Part* CodeRegion::part_at(uint64_t text_offset) const {
  const Part* first = first_part_.load(std::memory_order_acquire);
  if (first && text_offset < first->text_bytes) return first;
  const Pages* pages = pages_.load(std::memory_order_acquire);
  const uint64_t page = text_offset / kCodePageBytes;
  if (!pages || page / Pages::kChunkPages >= pages->chunks.size()) return nullptr;
  const Pages::Chunk* chunk = pages->chunks[page / Pages::kChunkPages].load(std::memory_order_acquire);
  return chunk ? (*chunk)[page % Pages::kChunkPages].load(std::memory_order_acquire) : nullptr;
}

std::optional<CodeRegion::Unwind> CodeRegion::unwind_at(uint64_t return_offset) const {
  // A call that never returns may be a function's last instruction: its return address lies behind the function.
  const Part* part = return_offset ? part_at(return_offset - 1) : nullptr;
  if (!part) return std::nullopt;
  const auto offset = static_cast<uint32_t>(return_offset);
  const FunctionCode* function = part->function_at(offset - 1);
  if (!function) return std::nullopt;
  Unwind unwind{function->saved, 0, 0};
  if (part->pads.empty()) return unwind;
  auto pad = std::ranges::lower_bound(part->pads, offset, {}, &LandingPad::return_address);
  if (pad == part->pads.end() || pad->return_address != offset) return unwind;
  return Unwind{function->saved, pad->pad, pad->pushed_bytes};
}

void CodeRegion::list_for_perf(std::span<const FunctionCode> functions) const {
  if (perf_map_) perf_map_->add(base_, functions, owner_.names(), owner_.wasm().imported_funcs);
}

const FunctionCode* CodeRegion::function_at(uint64_t text_offset) const {
  const Part* part = part_at(text_offset);
  return part ? part->function_at(static_cast<uint32_t>(text_offset)) : nullptr;
}

std::optional<CodeRegion::Site> CodeRegion::site_at(uint64_t text_offset) const {
  const Part* part = part_at(text_offset);
  if (!part) return std::nullopt;
  const auto offset = static_cast<uint32_t>(text_offset);
  const FunctionCode* function = part->function_at(offset);
  if (!function) return std::nullopt;
  return Site{function->func, module_offset_at(*function, part->lines, offset)};
}

CodeRegion::Contents CodeRegion::contents() const {
  memory::ForkPass pass;
  std::scoped_lock lock(mutex_);
  Contents contents;
  // Places that are allocated and have no code yet read as trap instructions.
  contents.text.assign(text_used_, 0xcc);
  contents.rodata.assign(rodata_used_, 0);
  for (const auto& [begin, part] : parts_) {
    auto base = static_cast<uint32_t>(contents.lines.size());
    for (FunctionCode function : part.functions) {
      function.lines_begin += base;
      function.lines_end += base;
      contents.functions.push_back(function);
    }
    contents.lines.insert(contents.lines.end(), part.lines.begin(), part.lines.end());
    contents.pads.insert(contents.pads.end(), part.pads.begin(), part.pads.end());
    std::copy_n(base_ + begin, part.text_bytes, contents.text.begin() + static_cast<ptrdiff_t>(begin));
    std::copy_n(base_ + layout_.rodata() + part.place.rodata_offset, part.rodata_bytes,
                contents.rodata.begin() + static_cast<ptrdiff_t>(part.place.rodata_offset));
  }
  CodeFile& file = contents.file;
  file.region = layout_;
  file.text = contents.text;
  file.rodata = contents.rodata;
  file.functions = contents.functions;
  file.lines = contents.lines;
  file.pads = contents.pads;
  return contents;
}

uint64_t CodeRegion::code_bytes() const {
  memory::ForkPass pass;
  std::scoped_lock lock(mutex_);
  return text_used_ + rodata_used_;
}

}  // namespace rotor::code
