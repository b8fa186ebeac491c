// Functions: calls from the host, typed and untyped, and host functions.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "rotor/detail/direct_call.h"
#include "rotor/detail/made_once.h"
#include "rotor/detail/typed_slots.h"
#include "rotor/memory.h"
#include "rotor/result.h"
#include "rotor/value.h"

namespace rotor {

class Instance;
namespace runtime { class InstanceImpl; }

template <class R>
class TypedFunc;

/// A weak handle to a function: using it after its instance is dropped is an error, never a wild access.
/// One thread at a time may call into an instance and what it is linked to.
class Func {
 public:
  Func() = default;
  /// Returns whether the instance of the function is still there.
  bool alive() const;
  /// Returns the type; that of no parameters and no results if the instance is gone.
  FuncType type() const;
  /// Returns the function's index among all of the module whose instance it is of: the one that defines it, or of a
  /// host function the one that imports it. Errors: stale_handle.
  Result<uint32_t> index() const;
  /// Returns whether both name the same function: one that is there. A host function is one for each import of it.
  friend bool operator==(const Func& a, const Func& b) {
    return a.handle_.object == b.handle_.object && a.alive() && b.alive();
  }
  /// Returns an address that is the function's alone as long as it is there, by which what the host keeps of it can be
  /// found; nullptr if it is gone.
  const void* identity() const { return alive() ? handle_.object : nullptr; }
  /// Errors: type_mismatch, trap, host, stale_handle.
  Result<std::vector<Value>> call(std::span<const Value> args) const;
  /// Does the same with arguments in braces: `func.call({1, 2.0})`.
  Result<std::vector<Value>> call(std::initializer_list<Value> args = {}) const {
    return call(std::span<const Value>(args.begin(), args.size()));
  }
  /// Arguments and results as raw slots: `slots` holds as many as the params or the results take, whichever are more.
  /// No type check.
  Result<void> call_raw(Slot* slots) const;
  /// Errors: type_mismatch, naming both types.
  template <class Signature>
  Result<TypedFunc<Signature>> typed() const;

  /// Returns whether it was made of a function, which may be gone.
  explicit operator bool() const { return handle_.object != nullptr; }

 private:
  friend class Value;
  friend struct detail::Access;
  template <class>
  friend class TypedFunc;
  explicit Func(detail::Handle handle) : handle_(std::move(handle)) {}
  /// Errors: stale_handle; type_mismatch, naming both types.
  Result<void> check_type(const FuncType& wanted) const;

  detail::Handle handle_;  ///< object: const code::FuncRef*
};

/// What a host function is given: the instance whose code called it. Valid only during the call.
class Caller {
 public:
  explicit Caller(runtime::InstanceImpl* instance) : instance_(instance) {}
  /// The instance's `InstanceOptions::host_data`; nullptr if the call did not come from an instance.
  template <class T>
  T* data() const {
    return static_cast<T*>(host_data());
  }
  void* host_data() const;  ///< what `data` gives, without a type
  /// Handles. What is changed through them an ImportObserver does not see, and it may refuse them: prefer the functions
  /// below where those will do.
  Result<Func> get_func(std::string_view name) const;
  /// Does the same for an exported table.
  Result<Table> get_table(std::string_view name) const;
  /// The exported memory of that name; with an empty name the instance's memory 0, imported or not.
  Result<Memory> get_memory(std::string_view name = {}) const;
  /// Copies out of or into memory 0, checked. Errors: invalid_argument (out of bounds), not_found (no memory).
  Result<void> read(uint64_t address, std::span<uint8_t> out) const;
  /// Does the same the other way: copies `bytes` to `address`.
  Result<void> write(uint64_t address, std::span<const uint8_t> bytes) const;
  /// Returns bytes of memory 0 where they lie, to be read: valid until this function returns, or calls the guest. Other
  /// threads may write to them meanwhile, if the memory is shared. Errors: as of read.
  Result<std::span<const uint8_t>> view(uint64_t address, uint64_t size_bytes) const;
  /// Does the same for bytes that are to be written. Whoever does so calls `edited` for what was written, before the
  /// function returns, or an ImportObserver does not learn of it.
  Result<std::span<uint8_t>> edit(uint64_t address, uint64_t size_bytes) const;
  /// Says that this function wrote to bytes that `edit` gave. Pre: they lie in memory 0.
  void edited(uint64_t address, uint64_t size_bytes) const;
  /// Says that this function goes to where the pointer leads, an i32, that lies at `address` in memory 0: that what it
  /// writes later may lie there. An ImportObserver that repeats the writes on another instance then finds the place.
  void follows(uint64_t address) const;
  /// Bytes that memory 0 has now. Errors: not_found.
  Result<uint64_t> memory_bytes() const;
  /// Of an exported table: what Table's functions do. Errors: theirs; not_found.
  Result<Value> table_get(std::string_view table, uint64_t index) const;
  /// Sets an element, as Table::set does.
  Result<void> table_set(std::string_view table, uint64_t index, const Value& value) const;
  /// Grows the table, as Table::grow does, and returns the old size in elements.
  Result<uint64_t> table_grow(std::string_view table, uint64_t delta_elements, const Value& init) const;
  /// Calls an export of the instance. Errors: those of Func::call; not_found.
  Result<std::vector<Value>> call(std::string_view name, std::span<const Value> args = {}) const;
  /// Does the same with arguments in braces.
  Result<std::vector<Value>> call(std::string_view name, std::initializer_list<Value> args) const {
    return call(name, std::span<const Value>(args.begin(), args.size()));
  }
  /// Says that this host function changes state outside of the guest that belongs to the guest's: what a rewind of the
  /// guest alone would tear from it. Marks the checkpoint of a proxy stale (RotationMode::checkpoint), whatever the
  /// policy says of the export that runs. Returns whether anybody took note: nobody does for an instance without an
  /// ImportObserver, such as a worker of a group.
  bool state_changed() const;
  /// Returns whether the call has to stop: it was interrupted, or its deadline is over (rotor/interrupt.h). A host
  /// function that takes long asks from time to time and then returns whatever it likes, since the trap follows.
  bool must_stop() const;
  /// Runs `block`, which waits for something outside of the guest and must not call the guest, so that a stop can end
  /// the wait: another thread then calls `wake`, once at most, which makes `block` return soon. `wake` may come before
  /// `block` begins to wait, must not wait itself, and must not touch this instance or its InterruptHandle. Returns
  /// false if the call has to stop: then `block` was not run, or may have been woken. Errors: host (`block` threw).
  Result<bool> wait(const std::function<void()>& block, const std::function<void()>& wake) const;
  /// Returns what is left in the account of the instance's code, as Instance::fuel does. Errors: its own; not_found (no
  /// instance).
  Result<uint64_t> fuel() const;
  /// Sets it, as Instance::set_fuel does: a host function that works for the guest may so have it pay. Errors: as of
  /// `fuel`.
  Result<void> set_fuel(uint64_t units) const;
  /// A slot as a value, a function reference's too; not for a v128.
  Value value_from_slot(ValType type, Slot slot) const;

 private:
  runtime::InstanceImpl* instance_;
};

/// A host function over raw slots: `slots` holds the arguments and takes the results. An error ends the guest's
/// call and reaches its caller as the error of the call.
using HostFunction = std::function<Result<void>(Caller& caller, Slot* slots)>;

/// A function whose type was checked once: `TypedFunc<int32_t(int32_t, int32_t)>`; several results are a tuple.
template <class R, class... Args>
class TypedFunc<R(Args...)> {
 public:
  /// Calls the function. Errors: those of Func::call, but for type_mismatch.
  Result<R> operator()(Args... args) const {
    if constexpr (detail::kIsDirect<R, Args...>)
      return call_direct(func_, args...);
    else
      return call_slots(args...);
  }
  const Func& func() const { return func_; }  ///< the same function without its type
  /// Does what Func::call_raw does for a function of this type, in less time where all values are in registers. Pre:
  /// the function is of this type.
  static Result<void> call_raw(const Func& func, Slot* slots) {
    if constexpr (detail::kIsDirect<R, Args...>) {
      auto result = [&]<size_t... i>(std::index_sequence<i...>) {
        return call_direct(func, detail::from_slot<Args>(slots[i])...);
      }(std::index_sequence_for<Args...>());
      if (!result) [[unlikely]]
        return std::unexpected(std::move(result).error());
      if constexpr (!std::is_void_v<R>) slots[0] = detail::to_slot(*result);
      return {};
    } else {
      return func.call_raw(slots);
    }
  }

 private:
  friend class Func;
  explicit TypedFunc(Func func) : func_(std::move(func)) {}
  static Result<R> call_direct(const Func& func, Args... args) {
    detail::CallFrame frame;
    if (detail::begin_call(frame, func.handle_)) [[likely]] {
      auto outcome = detail::enter<R>(frame, args...);
      if (detail::end_call(frame, outcome.left)) [[likely]] {
        if constexpr (std::is_void_v<R>)
          return {};
        else if constexpr (detail::kIsFloat<R>)
          return outcome.value;
        else
          return detail::from_slot<R>(outcome.value);
      }
    }
    return std::unexpected(detail::take_error(frame));
  }
  Result<R> call_slots(Args... args) const {
    constexpr size_t count = std::max<size_t>({detail::kSlotCount<Args...>, detail::Results<R>::count, 1});
    Slot slots[count];
    size_t i = 0;
    ((detail::store_slots<Args>(slots + i, args), i += detail::kSlots<Args>), ...);
    (void)i;
    if (auto r = func_.call_raw(slots); !r) [[unlikely]]
      return std::unexpected(std::move(r).error());
    if constexpr (std::is_void_v<R>)
      return {};
    else
      return detail::Results<R>::load(slots);
  }
  template <class R2, class... Args2>
  static FuncType signature(TypedFunc<R2(Args2...)>*) {
    return detail::func_type_of<R2, Args2...>();
  }
  static FuncType signature() { return detail::func_type_of<R, Args...>(); }
  Func func_;
};

template <class Signature>
Result<TypedFunc<Signature>> Func::typed() const {
  static constinit std::atomic<const FuncType*> wanted{nullptr};
  ROTOR_CHECK(check_type(
      detail::made_once(wanted, [] { return std::make_unique<const FuncType>(TypedFunc<Signature>::signature()); })));
  return TypedFunc<Signature>(*this);
}

}  // namespace rotor
