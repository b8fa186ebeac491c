// The public Module.
#include <utility>

#include "runtime/access.h"
#include "runtime/module.h"
#include "wasm/decode_module.h"

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
  const code::Check check = verify == Verify::all    ? code::Check::all
                            : verify == Verify::code ? code::Check::code
                                                     : code::Check::tables;
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

uint64_t Module::id() const { return impl_->id(); }
std::vector<std::string> Module::required_features() const { return impl_->required_features(); }
const CompileStats& Module::compile_stats() const { return impl_->stats(); }
bool Module::uses_fuel() const { return impl_->fuel(); }
TierStats Module::tier_stats() const { return impl_->tier_stats(); }

std::optional<Module::DataInit> Module::data_init() const {
  const auto* made = impl_->made_data_images();
  return made ? std::optional(made->how) : std::nullopt;
}

MemorySlots Module::memory_slots() const {
  MemorySlots slots;
  if (const auto* made = impl_->made_data_images())
    for (const auto& contents : made->contents)
      if (contents) slots += contents->slots().counts();
  return slots;
}

}  // namespace rotor
