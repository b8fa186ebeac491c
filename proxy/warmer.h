// Has a standby ready: decides what the background thread does next, and gives standbys to those who swap.
//
// The parts each do one thing: BackgroundThread runs, StandbyMaker makes, ImageStore keeps the image, Verifier checks
// it, Backoff says when to try again, RetiredGuests frees, EventQueue tells. One mutex guards those that say so.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "proxy/background_thread.h"
#include "proxy/backoff.h"
#include "proxy/event_queue.h"
#include "proxy/image_store.h"
#include "proxy/live_guest.h"
#include "proxy/log.h"
#include "proxy/replayer.h"
#include "proxy/retired_guests.h"
#include "proxy/standby_maker.h"
#include "proxy/verifier.h"
#include "rotor/proxy.h"

namespace rotor::proxy {

class Warmer {
 public:
  struct Callbacks {
    std::function<void(const ProxyEvent&)> on_event;  ///< may be null; called with no lock held
    std::function<void()> check_drains;               ///< called now and then while guests drain (watch_drains)
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
  bool on_this_thread() const { return thread_.is_current(); }

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
  /// Cuts the log at an image, or has one made and verified for that: called when the log is over half of a bound, with
  /// the gate closed. Waits for it if the log is twice as large as a bound. Errors: internal (it is, and no image can
  /// stand for its calls).
  Result<void> shorten_log();
  /// Takes a retired guest, which the background thread frees.
  void retire(std::unique_ptr<LiveGuest> guest);
  /// Takes back a standby that `take` or `stamp` gave and that can't be used.
  void refuse(std::unique_ptr<LiveGuest> guest, const Error& why);
  /// Does the same with one whose state is not what it should be: the image that it was made from goes with it.
  void refuse_wrong(std::unique_ptr<LiveGuest> guest, const Error& why);
  /// Returns whether an instance may be made, or whether the last failure is too short a while ago (see Backoff).
  bool lets_try(bool at_any_use) const;
  /// With RotationMode::checkpoint, has the background thread make an instance from a checkpoint in advance. One that
  /// was made from another checkpoint is freed.
  void prepare_from(std::shared_ptr<const StandbyImage> checkpoint);
  /// Takes that instance, or makes one at once, by the calling thread: from the checkpoint or, if that is null, as the
  /// factory makes it. Returns null, and notes why, if that fails. Only while the gate is closed.
  std::unique_ptr<LiveGuest> take_from(const std::shared_ptr<const StandbyImage>& checkpoint);
  /// Has the background thread keep address space ready for instances of an image, no longer for those of the one
  /// before, and drop that.
  void keep_ready(std::shared_ptr<const StandbyImage> image);
  /// Puts an event into the queue.
  void tell(ProxyEvent event);
  /// Adds `change`, 1 or -1, to the number of leases whose instance was exchanged under them.
  void watch_drains(int change);
  /// Drops the standby and the image; no more are made.
  void give_up();
  /// Replays the image's calls on a fresh guest and compares. May be called by any thread. Errors: see Proxy::verify.
  Result<VerifyReport> verify(const StandbyImage& image) { return verifier_.verify(image); }

  /// Sets the memory of the active, for peak_together_bytes.
  void set_active_bytes(uint64_t bytes) { active_bytes_.store(bytes, std::memory_order_relaxed); }
  /// Sets the counters that are counted here.
  void report(ProxyCounters& to) const;
  std::string last_problem() const;
  /// Notes what the embedder's code threw, for last_problem.
  void note_problem(const Error& problem);

 private:
  enum class StandbyState : uint8_t { none, warming, ready };
  enum class CutState : uint8_t { none, wanted, preparing };

  // On the background thread (proxy/warmer_jobs.cc). With the lock, which they release meanwhile:
  void run();
  bool do_one_job(std::unique_lock<std::mutex>& lock);
  void free_retired(std::unique_lock<std::mutex>& lock);
  void warm(std::unique_lock<std::mutex>& lock);
  void follow(std::unique_lock<std::mutex>& lock);
  void compact(std::unique_lock<std::mutex>& lock);
  void verify_newest(std::unique_lock<std::mutex>& lock);
  void prepare_cut(std::unique_lock<std::mutex>& lock);
  void exchange_ready(std::unique_lock<std::mutex>& lock);
  void warm_from_checkpoint(std::unique_lock<std::mutex>& lock);
  // Without the lock:
  /// Makes a standby, and its image if it gets one.
  std::expected<void, WarmupFailure> make(Warmup& warmup, bool at_any_use);
  /// Takes the image of a standby, and keeps it.
  std::expected<void, WarmupFailure> image_of(Warmup& warmup);
  /// Makes a standby for an image that the log can be cut at, and takes that.
  Result<void> make_for_cut(Warmup& warmup);

  // With the lock:
  void note_stamped(const LiveGuest& guest);
  void put_standby(std::unique_ptr<LiveGuest> guest, const LogPosition& position);
  std::unique_ptr<LiveGuest> remove_standby();
  /// Makes and verifies an image that the log can be cut at, and releases the lock meanwhile. Errors: why there is
  /// none.
  Result<void> have_cut_image(std::unique_lock<std::mutex>& lock);
  /// Cuts the log, if it can be now.
  bool cut_log(const std::unique_lock<std::shared_mutex>& nobody_reads);
  /// Returns what the next standby begins with: the newest image, if it has missed nothing, or nothing.
  Warmup begin_warmup();
  std::vector<LogPosition> positions() const;
  void set_state(StandbyState state);
  /// Ends the warm-up that runs, or the standby that can't follow the log.
  void end_failed(const WarmupFailure& why);
  /// Counts a failure, and puts the next warm-up off.
  void note_failure(const WarmupFailure& why);
  void push_retired(std::unique_ptr<LiveGuest> guest);
  void note_peak(uint64_t standby_bytes);

  Log& log_;
  const Policy& policy_;
  const Callbacks callbacks_;
  std::atomic<bool> stop_ = false;
  std::atomic<bool> engaged_ = false;    ///< state_ is not `none`
  std::atomic<bool> following_ = false;  ///< a standby is ready, from which the log may run away
  std::atomic<uint64_t> active_bytes_ = 0;
  Replayer replayer_;
  StandbyMaker maker_;
  Verifier verifier_;

  mutable std::mutex mutex_;         ///< for what follows
  std::condition_variable work_;     ///< wakes the thread
  std::condition_variable changed_;  ///< wakes those who wait for the thread
  BackgroundThread thread_;
  StandbyState state_ = StandbyState::none;
  bool busy_ = false;  ///< the thread is using the standby
  bool given_up_ = false;
  bool at_any_use_ = false;
  bool compact_ = false;
  CutState cut_ = CutState::none;
  std::string cut_problem_;  ///< why there is no image that the log can be cut at; empty: there is one, or no need
  int draining_ = 0;
  std::unique_ptr<LiveGuest> standby_;
  LogPosition position_;                            ///< of the standby
  std::shared_ptr<const StandbyImage> checkpoint_;  ///< that the standby is made from (`prepare_from`); null: none
  ImageStore images_;
  std::shared_ptr<const StandbyImage> ready_image_;  ///< that address space is kept ready for (`keep_ready`)
  std::shared_ptr<const StandbyImage> next_image_;   ///< that it is to be kept ready for next; null: none
  uint64_t not_kept_ready_ = 0;                      ///< of those
  RetiredGuests retired_;
  Backoff backoff_;
  EventQueue events_;
  std::string last_problem_;
  ProxyCounters counted_;  ///< only the counters of warm-ups and the peak
};

}  // namespace rotor::proxy
