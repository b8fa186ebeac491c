// The background thread: prepares the standby, keeps it level with the log, and frees what is retired.
#pragma once

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "proxy/live_guest.h"
#include "proxy/log.h"
#include "rotor/proxy.h"

namespace rotor::proxy {

class Warmer {
 public:
  /// The guest's default stack and the host's reserve, with room to spare.
  static constexpr size_t kStackBytes = 16 << 20;

  Warmer(const Policy& policy, const Plan& plan, const Log& log, GuestFactory factory);
  /// Ends a warm-up after the call it is replaying; frees what is left.
  ~Warmer();
  /// Errors: io (no thread).
  Result<void> start();
  bool on_this_thread() const { return started_ && pthread_equal(thread_, pthread_self()); }

  /// Sees to it that a standby is there or on its way. False: none will be, for now or ever (see last_problem).
  /// `at_any_use`: take one that stands above `warm_at`, too.
  bool request(bool at_any_use);
  /// Waits until none is on its way, and the one that is there is level with the log. Only while the gate is closed.
  void wait();
  /// The standby, if there is one with no more than `tail_ns` of calls to replay; waits for these. Only while the gate
  /// is closed.
  std::unique_ptr<LiveGuest> take(uint64_t tail_ns);
  /// The log grew.
  void notify();
  void retire(std::unique_ptr<LiveGuest> guest);
  /// Drops the standby; there will be no more.
  void give_up();

  /// Adds what is counted here.
  void count(ProxyCounters& counters) const;
  std::string last_problem() const;

 private:
  enum class Phase : uint8_t { none, warming, ready };

  static void* run_thread(void* self);
  void run();
  void warm(std::unique_lock<std::mutex>& lock);
  void follow(std::unique_lock<std::mutex>& lock);
  /// Without the lock. Errors: of the factory and of replay; internal (stopped).
  Result<void> replay_from(uint64_t position, LiveGuest& guest, uint64_t* reached, uint64_t* cost_ns);
  void failed(std::string why);
  bool level() const { return phase_ == Phase::ready && !busy_ && position_ >= log_.size(); }

  const Policy& policy_;
  const Plan& plan_;
  const Log& log_;
  const GuestFactory factory_;
  pthread_t thread_{};
  bool started_ = false;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> following_ = false;  ///< a standby is there that the log may run away from

  mutable std::mutex mutex_;
  std::condition_variable work_;     ///< for the thread
  std::condition_variable changed_;  ///< for who waits for it
  Phase phase_ = Phase::none;
  bool busy_ = false;  ///< the thread is in the standby
  bool given_up_ = false;
  bool at_any_use_ = false;
  std::unique_ptr<LiveGuest> standby_;
  uint64_t position_ = 0;  ///< calls of the log that the standby has seen
  uint64_t cost_ns_ = 0;   ///< what they took on the active
  std::vector<std::unique_ptr<LiveGuest>> retired_;
  uint64_t retired_count_ = 0;  ///< those being freed included
  uint64_t failures_ = 0;       ///< since the last success
  uint64_t next_try_ns_ = 0;
  bool futile_ = false;  ///< why the last one failed: no reason to put off one for a trap
  std::string last_problem_;
  uint64_t warmups_ = 0;
  uint64_t warmups_failed_ = 0;
  uint64_t calls_replayed_ = 0;
  uint64_t warmup_ns_last_ = 0;
};

uint64_t now_ns();

}  // namespace rotor::proxy
