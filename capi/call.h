// Calls between C and guests: values of C's, and callbacks as host functions.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "capi/store.h"
#include "rotor.h"

namespace rotor::capi {

/// Returns what a value of C's is where `type` is wanted. `store`: whose references it may be; null: references but
/// nulls are refused. A guest may hold what is a reference from then on. Errors: type_mismatch, invalid_argument (a
/// reference of another store).
Result<Value> from_c(wasm_store_t* store, const wasm_val_t& value, ValType type);
/// Returns a value of a type that is zero or null, as C has it.
wasm_val_t zero_of(ValType type);
/// Returns the vector that a value of kind ROTOR_V128 owns; null: it is zero.
rotor_v128_t* vector_of(const wasm_val_t& value);
/// Returns a reference where `type` is wanted; as from_c.
Result<Value> ref_from_c(wasm_store_t* store, wasm_ref_t* ref, ValType type);
/// Returns a value as C has it; the caller owns it. `store`: null makes references null.
wasm_val_t to_c(wasm_store_t* store, const Value& value);
/// Returns the reference that a value is; the caller owns it.
wasm_ref_t* ref_to_c(wasm_store_t* store, const Value& value);

/// Calls a function with values of C's, of which `size` are given, and writes as many results as there is room for.
/// Errors: those of from_c and of Func::call.
Result<void> call(wasm_store_t* store, const Func& func, const FuncType& type, const wasm_val_vec_t* args,
                  wasm_val_vec_t* results);

/// Calls `call` with values of C's, each of the type that its kind says, and writes as many results as there is room
/// for. Errors: those of from_c and of the call.
Result<void> call_with_values(wasm_store_t* store, const wasm_val_vec_t* args, wasm_val_vec_t* results,
                              const std::function<Result<std::vector<Value>>(std::span<const Value>)>& call);

/// A callback with what belongs to it; one that is owned by a function's definition, and runs the finalizer with it.
struct Callback {
  wasm_func_callback_t plain = nullptr;
  wasm_func_callback_with_env_t with_env = nullptr;
  rotor_func_callback_t with_caller = nullptr;
  void* env = nullptr;
  void (*finalizer)(void*) = nullptr;
  wasm_store_t* store = nullptr;  ///< kept; null: that of the instance that calls
  FuncType type;

  Callback() = default;
  Callback(const Callback&) = delete;
  ~Callback();
};

/// Makes a host function of a callback.
HostFunction host_function(std::shared_ptr<Callback> callback);

/// Returns the error that a trap is, which it takes over; it is handed on to the caller of the guest by the store.
Error error_of(wasm_store_t* store, wasm_trap_t* trap);

/// Returns a function of the engine's that calls a host function of that type: the import of a module made for it.
/// Errors: unsupported (a type that names another one), those of Module::compile.
Result<FuncPart> make_func(wasm_store_t& store, const FuncType& type, HostFunction function);

}  // namespace rotor::capi

/// Who calls a host function, on the stack of its call.
struct rotor_caller_t {
  rotor::Caller* caller;
  wasm_store_t* store;  ///< null: there is none
};
