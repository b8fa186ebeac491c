// Calls of the embedder's code, which may throw. For the library's own use.
#pragma once

#include <optional>
#include <type_traits>
#include <utility>

#include "rotor/result.h"

namespace rotor::detail {

/// Returns what the exception that is being handled says, as an error of kind `host`: "`who` threw: what()". An
/// exception by which a thread ends (pthread_exit, pthread_cancel) is thrown on instead, as it has to be. Must be
/// called within a handler.
Error thrown_error(const char* who);

/// Calls `run(argument)`, and returns what it throws as an error.
std::optional<Error> guard(const char* who, void (*run)(void*), void* argument);

template <class T>
struct Guarded {
  using type = Result<T>;
};
template <class T>
struct Guarded<Result<T>> {
  using type = Result<T>;
};

/// Returns the Result of `call`, or its value as a Result; what it throws becomes an error, too. (The library's own
/// code is compiled without exceptions. They pass its frames without a clean-up, so there must be none between this and
/// what may throw.)
template <class Call>
auto guarded(const char* who, Call&& call) {
  using Returned = std::invoke_result_t<Call&>;
  using Out = typename Guarded<Returned>::type;
  struct {
    Call& call;
    std::optional<Out> out;
  } work{call, std::nullopt};
  auto run = [](void* argument) {
    auto& to = *static_cast<decltype(work)*>(argument);
    if constexpr (std::is_void_v<Returned>) {
      to.call();
      to.out.emplace();
    } else {
      to.out.emplace(to.call());
    }
  };
  if (auto thrown = guard(who, run, &work)) return Out(std::unexpect, std::move(*thrown));
  return std::move(*work.out);
}

}  // namespace rotor::detail
