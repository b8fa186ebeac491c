#include "runtime/module.h"

#include <algorithm>

#include "jit/compile.h"
#include "runtime/extern_type.h"
#include "runtime/libcalls.h"
#include "wasm/decode_module.h"

namespace rotor {

using runtime::ModuleImpl;

Result<Module> Module::compile(const Engine& engine, std::span<const uint8_t> bytes) {
  ROTOR_TRY(auto impl, ModuleImpl::compile(engine.impl_, bytes));
  return Module(std::move(impl));
}

Result<void> Module::validate(const Features& features, std::span<const uint8_t> bytes) {
  ROTOR_TRY(wasm::Module module, wasm::decode_module(bytes, {.features = features, .bodies_elsewhere = false}));
  return wasm::validate_bodies(module, bytes, features);
}

Result<void> Module::serialize_to_file(const std::string& path) const { return impl_->save(path); }

Result<Module> Module::deserialize_file(const Engine& engine, const std::string& path) {
  ROTOR_TRY(auto impl, ModuleImpl::load(engine.impl_, path));
  return Module(std::move(impl));
}

const std::vector<ImportInfo>& Module::imports() const { return impl_->imports(); }
const std::vector<ExportInfo>& Module::exports() const { return impl_->exports(); }

const ExternType* Module::export_type(std::string_view name) const {
  auto index = impl_->find_export(name);
  return index ? &impl_->exports()[*index].type : nullptr;
}

std::vector<SectionInfo> Module::sections() const {
  static constexpr const char* kNames[] = {"custom", "type",  "import",  "function", "table", "memory",     "global",
                                           "export", "start", "element", "code",     "data",  "data count", "tag"};
  std::vector<SectionInfo> infos;
  for (const wasm::Section& section : impl_->wasm().sections) {
    bool custom = section.id == 0;
    std::string name = custom ? section.name : section.id < std::size(kNames) ? kNames[section.id] : "?";
    infos.push_back({std::move(name), custom, section.begin, section.end - section.begin});
  }
  return infos;
}

std::span<const uint8_t> Module::custom_section(std::string_view name) const {
  for (const wasm::Section& section : impl_->wasm().sections)
    if (section.id == 0 && section.name == name)
      return impl_->bytes().subspan(section.begin, section.end - section.begin);
  return {};
}

std::vector<std::string> Module::required_features() const { return impl_->required_features(); }
const CompileStats& Module::compile_stats() const { return impl_->stats(); }

}  // namespace rotor

namespace rotor::runtime {

Result<std::shared_ptr<ModuleImpl>> ModuleImpl::compile(std::shared_ptr<EngineImpl> engine,
                                                        std::span<const uint8_t> bytes) {
  const Config& config = engine->config;
  std::shared_ptr<ModuleImpl> module(new ModuleImpl(std::move(engine)));
  ROTOR_TRY(module->wasm_, wasm::decode_module(bytes, {.features = config.features, .bodies_elsewhere = false}));
  jit::CompileOptions options;
  options.features = config.features;
  options.opt = config.opt;
  options.workers = config.compile_workers;
  options.cpu = config.cpu;
  options.interruptible = module->interruptible_ = config.interruptible;
  options.progress = config.compile_progress;
  ROTOR_TRY(jit::Compiled compiled, jit::compile_module(module->wasm_, bytes, options));
  module->bytes_.assign(bytes.begin(), bytes.end());
  module->describe();
  ROTOR_TRY(module->region_, CodeRegion::map(*module, compiled.image));
  module->image_ = std::move(compiled.image);
  module->image_.bytes = {};
  module->cpu_features_ = std::move(compiled.cpu_features);
  module->stats_ = compiled.stats;
  module->fill_run_page();
  return module;
}

Result<std::shared_ptr<ModuleImpl>> ModuleImpl::load(std::shared_ptr<EngineImpl> engine, const std::string& path) {
  ROTOR_TRY(jit::CodeFile file, jit::read_code_file(path));
  const Config& config = engine->config;
  std::shared_ptr<ModuleImpl> module(new ModuleImpl(std::move(engine)));
  module->bytes_ = std::move(file.module_bytes);
  ROTOR_TRY(module->wasm_,
            wasm::decode_module(module->bytes_, {.features = config.features, .bodies_elsewhere = true}));
  // The file is trusted, but one that does not fit its own module must not run.
  const wasm::Module& wasm = module->wasm_;
  size_t defined = wasm.funcs.size() - wasm.imported_funcs;
  if (file.image.entries.size() != defined || file.image.ends.size() != defined ||
      file.image.run_page_bytes < jit::RunPageLayout(wasm).size_bytes)
    return fail(ErrorKind::corrupt, path + ": its code is not of its module");
  module->describe();
  ROTOR_TRY(module->region_, CodeRegion::map_file(*module, file.image, path, file.text_file_offset));
  module->image_ = std::move(file.image);
  module->cpu_features_ = std::move(file.cpu_features);
  module->stats_.functions = static_cast<uint32_t>(defined);
  module->stats_.code_bytes = module->image_.text_bytes + module->image_.rodata_bytes;
  module->fill_run_page();
  return module;
}

Result<void> ModuleImpl::save(const std::string& path) const {
  jit::CodeImage image = image_;
  auto contents = region_->contents();
  image.bytes.assign(contents.begin(), contents.end());
  return jit::write_code_file(path, image, bytes_, wasm_, cpu_features_);
}

void ModuleImpl::describe() {
  layout_ = jit::ContextLayout(wasm_);
  for (const wasm::SubType& type : wasm_.types) {
    const auto& func_type = std::get<FuncType>(type.composite);
    types_.push_back(&engine_->canonical(func_type));
    if (func_type.results.size() > jit::kMaxRegisterResults)
      result_words_ = std::max(result_words_, static_cast<uint32_t>(func_type.results.size() * jit::kResultStride / 8));
  }
  for (const wasm::Import& import : wasm_.imports)
    imports_.push_back({import.module, import.name, extern_type_of(wasm_, import)});
  for (const wasm::Export& item : wasm_.exports)
    exports_.push_back({item.name, extern_type_of(wasm_, item.kind, item.index)});
  for (uint32_t i = 0; i < exports_.size(); ++i) export_index_.emplace(exports_[i].name, i);
}

void ModuleImpl::fill_run_page() {
  jit::RunPageLayout layout(wasm_);
  uint8_t* page = region_->run_page();
  auto store = [&](uint32_t offset, uint64_t value) { std::memcpy(page + offset, &value, sizeof value); };
  auto libcalls = libcall_addresses();
  for (uint32_t i = 0; i < libcalls.size(); ++i)
    store(layout.libcall(jit::Libcall(i)), reinterpret_cast<uint64_t>(libcalls[i]));
  for (uint32_t i = 0; i < types_.size(); ++i) store(layout.type(i), types_[i]->id());
  for (uint32_t i = 0; i < image_.entries.size(); ++i) store(layout.slot(i), reinterpret_cast<uint64_t>(entry(i)));
}

std::optional<uint32_t> ModuleImpl::find_export(std::string_view name) const {
  auto it = export_index_.find(name);
  if (it == export_index_.end()) return std::nullopt;
  return it->second;
}

std::vector<std::string> ModuleImpl::required_features() const {
  uint32_t used = wasm_.used_features;
  // A module from a code file has no bodies to look at.
  if (!wasm_.bodies.empty()) used |= wasm::features_of_bodies(wasm_, bytes_, engine_->config.features);
  std::vector<std::string> names;
  for (uint32_t i = 1; i < wasm::kFeatureCount; ++i)  // 0: the MVP
    if (used >> i & 1) names.emplace_back(wasm::feature_text(wasm::Feature(i)));
  return names;
}

const wasm::Names& ModuleImpl::names() const {
  std::call_once(names_once_, [this] { names_ = wasm::decode_names(wasm_, bytes_); });
  return names_;
}

std::string ModuleImpl::func_name(uint32_t func) const {
  const wasm::Names& known = names();
  if (auto it = known.functions.find(func); it != known.functions.end()) return it->second;
  for (const wasm::Export& item : wasm_.exports)
    if (item.kind == wasm::ExternKind::func && item.index == func) return item.name;
  return {};
}

std::optional<Frame> ModuleImpl::frame_at(uintptr_t pc) const {
  std::call_once(by_entry_once_, [this] {
    by_entry_.resize(image_.entries.size());
    for (uint32_t i = 0; i < by_entry_.size(); ++i) by_entry_[i] = i;
    std::ranges::sort(by_entry_, {}, [this](uint32_t i) { return image_.entries[i]; });
  });
  auto offset = static_cast<uint32_t>(pc - reinterpret_cast<uintptr_t>(region_->text()));
  auto after = std::ranges::upper_bound(by_entry_, offset, {}, [this](uint32_t i) { return image_.entries[i]; });
  if (after == by_entry_.begin()) return std::nullopt;
  uint32_t defined = *std::prev(after);
  if (offset >= image_.ends[defined]) return std::nullopt;
  Frame frame;
  frame.func_index = defined + wasm_.imported_funcs;
  frame.func_name = func_name(frame.func_index);
  frame.module_name = names().module;
  frame.module_offset = jit::module_offset_at(image_, defined, offset);
  return frame;
}

}  // namespace rotor::runtime
