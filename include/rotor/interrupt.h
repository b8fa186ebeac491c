// Ending calls from outside: by a stop from another thread, or at a deadline.
#pragma once

#include <chrono>
#include <memory>

#include "rotor/result.h"

namespace rotor {
namespace runtime {
class LinkGroup;
class Watchdog;
}  // namespace runtime

/// A means to end what an instance runs, for any thread: copies share it, every function is thread-safe, and it may
/// outlive the instance, which it does not keep alive. (`Instance::interrupt_handle`; `InstanceOptions` for one that is
/// there before the start function runs.)
///
/// What is ended is the call that the instance's link group runs: the instance and all that it is linked to. The guest
/// traps with TrapKind::interrupted ("interrupt") and its backtrace, at the next function entry or turn of a loop; a
/// thread asleep in `memory.atomic.wait` is woken for it. Host functions run to their end: if the guest called one, the
/// trap follows its return. One bulk instruction (`memory.fill`) runs to its end too.
///
/// Turns of a loop check for a stop only in code compiled with Config::interruptible. Functions that need that fail
/// with invalid_argument, and have no effect, if a module of the group was compiled without.
class InterruptHandle {
 public:
  /// The clock of deadlines.
  using Clock = std::chrono::steady_clock;

  InterruptHandle() = default;  ///< a stale handle, of no instance

  /// Ends the call that runs; if none does, the next one, before it begins. The stop lasts until the outermost call
  /// leaves the group, if a call was ended by it: host functions in between get the error, and what they call in the
  /// group ends at once. After that the instance works again. A call that returns without having met the stop leaves it
  /// to the next; see cancel. Errors: stale_handle (the instance is gone); invalid_argument (Config::interruptible).
  Result<void> interrupt() const;
  /// Does the same for any code. Code without Config::interruptible ends at the next function entry or wait: never, if
  /// it loops without either. Errors: stale_handle.
  Result<void> interrupt_best_effort() const;
  /// Takes back an interrupt that has not ended a call, since it may have come too late.
  void cancel() const;

  /// Ends a call that still runs at `deadline`, and each that begins after it, until the deadline is set anew. A link
  /// group has one deadline: the last that was set or, when groups are joined, the earlier of the two. A thread that
  /// the engine starts for its first deadline watches the clock. Host functions may move the deadline of the call they
  /// are in. Errors: stale_handle; invalid_argument (Config::interruptible); io (no thread).
  Result<void> set_deadline(Clock::time_point deadline) const;
  /// Takes the deadline away. Does nothing for a stale handle.
  void clear_deadline() const;

  /// For the library's own use.
  InterruptHandle(std::shared_ptr<runtime::LinkGroup> group, std::shared_ptr<runtime::Watchdog> watchdog)
      : group_(std::move(group)), watchdog_(std::move(watchdog)) {}

 private:
  std::shared_ptr<runtime::LinkGroup> group_;
  std::shared_ptr<runtime::Watchdog> watchdog_;
};

}  // namespace rotor
