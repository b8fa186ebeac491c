#include "capi/types.h"

#include <algorithm>
#include <iterator>
#include <unordered_set>
#include <utility>

#include "capi/vec.h"
#include "rotor.h"

namespace rotor::capi {
namespace {

/// The types that a program makes by their kinds. Never written to.
constinit wasm_valtype_t g_valtypes[] = {
    {ValType::i32, true},  {ValType::i64, true},       {ValType::f32, true},     {ValType::f64, true},
    {ValType::v128, true}, {ValType::externref, true}, {ValType::funcref, true},
};

uint32_t to_32(uint64_t size) { return static_cast<uint32_t>(std::min<uint64_t>(size, wasm_limits_max_default)); }
wasm_limits_t to_c(const SizeLimits& limits) { return {to_32(limits.min), to_32(limits.max)}; }
SizeLimits from_c(const wasm_limits_t& limits) {
  return {limits.min, limits.max == wasm_limits_max_default ? UINT64_MAX : limits.max};
}

void fill(wasm_valtype_vec_t& vec, const std::vector<ValType>& types) {
  make_vec(&vec, types.size());
  for (size_t i = 0; i < vec.size; ++i) vec.data[i] = new_valtype(types[i]);
}

/// Takes over a vector. Elements that stand twice in `params` and `results` are copied, since they are deleted twice.
void take_types(wasm_valtype_vec_t& to, wasm_valtype_vec_t* from, std::unordered_set<const wasm_valtype_t*>& seen) {
  to = from ? std::exchange(*from, {0, nullptr}) : wasm_valtype_vec_t{0, nullptr};
  if (!to.data) to.size = 0;
  for (size_t i = 0; i < to.size; ++i)
    if (to.data[i] && !seen.insert(to.data[i]).second) to.data[i] = wasm_valtype_copy(to.data[i]);
}

std::vector<ValType> types_of(const wasm_valtype_vec_t& vec) {
  std::vector<ValType> types;
  for (size_t i = 0; i < vec.size; ++i) types.push_back(vec.data[i]->type);
  return types;
}

bool has_null(const wasm_valtype_vec_t& vec) {
  return std::any_of(vec.data, vec.data + vec.size, std::logical_not<>());
}

}  // namespace

wasm_valkind_t kind_of(ValType type) {
  switch (type.kind()) {
    case ValType::Kind::i32: return WASM_I32;
    case ValType::Kind::i64: return WASM_I64;
    case ValType::Kind::f32: return WASM_F32;
    case ValType::Kind::f64: return WASM_F64;
    case ValType::Kind::v128: return ROTOR_V128;
    default: break;
  }
  if (type.is_func_ref()) return WASM_FUNCREF;
  if (type.is_extern_ref()) return WASM_EXTERNREF;
  return ROTOR_OTHERREF;
}

std::optional<ValType> type_of_kind(wasm_valkind_t kind) {
  for (const wasm_valtype_t& known : g_valtypes)
    if (kind_of(known.type) == kind) return known.type;
  return std::nullopt;
}

wasm_valtype_t* new_valtype(ValType type) {
  for (wasm_valtype_t& known : g_valtypes)
    if (known.type == type) return &known;
  return new wasm_valtype_t{type};
}

wasm_functype_t* new_functype(const FuncType& type) {
  auto* made = new wasm_functype_t{{WASM_EXTERN_FUNC}, {}, {}};
  fill(made->params, type.params);
  fill(made->results, type.results);
  return made;
}

wasm_globaltype_t* new_globaltype(const GlobalType& type) {
  return new wasm_globaltype_t{{WASM_EXTERN_GLOBAL},
                               new_valtype(type.value),
                               static_cast<wasm_mutability_t>(type.is_mutable ? WASM_VAR : WASM_CONST)};
}

wasm_tabletype_t* new_tabletype(const TableType& type) {
  return new wasm_tabletype_t{{WASM_EXTERN_TABLE}, type, new_valtype(type.element), to_c(type.limits)};
}

wasm_memorytype_t* new_memorytype(const MemoryType& type) {
  return new wasm_memorytype_t{{WASM_EXTERN_MEMORY}, type, to_c(type.limits)};
}

wasm_externtype_t* new_externtype(const ExternType& type) {
  struct {
    wasm_externtype_t* operator()(const FuncType& func) const { return new_functype(func); }
    wasm_externtype_t* operator()(const GlobalType& global) const { return new_globaltype(global); }
    wasm_externtype_t* operator()(const TableType& table) const { return new_tabletype(table); }
    wasm_externtype_t* operator()(const MemoryType& memory) const { return new_memorytype(memory); }
    wasm_externtype_t* operator()(const TagType& tag) const { return wasm_tagtype_new(new_functype({tag.params, {}})); }
  } made;
  return std::visit(made, type);
}

FuncType func_type(const wasm_functype_t& type) { return {types_of(type.params), types_of(type.results)}; }

GlobalType global_type(const wasm_globaltype_t& type) {
  return {.value = type.content->type, .is_mutable = type.mutability == WASM_VAR};
}

}  // namespace rotor::capi

using namespace rotor::capi;

ROTOR_DEFINE_VEC(byte, , [](auto) {}, [](auto& to, auto from) { to = from; })
ROTOR_DEFINE_POINTER_VEC(valtype)
ROTOR_DEFINE_POINTER_VEC(functype)
ROTOR_DEFINE_POINTER_VEC(globaltype)
ROTOR_DEFINE_POINTER_VEC(tabletype)
ROTOR_DEFINE_POINTER_VEC(memorytype)
ROTOR_DEFINE_POINTER_VEC(tagtype)
ROTOR_DEFINE_POINTER_VEC(externtype)
ROTOR_DEFINE_POINTER_VEC(importtype)
ROTOR_DEFINE_POINTER_VEC(exporttype)

/// The casts between a kind of external type and external types.
#define ROTOR_DEFINE_EXTERNTYPE(name, external_kind)                                                       \
  wasm_externtype_t* wasm_##name##_as_externtype(wasm_##name##_t* type) { return type; }                   \
  const wasm_externtype_t* wasm_##name##_as_externtype_const(const wasm_##name##_t* type) { return type; } \
  wasm_##name##_t* wasm_externtype_as_##name(wasm_externtype_t* type) {                                    \
    return type && type->kind == external_kind ? static_cast<wasm_##name##_t*>(type) : nullptr;            \
  }                                                                                                        \
  const wasm_##name##_t* wasm_externtype_as_##name##_const(const wasm_externtype_t* type) {                \
    return type && type->kind == external_kind ? static_cast<const wasm_##name##_t*>(type) : nullptr;      \
  }

extern "C" {

// ---- value types

wasm_valtype_t* wasm_valtype_new(wasm_valkind_t kind) {
  auto type = type_of_kind(kind);
  return type ? new_valtype(*type) : nullptr;
}
void wasm_valtype_delete(wasm_valtype_t* type) {
  if (type && !type->is_constant) delete type;
}
wasm_valtype_t* wasm_valtype_copy(const wasm_valtype_t* type) { return type ? new_valtype(type->type) : nullptr; }
wasm_valkind_t wasm_valtype_kind(const wasm_valtype_t* type) {
  return type ? kind_of(type->type) : static_cast<wasm_valkind_t>(ROTOR_OTHERREF);
}

// ---- function types

wasm_functype_t* wasm_functype_new(wasm_valtype_vec_t* params, wasm_valtype_vec_t* results) {
  auto* type = new wasm_functype_t{{WASM_EXTERN_FUNC}, {}, {}};
  std::unordered_set<const wasm_valtype_t*> seen;
  take_types(type->params, params, seen);
  take_types(type->results, results, seen);
  if (!has_null(type->params) && !has_null(type->results)) return type;
  wasm_functype_delete(type);
  return nullptr;
}
void wasm_functype_delete(wasm_functype_t* type) {
  if (!type) return;
  wasm_valtype_vec_delete(&type->params);
  wasm_valtype_vec_delete(&type->results);
  delete type;
}
wasm_functype_t* wasm_functype_copy(const wasm_functype_t* type) {
  return type ? new_functype(func_type(*type)) : nullptr;
}
const wasm_valtype_vec_t* wasm_functype_params(const wasm_functype_t* type) { return type ? &type->params : nullptr; }
const wasm_valtype_vec_t* wasm_functype_results(const wasm_functype_t* type) { return type ? &type->results : nullptr; }

// ---- global types

wasm_globaltype_t* wasm_globaltype_new(wasm_valtype_t* content, wasm_mutability_t mutability) {
  if (content && mutability <= WASM_VAR) return new wasm_globaltype_t{{WASM_EXTERN_GLOBAL}, content, mutability};
  wasm_valtype_delete(content);
  return nullptr;
}
void wasm_globaltype_delete(wasm_globaltype_t* type) {
  if (!type) return;
  wasm_valtype_delete(type->content);
  delete type;
}
wasm_globaltype_t* wasm_globaltype_copy(const wasm_globaltype_t* type) {
  return type ? new_globaltype(global_type(*type)) : nullptr;
}
const wasm_valtype_t* wasm_globaltype_content(const wasm_globaltype_t* type) { return type ? type->content : nullptr; }
wasm_mutability_t wasm_globaltype_mutability(const wasm_globaltype_t* type) {
  return type ? type->mutability : static_cast<wasm_mutability_t>(WASM_CONST);
}

// ---- table types

wasm_tabletype_t* wasm_tabletype_new(wasm_valtype_t* element, const wasm_limits_t* limits) {
  wasm_tabletype_t* type = nullptr;
  if (element && limits && element->type.is_ref())
    type = new_tabletype({.element = element->type, .limits = from_c(*limits)});
  wasm_valtype_delete(element);
  return type;
}
void wasm_tabletype_delete(wasm_tabletype_t* type) {
  if (!type) return;
  wasm_valtype_delete(type->element);
  delete type;
}
wasm_tabletype_t* wasm_tabletype_copy(const wasm_tabletype_t* type) {
  return type ? new_tabletype(type->type) : nullptr;
}
const wasm_valtype_t* wasm_tabletype_element(const wasm_tabletype_t* type) { return type ? type->element : nullptr; }
const wasm_limits_t* wasm_tabletype_limits(const wasm_tabletype_t* type) { return type ? &type->limits : nullptr; }

// ---- memory types

wasm_memorytype_t* wasm_memorytype_new(const wasm_limits_t* limits) {
  return limits ? new_memorytype({.limits = from_c(*limits)}) : nullptr;
}
void wasm_memorytype_delete(wasm_memorytype_t* type) { delete type; }
wasm_memorytype_t* wasm_memorytype_copy(const wasm_memorytype_t* type) {
  return type ? new_memorytype(type->type) : nullptr;
}
const wasm_limits_t* wasm_memorytype_limits(const wasm_memorytype_t* type) { return type ? &type->limits : nullptr; }

// ---- tag types

wasm_tagtype_t* wasm_tagtype_new(wasm_functype_t* func) {
  if (func && func->results.size == 0) return new wasm_tagtype_t{{WASM_EXTERN_TAG}, func};
  wasm_functype_delete(func);
  return nullptr;
}
void wasm_tagtype_delete(wasm_tagtype_t* type) {
  if (!type) return;
  wasm_functype_delete(type->func);
  delete type;
}
wasm_tagtype_t* wasm_tagtype_copy(const wasm_tagtype_t* type) {
  return type ? wasm_tagtype_new(wasm_functype_copy(type->func)) : nullptr;
}
const wasm_functype_t* wasm_tagtype_functype(const wasm_tagtype_t* type) { return type ? type->func : nullptr; }

// ---- external types

ROTOR_DEFINE_EXTERNTYPE(functype, WASM_EXTERN_FUNC)
ROTOR_DEFINE_EXTERNTYPE(globaltype, WASM_EXTERN_GLOBAL)
ROTOR_DEFINE_EXTERNTYPE(tabletype, WASM_EXTERN_TABLE)
ROTOR_DEFINE_EXTERNTYPE(memorytype, WASM_EXTERN_MEMORY)
ROTOR_DEFINE_EXTERNTYPE(tagtype, WASM_EXTERN_TAG)

wasm_externkind_t wasm_externtype_kind(const wasm_externtype_t* type) {
  return type ? type->kind : static_cast<wasm_externkind_t>(WASM_EXTERN_FUNC);
}
void wasm_externtype_delete(wasm_externtype_t* type) {
  if (!type) return;
  switch (type->kind) {
    case WASM_EXTERN_FUNC: return wasm_functype_delete(wasm_externtype_as_functype(type));
    case WASM_EXTERN_GLOBAL: return wasm_globaltype_delete(wasm_externtype_as_globaltype(type));
    case WASM_EXTERN_TABLE: return wasm_tabletype_delete(wasm_externtype_as_tabletype(type));
    case WASM_EXTERN_MEMORY: return wasm_memorytype_delete(wasm_externtype_as_memorytype(type));
    default: return wasm_tagtype_delete(wasm_externtype_as_tagtype(type));
  }
}
wasm_externtype_t* wasm_externtype_copy(const wasm_externtype_t* type) {
  if (!type) return nullptr;
  switch (type->kind) {
    case WASM_EXTERN_FUNC: return wasm_functype_copy(wasm_externtype_as_functype_const(type));
    case WASM_EXTERN_GLOBAL: return wasm_globaltype_copy(wasm_externtype_as_globaltype_const(type));
    case WASM_EXTERN_TABLE: return wasm_tabletype_copy(wasm_externtype_as_tabletype_const(type));
    case WASM_EXTERN_MEMORY: return wasm_memorytype_copy(wasm_externtype_as_memorytype_const(type));
    default: return wasm_tagtype_copy(wasm_externtype_as_tagtype_const(type));
  }
}

// ---- types of imports and exports

wasm_importtype_t* wasm_importtype_new(wasm_name_t* module, wasm_name_t* name, wasm_externtype_t* type) {
  if (!module || !name || !type) {
    wasm_name_delete(module);
    wasm_name_delete(name);
    wasm_externtype_delete(type);
    return nullptr;
  }
  return new wasm_importtype_t{std::exchange(*module, {}), std::exchange(*name, {}), type};
}
void wasm_importtype_delete(wasm_importtype_t* type) {
  if (!type) return;
  wasm_name_delete(&type->module);
  wasm_name_delete(&type->name);
  wasm_externtype_delete(type->type);
  delete type;
}
wasm_importtype_t* wasm_importtype_copy(const wasm_importtype_t* type) {
  if (!type) return nullptr;
  auto* copy = new wasm_importtype_t{{}, {}, wasm_externtype_copy(type->type)};
  wasm_name_copy(&copy->module, &type->module);
  wasm_name_copy(&copy->name, &type->name);
  return copy;
}
const wasm_name_t* wasm_importtype_module(const wasm_importtype_t* type) { return type ? &type->module : nullptr; }
const wasm_name_t* wasm_importtype_name(const wasm_importtype_t* type) { return type ? &type->name : nullptr; }
const wasm_externtype_t* wasm_importtype_type(const wasm_importtype_t* type) { return type ? type->type : nullptr; }

wasm_exporttype_t* wasm_exporttype_new(wasm_name_t* name, wasm_externtype_t* type) {
  if (!name || !type) {
    wasm_name_delete(name);
    wasm_externtype_delete(type);
    return nullptr;
  }
  return new wasm_exporttype_t{std::exchange(*name, {}), type};
}
void wasm_exporttype_delete(wasm_exporttype_t* type) {
  if (!type) return;
  wasm_name_delete(&type->name);
  wasm_externtype_delete(type->type);
  delete type;
}
wasm_exporttype_t* wasm_exporttype_copy(const wasm_exporttype_t* type) {
  if (!type) return nullptr;
  auto* copy = new wasm_exporttype_t{{}, wasm_externtype_copy(type->type)};
  wasm_name_copy(&copy->name, &type->name);
  return copy;
}
const wasm_name_t* wasm_exporttype_name(const wasm_exporttype_t* type) { return type ? &type->name : nullptr; }
const wasm_externtype_t* wasm_exporttype_type(const wasm_exporttype_t* type) { return type ? type->type : nullptr; }

}  // extern "C"
