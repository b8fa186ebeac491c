#include "runtime/module.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <chrono>
#include <cstring>

#include <fmt/format.h>

#include "code/abi.h"
#include "code/build.h"
#include "code/code_file.h"
#include "code/code_image.h"
#include "code/compiler.h"
#include "code/cpu.h"
#include "code/file.h"
#include "code/mapped_file.h"
#include "code/region.h"
#include "code/run_page.h"
#include "code/stubs.h"
#include "memory/fork.h"
#include "rotor/guard.h"
#include "runtime/access.h"
#include "runtime/enter/entry.h"
#include "runtime/store/extern_type.h"
#include "wasm/decode_module.h"
#include "wasm/features.h"

namespace rotor {

using runtime::ModuleImpl;

Result<Module> Module::compile(const Engine& engine, std::span<const uint8_t> bytes) {
  ROTOR_TRY(auto impl, ModuleImpl::compile(detail::Access::impl(engine), bytes));
  return Module(std::move(impl));
}

Result<void> Module::validate(const Features& features, std::span<const uint8_t> bytes) {
  ROTOR_TRY(wasm::Module module, wasm::decode_module(bytes, {.features = features, .bodies_elsewhere = false}));
  return wasm::validate_bodies(module, bytes, features);
}

Result<void> Module::serialize_to_file(const std::string& path) const { return impl_->save(path); }

Result<std::vector<uint8_t>> Module::serialize() const {
  std::vector<uint8_t> bytes;
  ROTOR_CHECK(impl_->serialize([&](const void* data, size_t size) -> Result<void> {
    auto* begin = static_cast<const uint8_t*>(data);
    bytes.insert(bytes.end(), begin, begin + size);
    return {};
  }));
  return bytes;
}

Result<Module> Module::deserialize(const Engine& engine, std::span<const uint8_t> bytes) {
  ROTOR_TRY(auto impl, ModuleImpl::load(detail::Access::impl(engine), bytes));
  return Module(std::move(impl));
}

Result<Module> Module::deserialize_file(const Engine& engine, const std::string& path, Verify verify) {
  code::Check check = verify == Verify::all ? code::Check::all : code::Check::tables;
  ROTOR_TRY(auto impl, ModuleImpl::load_file(detail::Access::impl(engine), path, check));
  return Module(std::move(impl));
}

Module::CacheOutcome Module::cache_outcome() const { return impl_->cache_outcome(); }
Result<void> Module::update_cache() const { return impl_->update_cache(); }

const std::vector<ImportInfo>& Module::imports() const { return impl_->imports(); }
const std::vector<ExportInfo>& Module::exports() const { return impl_->exports(); }

const ExternType* Module::export_type(std::string_view name) const {
  auto index = impl_->find_export(name);
  return index ? &impl_->exports()[*index].type : nullptr;
}

std::vector<SectionInfo> Module::sections() const {
  std::vector<SectionInfo> infos;
  for (const wasm::Section& section : impl_->wasm().sections) {
    bool custom = section.id == wasm::SectionId::custom;
    std::string name = custom ? section.name : wasm::section_text(section.id);
    infos.push_back({std::move(name), custom, section.begin, section.end - section.begin});
  }
  return infos;
}

std::span<const uint8_t> Module::custom_section(std::string_view name) const {
  for (const wasm::Section& section : impl_->wasm().sections)
    if (section.id == wasm::SectionId::custom && section.name == name)
      return impl_->bytes().subspan(section.begin, section.end - section.begin);
  return {};
}

std::vector<std::string> Module::required_features() const { return impl_->required_features(); }
const CompileStats& Module::compile_stats() const { return impl_->stats(); }
TierStats Module::tier_stats() const { return impl_->tier_stats(); }

}  // namespace rotor

namespace rotor::runtime {

Result<std::shared_ptr<ModuleImpl>> ModuleImpl::compile(std::shared_ptr<EngineImpl> engine,
                                                        std::span<const uint8_t> bytes) {
  const Config& config = engine->config;
  const code::CodeCache* cache = engine->cache.get();
  std::shared_ptr<ModuleImpl> module(new ModuleImpl(engine));
  if (cache) {
    module->cache_key_ = code::CacheKey::of(bytes, engine->settings.key());
    auto taken = module->take_cached(bytes);
    if (taken && *taken) return module;
    // An entry that can't be used is made again; the module keeps nothing of it.
    code::CacheKey key = module->cache_key_;
    module.reset(new ModuleImpl(std::move(engine)));
    module->cache_key_ = key;
    if (!taken) {
      cache->remove(key);
      module->cache_outcome_.failure = std::move(taken).error();
    }
  }
  ROTOR_TRY(module->wasm_, wasm::decode_module(bytes, {.features = config.features, .bodies_elsewhere = false}));
  ROTOR_CHECK(module->make_code(bytes));
  if (cache && config.mode != CompileMode::lazy && !module->stats_.hurried)
    if (auto put = module->put_in_cache(); !put) module->cache_outcome_.failure = std::move(put).error();
  return module;
}

Result<bool> ModuleImpl::take_cached(std::span<const uint8_t> bytes) {
  const Config& config = engine_->config;
  auto entry = engine_->cache->find(cache_key_);
  if (!entry) return false;
  ROTOR_TRY(auto file, code::MappedFile::open(entry->pinned_path()));
  ROTOR_TRY(code::CodeFile code, code::parse_code_file(file->bytes(), entry->path(), code::Check::all));
  // Other modules may have the same key, and code of another module must never run.
  if (!std::ranges::equal(code.module_bytes, bytes)) return false;
  bytes_ = code.module_bytes;
  file_ = file;
  // The bodies were valid when they were compiled, with the features that the key states.
  ROTOR_TRY(wasm_, wasm::decode_module(bytes_, {.features = config.features, .bodies_elsewhere = false}));
  ROTOR_CHECK(describe());
  ROTOR_CHECK(adopt(code, {entry->path(), std::move(file), nullptr}));
  if (has_stubs_ != engine_->settings.tiered || (!has_stubs_ && code.functions.size() < wasm_.bodies.size()))
    return fail(ErrorKind::corrupt, entry->path() + ": it lacks code");
  cache_outcome_.hit = true;
  if (has_stubs_) tiering_ = Tiering::create(*engine_, wasm_, bytes_, *region_, {});
  if (config.mode == CompileMode::eager) ROTOR_CHECK(tiering_->complete());
  return true;
}

/// Returns whether the cache has more code than `ours`: another process, or another module of the same bytes, may have
/// compiled more, and may have put it there first.
bool ModuleImpl::cache_has_more(const code::CodeFile& ours) const {
  auto entry = engine_->cache->find(cache_key_);
  if (!entry) return false;
  auto file = code::MappedFile::open(entry->pinned_path());
  if (!file) return false;
  auto code = code::parse_code_file((*file)->bytes(), entry->path(), code::Check::tables);
  return code && code->functions.size() > ours.functions.size() && std::ranges::equal(code->module_bytes, bytes_);
}

Result<void> ModuleImpl::put_in_cache() const {
  code::CodeRegion::Contents contents = region_->contents();
  contents.file.flags = code_flags();
  contents.file.module_bytes = bytes_;
  contents.file.cpu_features = cpu_features_;
  if (cache_has_more(contents.file)) return {};
  return engine_->cache->put(cache_key_, [&](code::OutputFile& out) {
    return code::write_code(contents.file, [&](const void* data, size_t size) { return out.write(data, size); });
  });
}

Result<void> ModuleImpl::update_cache() const {
  // A module that came from a code file was never in the cache.
  if (!engine_->cache || !tiering_ || !tiering_->take_new_code()) return {};
  Result<void> put = put_in_cache();
  if (!put) tiering_->return_new_code();
  return put;
}

uint32_t ModuleImpl::code_flags() const {
  uint32_t flags = 0;
  if (has_stubs_) flags |= code::CodeFile::kHasStubs;
  if (interruptible_) flags |= code::CodeFile::kInterruptible;
  return flags;
}

ModuleImpl::~ModuleImpl() {
  if (!tiering_) return;
  tiering_->stop();
  (void)update_cache();
}

void ModuleImpl::tier_up(uint32_t defined_func) const {
  if (tiering_) return tiering_->tier_up(defined_func);
  // The code is from a file without the function's body, so it stays as it is: the counter is stopped.
  auto* counter = reinterpret_cast<int32_t*>(region_->run_page() + run_page_.counter(defined_func));
  std::atomic_ref(*counter).store(INT32_MAX, std::memory_order_relaxed);
}

Result<void> ModuleImpl::make_code(std::span<const uint8_t> bytes) {
  const Config& config = engine_->config;
  interruptible_ = config.interruptible;
  ROTOR_CHECK(describe());
  auto copy = [&] {
    own_bytes_.assign(bytes.begin(), bytes.end());
    bytes_ = own_bytes_;
  };
  if (config.mode != CompileMode::lazy) {
    copy();
    return compile_now();
  }
  auto start = std::chrono::steady_clock::now();
  ROTOR_TRY(CallGraph calls, validate_in_parallel(wasm_, bytes, config, copy));
  need_cpu(*code::cpu_features_named(config.cpu));
  ROTOR_TRY(code::RegionLayout layout, code::tiered_region(wasm_, code::CompileOptions().code_limit_bytes));
  ROTOR_TRY(region_, code::CodeRegion::create(*this, engine_->perf_map.get(), layout));
  ROTOR_CHECK(region_->add_stubs());
  has_stubs_ = true;
  fill_run_page();
  tiering_ = Tiering::create(*engine_, wasm_, bytes_, *region_, std::move(calls));
  tiering_->warm_up();
  stats_.functions = static_cast<uint32_t>(wasm_.bodies.size());
  stats_.wall_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  return {};
}

void ModuleImpl::need_cpu(std::vector<std::string> features) {
  cpu_features_ = std::move(features);
  if (auto runs = code::check_cpu_features(cpu_features_); !runs) cpu_error_ = std::move(runs).error();
}

Result<void> ModuleImpl::compile_now() {
  const Config& config = engine_->config;
  code::CompileOptions options = engine_->compile_options();
  // A fork waits for the batches that are in LLVM, which has locks of its own.
  options.in_llvm = [](bool enters) { enters ? memory::ForkPass::take() : memory::ForkPass::give_back(); };
  std::mutex thrown_mutex;
  std::optional<Error> thrown;
  if (config.compile_progress)
    options.progress = [&](uint32_t done, uint32_t all) {
      auto told = detail::guarded("compile_progress", [&] { config.compile_progress(done, all); });
      if (told) return;
      std::scoped_lock lock(thrown_mutex);
      thrown = std::move(told).error();
    };
  ROTOR_TRY(code::Compiled compiled, code::compile_module(wasm_, bytes_, options));
  if (thrown) return std::unexpected(std::move(*thrown));
  need_cpu(std::move(compiled.cpu_features));
  stats_ = compiled.stats;
  ROTOR_TRY(region_, code::CodeRegion::create(*this, engine_->perf_map.get(), compiled.region));
  has_stubs_ = engine_->settings.tiered;
  if (has_stubs_) ROTOR_CHECK(region_->add_stubs());
  ROTOR_TRY(auto place, region_->allocate(compiled.image.text.size(), compiled.image.rodata.size()));
  assert(place.text_offset == compiled.image.text_offset && place.rodata_offset == compiled.image.rodata_offset);
  ROTOR_CHECK(region_->add(std::move(compiled.image)));
  fill_run_page();
  if (has_stubs_) tiering_ = Tiering::create(*engine_, wasm_, bytes_, *region_, {});
  return {};
}

Result<std::shared_ptr<ModuleImpl>> ModuleImpl::load_file(std::shared_ptr<EngineImpl> engine, const std::string& path,
                                                          code::Check check) {
  std::shared_ptr<ModuleImpl> module(new ModuleImpl(std::move(engine)));
  ROTOR_TRY(auto file, code::MappedFile::open(path));
  ROTOR_TRY(code::CodeFile code, code::parse_code_file(file->bytes(), path, check));
  ROTOR_CHECK(module->take_file(code, {path, std::move(file), nullptr}));
  return module;
}

Result<std::shared_ptr<ModuleImpl>> ModuleImpl::load(std::shared_ptr<EngineImpl> engine,
                                                     std::span<const uint8_t> bytes) {
  std::shared_ptr<ModuleImpl> module(new ModuleImpl(std::move(engine)));
  auto copy = std::make_shared<const std::vector<uint8_t>>(bytes.begin(), bytes.end());
  const char* name = "serialized module";
  ROTOR_TRY(code::CodeFile code, code::parse_code_file(*copy, name, code::Check::all));
  ROTOR_CHECK(module->take_file(code, {name, nullptr, std::move(copy)}));
  return module;
}

Result<void> ModuleImpl::take_file(const code::CodeFile& code, const Source& source) {
  if (source.mapping)
    file_ = source.mapping;
  else
    file_ = source.buffer;
  bytes_ = code.module_bytes;
  ROTOR_TRY(wasm_, wasm::decode_module(bytes_, {.features = engine_->config.features, .bodies_elsewhere = true}));
  ROTOR_CHECK(describe());
  ROTOR_CHECK(adopt(code, source));
  // A function without code would be compiled from a body that is not there.
  std::vector<bool> has_code(wasm_.funcs.size() - wasm_.imported_funcs);
  for (const code::FunctionCode& function : code.functions) has_code[function.func] = true;
  if (std::ranges::find(has_code, false) != has_code.end())
    return fail(ErrorKind::corrupt, source.name + ": it lacks the code of some functions");
  return {};
}

Result<void> ModuleImpl::adopt(const code::CodeFile& code, const Source& source) {
  // The file is trusted, but one that does not fit its module must not run.
  size_t defined = wasm_.funcs.size() - wasm_.imported_funcs;
  bool fits = code.region.run_page_bytes >= run_page_.size_bytes;
  for (const code::FunctionCode& function : code.functions) fits &= function.func < defined;
  has_stubs_ = code.flags & code::CodeFile::kHasStubs;
  interruptible_ = code.flags & code::CodeFile::kInterruptible;
  if (has_stubs_) fits &= code.text.size() >= code::Stubs::stub(static_cast<uint32_t>(defined));
  if (!fits) return fail(ErrorKind::corrupt, source.name + ": its code is not of its module");
  ROTOR_TRY(region_, code::CodeRegion::create(*this, engine_->perf_map.get(), code.region));
  if (source.mapping)
    ROTOR_CHECK(region_->add_file(code, source.mapping));
  else
    ROTOR_CHECK(region_->add_copy(code, source.buffer));
  need_cpu(code.cpu_features);
  stats_.functions = static_cast<uint32_t>(defined);
  stats_.code_bytes = region_->code_bytes();
  fill_run_page();
  return {};
}

Result<void> ModuleImpl::serialize(const std::function<Result<void>(const void*, size_t)>& write) const {
  if (tiering_) ROTOR_CHECK(tiering_->complete());
  code::CodeRegion::Contents contents = region_->contents();
  std::vector<uint8_t> rest = code::without_code_section(bytes_, wasm_);
  contents.file.flags = code_flags();
  contents.file.module_bytes = rest;
  contents.file.cpu_features = cpu_features_;
  return code::write_code(contents.file, write);
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
  stats.functions = static_cast<uint32_t>(wasm_.funcs.size() - wasm_.imported_funcs);
  std::vector<bool> tier0(stats.functions), tier1(stats.functions);
  region_->for_each_function([&](const code::FunctionCode& code) { (code.tier ? tier1 : tier0)[code.func] = true; });
  stats.tier0_functions = static_cast<uint32_t>(std::ranges::count(tier0, true));
  stats.tier1_functions = static_cast<uint32_t>(std::ranges::count(tier1, true));
  stats.code_bytes = region_->code_bytes();
  if (tiering_) tiering_->add_to(stats);
  return stats;
}

Result<void> ModuleImpl::describe() {
  run_page_ = code::RunPageLayout(wasm_);
  layout_ = code::ContextLayout(wasm_);
  types_ = engine_->types.add(wasm_, type_uses_);
  for (const Signature* type : types_) result_words_ = std::max({result_words_, type->result_words, type->stack_words});
  for (const wasm::Import& import : wasm_.imports)
    imports_.push_back({import.module, import.name, extern_type_of(import, types_)});
  for (const wasm::Export& item : wasm_.exports)
    exports_.push_back({item.name, extern_type_of(wasm_, types_, item.kind, item.index)});
  for (uint32_t i = 0; i < exports_.size(); ++i) export_index_.emplace(exports_[i].name, i);
  return {};
}

void ModuleImpl::fill_run_page() {
  const code::RunPageLayout& layout = run_page_;
  uint8_t* page = region_->run_page();
  auto store = [&](uint32_t offset, uint64_t value) { std::memcpy(page + offset, &value, sizeof value); };
  const auto& libcalls = engine_->libcalls;
  for (uint32_t i = 0; i < libcalls.size(); ++i)
    store(layout.libcall(code::Libcall(i)), reinterpret_cast<uint64_t>(libcalls[i]));
  for (uint32_t i = 0; i < types_.size(); ++i) store(layout.type(i), types_[i]->id());
  store(layout.lazy_entry, reinterpret_cast<uint64_t>(&rotor_lazy_entry));
  store(layout.tail_call, reinterpret_cast<uint64_t>(&rotor_tail_call));
  // A function's tier-1 code comes after its tier-0 code, so it ends up in the slot.
  region_->for_each_function([&](const code::FunctionCode& code) {
    store(layout.slot(code.func), reinterpret_cast<uint64_t>(region_->text() + code.begin));
  });
}

const void* ModuleImpl::entry(uint32_t defined_func) const {
  if (has_stubs_) return region_->text() + code::Stubs::stub(defined_func);
  uint64_t code;
  std::memcpy(&code, region_->run_page() + run_page_.slot(defined_func), sizeof code);
  return reinterpret_cast<const void*>(code);
}

std::optional<uint32_t> ModuleImpl::find_export(std::string_view name) const {
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
  const auto defined = static_cast<uint32_t>(wasm_.funcs.size() - wasm_.imported_funcs);
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
  return frame;
}

}  // namespace rotor::runtime
