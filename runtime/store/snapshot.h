// Snapshots: the state of an instance, in terms of its module.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "memory/image.h"
#include "rotor/snapshot.h"
#include "runtime/store/gc_heap_state.h"

namespace rotor::runtime {

class InstanceImpl;

/// The state of an instance. A function reference is the offset of its code::FuncRef in the instance's context, or 0
/// for null: every function that the instance can refer to by itself, imported or defined, has one there, at the same
/// place in every instance of the module.
struct SnapshotImpl {
  Module module;
  std::vector<std::shared_ptr<const memory::Image>> memories;
  std::vector<uint64_t> reserved_bytes;  ///< address space that the instance's memories had
  std::vector<uint64_t> globals;         ///< values of the globals that the module defines; two words for a v128
  std::vector<std::vector<uint64_t>> tables;
  std::vector<bool> dropped_data;
  std::vector<bool> dropped_elements;
  std::vector<std::vector<uint64_t>> evaluated_elements;
  std::shared_ptr<const memory::Image> heap;  ///< null if the module's instances use none
  GcHeapState heap_state;

  /// Calls `visit` with each image, and with the address space that what it is of had.
  void for_each_image(auto&& visit) const {
    for (size_t i = 0; i < memories.size(); ++i) visit(*memories[i], reserved_bytes[i]);
    if (heap) visit(*heap, heap_state.reserved_bytes);
  }
};

/// Takes the state of an instance. Errors: as of Instance::snapshot.
Result<std::shared_ptr<const SnapshotImpl>> take_snapshot(InstanceImpl& instance, SnapshotCopy copy);

}  // namespace rotor::runtime
