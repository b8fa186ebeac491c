// Functions that are compiled when they are called, and again when they are hot.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "code/compiler.h"
#include "code/region.h"
#include "code/run_page.h"
#include "memory/fork.h"
#include "rotor/module.h"
#include "runtime/compile/validate.h"

namespace rotor::runtime {

class EngineImpl;
class LinkGroup;

/// The tiers of one module's functions. Compiling happens on the engine's threads, never on a guest's stack: LLVM takes
/// more of it than the guest must leave. Thread-safe.
class Tiering final : memory::ForkHooks {
 public:
  /// Takes note of the code that `region` holds, whose slots are filled already; functions without code get slots that
  /// lead here. All references must outlive it.
  static std::unique_ptr<Tiering> create(EngineImpl& engine, const wasm::Module& module, std::span<const uint8_t> bytes,
                                         code::CodeRegion& region, CallGraph calls);
  /// Drops what is queued and waits for what is being compiled.
  ~Tiering();
  Tiering(const Tiering&) = delete;

  /// Has a compile thread prepare for the first function.
  void warm_up();
  /// Returns the code of a function, which is compiled now if it has none. Waits for that, unless the group has to
  /// stop: then it returns nullptr, and compiling goes on. Errors: limit (code_limit_bytes), internal; io, which the
  /// next call may not meet.
  Result<const void*> code_of(uint32_t defined_func, LinkGroup& group);
  /// Compiles a function again in the background, since its counter fell below 0.
  void tier_up(uint32_t defined_func);
  /// Compiles all functions that have no code yet, and waits for that.
  Result<void> complete();
  /// Waits until no function is queued for tier 1 or being compiled for it: for tests and measurements.
  void wait_for_background();

  /// Adds its counts and times to `stats`.
  void add_to(TierStats& stats) const;
  /// Drops what is queued and waits for what is being compiled; the last call but the destructor.
  void stop();
  /// Returns whether functions were compiled since this was made, or since the last call.
  bool take_new_code();
  /// Undoes take_new_code: the code could not be kept, and is new again.
  void return_new_code();

 private:
  /// States below `compiling` mean that the function is to be compiled when it is called. `guessed`: it is queued, but
  /// nobody waits for it. `refused`: it could not be compiled when it was called, for want of something that may be had
  /// later.
  enum class State : uint8_t { empty, guessed, refused, compiling, failed, tier0, tier1_queued, tier1 };
  class Wait;

  Tiering(EngineImpl& engine, const wasm::Module& module, std::span<const uint8_t> bytes, code::CodeRegion& region,
          CallGraph calls);
  std::atomic_ref<uint64_t> slot(uint32_t defined_func) const;
  std::atomic_ref<int32_t> counter(uint32_t defined_func) const;
  /// Returns how many calls and turns of loops make a function hot.
  int32_t hot_count(uint32_t defined_func) const;
  /// Returns the compiler, made when it is first asked for; null if that failed (compiler_error_).
  code::FunctionCompiler* compiler();
  /// Queues a function for tier 0. Pre: mutex_ is held, the function has no code and is not being compiled. Post: it is
  /// `compiling`. Errors: io (no thread; it is `empty`).
  Result<void> submit_tier0(uint32_t defined_func);
  /// Queues the functions that a function calls by name, to be compiled when a thread has nothing better to do. Pre:
  /// mutex_ is held.
  void guess_calls_of(uint32_t defined_func);
  void compile(const std::vector<uint32_t>& functions, uint32_t tier);
  Result<void> compile_and_add(const std::vector<uint32_t>& functions, uint32_t tier);

  void before_fork() override { mutex_.lock(); }
  void after_fork_in_parent() override { mutex_.unlock(); }
  void after_fork_in_child() override;

  EngineImpl& engine_;
  const wasm::Module& module_;
  const std::span<const uint8_t> bytes_;
  code::CodeRegion& region_;
  const CallGraph calls_;
  const code::RunPageLayout run_page_;
  std::unique_ptr<code::FunctionCompiler> compiler_;
  std::once_flag compiler_once_;
  std::optional<Error> compiler_error_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<State> states_;
  std::map<uint32_t, Error> errors_;  ///< of functions that are `refused` or `failed`
  bool new_code_ = false;
  uint32_t background_ = 0;  ///< functions queued for tier 1 or being compiled for it
  TierStats stats_;          ///< counts and times of this process only
  const memory::ForkRegistration forks_{*this, Rank::module};
};

}  // namespace rotor::runtime
