#include "runtime/module.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <chrono>
#include <cstring>

#include "code/cpu.h"
#include "code/file.h"
#include "code/stubs.h"
#include "memory/fork.h"
#include "runtime/compile/acquire.h"
#include "runtime/compile/cached.h"
#include "runtime/enter/entry.h"
#include "runtime/store/exceptions.h"
#include "runtime/store/extern_type.h"
#include "wasm/features.h"

namespace rotor::runtime {

Result<std::shared_ptr<ModuleImpl>> ModuleImpl::compile(std::shared_ptr<EngineImpl> engine,
                                                        std::span<const uint8_t> bytes) {
  std::optional<code::CacheKey> key;
  std::optional<Error> unusable;
  if (engine->cache) {
    key = code::CacheKey::of(bytes, engine->settings.key());
    auto cached = from_cache(engine, *key, bytes);
    if (cached && *cached) return cached;
    if (!cached) {
      // An entry that can't be used is made again.
      engine->cache->remove(*key);
      unusable = std::move(cached).error();
    }
  }
  const CompileMode mode = engine->config.mode;
  ROTOR_TRY(Acquired acquired, acquire_anew(*engine, bytes));
  ROTOR_TRY(auto module, create(std::move(engine), std::move(acquired)));
  module->cache_key_ = key;
  module->cache_outcome_.failure = std::move(unusable);
  if (key && mode != CompileMode::lazy && !module->stats_.hurried)
    if (auto put = module->put_in_cache(); !put) module->cache_outcome_.failure = std::move(put).error();
  return module;
}

Result<std::shared_ptr<ModuleImpl>> ModuleImpl::from_cache(const std::shared_ptr<EngineImpl>& engine,
                                                           const code::CacheKey& key, std::span<const uint8_t> bytes) {
  ROTOR_TRY(std::optional<Acquired> acquired, acquire_cached(*engine, key, bytes));
  if (!acquired) return nullptr;
  ROTOR_TRY(auto module, create(engine, std::move(*acquired)));
  if (module->tiering_ && engine->config.mode == CompileMode::eager) ROTOR_CHECK(module->tiering_->complete());
  module->cache_key_ = key;
  module->cache_outcome_.hit = true;
  return module;
}

Result<std::shared_ptr<ModuleImpl>> ModuleImpl::load_file(std::shared_ptr<EngineImpl> engine, const std::string& path,
                                                          code::Check check) {
  ROTOR_TRY(Acquired acquired, acquire_file(*engine, path, check));
  return create(std::move(engine), std::move(acquired));
}

Result<std::shared_ptr<ModuleImpl>> ModuleImpl::load(std::shared_ptr<EngineImpl> engine,
                                                     std::span<const uint8_t> bytes) {
  ROTOR_TRY(Acquired acquired, acquire_copy(*engine, bytes));
  return create(std::move(engine), std::move(acquired));
}

Result<std::shared_ptr<ModuleImpl>> ModuleImpl::create(std::shared_ptr<EngineImpl> engine, Acquired acquired) {
  TypeUses uses;
  ROTOR_TRY(auto types, engine->types.add(acquired.wasm, uses));
  std::shared_ptr<ModuleImpl> module(new ModuleImpl(std::move(engine), acquired, std::move(types), std::move(uses)));
  ROTOR_CHECK(module->place(std::move(acquired)));
  return module;
}

namespace {

/// Returns the images of data that the module's file carries.
DataImages::Stored stored_images(const Acquired& acquired) {
  const auto* stored = std::get_if<StoredCode>(&acquired.code);
  if (!stored || !stored->mapping) return {};
  return {stored->mapping, stored->code.images};
}

}  // namespace

ModuleImpl::ModuleImpl(std::shared_ptr<EngineImpl> engine, Acquired& acquired, std::vector<const CanonicalType*> types,
                       TypeUses uses)
    : engine_(std::move(engine)),
      id_(++engine_->modules_made),
      bytes_owner_(std::move(acquired.bytes_owner)),
      bytes_(acquired.bytes),
      wasm_(std::move(acquired.wasm)),
      layout_(wasm_),
      run_page_(wasm_),
      cpu_features_(std::move(acquired.cpu_features)),
      has_stubs_(acquired.has_stubs),
      type_uses_(std::move(uses)),
      types_(std::move(types)),
      stats_(acquired.stats),
      interruptible_(acquired.interruptible),
      slab_memories_(acquired.slab_memories),
      memory_checks_(code::memory_checks(wasm_, slab_memories_)),
      uses_floats_(acquired.uses_floats),
      uses_heap_(acquired.uses_heap || wasm_.used_features & wasm::feature_bit(wasm::Feature::gc)),
      data_images_(stored_images(acquired)),
      preformed_(wasm_, layout_) {
  if (auto runs = code::check_cpu_features(cpu_features_); !runs) cpu_error_ = std::move(runs).error();
  for (const CanonicalType* type : types_)
    result_words_ = std::max({result_words_, type->result_words, type->stack_words});
  for (wasm::TypeIndex tag : wasm_.tags) result_words_ = std::max(result_words_, payload_words(canonical_type(tag)));
  for (uint32_t i = 0; i < wasm_.globals.size(); ++i)
    if (const ValType type = engine_type(wasm_.globals[i].type.value, types_); type.is_exn_ref())
      exception_globals_.push_back(i);
    else if (type.is_any_ref() || type.is_extern_ref())
      object_globals_.push_back({i, type});
  for (const wasm::Import& import : wasm_.imports)
    imports_.push_back({import.module, import.name, extern_type_of(import, types_)});
  for (const wasm::Export& item : wasm_.exports)
    exports_.push_back({item.name, extern_type_of(wasm_, types_, item.kind, item.index)});
  for (uint32_t i = 0; i < exports_.size(); ++i) export_index_.emplace(exports_[i].name, i);
}

ModuleImpl::~ModuleImpl() {
  if (!tiering_) return;
  tiering_->stop();
  (void)update_cache();
}

Result<void> ModuleImpl::place(Acquired acquired) {
  auto start = std::chrono::steady_clock::now();
  auto* stored = std::get_if<StoredCode>(&acquired.code);
  auto* image = std::get_if<code::CodeImage>(&acquired.code);
  auto* on_demand = std::get_if<CodeOnDemand>(&acquired.code);
  ROTOR_TRY(region_, code::CodeRegion::create(*this, engine_->perf_map.get(), acquired.region));
  if (stored) {
    ROTOR_CHECK(stored->mapping ? region_->add_file(stored->code, stored->mapping)
                                : region_->add_copy(stored->code, stored->buffer));
    stats_.code_bytes = region_->code_bytes();
  } else if (has_stubs_) {
    ROTOR_CHECK(region_->add_stubs());
  }
  if (image) {
    ROTOR_TRY([[maybe_unused]] auto room, region_->allocate(image->text.size(), image->rodata.size()));
    assert(room.text_offset == image->text_offset && room.rodata_offset == image->rodata_offset);
    ROTOR_CHECK(region_->add(std::move(*image)));
  }
  fill_run_page();
  if (!has_stubs_ || !acquired.has_bodies) return {};
  tiering_ = Tiering::create(*engine_, wasm_, bytes_, *region_, on_demand ? std::move(on_demand->calls) : CallGraph());
  if (on_demand) {
    tiering_->warm_up();
    stats_.wall_ms += std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  }
  return {};
}

void ModuleImpl::fill_run_page() {
  const code::RunPageLayout& layout = run_page_;
  uint8_t* page = region_->run_page();
  auto store = [&](uint32_t offset, uint64_t value) { std::memcpy(page + offset, &value, sizeof value); };
  const auto& libcalls = engine_->libcalls;
  for (uint32_t i = 0; i < libcalls.size(); ++i)
    store(layout.libcall(code::Libcall(i)), reinterpret_cast<uint64_t>(libcalls[i]));
  for (uint32_t i = 0; i < types_.size(); ++i)
    store(layout.type(i), types_[i]->number ? types_[i]->number : types_[i]->id());
  store(layout.displays, reinterpret_cast<uint64_t>(engine_->types.displays()));
  store(layout.lazy_entry, reinterpret_cast<uint64_t>(&rotor_lazy_entry));
  store(layout.tail_call, reinterpret_cast<uint64_t>(&rotor_tail_call));
  // A function's tier-1 code comes after its tier-0 code, so it ends up in the slot.
  region_->for_each_function([&](const code::FunctionCode& code) {
    store(layout.slot(code.func), reinterpret_cast<uint64_t>(region_->text() + code.begin));
  });
}

void ModuleImpl::tier_up(uint32_t defined_func) const {
  if (tiering_) return tiering_->tier_up(defined_func);
  // The code is from a file without the function's body, so it stays as it is: the counter is stopped.
  auto* counter = reinterpret_cast<int32_t*>(region_->run_page() + run_page_.counter(defined_func));
  std::atomic_ref(*counter).store(INT32_MAX, std::memory_order_relaxed);
}

code::CodeRegion::Contents ModuleImpl::contents(std::span<const uint8_t> module_bytes) const {
  code::CodeRegion::Contents contents = region_->contents();
  if (has_stubs_) contents.file.flags |= code::CodeFile::kHasStubs;
  if (interruptible_) contents.file.flags |= code::CodeFile::kInterruptible;
  if (slab_memories_) contents.file.flags |= code::CodeFile::kSlabMemories;
  if (uses_floats_) contents.file.flags |= code::CodeFile::kUsesFloats;
  if (uses_heap_) contents.file.flags |= code::CodeFile::kUsesHeap;
  contents.file.module_bytes = module_bytes;
  contents.file.cpu_features = cpu_features_;
  contents.file.images = DataImages::worth_storing(data_images());
  return contents;
}

Result<void> ModuleImpl::put_in_cache() const {
  return runtime::put_in_cache(*engine_->cache, *cache_key_, contents(bytes_).file);
}

Result<void> ModuleImpl::update_cache() const {
  // A module that came from a code file was never in the cache.
  if (!cache_key_ || !tiering_ || !tiering_->take_new_code()) return {};
  Result<void> put = put_in_cache();
  if (!put) tiering_->return_new_code();
  return put;
}

Result<void> ModuleImpl::serialize(const std::function<Result<void>(const void*, size_t)>& write) const {
  if (tiering_) ROTOR_CHECK(tiering_->complete());
  std::vector<uint8_t> rest = code::without_code_section(bytes_, wasm_);
  return code::write_code(contents(rest).file, write);
}

Result<void> ModuleImpl::save(const std::string& path) const {
  ROTOR_CHECK(code::OutputFile::check(path));
  // All is compiled before there is a temporary, which a process that is killed while it compiles would leave behind.
  if (tiering_) ROTOR_CHECK(tiering_->complete());
  constexpr mode_t kCodeMode = 0644;  // it is trusted as code is, whatever the umask lets others write to
  ROTOR_TRY(auto file, code::OutputFile::create(path, kCodeMode));
  ROTOR_CHECK(serialize([&](const void* data, size_t size) { return file.write(data, size); }));
  return file.keep(code::Durability::disk);
}

TierStats ModuleImpl::tier_stats() const {
  TierStats stats;
  stats.functions = wasm_.defined_funcs();
  std::vector<bool> tier0(stats.functions), tier1(stats.functions);
  region_->for_each_function([&](const code::FunctionCode& code) { (code.tier ? tier1 : tier0)[code.func] = true; });
  stats.tier0_functions = static_cast<uint32_t>(std::ranges::count(tier0, true));
  stats.tier1_functions = static_cast<uint32_t>(std::ranges::count(tier1, true));
  stats.code_bytes = region_->code_bytes();
  if (tiering_) tiering_->add_to(stats);
  return stats;
}

const void* ModuleImpl::entry(uint32_t defined_func) const {
  if (has_stubs_) return region_->text() + code::Stubs::stub(defined_func);
  uint64_t code;
  std::memcpy(&code, region_->run_page() + run_page_.slot(defined_func), sizeof code);
  return reinterpret_cast<const void*>(code);
}

std::optional<uint32_t> ModuleImpl::find_export(std::string_view name) const {
  // To compare a few names takes less time than to hash one.
  constexpr size_t kFew = 8;
  if (exports_.size() <= kFew) {
    auto found = std::ranges::find(exports_, name, &ExportInfo::name);
    if (found == exports_.end()) return std::nullopt;
    return static_cast<uint32_t>(found - exports_.begin());
  }
  auto it = export_index_.find(name);
  if (it == export_index_.end()) return std::nullopt;
  return it->second;
}

std::vector<std::string> ModuleImpl::required_features() const {
  uint32_t used = wasm_.used_features;
  // A module from a code file has no bodies.
  if (!wasm_.bodies.empty()) used |= wasm::features_of_bodies(wasm_, bytes_, engine_->config.features);
  std::vector<std::string> names;
  for (uint32_t i = 1; i < wasm::kFeatureCount; ++i)  // 0: the MVP
    if (used >> i & 1) names.emplace_back(wasm::feature_text(wasm::Feature(i)));
  return names;
}

const wasm::Names& ModuleImpl::names() const {
  memory::ForkPass pass;
  std::call_once(names_once_, [this] { names_ = wasm::decode_display_names(wasm_, bytes_); });
  return names_;
}

std::optional<code::CodeRegion::Site> ModuleImpl::site_at(uint64_t text_offset) const {
  const uint32_t defined = wasm_.defined_funcs();
  // In the stubs lies the address of a function that was stopped before it had code, or before it began.
  if (has_stubs_ && text_offset >= code::Stubs::stub(0) && text_offset < code::Stubs::stub(defined))
    return code::CodeRegion::Site{code::Stubs::func_at(text_offset), 0};
  return region_->site_at(text_offset);
}

std::optional<Frame> ModuleImpl::frame_at(uintptr_t pc) const {
  auto site = site_at(pc - reinterpret_cast<uintptr_t>(region_->text()));
  if (!site) return std::nullopt;
  Frame frame;
  frame.func_index = site->defined_func + wasm_.imported_funcs;
  const wasm::Names& known = names();
  if (auto name = known.functions.find(frame.func_index); name != known.functions.end()) frame.func_name = name->second;
  frame.module_name = known.module;
  frame.module_offset = site->module_offset;
  frame.module_id = id_;
  if (site->module_offset && site->defined_func < wasm_.bodies.size())
    frame.func_offset = site->module_offset - wasm_.bodies[site->defined_func].begin;
  return frame;
}

}  // namespace rotor::runtime
