// Functions: calls from the host, typed and untyped, and host functions.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "rotor/memory.h"
#include "rotor/result.h"
#include "rotor/value.h"

namespace rotor {

class Instance;
namespace runtime { class InstanceImpl; }

/// Bits of one argument or result: i32, i64, f32, f64 zero-extended, references as the engine keeps them. A v128 takes
/// two slots, its low half first: what follows it is one further.
using Slot = uint64_t;
/// Slots that values of these types take.
inline size_t slot_count(std::span<const ValType> types) {
  size_t count = types.size();
  for (ValType type : types) count += type == ValType::v128;
  return count;
}

template <class R>
class TypedFunc;

/// A weak handle to a function: using it after its instance is dropped is an error, never a wild access.
/// One thread at a time may call into an instance and what it is linked to.
class Func {
 public:
  Func() = default;
  bool alive() const;
  FuncType type() const;
  /// Errors: type_mismatch, trap, host, stale_handle.
  Result<std::vector<Value>> call(std::span<const Value> args) const;
  Result<std::vector<Value>> call(std::initializer_list<Value> args = {}) const {
    return call(std::span<const Value>(args.begin(), args.size()));
  }
  /// Arguments and results as raw slots: `slots` holds as many as the params or the results take, whichever are more.
  /// No type check.
  Result<void> call_raw(Slot* slots) const;
  /// Errors: type_mismatch, naming both types.
  template <class Signature>
  Result<TypedFunc<Signature>> typed() const;

  const detail::Handle& handle() const { return handle_; }
  static Func from_handle(detail::Handle handle) {
    Func f;
    f.handle_ = std::move(handle);
    return f;
  }

 private:
  friend class Value;
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
  void* host_data() const;
  /// Handles. What is changed through them an ImportObserver does not see, and it may refuse them: prefer the functions
  /// below where those will do.
  Result<Func> get_func(std::string_view name) const;
  Result<Table> get_table(std::string_view name) const;
  /// The exported memory of that name; with an empty name the instance's memory 0, imported or not.
  Result<Memory> get_memory(std::string_view name = {}) const;
  /// Copies out of or into memory 0, checked. Errors: invalid_argument (out of bounds), not_found (no memory).
  Result<void> read(uint64_t address, std::span<uint8_t> out) const;
  Result<void> write(uint64_t address, std::span<const uint8_t> bytes) const;
  /// Bytes that memory 0 has now. Errors: not_found.
  Result<uint64_t> memory_bytes() const;
  /// Of an exported table: what Table's functions do. Errors: theirs; not_found.
  Result<Value> table_get(std::string_view table, uint64_t index) const;
  Result<void> table_set(std::string_view table, uint64_t index, const Value& value) const;
  Result<uint64_t> table_grow(std::string_view table, uint64_t delta_elements, const Value& init) const;
  /// Calls an export of the instance. Errors: those of Func::call; not_found.
  Result<std::vector<Value>> call(std::string_view name, std::span<const Value> args = {}) const;
  Result<std::vector<Value>> call(std::string_view name, std::initializer_list<Value> args) const {
    return call(name, std::span<const Value>(args.begin(), args.size()));
  }
  /// A slot as a value, a function reference's too; not for a v128.
  Value value_from_slot(ValType type, Slot slot) const;

 private:
  runtime::InstanceImpl* instance_;
};

/// A host function over raw slots: `slots` holds the arguments and takes the results. An error ends the guest's
/// call and reaches its caller as the error of the call.
using HostFunction = std::function<Result<void>(Caller& caller, Slot* slots)>;

namespace detail {

template <class T>
struct WasmType;
template <>
struct WasmType<int32_t> {
  static constexpr ValType type = ValType::i32;
};
template <>
struct WasmType<uint32_t> {
  static constexpr ValType type = ValType::i32;
};
template <>
struct WasmType<int64_t> {
  static constexpr ValType type = ValType::i64;
};
template <>
struct WasmType<uint64_t> {
  static constexpr ValType type = ValType::i64;
};
template <>
struct WasmType<float> {
  static constexpr ValType type = ValType::f32;
};
template <>
struct WasmType<double> {
  static constexpr ValType type = ValType::f64;
};
template <>
struct WasmType<V128> {
  static constexpr ValType type = ValType::v128;
};
template <>
struct WasmType<ExternRef> {
  static constexpr ValType type = ValType::externref;
};

/// Slots that a value of a type takes, and the slot that each of several begins at.
template <class T>
inline constexpr size_t kSlots = std::is_same_v<T, V128> ? 2 : 1;
template <class... Ts>
inline constexpr size_t kSlotCount = (kSlots<Ts> + ... + 0);
template <class... Ts>
inline constexpr auto kSlotOffsets = [] {
  std::array<size_t, sizeof...(Ts) + 1> offsets{};
  size_t i = 0;
  ((offsets[i + 1] = offsets[i] + kSlots<Ts>, ++i), ...);
  return offsets;
}();

template <class T>
Slot to_slot(T v) {
  static_assert(sizeof v <= sizeof(Slot));
  Slot s = 0;
  std::memcpy(&s, &v, sizeof v);
  return s;
}
template <class T>
T from_slot(Slot s) {
  static_assert(sizeof(T) <= sizeof s);
  T v;
  std::memcpy(static_cast<void*>(&v), &s, sizeof v);  // ExternRef has default member initialisers
  return v;
}
template <class T>
inline void store_slots(Slot* slots, T v) {
  if constexpr (kSlots<T> == 1)
    *slots = to_slot(v);
  else
    std::memcpy(slots, &v, sizeof v);
}
template <class T>
inline T load_slots(const Slot* slots) {
  if constexpr (kSlots<T> == 1) {
    return from_slot<T>(*slots);
  } else {
    T v;
    std::memcpy(static_cast<void*>(&v), slots, sizeof v);
    return v;
  }
}

template <class T>
struct Results {  // one result
  static void append(FuncType& t) { t.results.push_back(WasmType<T>::type); }
  static constexpr size_t count = kSlots<T>;
  static void store(Slot* slots, T v) { store_slots(slots, v); }
  static T load(const Slot* slots) { return load_slots<T>(slots); }
};
template <>
struct Results<void> {
  static void append(FuncType&) {}
  static constexpr size_t count = 0;
};
template <class... Ts>
struct Results<std::tuple<Ts...>> {
  static void append(FuncType& t) { (t.results.push_back(WasmType<Ts>::type), ...); }
  static constexpr size_t count = kSlotCount<Ts...>;
  static void store(Slot* slots, const std::tuple<Ts...>& v) {
    [&]<size_t... I>(std::index_sequence<I...>) {
      (store_slots(slots + kSlotOffsets<Ts...>[I], std::get<I>(v)), ...);
    }(std::index_sequence_for<Ts...>{});
  }
  static std::tuple<Ts...> load(const Slot* slots) {
    return [&]<size_t... I>(std::index_sequence<I...>) {
      return std::tuple<Ts...>{load_slots<Ts>(slots + kSlotOffsets<Ts...>[I])...};
    }(std::index_sequence_for<Ts...>{});
  }
};
template <class T>
struct Unwrap {
  using type = T;
  static constexpr bool fallible = false;
};
template <class T>
struct Unwrap<std::expected<T, Error>> {
  using type = T;
  static constexpr bool fallible = true;
};

template <class R, class... Args>
FuncType func_type_of() {
  FuncType t;
  (t.params.push_back(WasmType<Args>::type), ...);
  Results<R>::append(t);
  return t;
}

/// Wraps a callable `R(Caller&, Args...)` or `R(Args...)`; R is a value, a tuple, void, or a Result of these.
template <class Fn, class R, class... Args>
HostFunction wrap_host(Fn fn) {
  using Plain = typename Unwrap<R>::type;
  return [fn = std::move(fn)](Caller& caller, Slot* slots) mutable -> Result<void> {
    auto invoke = [&]<size_t... I>(std::index_sequence<I...>) -> R {
      if constexpr (std::is_invocable_v<Fn&, Caller&, Args...>)
        return fn(caller, load_slots<Args>(slots + kSlotOffsets<Args...>[I])...);
      else
        return fn(load_slots<Args>(slots + kSlotOffsets<Args...>[I])...);
    };
    constexpr auto indices = std::index_sequence_for<Args...>{};
    if constexpr (Unwrap<R>::fallible) {
      auto result = invoke(indices);
      if (!result) return std::unexpected(std::move(result).error());
      if constexpr (!std::is_void_v<Plain>) Results<Plain>::store(slots, *result);
    } else if constexpr (std::is_void_v<R>) {
      invoke(indices);
    } else {
      Results<Plain>::store(slots, invoke(indices));
    }
    return {};
  };
}

template <class Fn>
struct HostTraits {};  // not callable: no host function
template <class Fn>
  requires requires { &Fn::operator(); }
struct HostTraits<Fn> : HostTraits<decltype(&Fn::operator())> {};
template <class R, class... Args>
struct HostTraits<R (*)(Args...)> {
  static FuncType type() { return func_type_of<typename Unwrap<R>::type, Args...>(); }
  template <class F>
  static HostFunction wrap(F f) {
    return wrap_host<F, R, Args...>(std::move(f));
  }
};
template <class R, class... Args>
struct HostTraits<R (*)(Caller&, Args...)> : HostTraits<R (*)(Args...)> {};
template <class C, class R, class... Args>
struct HostTraits<R (C::*)(Args...) const> : HostTraits<R (*)(Args...)> {};
template <class C, class R, class... Args>
struct HostTraits<R (C::*)(Args...)> : HostTraits<R (*)(Args...)> {};
template <class C, class R, class... Args>
struct HostTraits<R (C::*)(Caller&, Args...) const> : HostTraits<R (*)(Args...)> {};
template <class C, class R, class... Args>
struct HostTraits<R (C::*)(Caller&, Args...)> : HostTraits<R (*)(Args...)> {};

Error signature_mismatch(const FuncType& wanted, const FuncType& actual);

}  // namespace detail

/// A function whose type was checked once: `TypedFunc<int32_t(int32_t, int32_t)>`; several results are a tuple.
template <class R, class... Args>
class TypedFunc<R(Args...)> {
 public:
  Result<R> operator()(Args... args) const {
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
  const Func& func() const { return func_; }

 private:
  friend class Func;
  explicit TypedFunc(Func func) : func_(std::move(func)) {}
  template <class R2, class... Args2>
  static FuncType signature(TypedFunc<R2(Args2...)>*) {
    return detail::func_type_of<R2, Args2...>();
  }
  static FuncType signature() { return detail::func_type_of<R, Args...>(); }
  Func func_;
};

template <class Signature>
Result<TypedFunc<Signature>> Func::typed() const {
  FuncType wanted = TypedFunc<Signature>::signature();
  if (!alive()) return fail(ErrorKind::stale_handle, "the function's instance is gone");
  if (FuncType actual = type(); !(actual == wanted)) return std::unexpected(detail::signature_mismatch(wanted, actual));
  return TypedFunc<Signature>(*this);
}

}  // namespace rotor
