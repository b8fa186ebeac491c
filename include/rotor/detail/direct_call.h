// Calls whose arguments and results are all in registers: what the fast ways of TypedFunc and of typed host functions
// are made of. Not for embedders. The places are those of code/abi.h in the source.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "rotor/detail/typed_slots.h"
#include "rotor/result.h"
#include "rotor/value.h"

namespace rotor {

class Caller;

namespace detail {

template <class T>
inline constexpr bool kIsFloat = std::is_floating_point_v<T>;
/// Whether a value takes one register, of either kind.
template <class T>
inline constexpr bool kIsScalar = !std::is_same_v<T, V128>;

/// Registers that a guest's function takes arguments in, of either kind; results are in the first 4.
inline constexpr size_t kRegisterInts = 6, kRegisterFloats = 8, kRegisterResults = 4;
template <class... Ts>
inline constexpr size_t kFloats = ((kIsFloat<Ts> ? size_t{1} : 0) + ... + 0);

// ---- host to guest

/// One call on its way, on the stack of who makes it. The library fills it; it is left uninitialised until then.
struct CallFrame {
  CallFrame() {}  // NOLINT: no initialisation
  CallFrame(const CallFrame&) = delete;
  static constexpr size_t kBytes = 768;
  alignas(16) unsigned char bytes[kBytes];
};

/// Enters the function's group and prepares the call. Returns false if that failed, and take_error says why. Pre: the
/// function takes no function references.
bool begin_call(CallFrame& frame, const Handle& func);
/// Ends a call that was begun. `left`: whether the guest was left early. Returns false for an error.
bool end_call(CallFrame& frame, uint64_t left);
/// Takes the error of a call that failed.
Error take_error(CallFrame& frame);

/// What a call gives back in registers.
struct IntOutcome {
  uint64_t value;
  uint64_t left;
};
template <class T>
struct FloatOutcome {
  T value;
  uint64_t left;
};
extern "C" {
/// The entries for results of each kind, which take the frame, then up to 5 integers and 8 floats as C functions do.
/// Not to be called as they are declared.
void rotor_enter_for_int();
void rotor_enter_for_float();
}

template <class R>
inline constexpr bool kIsTuple = false;
template <class... Ts>
inline constexpr bool kIsTuple<std::tuple<Ts...>> = true;
/// Whether a function can be called by CallFrame, which takes one of C's registers for integers.
template <class R, class... Args>
inline constexpr bool kIsDirect =
    (kIsScalar<Args> && ...) && kFloats<Args...> <= kRegisterFloats &&
    sizeof...(Args) - kFloats<Args...> <= kRegisterInts - 1 && !kIsTuple<R> && kIsScalar<R>;

/// The C type that an argument is passed as: whatever is above its width is nobody's business.
template <class T>
using Passed = std::conditional_t<kIsFloat<T>, T, uint64_t>;
template <class T>
Passed<T> passed(T v) {
  if constexpr (kIsFloat<T>)
    return v;
  else
    return to_slot(v);
}

/// Runs the call. Pre: begin_call returned true.
template <class R, class... Args>
auto enter(CallFrame& frame, Args... args) {
  if constexpr (kIsFloat<R>) {
    using Entry = FloatOutcome<R> (*)(CallFrame*, Passed<Args>...);
    return reinterpret_cast<Entry>(&rotor_enter_for_float)(&frame, passed(args)...);
  } else {
    using Entry = IntOutcome (*)(CallFrame*, Passed<Args>...);
    return reinterpret_cast<Entry>(&rotor_enter_for_int)(&frame, passed(args)...);
  }
}

// ---- guest to host

/// The words that values are in, one after another, in the image of the registers that a guest's call leaves to the
/// host: a word for each integer's, then two for each vector's.
template <class... Ts>
inline constexpr auto kRegisterWords = [] {
  std::array<size_t, sizeof...(Ts) + 1> words{};
  size_t i = 0, ints = 0, floats = 0;
  ((words[i++] = kIsFloat<Ts> ? kRegisterInts + 2 * floats++ : ints++), ...);
  return words;
}();
template <class T>
struct AllScalars : std::bool_constant<kIsScalar<T>> {
  static constexpr size_t count = 1;
  static constexpr bool has_floats = kIsFloat<T>;
  static void store(uint64_t* words, T v) { words[kIsFloat<T> ? kRegisterInts : 0] = to_slot(v); }
};
template <>
struct AllScalars<void> : std::true_type {
  static constexpr size_t count = 0;
  static constexpr bool has_floats = false;
};
template <class... Ts>
struct AllScalars<std::tuple<Ts...>> : std::bool_constant<(kIsScalar<Ts> && ...)> {
  static constexpr size_t count = sizeof...(Ts);
  static constexpr bool has_floats = (kIsFloat<Ts> || ...);
  static void store(uint64_t* words, const std::tuple<Ts...>& v) {
    [&]<size_t... I>(std::index_sequence<I...>) {
      ((words[kRegisterWords<Ts...>[I]] = to_slot(std::get<I>(v))), ...);
    }(std::index_sequence_for<Ts...>{});
  }
};

/// A host function over the words of registers. Returns false if it left an error.
using DirectHostFunction = bool (*)(void* callable, Caller& caller, uint64_t* words, std::optional<Error>& error);
/// A host function that can be called that way; null if it can't. `callable` belongs to the HostFunction beside it.
struct DirectHost {
  DirectHostFunction function = nullptr;
  void* callable = nullptr;
  bool has_floats = true;  ///< among parameters or results
};

}  // namespace detail
}  // namespace rotor
