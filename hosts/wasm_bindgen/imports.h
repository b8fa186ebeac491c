// The JavaScript functions that wasm-bindgen guests import, as host functions.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "hosts/wasm_bindgen/js_value.h"
#include "hosts/wasm_bindgen/random.h"
#include "rotor/linker.h"
#include "rotor/module.h"

namespace rotor::wasm_bindgen {

/// What all instances of one guest share: the main one and its workers.
struct GuestShared {
  ObjectTable objects;
  std::shared_ptr<SharedRandom> random;
  /// Export name of the table of external references; empty: none.
  std::string externref_table;
  /// Called with what the guest writes with console.error (a panic, mostly), on the thread that wrote it.
  std::function<void(std::string_view)> on_guest_error;
  /// Called with the error of a worker that failed, on its thread.
  std::function<void(const Error&)> on_worker_error;

  void set_last_panic(std::string text);
  std::string last_panic() const;

 private:
  mutable std::mutex mutex_;
  std::string last_panic_;
};

/// One instance's host_data.
struct GuestContext {
  explicit GuestContext(std::shared_ptr<GuestShared> s) : shared(std::move(s)) {}
  std::shared_ptr<GuestShared> shared;
  uint32_t pool_builder = 0;  ///< as given to startWorkers
};

/// Defines every function the module imports: by name, or by name without wasm-bindgen's hash (`_` and 16 hex digits).
/// One without a definition here gives an error that names it when it is called.
void define_imports(Linker& linker, const Module& module);

}  // namespace rotor::wasm_bindgen
