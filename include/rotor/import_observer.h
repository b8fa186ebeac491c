// ImportObserver: sees, and may answer, the calls that an instance makes to host functions.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "rotor/func.h"
#include "rotor/result.h"

namespace rotor {

/// Set by InstanceOptions::import_observer, for one instance; called on the thread that runs it, within the guest's
/// call. Recording and replaying what the host answers is what it is for: the proxy does that with it. All that a host
/// function does to its guest through `Caller` is told: writes, table elements, nested calls. A handle that it takes
/// (`Caller::get_memory` and the like) may change the guest unseen: that is told too, and may be refused.
class ImportObserver {
 public:
  virtual ~ImportObserver() = default;
  /// In place of a host function: `import_index` counts Module::imports(). `slots` holds the arguments and takes the
  /// results; `host` is the function, to be called or not. An error ends the guest's call as one of the function's own
  /// would.
  virtual Result<void> on_import(uint32_t import_index, Caller& caller, Slot* slots, const HostFunction& host) = 0;
  /// Caller::write wrote to memory 0.
  virtual void on_write(uint64_t /*address*/, std::span<const uint8_t> /*bytes*/) {}
  /// Caller::table_set and Caller::table_grow did what they say.
  virtual void on_table_set(std::string_view /*table*/, uint64_t /*index*/, ValType /*type*/, Slot /*element*/) {}
  virtual void on_table_grow(std::string_view /*table*/, uint64_t /*delta*/, ValType /*type*/, Slot /*init*/) {}
  /// Caller::call called an export; `results`: what it returned.
  virtual void on_nested_call(std::string_view /*export_name*/, std::span<const Value> /*args*/,
                              std::span<const Value> /*results*/) {}
  /// Caller::call ended with an error, which the host function may keep to itself; the guest may have changed.
  virtual void on_nested_error(std::string_view /*export_name*/, std::span<const Value> /*args*/,
                               const Error& /*error*/) {}
  /// A host function asks for a handle (`what`: "get_memory", "get_table", "get_func"). An error refuses it.
  virtual Result<void> on_handle(std::string_view /*what*/) { return {}; }
};

}  // namespace rotor
