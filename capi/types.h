// The types of wasm.h: what stands behind its opaque structs, and the way from and to the C++ API's.
#pragma once

#include <cstdint>
#include <optional>

#include "rotor/rotor.h"
#include "wasm.h"

/// A value type. Those of the kinds that wasm_valtype_new knows are constants, so that a program which hands one over
/// twice does no harm.
struct wasm_valtype_t {
  rotor::ValType type;
  bool is_constant = false;
};

/// What each kind of external type begins with.
struct wasm_externtype_t {
  wasm_externkind_t kind;
};
struct wasm_functype_t : wasm_externtype_t {
  wasm_valtype_vec_t params, results;
};
struct wasm_globaltype_t : wasm_externtype_t {
  wasm_valtype_t* content;
  wasm_mutability_t mutability;
};
struct wasm_tabletype_t : wasm_externtype_t {
  rotor::TableType type;
  wasm_valtype_t* element;
  wasm_limits_t limits;  ///< of `type`, as far as 32 bits go
};
struct wasm_memorytype_t : wasm_externtype_t {
  rotor::MemoryType type;
  wasm_limits_t limits;  ///< of `type`, as far as 32 bits go
};
struct wasm_tagtype_t : wasm_externtype_t {
  wasm_functype_t* func;
};
struct wasm_importtype_t {
  wasm_name_t module, name;
  wasm_externtype_t* type;
};
struct wasm_exporttype_t {
  wasm_name_t name;
  wasm_externtype_t* type;
};

namespace rotor::capi {

/// Returns the kind that C knows a type by: of rotor.h's where the standard has none.
wasm_valkind_t kind_of(ValType type);
/// Returns the type of a kind; nullopt if there is none.
std::optional<ValType> type_of_kind(wasm_valkind_t kind);

/// Make a type of C's, which the caller owns.
wasm_valtype_t* new_valtype(ValType type);
wasm_functype_t* new_functype(const FuncType& type);
wasm_globaltype_t* new_globaltype(const GlobalType& type);
wasm_tabletype_t* new_tabletype(const TableType& type);
wasm_memorytype_t* new_memorytype(const MemoryType& type);
wasm_externtype_t* new_externtype(const ExternType& type);

/// Make one of C++'s. Pre: not null.
FuncType func_type(const wasm_functype_t& type);
GlobalType global_type(const wasm_globaltype_t& type);

}  // namespace rotor::capi
