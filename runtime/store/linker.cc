#include "runtime/store/linker.h"

#include <fmt/format.h>

#include "rotor/snapshot.h"
#include "runtime/access.h"
#include "runtime/enter/func.h"
#include "runtime/store/extern_type.h"
#include "runtime/store/instance.h"

namespace rotor::runtime {

const Definition* LinkerImpl::find(std::string_view module, std::string_view name) const {
  auto it = definitions.find(std::pair<std::string, std::string>(module, name));
  return it == definitions.end() ? nullptr : &it->second;
}

namespace {

std::unexpected<Error> stale(const ImportInfo& wanted) {
  return fail(ErrorKind::stale_handle, fmt::format("import {}: what it was defined as is gone", import_text(wanted)));
}

Result<void> incompatible(const ImportInfo& wanted, const ExternType& found) {
  return fail(ErrorKind::link, fmt::format("incompatible import type: {} is wanted as {}, defined as {}",
                                           import_text(wanted), to_string(wanted.type), to_string(found)));
}

Result<void> check_type(const ExternType& found, const ModuleImpl& module, const ImportInfo& wanted) {
  return matches(module.engine().types, found, wanted.type) ? Result<void>() : incompatible(wanted, found);
}

/// Checks a host function. Compiled code compares functions by canonical type, so they have to come from the same
/// engine.
Result<void> check_host_func(const CanonicalType& found, const ModuleImpl& module, uint32_t import) {
  const ImportInfo& wanted = module.imports()[import];
  ROTOR_CHECK(check_type(found.type, module, wanted));
  if (found.engine == &module.engine()) return {};
  return fail(ErrorKind::link, fmt::format("import {}: a function of another engine", import_text(wanted)));
}

Result<void> check_func(const CanonicalType& found, const ModuleImpl& module, uint32_t import) {
  // Types that are written alike may be two: one that names itself, and one that names the first.
  if (const auto* type = std::get_if<wasm::TypeIndex>(&module.wasm().imports[import].desc))
    if (found.descends_from(module.canonical_type(*type))) return {};
  ROTOR_CHECK(check_host_func(found, module, import));
  return incompatible(module.imports()[import], found.type);
}

/// Checks that the engine of a type is the module's: the name of a type belongs to one engine.
Result<void> check_engine(ValType type, const EngineImpl* owner, const ModuleImpl& module, uint32_t import) {
  if (!type.is_concrete_ref() || owner == &module.engine()) return {};
  const ImportInfo& wanted = module.imports()[import];
  return fail(ErrorKind::link,
              fmt::format("incompatible import type: {} is of a type of another engine", import_text(wanted)));
}

Result<void> check_definition(const Definition& definition, const ModuleImpl& module, uint32_t import) {
  if (auto* host = std::get_if<std::shared_ptr<const HostDefinition>>(&definition)) {
    if (!(*host)->type) return stale(module.imports()[import]);
    return check_host_func(*(*host)->type, module, import);
  }
  if (auto* factory = std::get_if<std::shared_ptr<const PerInstance>>(&definition))
    return check_type((*factory)->type, module, module.imports()[import]);
  return check_import(std::get<Extern>(definition), module, import);
}

}  // namespace

Result<void> check_import(const Extern& item, const ModuleImpl& module, uint32_t import) {
  const ImportInfo& wanted = module.imports()[import];
  if (auto* func = std::get_if<Func>(&item)) {
    if (!func->alive()) return stale(wanted);
    return check_func(CanonicalType::of(func_ref_of(*func)->type), module, import);
  }
  if (auto* table = std::get_if<Table>(&item)) {
    auto impl = detail::Access::lock(*table);
    if (!impl) return stale(wanted);
    ROTOR_CHECK(check_engine(impl->element(), impl->engine(), module, import));
    return check_type(impl->type(), module, wanted);
  }
  if (auto* memory = std::get_if<Memory>(&item)) {
    auto impl = detail::Access::lock(*memory);
    if (!impl) return stale(wanted);
    ROTOR_CHECK(check_type(impl->type(), module, wanted));
    // Compiled code relies on it: behind a memory on a slab lie those of others.
    if (impl->check() == code::memory_check(std::get<MemoryType>(wanted.type))) return {};
    return fail(ErrorKind::link,
                fmt::format("import {}: the memory is on a slab (Config::slab_memories), which only the module that "
                            "defines it can use",
                            import_text(wanted)));
  }
  if (auto* tag = std::get_if<Tag>(&item)) {
    const auto& impl = detail::Access::impl(*tag);
    if (!impl) return stale(wanted);
    ROTOR_CHECK(check_type(tag->type(), module, wanted));
    // As with functions, types that are written alike may be two; those of two engines are.
    if (&impl->type == &module.canonical_type(std::get<wasm::TagDesc>(module.wasm().imports[import].desc).type))
      return {};
    return incompatible(wanted, tag->type());
  }
  auto impl = detail::Access::lock(std::get<Global>(item));
  if (!impl) return stale(wanted);
  ROTOR_CHECK(check_engine(impl->type().value, impl->engine(), module, import));
  return check_type(impl->type(), module, wanted);
}

}  // namespace rotor::runtime

namespace rotor {

using runtime::Definition;
using runtime::HostDefinition;
using runtime::LinkerImpl;

Linker::Linker(const Engine& engine) : impl_(std::make_unique<LinkerImpl>()) {
  impl_->engine = runtime::impl_of(engine).shared_from_this();
}
Linker::Linker(const Linker& other) : impl_(std::make_unique<LinkerImpl>(*other.impl_)) {}
Linker& Linker::operator=(const Linker& other) {
  *impl_ = *other.impl_;
  return *this;
}
Linker::Linker(Linker&&) noexcept = default;
Linker& Linker::operator=(Linker&&) noexcept = default;
Linker::~Linker() = default;

void Linker::define(std::string_view module, std::string_view name, Extern item) {
  impl_->definitions.insert_or_assign({std::string(module), std::string(name)}, std::move(item));
}

void Linker::define_func(std::string_view module, std::string_view name, FuncType type, HostFunction fn) {
  define_host(module, name, std::move(type), std::move(fn), {});
}

void Linker::define_host(std::string_view module, std::string_view name, FuncType type, HostFunction fn,
                         const detail::DirectHost& direct) {
  auto host = std::make_shared<const HostDefinition>(impl_->engine, type, std::move(fn), direct);
  impl_->definitions.insert_or_assign({std::string(module), std::string(name)}, std::move(host));
}

void Linker::define_per_instance(std::string_view module, std::string_view name, ExternType type,
                                 std::function<Result<Extern>(const InstanceOptions&)> make) {
  auto factory = std::make_shared<const runtime::PerInstance>(std::move(type), std::move(make));
  impl_->definitions.insert_or_assign({std::string(module), std::string(name)}, std::move(factory));
}

void Linker::define_instance(std::string_view module, const Instance& instance) {
  if (!instance) return;
  for (const wasm::Export& item : runtime::impl_of(instance.module()).wasm().exports)
    define(module, item.name, runtime::impl_of(instance)->extern_of(item));
}

bool Linker::defined(std::string_view module, std::string_view name) const { return impl_->find(module, name); }

Result<InstancePre> Linker::instantiate_pre(const Module& module) const {
  if (&runtime::impl_of(module).engine() != impl_->engine.get())
    return fail(ErrorKind::invalid_argument, "the module is of another engine than the linker");
  auto pre = std::make_shared<runtime::InstancePreImpl>();
  bool reusable = true;
  for (uint32_t i = 0; i < module.imports().size(); ++i) {
    const ImportInfo& import = module.imports()[i];
    const Definition* definition = impl_->find(import.module, import.name);
    if (!definition)
      return fail(ErrorKind::link,
                  fmt::format("unknown import: {} ({})", runtime::import_text(import), to_string(import.type)));
    ROTOR_CHECK(runtime::check_definition(*definition, runtime::impl_of(module), i));
    pre->imports.push_back(*definition);
    reusable &= std::holds_alternative<std::shared_ptr<const runtime::HostDefinition>>(*definition) ||
                std::holds_alternative<MemoryType>(import.type);
  }
  pre->spares = std::make_shared<runtime::SpareInstances>(module, reusable);
  return detail::Access::handle<InstancePre>(std::move(pre));
}

Result<InstancePre> InstancePre::resolve(const Module& module, std::span<const Extern> imports) {
  const std::vector<ImportInfo>& wanted = module.imports();
  if (imports.size() != wanted.size())
    return fail(ErrorKind::link,
                fmt::format("{} imports are given, where the module has {}", imports.size(), wanted.size()));
  auto pre = std::make_shared<runtime::InstancePreImpl>();
  bool reusable = true;
  for (uint32_t i = 0; i < wanted.size(); ++i) {
    ROTOR_CHECK(runtime::check_import(imports[i], runtime::impl_of(module), i));
    pre->imports.emplace_back(imports[i]);
    reusable &= std::holds_alternative<MemoryType>(wanted[i].type);
  }
  pre->spares = std::make_shared<runtime::SpareInstances>(module, reusable);
  return detail::Access::handle<InstancePre>(std::move(pre));
}

const Module& InstancePre::module() const { return impl_->spares->module; }

std::vector<std::string> InstancePre::shared_state() const {
  std::vector<std::string> names;
  for (size_t i = 0; i < impl_->imports.size(); ++i) {
    const auto* item = std::get_if<Extern>(&impl_->imports[i]);
    if (!item || std::holds_alternative<Func>(*item) || std::holds_alternative<Tag>(*item)) continue;
    if (const auto* global = std::get_if<Global>(item); global && !global->type().is_mutable) continue;
    const ImportInfo& import = module().imports()[i];
    names.push_back(import.module + "." + import.name);
  }
  return names;
}

}  // namespace rotor
