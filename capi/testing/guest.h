// Guests of tests in the text format, and short forms of what C takes many lines for.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "rotor.h"

namespace rotor::capi::test {

/// An engine and a store, deleted with this.
struct World {
  wasm_engine_t* engine = wasm_engine_new();
  wasm_store_t* store = wasm_store_new(engine);
  World() = default;
  World(const World&) = delete;
  ~World() {
    wasm_store_delete(store);
    wasm_engine_delete(engine);
  }
  /// Returns what the last failure of the store says.
  std::string error() const { return rotor_error_message(rotor_store_error(store)); }
};

inline wasm_byte_vec_t wasm_of(std::string_view text) {
  wasm_byte_vec_t bytes;
  rotor_error_t* error = rotor_wat2wasm(text.data(), text.size(), &bytes);
  EXPECT_EQ(error, nullptr) << rotor_error_text(error);
  rotor_error_delete(error);
  return bytes;
}

inline wasm_module_t* module_of(wasm_store_t* store, std::string_view text) {
  wasm_byte_vec_t bytes = wasm_of(text);
  wasm_module_t* module = wasm_module_new(store, &bytes);
  EXPECT_NE(module, nullptr) << rotor_error_text(rotor_store_error(store));
  wasm_byte_vec_delete(&bytes);
  return module;
}

/// Returns the message of a trap, without its NUL, and deletes the trap; "no trap" for null.
inline std::string message_of(wasm_trap_t* trap) {
  if (!trap) return "no trap";
  wasm_message_t message;
  wasm_trap_message(trap, &message);
  EXPECT_GT(message.size, 0u);
  EXPECT_EQ(message.data[message.size - 1], '\0');
  std::string text(message.data, message.size - 1);
  wasm_byte_vec_delete(&message);
  wasm_trap_delete(trap);
  return text;
}

/// An instance and its exports, deleted with this.
struct Guest {
  wasm_instance_t* instance = nullptr;
  wasm_extern_vec_t exports{0, nullptr};
  std::string failure;  ///< why there is none

  Guest(wasm_store_t* store, std::string_view text, std::vector<wasm_extern_t*> imports = {}) {
    wasm_module_t* module = module_of(store, text);
    wasm_extern_vec_t import_vec{imports.size(), imports.data()};
    wasm_trap_t* trap = nullptr;
    instance = wasm_instance_new(store, module, &import_vec, &trap);
    EXPECT_EQ(instance == nullptr, trap != nullptr);
    if (trap) failure = message_of(trap);
    wasm_module_delete(module);
    wasm_instance_exports(instance, &exports);
  }
  Guest(const Guest&) = delete;
  ~Guest() {
    wasm_extern_vec_delete(&exports);
    wasm_instance_delete(instance);
  }
  wasm_func_t* func(size_t index) const { return wasm_extern_as_func(exports.data[index]); }
};

inline wasm_val_t i32(int32_t value) { return WASM_I32_VAL(value); }
inline wasm_val_t ref(wasm_ref_t* value) { return WASM_REF_VAL(value); }

/// Calls a function; results are what `results` holds then. Returns the trap's message, "" if there is none.
inline std::string call(const wasm_func_t* func, std::vector<wasm_val_t> args, std::vector<wasm_val_t>& results) {
  wasm_val_vec_t arg_vec{args.size(), args.data()}, result_vec{results.size(), results.data()};
  wasm_trap_t* trap = wasm_func_call(func, &arg_vec, &result_vec);
  return trap ? message_of(trap) : "";
}
/// Does the same for a function of one result, which is null or zero after a trap; the trap's message is thrown away.
inline wasm_val_t call1(const wasm_func_t* func, std::vector<wasm_val_t> args = {}) {
  std::vector<wasm_val_t> results(1, wasm_val_t WASM_INIT_VAL);
  EXPECT_EQ(call(func, std::move(args), results), "");
  return results[0];
}
/// Does the same for a function without results. Returns the trap's message, "" if there is none.
inline std::string call0(const wasm_func_t* func, std::vector<wasm_val_t> args = {}) {
  std::vector<wasm_val_t> none;
  return call(func, std::move(args), none);
}

}  // namespace rotor::capi::test
