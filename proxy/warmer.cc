#include "proxy/warmer.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "memory/fork.h"
#include "proxy/clock.h"
#include "rotor/printable.h"

namespace rotor::proxy {

Warmer::Warmer(const Policy& policy, const Plan& plan, Log& log, GuestSource& source, Callbacks callbacks)
    : log_(log),
      policy_(policy),
      callbacks_(std::move(callbacks)),
      replayer_(plan, stop_),
      maker_(policy, plan, log, source, replayer_),
      verifier_(plan, source, replayer_),
      thread_([this] { run(); }),
      images_(policy),
      backoff_(policy),
      events_(callbacks_.on_event) {}

Warmer::~Warmer() {
  if (!thread_.is_started()) return;
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    work_.notify_all();
  }
  thread_.join();
}

Result<void> Warmer::start() {
  std::lock_guard lock(mutex_);
  return thread_.start();
}

void Warmer::before_fork() {
  mutex_.lock();
  log_.before_fork();
}

void Warmer::after_fork_in_parent() {
  log_.after_fork_in_parent();
  mutex_.unlock();
}

void Warmer::after_fork_in_child() {
  memory::make_anew(mutex_);
  memory::make_anew(work_);
  memory::make_anew(changed_);
  log_.after_fork_in_child();
  thread_.after_fork_in_child();
  // While it was busy, the parent's thread had the standby.
  if (state_ == StandbyState::warming || busy_) set_state(StandbyState::none);
  busy_ = false;
  cut_ = CutState::none;
  draining_ = 0;
  retired_.after_fork_in_child();
}

// ---- for those who call the proxy -----------------------------------------------------------------------------------

bool Warmer::request(bool at_any_use, uint64_t* failed_before) {
  std::lock_guard lock(mutex_);
  if (failed_before) *failed_before = counted_.warmups_failed;
  if (given_up_) return false;
  at_any_use_ |= at_any_use;
  if (auto runs = thread_.start(); !runs) {
    last_problem_ = runs.error().to_string();
    return false;
  }
  if (state_ != StandbyState::none) return true;
  if (!backoff_.lets_try(at_any_use)) return false;
  set_state(StandbyState::warming);
  counted_.warmups++;
  events_.push({.kind = ProxyEventKind::warmup_begun});
  work_.notify_one();
  return true;
}

void Warmer::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return state_ != StandbyState::warming && !busy_; });
}

Result<void> Warmer::wait_ready(uint64_t failed_before) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return state_ != StandbyState::warming || stop_; });
  if (state_ == StandbyState::ready || counted_.warmups_failed == failed_before) return {};
  return fail(ErrorKind::internal, last_problem_);
}

std::unique_ptr<LiveGuest> Warmer::take(uint64_t tail_ns) {
  std::shared_lock<std::shared_mutex> reading;
  std::unique_lock lock(mutex_);
  auto is_near = [&] {
    return state_ == StandbyState::ready && (log_.at_end(position_) || log_.tail_ns(position_) <= tail_ns);
  };
  if (!is_near()) return nullptr;
  if (!log_.at_end(position_)) {
    // The reading lock, which compaction waits for, comes before the mutex. A compaction that begins later no longer
    // knows of the standby.
    lock.unlock();
    reading = log_.reading();
    lock.lock();
  }
  changed_.wait(lock, [&] { return !busy_; });
  if (!is_near()) return nullptr;
  set_state(StandbyState::none);
  at_any_use_ = false;
  LogPosition position = position_;
  std::unique_ptr<LiveGuest> guest = remove_standby();
  if (!log_.at_end(position)) {
    // This thread replays the rest: waking the background thread would take longer.
    lock.unlock();
    Result<void> replayed = maker_.replay_tail(*guest, position, nullptr);
    lock.lock();
    if (!replayed) {
      push_retired(std::move(guest));
      note_failure({.error = replayed.error()});
      return nullptr;
    }
  }
  backoff_.note_success();
  note_peak(guest->memory_bytes());
  return guest;
}

std::unique_ptr<LiveGuest> Warmer::stamp(uint64_t tail_ns, bool at_any_use) {
  if (!image()) return nullptr;
  auto reading = log_.reading();  // before the mutex, as above
  std::unique_lock lock(mutex_);
  if (!images_.image() || given_up_ || log_.missed_one(images_.position())) return nullptr;
  Warmup warmup{.image = images_.image(), .position = images_.position()};
  if (!log_.at_end(warmup.position) && log_.tail_ns(warmup.position) > tail_ns) return nullptr;
  lock.unlock();
  const uint64_t start_ns = now_ns();
  const Result<void> done = maker_.stamp(warmup);
  reading.unlock();
  if (!done) {
    lock.lock();
    counted_.warmups++;
    counted_.warmups_failed++;
    counted_.divergences += is_divergence(done.error());
    last_problem_ = done.error().to_string();
    events_.push({.kind = ProxyEventKind::warmup_failed, .text = last_problem_});
    if (warmup.guest) push_retired(std::move(warmup.guest));
    return nullptr;  // no back-off: the background thread, which is asked next, can do without the image
  }
  if (!at_any_use && warmup.guest->use() >= policy_.warm_at) {
    retire(std::move(warmup.guest));
    return nullptr;  // a warm-up will find rotation futile, or make an instance from the log
  }
  warmup.guest->warmup_ns = now_ns() - start_ns;
  lock.lock();
  note_peak(warmup.guest->memory_bytes());
  return std::move(warmup.guest);
}

void Warmer::refuse(std::unique_ptr<LiveGuest> guest, const Error& why) {
  std::lock_guard lock(mutex_);
  push_retired(std::move(guest));
  note_failure({.error = why});
}

void Warmer::refuse_wrong(std::unique_ptr<LiveGuest> guest, const Error& why) {
  {
    std::lock_guard lock(mutex_);
    if (guest->origin == StandbyOrigin::image) (void)images_.drop_useless();
  }
  refuse(std::move(guest), why);
}

std::shared_ptr<const StandbyImage> Warmer::image() const {
  std::lock_guard lock(mutex_);
  return images_.image();
}

Result<void> Warmer::shorten_log() {
  constexpr int kAttempts = 3;
  const bool waits = log_.fill() > 2;
  for (int failures = 0; failures < kAttempts;) {
    // A reader may hold this lock and wait for the other one.
    std::unique_lock<std::shared_mutex> nobody_reads = log_.nobody_reading(waits);
    std::unique_lock lock(mutex_);
    if (log_.fill() > 1) (void)cut_log(nobody_reads);
    if (given_up_ || (waits && log_.fill() <= 1)) return {};
    if (cut_ == CutState::none) cut_ = CutState::wanted;
    work_.notify_one();
    const Result<void> runs = thread_.start();
    if (!waits) return {};
    if (!runs) return runs;
    if (nobody_reads) nobody_reads.unlock();
    changed_.wait(lock, [&] { return cut_ == CutState::none || given_up_ || stop_; });
    failures += !cut_problem_.empty();
  }
  std::lock_guard lock(mutex_);
  return fail(ErrorKind::internal, cut_problem_);
}

void Warmer::notify(bool compact) {
  // If a standby became ready just now, unseen here, the thread looks at the log once more before it waits; the log's
  // lock orders the two.
  if (!compact && !following_.load(std::memory_order_relaxed)) return;
  std::lock_guard lock(mutex_);
  compact_ |= compact;
  work_.notify_one();
}

void Warmer::retire(std::unique_ptr<LiveGuest> guest) {
  std::lock_guard lock(mutex_);
  push_retired(std::move(guest));
  (void)thread_.start();  // without a thread, the guest waits for the next one, or for the end
  work_.notify_one();
}

bool Warmer::lets_try(bool at_any_use) const {
  std::lock_guard lock(mutex_);
  return backoff_.lets_try(at_any_use);
}

void Warmer::prepare_from(std::shared_ptr<const StandbyImage> checkpoint) {
  std::lock_guard lock(mutex_);
  if (standby_) push_retired(remove_standby());
  checkpoint_ = std::move(checkpoint);
  // Where none is made in advance, the rewind makes one itself.
  if (given_up_ || !backoff_.lets_try(false) || !thread_.start()) checkpoint_.reset();
  set_state(checkpoint_ ? StandbyState::warming : StandbyState::none);
  if (checkpoint_) events_.push({.kind = ProxyEventKind::warmup_begun});
  work_.notify_one();
}

std::unique_ptr<LiveGuest> Warmer::take_from(const std::shared_ptr<const StandbyImage>& checkpoint) {
  std::unique_lock lock(mutex_);
  std::unique_ptr<LiveGuest> guest;
  if (state_ == StandbyState::ready) {
    assert(checkpoint_ == checkpoint && "a new checkpoint ends what was made from the one before");
    guest = remove_standby();
  }
  // What the thread is about to make comes too late: it looks here when it is done.
  checkpoint_.reset();
  set_state(StandbyState::none);
  if (guest) return guest;
  lock.unlock();
  Stamped made = maker_.stamp_checkpoint(checkpoint.get());
  lock.lock();
  if (made.error) {
    counted_.warmups++;
    if (made.guest) push_retired(std::move(made.guest));
    note_failure({.error = std::move(*made.error)});
    return nullptr;
  }
  note_stamped(*made.guest);
  return std::move(made.guest);
}

void Warmer::keep_ready(std::shared_ptr<const StandbyImage> image) {
  std::lock_guard lock(mutex_);
  next_image_ = std::move(image);
  (void)thread_.start();  // without a thread nothing is kept ready: the address space is mapped when it is needed
  work_.notify_one();
}

void Warmer::tell(ProxyEvent event) {
  std::lock_guard lock(mutex_);
  events_.push(std::move(event));
  work_.notify_one();
}

void Warmer::watch_drains(int change) {
  std::lock_guard lock(mutex_);
  draining_ += change;
  work_.notify_one();
}

void Warmer::give_up() {
  std::lock_guard lock(mutex_);
  given_up_ = true;
  work_.notify_one();
}

void Warmer::report(ProxyCounters& to) const {
  std::lock_guard lock(mutex_);
  to.warmups = counted_.warmups;
  to.warmups_failed = counted_.warmups_failed;
  to.futile = counted_.futile;
  to.divergences = counted_.divergences;
  to.catch_up_failed = counted_.catch_up_failed;
  to.warmup_ns_last = counted_.warmup_ns_last;
  to.warmup_ns_total = counted_.warmup_ns_total;
  to.peak_together_bytes = counted_.peak_together_bytes;
  to.calls_replayed = replayer_.calls();
  to.standby_bytes = standby_ ? standby_->memory_bytes() : 0;
  to.last_problem = last_problem_;
  images_.report(to);
  to.not_kept_ready += not_kept_ready_;
  retired_.report(to);
  verifier_.report(to);
}

std::string Warmer::last_problem() const {
  std::lock_guard lock(mutex_);
  return last_problem_;
}

void Warmer::note_problem(const Error& problem) {
  std::lock_guard lock(mutex_);
  last_problem_ = problem.to_string();
}

// ---- with the lock --------------------------------------------------------------------------------------------------

void Warmer::note_stamped(const LiveGuest& guest) {
  counted_.warmups++;
  counted_.warmup_ns_last = guest.warmup_ns;
  counted_.warmup_ns_total += guest.warmup_ns;
  backoff_.note_success();
  note_peak(guest.memory_bytes());
}

void Warmer::put_standby(std::unique_ptr<LiveGuest> guest, const LogPosition& position) {
  standby_ = std::move(guest);
  position_ = position;
}

std::unique_ptr<LiveGuest> Warmer::remove_standby() { return std::move(standby_); }

Warmup Warmer::begin_warmup() {
  if (images_.image() && log_.missed_one(images_.position())) images_.drop();
  return images_.image() ? Warmup{.image = images_.image(), .position = images_.position()} : Warmup();
}

std::vector<LogPosition> Warmer::positions() const {
  std::vector<LogPosition> positions;
  if (standby_) positions.push_back(position_);
  if (images_.image()) positions.push_back(images_.position());
  if (images_.cut_position()) positions.push_back(*images_.cut_position());
  return positions;
}

bool Warmer::cut_log(const std::unique_lock<std::shared_mutex>& nobody_reads) {
  if (!nobody_reads || !images_.can_cut() || log_.missed_one(images_.position())) return false;
  const LogPosition position = images_.position();
  // A standby that the thread is about to bring up to date stands where it stood.
  if ((standby_ || busy_) && position_.seq < position.seq) return false;
  images_.cut();
  events_.push({.kind = ProxyEventKind::log_cut, .calls = log_.cut(position)});
  work_.notify_one();
  return true;
}

void Warmer::set_state(StandbyState state) {
  state_ = state;
  engaged_.store(state != StandbyState::none, std::memory_order_relaxed);
  following_.store(state == StandbyState::ready, std::memory_order_relaxed);
}

void Warmer::end_failed(const WarmupFailure& why) {
  set_state(StandbyState::none);
  at_any_use_ = false;
  changed_.notify_all();
  note_failure(why);
}

void Warmer::note_failure(const WarmupFailure& why) {
  if (stop_) return;
  counted_.warmups_failed++;
  counted_.futile += why.futile;
  counted_.catch_up_failed += why.ran_away;
  counted_.divergences += is_divergence(why.error);
  backoff_.note_failure(why.futile);
  last_problem_ = why.futile || why.ran_away ? printable(why.error.message) : why.error.to_string();
  events_.push({.kind = ProxyEventKind::warmup_failed, .text = last_problem_});
  work_.notify_one();
}

void Warmer::push_retired(std::unique_ptr<LiveGuest> guest) {
  retired_.add(std::move(guest));
  note_peak(standby_ ? standby_->memory_bytes() : 0);
}

void Warmer::note_peak(uint64_t standby_bytes) {
  const uint64_t together = active_bytes_.load(std::memory_order_relaxed) + standby_bytes + retired_.bytes();
  counted_.peak_together_bytes = std::max(counted_.peak_together_bytes, together);
}

}  // namespace rotor::proxy
