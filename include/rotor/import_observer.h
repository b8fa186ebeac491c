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
/// call. It serves to record and replay what the host answers, as the proxy does. It is told all that a host function
/// does to its guest through `Caller`: writes, table elements, nested calls. Through a handle that a host function
/// takes (`Caller::get_memory` and the like) it may change the guest unseen: the observer is told of the handle, too,
/// and may refuse it.
class ImportObserver {
 public:
  virtual ~ImportObserver() = default;
  /// Called in place of a host function: `import_index` counts Module::imports(). `slots` holds the arguments and takes
  /// the results; `host` is the function, to be called or not. An error ends the guest's call as one of the function's
  /// own would.
  virtual Result<void> on_import(uint32_t import_index, Caller& caller, Slot* slots, const HostFunction& host) = 0;
  /// Called after Caller::write wrote to memory 0.
  virtual void on_write(uint64_t /*address*/, std::span<const uint8_t> /*bytes*/) {}
  /// Called by Caller::follows; `pointer` lies at `address` in memory 0.
  virtual void on_follow(uint64_t /*address*/, uint32_t /*pointer*/) {}
  /// Called after Caller::table_set and Caller::table_grow did so.
  virtual void on_table_set(std::string_view /*table*/, uint64_t /*index*/, ValType /*type*/, Slot /*element*/) {}
  /// Called after Caller::table_grow did so; `delta` counts elements.
  virtual void on_table_grow(std::string_view /*table*/, uint64_t /*delta*/, ValType /*type*/, Slot /*init*/) {}
  /// Called after Caller::call called an export; `results` is what that returned.
  virtual void on_nested_call(std::string_view /*export_name*/, std::span<const Value> /*args*/,
                              std::span<const Value> /*results*/) {}
  /// Called after Caller::call ended with an error, which the host function may keep to itself; the guest may have
  /// changed.
  virtual void on_nested_error(std::string_view /*export_name*/, std::span<const Value> /*args*/,
                               const Error& /*error*/) {}
  /// Called when a host function asks for a handle (`what`: "get_memory", "get_table", "get_func"). An error refuses
  /// it.
  virtual Result<void> on_handle(std::string_view /*what*/) { return {}; }
  /// Called by Caller::state_changed.
  virtual void on_state_changed() {}
};

}  // namespace rotor
