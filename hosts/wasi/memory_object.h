// Files and folders in memory, as a descriptor has them.
#pragma once

#include <memory>

#include "hosts/wasi/memory_tree.h"
#include "hosts/wasi/object.h"
#include "rotor/wasi.h"

namespace rotor::wasi {

/// What all that is opened below one folder of the guest's has in common.
struct MemoryVolume {
  std::shared_ptr<MemoryTree> tree;
  std::shared_ptr<Clock> clock;  ///< null: the system's
  uint64_t device = 0;           ///< what guests are told: no two trees of an environment have the same
};

/// Returns a Folder of the tree's root.
std::unique_ptr<Object> memory_folder(const MemoryVolume& volume);

}  // namespace rotor::wasi
