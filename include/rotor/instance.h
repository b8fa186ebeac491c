// Instance: an owned value, freed when dropped.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "rotor/detail/access.h"
#include "rotor/func.h"
#include "rotor/interrupt.h"
#include "rotor/limits.h"
#include "rotor/memory.h"
#include "rotor/module.h"
#include "rotor/result.h"
#include "rotor/snapshot.h"
#include "rotor/tag.h"

namespace rotor {
namespace runtime {
class InstanceImpl;
class LinkGroup;
}  // namespace runtime
class ImportObserver;
class Snapshot;

/// What an import or export is: a handle to it.
using Extern = std::variant<Func, Table, Memory, Global, Tag>;

/// What an instance is made with, beside its module and imports.
struct InstanceOptions {
  /// What it may use. Defaults: those of Limits.
  Limits limits;
  /// The pointer that `Caller::data` gives host functions. The host keeps what it points to alive as long as the
  /// instance.
  void* host_data = nullptr;
  /// The deadline that InterruptHandle::set_deadline sets, before the start function runs. It goes on to hold for
  /// calls.
  std::optional<InterruptHandle::Clock::time_point> deadline = std::nullopt;
  /// Called with the instance's handle before the start function runs, on the instantiating thread.
  std::function<void(const InterruptHandle&)> on_interrupt_handle = nullptr;
  /// Stands between the instance and the host functions it imports. The host keeps it alive as long as the instance.
  ImportObserver* import_observer = nullptr;
};

/// Keeps a thread inside an instance, and what that is linked to, between calls: other threads' calls fail as they
/// would during a call, and dropping the instance takes effect when the stay ends. It spares calls of several
/// instances, or by turns of several threads, an exchange on the bus; a thread that calls one alone pays none anyway.
/// Made by Instance::stay; ended by the thread that made it.
class [[nodiscard]] Stay {
 public:
  Stay() = default;
  /// Takes over the stay; `other` is empty then.
  Stay(Stay&& other) noexcept : group_(std::exchange(other.group_, nullptr)) {}
  /// Does the same, after it has ended the stay that was here.
  Stay& operator=(Stay&& other) noexcept {
    if (this != &other) {
      end();
      group_ = std::exchange(other.group_, nullptr);
    }
    return *this;
  }
  ~Stay() { end(); }
  /// Ends the stay, if there is one.
  void end() {
    if (group_) leave(std::exchange(group_, nullptr));
  }
  explicit operator bool() const { return group_ != nullptr; }  ///< whether there is a stay

 private:
  friend class Instance;
  explicit Stay(runtime::LinkGroup* group) : group_(group) {}
  static void leave(runtime::LinkGroup* group);
  runtime::LinkGroup* group_ = nullptr;
};

/// Owned and movable. Dropping it frees it at once if it is linked to nothing; instances joined by a function,
/// table or global form a link group that is freed when the last handle of its members is dropped. A drop during
/// a call takes effect when the call leaves. One thread at a time may enter a link group.
class Instance {
 public:
  Instance() = default;
  /// Takes over the instance; what was moved from is an empty handle.
  Instance(Instance&&) noexcept;
  /// Does the same, after it has dropped the instance that was here.
  Instance& operator=(Instance&&) noexcept;
  ~Instance();

  explicit operator bool() const { return impl_ != nullptr; }  ///< false: an empty handle
  const Module& module() const;  ///< what it is an instance of. Pre: the handle is not empty

  /// Errors: not_found, naming the export and what it is if it is something else.
  Result<Extern> get(std::string_view name) const;
  /// Returns an exported function. Errors: those of get.
  Result<Func> get_func(std::string_view name) const;
  /// Returns an exported memory. Errors: those of get.
  Result<Memory> get_memory(std::string_view name) const;
  /// Returns an exported table. Errors: those of get.
  Result<Table> get_table(std::string_view name) const;
  /// Returns an exported global. Errors: those of get.
  Result<Global> get_global(std::string_view name) const;
  /// Returns an exported tag. Errors: those of get.
  Result<Tag> get_tag(std::string_view name) const;
  /// Returns an exported function of that type: `get_typed<int32_t(int32_t)>("f")`. Errors: those of get;
  /// type_mismatch.
  template <class Signature>
  Result<TypedFunc<Signature>> get_typed(std::string_view name) const {
    ROTOR_TRY(Func func, get_func(name));
    return func.typed<Signature>();
  }
  /// Returns memory 0, exported or not. Errors: not_found.
  Result<Memory> memory0() const;
  /// Returns all of its memories, exported or not, in the order of the module: those that it imports first.
  std::vector<Memory> memories() const;
  void* host_data() const;  ///< InstanceOptions::host_data; nullptr for an empty handle

  /// Takes a snapshot of the state between calls. Makes no copy of memories that were made with MemoryLimits::imageable
  /// and have not been part of a snapshot: they go on as copy-on-write mappings of it. Of other memories it copies what
  /// `copy` says. Memories that the module imports are part of the snapshot. Takes 0.5 ms a MiB for a copy. No other
  /// thread may access the memories meanwhile. Errors:
  /// invalid_argument (a call runs in the instance or in one that it is linked to; a memory is in use by another
  /// instance); unsupported (a table or global holds a function of another instance, or an exception; a table or
  /// mutable global is imported); io (the system refused: the instance is as it was); stale_handle (the system took a
  /// mapping and refused another one: the memory has no bytes from now on, so that every access traps).
  Result<Snapshot> snapshot(SnapshotCopy copy = SnapshotCopy::whole) const;

  /// Calls `visit` with each external reference, nulls left out, in the tables and globals that the instance defines or
  /// imports: with what the guest can name between calls. So a host that keeps what references stand for learns what it
  /// may let go. `visit` must not call into the guest. Errors: stale_handle; invalid_argument (a call runs in the
  /// instance or in one that it is linked to, whose frames may hold more).
  Result<void> each_extern_ref(const std::function<void(ExternRef)>& visit) const;
  /// Frees the objects and exceptions of the instance's link group that nothing refers to: exactly these between calls;
  /// what the words of the stack may refer to stays, if a call is under way. What is full collects by itself: this is
  /// for choosing when. Takes time by what is referred to, some 10 ns an object. Errors: stale_handle; invalid_argument
  /// (another thread is inside).
  Result<void> collect_garbage() const;
  /// Returns what the instance uses; zeroes for an empty handle. May be called by any thread that knows that nobody
  /// moves or drops this handle meanwhile.
  InstanceUsage usage() const;

  /// Errors: stale_handle; invalid_argument (another thread is inside).
  Result<Stay> stay() const;

  /// Returns a handle to end the instance's calls; a stale one for an empty handle.
  InterruptHandle interrupt_handle() const;
  /// These call InterruptHandle's functions, for threads that know that nobody moves or drops this handle meanwhile;
  /// other threads use the InterruptHandle.
  Result<void> interrupt() const { return interrupt_handle().interrupt(); }
  /// Sets the deadline, as InterruptHandle::set_deadline does.
  Result<void> set_deadline(InterruptHandle::Clock::time_point deadline) const {
    return interrupt_handle().set_deadline(deadline);
  }
  /// Takes the deadline away, as InterruptHandle::clear_deadline does.
  void clear_deadline() const { interrupt_handle().clear_deadline(); }

 private:
  friend struct detail::Access;
  /// Takes over one owning count.
  explicit Instance(runtime::InstanceImpl* impl) : impl_(impl) {}
  runtime::InstanceImpl* impl_ = nullptr;
};

}  // namespace rotor
