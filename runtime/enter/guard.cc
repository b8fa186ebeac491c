// Catches exceptions. This file and runtime/enter/host_function.cc are the only code of the library that is compiled
// with exceptions.
#include "rotor/guard.h"

#include <cxxabi.h>
#include <fmt/format.h>

#include <exception>

namespace rotor::detail {

// Not checked by UndefinedBehaviorSanitizer: a thread that ends throws no object, so the reference binds to none.
[[gnu::no_sanitize("null")]] Error thrown_error(const char* who) {
  try {
    throw;
  } catch (abi::__forced_unwind&) {
    throw;
  } catch (const std::exception& error) {
    return Error(ErrorKind::host, fmt::format("{} threw: {}", who, error.what()));
  } catch (...) {
    return Error(ErrorKind::host, fmt::format("{} threw what is no std::exception", who));
  }
}

std::optional<Error> guard(const char* who, void (*run)(void*), void* argument) {
  try {
    run(argument);
    return std::nullopt;
  } catch (...) {
    return thrown_error(who);
  }
}

}  // namespace rotor::detail
