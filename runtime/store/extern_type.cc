#include "runtime/store/extern_type.h"

#include <fmt/format.h>

#include "rotor/printable.h"

namespace rotor {

const char* kind_name(const ExternType& type) {
  static constexpr const char* kNames[] = {"func", "table", "memory", "global", "tag"};
  return kNames[type.index()];
}

namespace {

std::string limits_text(const SizeLimits& limits) {
  return limits.has_max() ? fmt::format("{} {}", limits.min, limits.max) : fmt::format("{}", limits.min);
}

struct ToText {
  std::string operator()(const FuncType& type) const { return "func " + to_string(type); }
  std::string operator()(const TableType& type) const {
    return fmt::format("table {}{} {}", type.is64 ? "i64 " : "", limits_text(type.limits), to_string(type.element));
  }
  std::string operator()(const MemoryType& type) const {
    return fmt::format("memory {}{}{}{}", type.is64 ? "i64 " : "", limits_text(type.limits),
                       type.shared ? " shared" : "",
                       type.page_size_log2 == 16 ? "" : fmt::format(" (pagesize {})", type.page_bytes()));
  }
  std::string operator()(const GlobalType& type) const {
    return type.is_mutable ? fmt::format("global (mut {})", to_string(type.value)) : "global " + to_string(type.value);
  }
  std::string operator()(const TagType& type) const {
    std::string text = "tag [";
    for (size_t i = 0; i < type.params.size(); ++i) text += (i == 0 ? "" : " ") + to_string(type.params[i]);
    return text + "]";
  }
};

}  // namespace

std::string to_string(const ExternType& type) { return std::visit(ToText{}, type); }

}  // namespace rotor

namespace rotor::runtime {

std::string import_text(const ImportInfo& import) {
  return fmt::format("{}.{}", printable_name(import.module), printable_name(import.name));
}

ValType engine_type(ValType type, EngineTypes types) {
  if (!type.is_concrete_ref()) return type;
  return ValType::ref(types[type.heap().type_index()]->heap_type(), type.nullable());
}

TableType engine_type(TableType type, EngineTypes types) {
  type.element = engine_type(type.element, types);
  return type;
}

GlobalType engine_type(GlobalType type, EngineTypes types) {
  type.value = engine_type(type.value, types);
  return type;
}

ExternType extern_type_of(const wasm::Module& module, EngineTypes types, wasm::ExternKind kind, uint32_t index) {
  switch (kind) {
    case wasm::ExternKind::func: return types[raw(module.funcs[index])]->type;
    case wasm::ExternKind::table: return engine_type(module.tables[index].type, types);
    case wasm::ExternKind::memory: return module.memories[index];
    case wasm::ExternKind::global: return engine_type(module.globals[index].type, types);
    case wasm::ExternKind::tag: return TagType{types[raw(module.tags[index])]->type.params};
  }
  return {};
}

ExternType extern_type_of(const wasm::Import& import, EngineTypes types) {
  switch (import.kind()) {
    case wasm::ExternKind::func: return types[raw(std::get<wasm::TypeIndex>(import.desc))]->type;
    case wasm::ExternKind::table: return engine_type(std::get<TableType>(import.desc), types);
    case wasm::ExternKind::memory: return std::get<MemoryType>(import.desc);
    case wasm::ExternKind::global: return engine_type(std::get<GlobalType>(import.desc), types);
    case wasm::ExternKind::tag: return TagType{types[raw(std::get<wasm::TagDesc>(import.desc).type)]->type.params};
  }
  return {};
}

namespace {

bool limits_match(const SizeLimits& found, const SizeLimits& wanted) {
  return found.min >= wanted.min && (!wanted.has_max() || (found.has_max() && found.max <= wanted.max));
}

}  // namespace

bool matches(const TypeRegistry& types, const ExternType& found, const ExternType& wanted) {
  if (found.index() != wanted.index()) return false;
  if (auto* table = std::get_if<TableType>(&found)) {
    auto& want = std::get<TableType>(wanted);
    return table->element == want.element && table->is64 == want.is64 && limits_match(table->limits, want.limits);
  }
  if (auto* memory = std::get_if<MemoryType>(&found)) {
    auto& want = std::get<MemoryType>(wanted);
    return memory->shared == want.shared && memory->is64 == want.is64 &&
           memory->page_size_log2 == want.page_size_log2 && limits_match(memory->limits, want.limits);
  }
  if (auto* global = std::get_if<GlobalType>(&found)) {
    auto& want = std::get<GlobalType>(wanted);
    // A mutable global must have the same type on both sides.
    if (global->is_mutable || want.is_mutable) return *global == want;
    return types.matches(global->value, want.value);
  }
  return found == wanted;
}

}  // namespace rotor::runtime
