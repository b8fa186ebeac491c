// C++ types as wasm types, and their values in slots: what the typed calls of rotor/func.h and rotor/proxy/lease.h are
// made of. Not for embedders.
#pragma once

#include <array>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

#include "rotor/value.h"

namespace rotor::detail {

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
template <class R, class... Args>
FuncType func_type_of() {
  FuncType t;
  (t.params.push_back(WasmType<Args>::type), ...);
  Results<R>::append(t);
  return t;
}

}  // namespace rotor::detail
