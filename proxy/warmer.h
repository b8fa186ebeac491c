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
  /// The guest's default stack and the host's reserve, with room to spare.
  static constexpr size_t kStackBytes = 16 << 20;

  struct Callbacks {
    std::function<void(const ProxyEvent&)> on_event;  ///< may be null; with no lock held
    std::function<void()> check_drains;               ///< asked now and then while `watch_drains` says so
  };

  Warmer(const Policy& policy, const Plan& plan, Log& log, GuestSource& source, Callbacks callbacks);
  /// Ends a warm-up after the call it is replaying; frees what is left.
  ~Warmer();
  /// Errors: io (no thread).
  Result<void> start();
  // As of memory::ForkHooks, the log's with them. In the child a thread is started when there is work for one; what
  // the other one was making is lost.
  void before_fork();
  void after_fork_in_parent();
  void after_fork_in_child();
  /// Whether the calling thread is this one's.
  bool on_this_thread() const { return t_runs == this; }

  /// Sees to it that a standby is there or on its way. False: none will be, for now or ever (see last_problem).
  /// `at_any_use`: take one that stands above `warm_at`, too. `failed_before`: takes what `wait_ready` wants.
  bool request(bool at_any_use, uint64_t* failed_before = nullptr);
  /// A standby is there or on its way.
  bool is_engaged() const { return engaged_.load(std::memory_order_relaxed); }
  /// Waits until none is on its way. Only while the gate is closed.
  void wait();
  /// Waits until the one that was requested is ready. Errors: what failed it.
  Result<void> wait_ready(uint64_t failed_before);
  /// The standby, if there is one with no more than `tail_ns` of calls to replay: the calling thread replays them. Only
  /// while the gate is closed.
  std::unique_ptr<LiveGuest> take(uint64_t tail_ns);
  /// One made from the image here and now, by the calling thread, if there is an image and no more than `tail_ns` of
  /// calls behind it. `at_any_use`: even if it stands above `warm_at`. Only while the gate is closed.
  std::unique_ptr<LiveGuest> stamp(uint64_t tail_ns, bool at_any_use);
  /// Null: none.
  std::shared_ptr<const StandbyImage> image() const;
  /// The log grew; `compact`: enough to be worth a compaction.
  void notify(bool compact);
  /// `replaced_by_bytes`: memory of the one that took its place.
  void retire(std::unique_ptr<LiveGuest> guest);
  /// The standby that `take` or `stamp` gave can't be used.
  void refuse(std::unique_ptr<LiveGuest> guest, const Error& why);
  /// One more, or one less, lease whose instance was exchanged under it.
  void watch_drains(int change);
  /// Drops the standby; there will be no more.
  void give_up();
  /// Replays the image's calls on a fresh guest and compares. By any thread. Errors: see Proxy::verify.
  Result<VerifyReport> verify(const StandbyImage& image);

  /// Memory of the active, for peak_together_bytes.
  void set_active_bytes(uint64_t bytes) { active_bytes_.store(bytes, std::memory_order_relaxed); }
  /// Adds what is counted here.
  void count(ProxyCounters& counters) const;
  std::string last_problem() const;
  /// What the embedder was told and threw, for last_problem.
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
    std::shared_ptr<const StandbyImage> image = {};  ///< it is made from; null: by replay
    LogPosition position = {};
    std::unique_ptr<LiveGuest> guest = {};
    Calls calls = {};  ///< all that it is made of, for its own image; empty if it gets none
  };

  static inline thread_local const Warmer* t_runs = nullptr;  ///< on its own thread

  static void* run_thread(void* self);
  void run();
  bool do_one_job(std::unique_lock<std::mutex>& lock);
  void free_retired(std::unique_lock<std::mutex>& lock);
  void warm(std::unique_lock<std::mutex>& lock);
  void follow(std::unique_lock<std::mutex>& lock);
  void compact(std::unique_lock<std::mutex>& lock);
  // Without the lock.
  std::expected<void, Failure> make(Warming& warming, bool at_any_use);
  std::expected<void, Failure> catch_up(Warming& warming);
  /// What the log has behind the position, as of now. Pre: Log::reading is held. `calls`, if any, takes what was
  /// replayed.
  Result<void> replay_tail(LiveGuest& guest, LogPosition& position, Calls* calls);
  Result<void> replay_one(const LogCall& call, LiveGuest& guest);
  void take_image(Warming& warming);
  // With the lock.
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
  std::atomic<bool> following_ = false;  ///< a standby is there that the log may run away from
  std::atomic<uint64_t> active_bytes_ = 0;
  std::atomic<uint64_t> calls_replayed_ = 0;

  mutable std::mutex mutex_;
  std::condition_variable work_;     ///< for the thread
  std::condition_variable changed_;  ///< for who waits for it
  Phase phase_ = Phase::none;
  bool busy_ = false;  ///< the thread is in the standby
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
  bool futile_ = false;  ///< why the last one failed: no reason to put off one for a trap
  std::string last_problem_;
  ProxyCounters counted_;  ///< what is counted here
};

uint64_t now_ns();

}  // namespace rotor::proxy
