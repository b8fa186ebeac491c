// Callables of C++ as host functions: what the typed Linker::define is made of. Not for embedders.
#pragma once

#include <expected>
#include <type_traits>
#include <utility>

#include "rotor/detail/typed_slots.h"
#include "rotor/result.h"
#include "rotor/value.h"

namespace rotor {

class Caller;

namespace detail {

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

/// Wraps a callable `R(Caller&, Args...)` or `R(Args...)`; R is a value, a tuple, void, or a Result of these.
template <class Fn, class R, class... Args>
auto wrap_host(Fn fn) {
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
  static auto wrap(F f) {
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

}  // namespace detail
}  // namespace rotor
