// The background thread: prepares the standby, keeps it level with the log, images it, compacts the log, and frees what
// is retired.
#pragma once

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
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
  /// Stack of the thread in bytes: the guest's default stack and the host's reserve, with room to spare.
  static constexpr size_t kStackBytes = 16 << 20;

  struct Callbacks {
    std::function<void(const ProxyEvent&)> on_event;  ///< may be null; called with no lock held
    std::function<void()> check_drains;               ///< called now and then while stays drain (watch_drains)
  };

  Warmer(const Policy& policy, const Plan& plan, Log& log, GuestSource& source, Callbacks callbacks);
  /// Ends a warm-up after the call it is replaying; frees what is left.
  ~Warmer();
  /// Starts the thread. Errors: io (no thread).
  Result<void> start();
  // As memory::ForkHooks; they call the log's. In the child a thread is started when there is work for one; what the
  // parent's thread was making is lost.
  void before_fork();
  void after_fork_in_parent();
  void after_fork_in_child();
  /// Returns whether the calling thread is the background thread.
  bool on_this_thread() const { return t_runs == this; }

  /// Sees to it that a standby is ready or being made. Returns false if none will be, for now or ever (see
  /// last_problem). `at_any_use`: one that uses more than `warm_at` is taken, too. `failed_before` gets what
  /// `wait_ready` wants.
  bool request(bool at_any_use, uint64_t* failed_before = nullptr);
  /// Returns whether a standby is ready or being made.
  bool is_engaged() const { return engaged_.load(std::memory_order_relaxed); }
  /// Waits until no standby is being made. Only while the gate is closed.
  void wait();
  /// Waits until the requested standby is ready. Errors: internal, with the problem that it failed by.
  Result<void> wait_ready(uint64_t failed_before);
  /// Takes the standby, if there is one with no more than `tail_ns` of calls to replay: the calling thread replays
  /// them. Only while the gate is closed.
  std::unique_ptr<LiveGuest> take(uint64_t tail_ns);
  /// Makes an instance from the image at once, by the calling thread, if there is an image and no more than `tail_ns`
  /// of calls behind it. `at_any_use`: even if it uses more than `warm_at`. Only while the gate is closed.
  std::unique_ptr<LiveGuest> stamp(uint64_t tail_ns, bool at_any_use);
  /// Returns the image, or null.
  std::shared_ptr<const StandbyImage> image() const;
  /// Tells the thread that the log grew; `compact`: by enough to be worth a compaction.
  void notify(bool compact);
  /// Takes a retired guest, which the background thread frees.
  void retire(std::unique_ptr<LiveGuest> guest);
  /// Takes back a standby that `take` or `stamp` gave and that can't be used.
  void refuse(std::unique_ptr<LiveGuest> guest, const Error& why);
  /// Adds `change`, 1 or -1, to the number of leases whose instance was exchanged under them.
  void watch_drains(int change);
  /// Drops the standby and the image; no more are made.
  void give_up();
  /// Replays the image's calls on a fresh guest and compares. May be called by any thread. Errors: see Proxy::verify.
  Result<VerifyReport> verify(const StandbyImage& image);

  /// Sets the memory of the active, for peak_together_bytes.
  void set_active_bytes(uint64_t bytes) { active_bytes_.store(bytes, std::memory_order_relaxed); }
  /// Sets the counters that are counted here.
  void count(ProxyCounters& counters) const;
  std::string last_problem() const;
  /// Notes what the embedder's code threw, for last_problem.
  void note_problem(const Error& problem);

 private:
  enum class Phase : uint8_t { none, warming, ready };
  /// Why a warm-up failed.
  struct Failure {
    Error error = {};
    bool futile = false;
    bool ran_away = false;  ///< the log grew faster than it was replayed
  };
  using Made = std::expected<std::unique_ptr<LiveGuest>, Failure>;
  /// A standby in the making.
  struct Warming {
    std::shared_ptr<const StandbyImage> image = {};  ///< that it is made from; null: by replay
    LogPosition position = {};
    std::unique_ptr<LiveGuest> guest = {};
    Calls calls = {};  ///< all calls that it is made by, for its own image; empty if it gets none
  };

  static inline thread_local const Warmer* t_runs = nullptr;  ///< set on the background thread

  static void* run_thread(void* self);
  void run();
  bool do_one_job(std::unique_lock<std::mutex>& lock);
  void free_retired(std::unique_lock<std::mutex>& lock);
  void warm(std::unique_lock<std::mutex>& lock);
  void follow(std::unique_lock<std::mutex>& lock);
  void compact(std::unique_lock<std::mutex>& lock);
  // Called without the lock:
  std::expected<void, Failure> make(Warming& warming, bool at_any_use);
  std::expected<void, Failure> catch_up(Warming& warming);
  /// Replays what the log has behind the position as of now. Pre: Log::reading is held. `calls`, unless null, gets what
  /// was replayed.
  Result<void> replay_tail(LiveGuest& guest, LogPosition& position, Calls* calls);
  Result<void> replay_one(const LogCall& call, LiveGuest& guest);
  void take_image(Warming& warming);
  // Called with the lock:
  /// Starts the thread if there is none. Errors: io.
  Result<void> see_to_thread();
  void enter(Phase phase) {
    phase_ = phase;
    engaged_.store(phase != Phase::none, std::memory_order_relaxed);
    following_.store(phase == Phase::ready, std::memory_order_relaxed);
  }
  void drop_standby();
  void push_retired(std::unique_ptr<LiveGuest> guest);
  void failed(const Failure& why);
  void publish_positions();
  void note_peak(uint64_t standby_bytes);
  void later(ProxyEvent event) { events_.push_back(std::move(event)); }
  void flush_events(std::unique_lock<std::mutex>& lock);

  const Policy& policy_;
  const Plan& plan_;
  Log& log_;
  GuestSource& source_;
  const Callbacks callbacks_;
  pthread_t thread_{};
  bool started_ = false;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> engaged_ = false;    ///< phase_ is not `none`
  std::atomic<bool> following_ = false;  ///< a standby is ready, from which the log may run away
  std::atomic<uint64_t> active_bytes_ = 0;
  std::atomic<uint64_t> calls_replayed_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable work_;     ///< wakes the thread
  std::condition_variable changed_;  ///< wakes those who wait for the thread
  Phase phase_ = Phase::none;
  bool busy_ = false;  ///< the thread is using the standby
  bool given_up_ = false;
  bool at_any_use_ = false;
  bool compact_ = false;
  bool verify_ = false;
  int draining_ = 0;
  std::unique_ptr<LiveGuest> standby_;
  LogPosition position_;  ///< of the standby
  std::shared_ptr<const StandbyImage> image_;
  LogPosition image_position_;
  std::vector<std::unique_ptr<LiveGuest>> retired_;
  std::vector<ProxyEvent> events_;
  uint64_t failures_ = 0;  ///< since the last success
  uint64_t next_try_ns_ = 0;
  bool futile_ = false;  ///< why the last warm-up failed: no reason to put off one after a trap
  std::string last_problem_;
  ProxyCounters counted_;  ///< only the counters that are counted here
};

uint64_t now_ns();

}  // namespace rotor::proxy
