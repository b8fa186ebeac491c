// The way from a handle of the public API to what it stands for, and back.
#pragma once

#include <memory>
#include <utility>

#include "rotor/engine.h"
#include "rotor/instance.h"
#include "rotor/module.h"
#include "rotor/snapshot.h"

namespace rotor::detail {

struct Access {
  /// Returns the reference that a handle is.
  template <class Handle>
  static const auto& impl(const Handle& handle) {
    return handle.impl_;
  }
  /// Returns what a weak or strong handle (Memory, Table, Global) names; nullptr if that is gone.
  template <class Handle>
  static auto lock(const Handle& handle) {
    return handle.lock();
  }
  static const Handle& token(const Func& func) { return func.handle_; }
  /// Makes a value of a reference, which `hold` keeps.
  static Value held(ValType type, uint64_t bits, std::shared_ptr<void> hold) {
    Value value = Value::from_bits(type, bits);
    value.token_ = std::move(hold);
    return value;
  }
  static const std::shared_ptr<void>& hold(const Value& value) { return value.token_; }
  /// Makes a handle of a reference, which it takes over.
  template <class Handle, class Impl>
  static Handle handle(Impl impl) {
    return Handle(std::move(impl));
  }
};

}  // namespace rotor::detail

namespace rotor::runtime {

inline EngineImpl& impl_of(const Engine& engine) { return *detail::Access::impl(engine); }
inline ModuleImpl& impl_of(const Module& module) { return *detail::Access::impl(module); }
/// Returns nullptr for an empty handle, as that of a snapshot.
inline InstanceImpl* impl_of(const Instance& instance) { return detail::Access::impl(instance); }
inline const SnapshotImpl* impl_of(const Snapshot& snapshot) { return detail::Access::impl(snapshot).get(); }

}  // namespace rotor::runtime
