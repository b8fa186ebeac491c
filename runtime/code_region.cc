#include "runtime/code_region.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "memory/fork.h"
#include "memory/os.h"
#include "memory/perturb.h"
#include "runtime/module.h"

namespace rotor::runtime {

namespace {

/// Of a region: text that is code and text to come, read-only data and the same, the run page.
constexpr uint32_t kMappings = 5;

/// One registered text range. `end` is written last when a slot is filled and cleared first when it is emptied.
struct Slot {
  std::atomic<uintptr_t> begin{0};
  std::atomic<uintptr_t> end{0};
  std::atomic<const CodeRegion*> region{nullptr};
};
/// Slots are never freed: a signal handler may be reading them at any time. They are used again.
struct Chunk {
  static constexpr size_t kSlots = 256;
  Slot slots[kSlots];
  std::atomic<Chunk*> next{nullptr};
};

// The signal handler's table: the one permitted global (DESIGN.md 6.5).
constinit Chunk g_regions;
constinit std::mutex g_regions_mutex;  // for writers

void register_region(const CodeRegion* region) {
  memory::ForkPass pass;
  std::lock_guard lock(g_regions_mutex);
  for (Chunk* chunk = &g_regions;; chunk = chunk->next.load(std::memory_order_relaxed)) {
    for (Slot& slot : chunk->slots) {
      if (slot.region.load(std::memory_order_relaxed)) continue;
      auto begin = reinterpret_cast<uintptr_t>(region->text());
      slot.region.store(region, std::memory_order_relaxed);
      slot.begin.store(begin, std::memory_order_relaxed);
      slot.end.store(begin + region->layout().text_bytes, std::memory_order_release);
      return;
    }
    if (!chunk->next.load(std::memory_order_relaxed)) chunk->next.store(new Chunk, std::memory_order_release);
  }
}

void unregister_region(const CodeRegion* region) {
  memory::ForkPass pass;
  std::lock_guard lock(g_regions_mutex);
  for (Chunk* chunk = &g_regions; chunk; chunk = chunk->next.load(std::memory_order_relaxed)) {
    for (Slot& slot : chunk->slots) {
      if (slot.region.load(std::memory_order_relaxed) != region) continue;
      slot.end.store(0, std::memory_order_seq_cst);
      ROTOR_PERTURB_POINT();
      slot.begin.store(0, std::memory_order_seq_cst);
      slot.region.store(nullptr, std::memory_order_seq_cst);
      return;
    }
  }
}

}  // namespace

const CodeRegion* find_code_region(uintptr_t pc) {
  for (const Chunk* chunk = &g_regions; chunk; chunk = chunk->next.load(std::memory_order_acquire)) {
    for (const Slot& slot : chunk->slots) {
      uintptr_t end = slot.end.load(std::memory_order_acquire);
      if (pc >= end || pc < slot.begin.load(std::memory_order_acquire)) continue;
      const CodeRegion* region = slot.region.load(std::memory_order_acquire);
      // Unchanged: the three belong together (a module whose code runs does not change its slot).
      if (slot.end.load(std::memory_order_acquire) == end) return region;
    }
  }
  return nullptr;
}

CodeRegionCount count_code_regions() {
  std::lock_guard lock(g_regions_mutex);
  CodeRegionCount count;
  for (const Chunk* chunk = &g_regions; chunk; chunk = chunk->next.load(std::memory_order_relaxed)) {
    count.places += Chunk::kSlots;
    for (const Slot& slot : chunk->slots) count.regions += slot.region.load(std::memory_order_relaxed) != nullptr;
  }
  return count;
}

Result<std::shared_ptr<const MappedFile>> MappedFile::open(const std::string& path) {
  ROTOR_TRY(memory::os::InputFile file, memory::os::InputFile::open(path));
  ROTOR_TRY(auto bytes, memory::os::map_file(file));
  return std::shared_ptr<const MappedFile>(new MappedFile(std::move(file), bytes));
}

MappedFile::~MappedFile() {
  memory::os::release(const_cast<uint8_t*>(bytes_.data()), jit::round_up_to_page(bytes_.size()), 1);
}

Result<std::unique_ptr<CodeRegion>> CodeRegion::create(const ModuleImpl& module, const jit::RegionLayout& layout) {
  std::unique_ptr<CodeRegion> region(new CodeRegion(module, layout));
  if (layout.total_bytes() == 0) return region;
  ROTOR_TRY(region->base_, memory::os::reserve(layout.total_bytes(), kMappings));
  ROTOR_CHECK(memory::os::commit(region->run_page(), layout.run_page_bytes));
  if (layout.text_bytes) {
    register_region(region.get());
    region->registered_ = true;
  }
  return region;
}

CodeRegion::~CodeRegion() {
  if (registered_) unregister_region(this);
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

Result<void> CodeRegion::add(jit::CodeImage image) {
  Place place{image.text_offset, image.rodata_offset};
  ROTOR_CHECK(put(place, image.text, image.rodata));
  struct Owner {
    std::vector<jit::FunctionCode> functions;
    std::vector<uint8_t> lines;
  };
  auto owner = std::make_shared<Owner>(std::move(image.functions), std::move(image.lines));
  list_for_perf(owner->functions);
  memory::ForkPass pass;
  std::scoped_lock lock(mutex_);
  parts_.emplace(place.text_offset,
                 Part{place, image.text.size(), image.rodata.size(), owner->functions, owner->lines, owner});
  return {};
}

Result<void> CodeRegion::add_stubs(const wasm::Module& module) {
  auto defined = static_cast<uint32_t>(module.funcs.size() - module.imported_funcs);
  jit::CodeImage image;
  image.text = jit::Stubs::code(defined, jit::RunPageLayout(module), layout_.run_page());
  image.text.resize(jit::round_up_to_page(image.text.size()), 0xcc);
  // Functions come in any order.
  ROTOR_CHECK(memory::os::unite_parts(base_, layout_.run_page()));
  ROTOR_TRY(Place place, allocate(image.text.size(), 0));
  image.text_offset = place.text_offset;
  if (PerfMap* map = module_.engine().perf_map.get())
    map->add_stubs(base_ + place.text_offset, jit::Stubs::stub(defined), module_.names());
  return add(std::move(image));
}

Result<void> CodeRegion::add_file(const jit::CodeFile& code, std::shared_ptr<const MappedFile> file) {
  ROTOR_CHECK(memory::os::map_code_file(base_, code.text.size(), file->file(), code.text_file_offset));
  uint8_t* rodata = base_ + layout_.rodata();
  ROTOR_CHECK(memory::os::map_code_file(rodata, code.rodata.size(), file->file(), code.rodata_file_offset));
  if (!code.rodata.empty()) ROTOR_CHECK(memory::os::protect_read(rodata, code.rodata.size()));
  take_tables(code, std::move(file));
  return {};
}

Result<void> CodeRegion::add_copy(const jit::CodeFile& code, std::shared_ptr<const void> tables_owner) {
  ROTOR_CHECK(put({0, 0}, code.text, code.rodata));
  take_tables(code, std::move(tables_owner));
  return {};
}

void CodeRegion::take_tables(const jit::CodeFile& code, std::shared_ptr<const void> owner) {
  list_for_perf(code.functions);
  memory::ForkPass pass;
  std::scoped_lock lock(mutex_);
  text_used_ = code.text.size();
  rodata_used_ = code.rodata.size();
  parts_.emplace(0, Part{{0, 0}, text_used_, rodata_used_, code.functions, code.lines, std::move(owner)});
}

void CodeRegion::list_for_perf(std::span<const jit::FunctionCode> functions) const {
  if (PerfMap* map = module_.engine().perf_map.get())
    map->add(base_, functions, module_.names(), module_.wasm().imported_funcs);
}

std::optional<CodeRegion::Site> CodeRegion::site_at(uint64_t text_offset) const {
  memory::ForkPass pass;
  std::scoped_lock lock(mutex_);
  auto part = parts_.upper_bound(text_offset);
  if (part == parts_.begin()) return std::nullopt;
  const Part& found = std::prev(part)->second;
  auto offset = static_cast<uint32_t>(text_offset);
  auto after = std::ranges::upper_bound(found.functions, offset, {}, &jit::FunctionCode::begin);
  if (after == found.functions.begin()) return std::nullopt;
  const jit::FunctionCode& function = *std::prev(after);
  if (offset >= function.end) return std::nullopt;
  return Site{function.func, jit::module_offset_at(function, found.lines, offset)};
}

CodeRegion::Contents CodeRegion::contents() const {
  memory::ForkPass pass;
  std::scoped_lock lock(mutex_);
  Contents contents;
  // What is allocated and not yet added reads as trap instructions.
  contents.text.assign(text_used_, 0xcc);
  contents.rodata.assign(rodata_used_, 0);
  for (const auto& [begin, part] : parts_) {
    auto base = static_cast<uint32_t>(contents.lines.size());
    for (jit::FunctionCode function : part.functions) {
      function.lines_begin += base;
      function.lines_end += base;
      contents.functions.push_back(function);
    }
    contents.lines.insert(contents.lines.end(), part.lines.begin(), part.lines.end());
    std::copy_n(base_ + begin, part.text_bytes, contents.text.begin() + static_cast<ptrdiff_t>(begin));
    std::copy_n(base_ + layout_.rodata() + part.place.rodata_offset, part.rodata_bytes,
                contents.rodata.begin() + static_cast<ptrdiff_t>(part.place.rodata_offset));
  }
  jit::CodeFile& file = contents.file;
  file.region = layout_;
  file.text = contents.text;
  file.rodata = contents.rodata;
  file.functions = contents.functions;
  file.lines = contents.lines;
  return contents;
}

uint64_t CodeRegion::code_bytes() const {
  memory::ForkPass pass;
  std::scoped_lock lock(mutex_);
  return text_used_ + rodata_used_;
}

}  // namespace rotor::runtime
