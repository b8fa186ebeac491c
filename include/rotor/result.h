// Results and errors. The library reports every failure as a value: it never throws, prints or exits.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rotor {

struct Exception;
struct Frame;
struct Trap;
namespace runtime { class Backtrace; }

/// What went wrong, by class; the message says the rest.
enum class ErrorKind : uint8_t {
  malformed,         ///< bytes that are no module (spec section 5)
  invalid,           ///< a module that does not validate (spec section 3)
  unsupported,       ///< a feature this build does not have; the message names it
  link,              ///< a missing or ill-typed import (the suite's "unlinkable")
  trap,              ///< the guest trapped; `Error::trap` is set
  host,              ///< a host function returned an error without a kind of its own, or threw
  limit,             ///< a named limit was reached
  type_mismatch,     ///< arguments or a requested type do not fit
  not_found,         ///< no such export, file or name
  invalid_argument,  ///< misuse of the API that can be told at run time
  stale_handle,      ///< a handle whose instance is gone, or a token that a rotation ended
  retired,           ///< a lease's instance was exchanged under it; what it asks for can't be done there any more
  corrupt,           ///< a damaged or foreign code file, trace or policy
  io,                ///< the operating system refused
  internal,          ///< a bug in Rotor; please report it
  exception,         ///< the guest threw, and caught it nowhere; `Error::exception` is set
};

/// Returns the kind as it is spelt here ("type_mismatch").
const char* to_string(ErrorKind kind);

/// An error as a value.
struct [[nodiscard]] Error {
  ErrorKind kind = ErrorKind::internal;  ///< what class of failure it is
  std::string message;                   ///< safe to print (rotor/printable.h), unless a host function wrote it
  /// Byte offset in the module or file the error is about.
  std::optional<uint64_t> offset;
  /// The trap, if `kind` is `trap`; else null: `if (error.trap)` asks whether the guest trapped.
  std::shared_ptr<const Trap> trap;
  /// What the guest threw, if `kind` is `exception` (rotor/exception.h); else null.
  std::shared_ptr<const Exception> exception;
  /// Where the guest was whose host function failed (the library's own: `frames` tells it); null for a trap, which has
  /// its own.
  std::shared_ptr<const runtime::Backtrace> backtrace;

  Error() = default;
  /// Makes an error that names no offset.
  Error(ErrorKind error_kind, std::string text) : kind(error_kind), message(std::move(text)) {}
  /// Makes an error at a byte offset in the module or file.
  Error(ErrorKind error_kind, std::string text, uint64_t at) : kind(error_kind), message(std::move(text)), offset(at) {}

  /// Returns the guest's frames (rotor/trap.h), the innermost first: those of a trap, or those that called the host
  /// function which failed. None for other errors. Thread-safe; as of Trap::frames.
  const std::vector<Frame>& frames() const;
  /// Returns one line, and one more per frame, made printable as by rotor/printable.h.
  std::string to_string() const;
};

/// A value, or the error that stands in its place.
template <class T>
using Result = std::expected<T, Error>;

/// Makes an error, to be returned from a function that returns a Result.
inline std::unexpected<Error> fail(ErrorKind kind, std::string message) {
  return std::unexpected<Error>(Error(kind, std::move(message)));
}
/// Does the same, at a byte offset.
inline std::unexpected<Error> fail(ErrorKind kind, std::string message, uint64_t offset) {
  return std::unexpected<Error>(Error(kind, std::move(message), offset));
}

}  // namespace rotor

/// For the macros below.
#define ROTOR_CONCAT_(a, b) a##b
/// For the macros below: joins two words, after expanding them.
#define ROTOR_CONCAT(a, b) ROTOR_CONCAT_(a, b)

/// Returns the error of `expr` from the enclosing function, if it has one.
#define ROTOR_CHECK(expr)                                       \
  do {                                                          \
    if (auto rotor_check_ = (expr); !rotor_check_) [[unlikely]] \
      return std::unexpected(std::move(rotor_check_).error());  \
  } while (0)

/// `ROTOR_TRY(auto x, expr)`: binds the value of `expr` or returns its error.
#define ROTOR_TRY(decl, expr) ROTOR_TRY_(ROTOR_CONCAT(rotor_try_, __LINE__), decl, expr)
/// For ROTOR_TRY.
#define ROTOR_TRY_(tmp, decl, expr)                 \
  auto tmp = (expr);                                \
  if (!tmp) [[unlikely]]                            \
    return std::unexpected(std::move(tmp).error()); \
  decl = std::move(*tmp)
