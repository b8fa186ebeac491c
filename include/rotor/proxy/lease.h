// Leases: calls through a proxy.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "rotor/func.h"
#include "rotor/interrupt.h"
#include "rotor/memory.h"
#include "rotor/result.h"
#include "rotor/value.h"

namespace rotor {
namespace proxy { class ProxyImpl; }

/// One argument of a proxied call. Bytes and vectors are viewed, not copied: they must outlive the call.
class Arg {
 public:
  /// Makes an i32.
  Arg(int32_t v) : Arg(ValType::i32, detail::to_slot(v)) {}
  /// Makes an i32: a number, or the token of a handle.
  Arg(uint32_t v) : Arg(ValType::i32, detail::to_slot(v)) {}
  /// Makes an i64.
  Arg(int64_t v) : Arg(ValType::i64, detail::to_slot(v)) {}
  /// Makes an i64 of the same bits.
  Arg(uint64_t v) : Arg(ValType::i64, detail::to_slot(v)) {}
  /// Makes an f32.
  Arg(float v) : Arg(ValType::f32, detail::to_slot(v)) {}
  /// Makes an f64.
  Arg(double v) : Arg(ValType::f64, detail::to_slot(v)) {}
  /// Makes an externref.
  Arg(ExternRef v) : Arg(ValType::externref, v.bits) {}
  /// Makes the bytes of an ArgKind::bytes, text or cstring.
  static Arg bytes(std::span<const uint8_t> bytes) { return Arg(Shape::bytes, bytes); }
  /// Does the same from characters. The NUL is added where the guest gets them.
  static Arg text(std::string_view text) { return bytes({reinterpret_cast<const uint8_t*>(text.data()), text.size()}); }
  /// Numbers, or the tokens of handles.
  static Arg vector(std::span<const uint32_t> elements) {
    return Arg(Shape::vector, {reinterpret_cast<const uint8_t*>(elements.data()), elements.size_bytes()});
  }

  /// Makes a value of a type of one slot from its bits.
  static Arg from_slot(ValType type, Slot slot) { return Arg(type, slot); }

  /// What an argument is: one value, or data that is copied into the guest.
  enum class Shape : uint8_t { value, bytes, vector };
  Shape shape() const { return shape_; }                   ///< which of the following have a meaning
  ValType type() const { return type_; }                   ///< of a value
  Slot slot() const { return slot_; }                      ///< of a value
  std::span<const uint8_t> data() const { return data_; }  ///< of bytes or a vector

 private:
  Arg(ValType type, Slot slot) : type_(type), slot_(slot) {}
  Arg(Shape shape, std::span<const uint8_t> data) : shape_(shape), data_(data) {}
  Shape shape_ = Shape::value;
  ValType type_;
  Slot slot_ = 0;
  std::span<const uint8_t> data_;
};

/// What a proxied call returned. The accessors ask for an index within `values`.
struct Reply {
  std::vector<Value>
      values;  ///< scalars and the tokens of handles, in order; then what `out` arguments were filled with
  std::vector<uint8_t> bytes;    ///< the `bytes` result
  std::vector<uint32_t> vector;  ///< the `vector` result, or the tokens of the `handles` result

  int32_t i32(size_t index = 0) const { return values[index].i32(); }  ///< a scalar i32
  /// Returns the token of a handle.
  uint32_t handle(size_t index = 0) const { return static_cast<uint32_t>(values[index].i32()); }
};

/// Pins the active instance for several calls. One lease is held at a time; a thread that holds one and asks again, by
/// acquire() or call(), joins it. Used and dropped on the thread that acquired it, before the proxy is destroyed (both
/// asserted). Handles that queries return within a lease end with it (with the outermost, if joined).
/// A lease that is held while the active passes `force_at` may find its instance exchanged under it: queries that
/// neither return nor consume handles go on on the old one until the drain deadline, everything else gives `retired`.
/// The next lease is on the new active.
class [[nodiscard]] Lease {
 public:
  /// Takes over the lease; what was moved from holds none.
  Lease(Lease&& other) noexcept : impl_(std::exchange(other.impl_, nullptr)) {}
  /// Does the same, after it has given back the lease that was here.
  Lease& operator=(Lease&& other) noexcept;
  ~Lease();

  /// Calls an export as the policy describes it: tokens are translated both ways, bytes and vectors go through the
  /// guest's allocator, builds are recorded. Errors: not_found, type_mismatch (arguments), stale_handle (a token that
  /// is none or no more), trap, host (a host function failed, or the guest returned its `error` result), limit (the
  /// guest's allocator has nothing left; too many handles), invalid_argument (a build that takes a query's handle which
  /// can't be recorded, or is called from a host function; an export that can only be called raw; data outside of the
  /// guest's memory), retired (the instance was exchanged under the lease). After a trap or a host function's error,
  /// with `on_trap` = rotate, further calls of this lease repeat that error.
  Result<Reply> call(std::string_view name, std::span<const Arg> args = {});
  /// Does the same with arguments in braces.
  Result<Reply> call(std::string_view name, std::initializer_list<Arg> args) {
    return call(name, std::span<const Arg>(args.begin(), args.size()));
  }
  /// Calls an export with nothing translated: for malloc, free and queries on raw pointers, which mean nothing after
  /// the lease. Errors: those of Func::call; not_found; retired; invalid_argument for a build or release, which could
  /// not be recorded.
  Result<std::vector<Value>> raw(std::string_view name, std::span<const Value> args = {});
  /// Does the same with arguments in braces.
  Result<std::vector<Value>> raw(std::string_view name, std::initializer_list<Value> args) {
    return raw(name, std::span<const Value>(args.begin(), args.size()));
  }
  /// The raw value behind a token, for use with raw(). Errors: stale_handle; retired.
  Result<uint32_t> resolve(uint32_t token) const;
  /// Has a query's handle outlive the lease: as if Proxy::call had returned it. Nothing to do for a build's. Errors:
  /// stale_handle; retired.
  Result<void> keep(uint32_t token);
  /// RotationMode::checkpoint: the host gives up a number that an allowed export returned (an i32 as its 32 bits),
  /// without a release: it will not pass it again. Nothing to do for 0, or with rotation off. Errors: not_found (no
  /// such number is held); invalid_argument (another mode).
  Result<void> drop(uint64_t number);
  /// Memory 0 of the pinned instance. Errors: not_found.
  Result<Memory> memory() const;
  /// Ends a call of this lease that still runs at `deadline`: it traps, with TrapKind::interrupted, and what follows is
  /// what follows any trap, but it is not tried again (`retry`, Proxy::with_lease). A call that would begin after it is
  /// not made: ErrorKind::limit, and the guest is as it was. Of this and Policy::call_deadline_ms the earlier one
  /// holds. It holds for calls that begin after this, until it is set anew or the outermost lease ends; a call that a
  /// host function makes has that of the call around it. Workers, probes, and the replay of the call on a standby have
  /// none. Errors: invalid_argument (Config::interruptible), io (no thread to watch it).
  Result<void> set_deadline(InterruptHandle::Clock::time_point deadline);
  /// Takes the lease's deadline away.
  void clear_deadline();

 private:
  friend class Proxy;
  template <class>
  friend class ProxyFunc;
  explicit Lease(proxy::ProxyImpl* impl) : impl_(impl) {}
  proxy::ProxyImpl* impl_;
};

namespace proxy {
/// TypedFunc::call_raw of the export's type.
using RawCall = Result<void> (*)(const Func& func, Slot* slots);
/// Of ProxyFunc: `slots` holds the arguments and takes the results.
Result<void> call_slots(ProxyImpl& impl, uint32_t export_index, Slot* slots, bool own_lease, RawCall raw_call);
}  // namespace proxy

template <class Signature>
class ProxyFunc;
/// An export whose name and type were looked up once: the fast way to call it. Handles are uint32_t tokens. For exports
/// whose arguments and results are scalars and handles; data, and what the guest fills, go through Lease::call. Copies
/// share nothing; valid as long as the proxy, moved or not. Used by any thread.
template <class R, class... Args>
class ProxyFunc<R(Args...)> {
 public:
  /// As Proxy::call.
  Result<R> operator()(Args... args) const { return run(true, args...); }
  /// As Lease::call, of a lease of the same proxy.
  Result<R> operator()(Lease& /*held*/, Args... args) const { return run(false, args...); }

 private:
  friend class Proxy;
  ProxyFunc(proxy::ProxyImpl* impl, uint32_t export_index) : impl_(impl), export_index_(export_index) {}
  Result<R> run(bool own_lease, Args... args) const {
    static_assert(!(std::is_same_v<Args, V128> || ...) && !std::is_same_v<R, V128>, "a v128 goes through Lease::raw");
    constexpr size_t count = std::max<size_t>({sizeof...(Args), detail::Results<R>::count, 1});
    Slot slots[count];
    size_t i = 0;
    ((slots[i++] = detail::to_slot<Args>(args)), ...);
    (void)i;
    const proxy::RawCall raw_call = &TypedFunc<R(Args...)>::call_raw;
    if (auto done = proxy::call_slots(*impl_, export_index_, slots, own_lease, raw_call); !done) [[unlikely]]
      return std::unexpected(std::move(done).error());
    if constexpr (std::is_void_v<R>)
      return {};
    else
      return detail::Results<R>::load(slots);
  }
  proxy::ProxyImpl* impl_;
  uint32_t export_index_;
};

}  // namespace rotor
