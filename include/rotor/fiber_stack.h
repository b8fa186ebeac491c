// Stacks that are not a thread's own: of fibers, coroutines, green threads.
#pragma once

#include <cstddef>

#include "rotor/result.h"

namespace rotor {

/// Tells Rotor where a stack begins and ends. The stack that a thread was started with is found; on any other one
/// (makecontext's, a fiber library's, an alternate signal stack) a call into a guest is an error, invalid_argument,
/// unless it is declared: how deep a guest may go can't be guessed. Declared once, it serves whichever thread runs on
/// it, and any number of stacks may take turns on one thread. It need not have a guard page.
///
///     auto declared = rotor::FiberStack::declare(stack.data(), stack.size());
///     if (!declared) …
///
/// Thread-safe. Move-only: the declaration ends with it. It has to end before the memory is used for anything else, and
/// not while a call is running on the stack.
class FiberStack {
 public:
  /// Declares the memory [low, low + size_bytes) as a stack. Errors: invalid_argument (it wraps, or overlaps one that
  /// is declared).
  static Result<FiberStack> declare(void* low, size_t size_bytes);

  /// Takes over the declaration; what was moved from declares nothing.
  FiberStack(FiberStack&& other) noexcept : low_(other.low_) { other.low_ = nullptr; }
  /// Exchanges the two declarations.
  FiberStack& operator=(FiberStack&& other) noexcept;
  ~FiberStack();

 private:
  explicit FiberStack(void* low) : low_(low) {}
  void* low_;
};

}  // namespace rotor
