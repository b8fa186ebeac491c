// The workers of a rayon pool: each a further instance of the guest's module on its memory, on a thread of its own.
#pragma once

#include <pthread.h>

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "hosts/wasm_bindgen/imports.h"
#include "rotor/linker.h"

namespace rotor::wasm_bindgen {

/// The size that `__wbindgen_start` is given for the guest's own stack of one thread, in its linear memory.
inline constexpr uint32_t kGuestStackBytes = 1 << 20;

/// Creates and joins workers; interrupts those that do not leave the guest and, at worst, abandons them. Used from one
/// thread.
class WorkerPool {
 public:
  static constexpr size_t kNativeStackBytes = size_t{16} << 20;
  /// The time that an interrupted worker has to leave the guest. One that sleeps or calls does so at once; one that
  /// loops in code without Config::interruptible never does.
  static constexpr uint64_t kInterruptDeadlineMs = 1000;

  WorkerPool(InstancePre pre, std::shared_ptr<GuestShared> shared, Limits limits)
      : pre_(std::move(pre)), shared_(std::move(shared)), limits_(std::move(limits)) {}
  /// Interrupts the workers that still run.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;

  /// Starts a worker and returns once its instance is ready. `thread_exit`: an export that it calls in the end, if the
  /// guest has it. Errors: those of instantiation; io (no thread).
  Result<void> start(uint32_t receiver, std::string thread_exit = "__wbindgen_thread_destroy");
  /// Waits until each worker has left the guest and its instance is gone. Returns false if one had not by the deadline:
  /// it is interrupted, which does not count as a failure of the worker; if that does not help it is abandoned, which
  /// keeps its instance, and with it the guest's memory, until the process ends.
  bool join(uint64_t deadline_ms);
  size_t size() const { return workers_.size(); }
  size_t interrupted() const { return interrupted_; }
  size_t abandoned() const { return abandoned_; }
  /// Returns the errors of the workers that failed.
  std::vector<Error> errors() const;
  /// Returns, and forgets, the errors of the failed workers that have been joined.
  std::vector<Error> take_errors() { return std::exchange(errors_, {}); }

 private:
  struct Worker;
  static void* run(void* worker);
  static Result<void> serve(Worker& worker);
  void interrupt_unended();

  InstancePre pre_;
  std::shared_ptr<GuestShared> shared_;
  Limits limits_;
  std::vector<std::shared_ptr<Worker>> workers_;
  std::vector<Error> errors_;
  size_t interrupted_ = 0;
  size_t abandoned_ = 0;
};

}  // namespace rotor::wasm_bindgen
