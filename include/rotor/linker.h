// Linker: names for imports, resolved once into an InstancePre.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "rotor/detail/access.h"
#include "rotor/detail/host_traits.h"
#include "rotor/func.h"
#include "rotor/instance.h"

namespace rotor {
namespace runtime {
struct LinkerImpl;
struct InstancePreImpl;
}  // namespace runtime

/// A module with every import resolved, so that instantiating it looks up no name. A cheap handle, shared by its
/// copies. Thread-safe.
class InstancePre {
 public:
  /// Resolves the imports by their places: `imports` has an item for each of Module::imports. All instances share them.
  /// Errors: link (naming the import, with both types; another number of them), stale_handle.
  static Result<InstancePre> resolve(const Module& module, std::span<const Extern> imports);
  /// Instantiates the module (spec section 4.7.2). Errors: trap (segments or start function), limit, stale_handle.
  /// After a trap in the start function or in a segment, writes already made to imported memories and tables stay.
  Result<Instance> instantiate(const InstanceOptions& options = {}) const;
  /// Makes an instance in the state of a snapshot: memories are mapped copy-on-write, globals, tables and dropped
  /// segments are as they were; neither active segments nor the start function are run. A memory that the module
  /// imports takes on the snapshot's contents, and must not be in use by another instance. If it was made for this one
  /// (nobody asked for its data(), wrote to it or grew it, and no instance had it), it does so on a slot of the
  /// snapshot's, as memories that the module defines do, and leaves that slot when nobody holds it any more; else its
  /// base stays, and takes a mapping and its faults. Costs the same for any size
  /// of memory, but copies a memory with MemoryLimits::imageable. Errors: invalid_argument (a snapshot of another
  /// module; a memory in use), limit (the snapshot's memories or tables are above `options.limits` or the imported
  /// memory's), io (an imported memory is as it was); stale_handle (what is imported is gone; or the system took a
  /// mapping and refused another one, and an imported memory has no bytes now).
  Result<Instance> instantiate(const Snapshot& snapshot, const InstanceOptions& options = {}) const;
  const Module& module() const;  ///< what is instantiated
  /// Returns the imports that all instances made from this share and may change: `module.name` of memories, tables and
  /// mutable globals that the linker defines once, not per instance.
  std::vector<std::string> shared_state() const;

 private:
  friend struct detail::Access;
  explicit InstancePre(std::shared_ptr<const runtime::InstancePreImpl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const runtime::InstancePreImpl> impl_;
};

/// A copyable table of definitions. Not thread-safe.
class Linker {
 public:
  /// Makes a linker without definitions. Modules and what is defined must be of the same engine.
  explicit Linker(const Engine& engine);
  /// Copies the definitions, not what they name: both linkers give the same memories and functions.
  Linker(const Linker&);
  /// Does the same in place of what was defined here.
  Linker& operator=(const Linker&);
  /// Takes over the definitions; a linker that was moved from may only be assigned to or destroyed.
  Linker(Linker&&) noexcept;
  /// Does the same in place of what was defined here.
  Linker& operator=(Linker&&) noexcept;
  ~Linker();

  /// Defines an import that all instances share. A later definition of the same name replaces the earlier one.
  void define(std::string_view module, std::string_view name, Extern item);
  /// Defines a typed host function: `R(Args...)` or `R(Caller&, Args...)`, R a value, a tuple, void or a Result of
  /// these.
  template <class Fn>
    requires requires {
      typename detail::HostTraits<std::decay_t<Fn>>;
      detail::HostTraits<std::decay_t<Fn>>::type();
    }
  void define(std::string_view module, std::string_view name, Fn fn) {
    using Traits = detail::HostTraits<std::decay_t<Fn>>;
    auto callable = std::make_shared<std::decay_t<Fn>>(std::move(fn));
    detail::DirectHost direct = Traits::direct(*callable);
    define_host(module, name, Traits::type(), Traits::wrap(std::move(callable)), direct);
  }
  /// Defines a host function over raw slots. If `type` names a type that is gone, it can't be imported: stale_handle.
  void define_func(std::string_view module, std::string_view name, FuncType type, HostFunction fn);
  /// Defines an import that is made anew for each instance, at instantiation (a guest that imports its memory wants its
  /// own).
  void define_per_instance(std::string_view module, std::string_view name, ExternType type,
                           std::function<Result<Extern>(const InstanceOptions&)> make);
  /// Defines all exports of an instance under one module name.
  void define_instance(std::string_view module, const Instance& instance);
  /// Returns whether an import of that name is defined.
  bool defined(std::string_view module, std::string_view name) const;

  /// Errors: link, naming the import that is missing or of another type, with both types.
  Result<InstancePre> instantiate_pre(const Module& module) const;
  /// Resolves the imports and instantiates. Errors: those of instantiate_pre and InstancePre::instantiate.
  Result<Instance> instantiate(const Module& module, const InstanceOptions& options = {}) const {
    ROTOR_TRY(InstancePre pre, instantiate_pre(module));
    return pre.instantiate(options);
  }

 private:
  void define_host(std::string_view module, std::string_view name, FuncType type, HostFunction fn,
                   const detail::DirectHost& direct);
  std::unique_ptr<runtime::LinkerImpl> impl_;
};

}  // namespace rotor
