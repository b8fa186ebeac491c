#include "proxy/warmer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "memory/fork.h"
#include "proxy/replayer.h"
#include "rotor/guard.h"
#include "rotor/printable.h"

namespace rotor::proxy {

uint64_t now_ns() {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1));
}

Warmer::Warmer(const Policy& policy, const Plan& plan, Log& log, GuestSource& source, Callbacks callbacks)
    : policy_(policy), plan_(plan), log_(log), source_(source), callbacks_(std::move(callbacks)) {}

Warmer::~Warmer() {
  if (!started_) return;
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
    work_.notify_all();
  }
  pthread_join(thread_, nullptr);
}

Result<void> Warmer::start() {
  std::lock_guard lock(mutex_);
  return see_to_thread();
}

Result<void> Warmer::see_to_thread() {
  if (started_) return {};
  // std::thread is not used: it throws where the system gives no thread, and its stack is too small for a guest.
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  int error = pthread_create(&thread_, &attributes, run_thread, this);
  pthread_attr_destroy(&attributes);
  if (error) return fail(ErrorKind::io, fmt::format("no background thread: {}", std::strerror(error)));
  started_ = true;
  return {};
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
  started_ = false;
  // While it was busy, the parent's thread had the standby.
  if (phase_ == Phase::warming || busy_) enter(Phase::none);
  busy_ = false;
  draining_ = 0;
  counted_.retired = retired_.size();
  counted_.retired_bytes = 0;
  for (const auto& guest : retired_) counted_.retired_bytes += guest->memory_bytes();
  publish_positions();
}

void* Warmer::run_thread(void* self) {
  t_runs = static_cast<Warmer*>(self);
  static_cast<Warmer*>(self)->run();
  return nullptr;
}

bool Warmer::request(bool at_any_use, uint64_t* failed_before) {
  std::lock_guard lock(mutex_);
  if (failed_before) *failed_before = counted_.warmups_failed;
  if (given_up_) return false;
  at_any_use_ |= at_any_use;
  if (auto runs = see_to_thread(); !runs) {
    last_problem_ = runs.error().to_string();
    return false;
  }
  if (phase_ != Phase::none) return true;
  if (failures_ && now_ns() < next_try_ns_ && !(at_any_use && futile_)) return false;
  enter(Phase::warming);
  counted_.warmups++;
  later({.kind = ProxyEventKind::warmup_begun});
  work_.notify_one();
  return true;
}

void Warmer::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return phase_ != Phase::warming && !busy_; });
}

Result<void> Warmer::wait_ready(uint64_t failed_before) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return phase_ != Phase::warming || stop_; });
  if (phase_ == Phase::ready || counted_.warmups_failed == failed_before) return {};
  return fail(ErrorKind::internal, last_problem_);
}

std::unique_ptr<LiveGuest> Warmer::take(uint64_t tail_ns) {
  std::shared_lock<std::shared_mutex> reading;
  std::unique_lock lock(mutex_);
  auto is_near = [&] {
    return phase_ == Phase::ready && (log_.at_end(position_) || log_.tail_ns(position_) <= tail_ns);
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
  enter(Phase::none);
  at_any_use_ = false;
  std::unique_ptr<LiveGuest> guest = std::move(standby_);
  LogPosition position = position_;
  if (!log_.at_end(position)) {
    // This thread replays the rest: waking the background thread would take longer.
    lock.unlock();
    Result<void> replayed = replay_tail(*guest, position, nullptr);
    lock.lock();
    if (!replayed) {
      push_retired(std::move(guest));
      failed({.error = replayed.error()});
      return nullptr;
    }
  }
  failures_ = 0;
  note_peak(guest->memory_bytes());
  publish_positions();
  return guest;
}

std::unique_ptr<LiveGuest> Warmer::stamp(uint64_t tail_ns, bool at_any_use) {
  if (!image()) return nullptr;
  auto reading = log_.reading();  // before the mutex, as above
  std::unique_lock lock(mutex_);
  if (!image_ || given_up_ || log_.missed_one(image_position_)) return nullptr;
  LogPosition position = image_position_;
  if (!log_.at_end(position) && log_.tail_ns(position) > tail_ns) return nullptr;
  std::shared_ptr<const StandbyImage> image = image_;
  lock.unlock();
  const uint64_t start = now_ns();
  auto made = source_.make(image.get(), false);
  Result<void> done;
  if (!made)
    done = std::unexpected(made.error());
  else
    done = (*made)->start_workers();
  if (done) done = replay_tail(**made, position, nullptr);
  reading.unlock();
  if (!done) {
    lock.lock();
    counted_.warmups++;
    counted_.warmups_failed++;
    counted_.divergences += is_divergence(done.error());
    last_problem_ = done.error().to_string();
    later({.kind = ProxyEventKind::warmup_failed, .text = last_problem_});
    if (made) push_retired(std::move(*made));
    return nullptr;  // no back-off: the background thread, which is asked next, can do without the image
  }
  if (!at_any_use && (*made)->use() >= policy_.warm_at) {
    retire(std::move(*made));
    return nullptr;  // a warm-up will find rotation futile, or make an instance from the log
  }
  (*made)->warmup_ns = now_ns() - start;
  lock.lock();
  note_peak((*made)->memory_bytes());
  return std::move(*made);
}

void Warmer::refuse(std::unique_ptr<LiveGuest> guest, const Error& why) {
  std::lock_guard lock(mutex_);
  push_retired(std::move(guest));
  failed({.error = why});
}

std::shared_ptr<const StandbyImage> Warmer::image() const {
  std::lock_guard lock(mutex_);
  return image_;
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
  (void)see_to_thread();  // without a thread, the guest waits for the next one, or for the end
  work_.notify_one();
}

void Warmer::push_retired(std::unique_ptr<LiveGuest> guest) {
  if (guest->retired_at_ns == 0) guest->retired_at_ns = now_ns();
  counted_.retired++;
  counted_.retired_bytes += guest->memory_bytes();
  retired_.push_back(std::move(guest));
  note_peak(standby_ ? standby_->memory_bytes() : 0);
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

void Warmer::note_peak(uint64_t standby_bytes) {
  const uint64_t together = active_bytes_.load(std::memory_order_relaxed) + standby_bytes + counted_.retired_bytes;
  counted_.peak_together_bytes = std::max(counted_.peak_together_bytes, together);
}

void Warmer::count(ProxyCounters& to) const {
  std::lock_guard lock(mutex_);
  to.warmups = counted_.warmups;
  to.warmups_failed = counted_.warmups_failed;
  to.futile = counted_.futile;
  to.divergences = counted_.divergences;
  to.catch_up_failed = counted_.catch_up_failed;
  to.calls_replayed = calls_replayed_;
  to.images = counted_.images;
  to.images_failed = counted_.images_failed;
  to.images_dropped = counted_.images_dropped;
  to.not_kept_ready = counted_.not_kept_ready;
  to.verified = counted_.verified;
  to.verify_failed = counted_.verify_failed;
  to.warmup_ns_last = counted_.warmup_ns_last;
  to.warmup_ns_total = counted_.warmup_ns_total;
  to.drain_ns_last = counted_.drain_ns_last;
  to.drain_ns_total = counted_.drain_ns_total;
  to.drained = counted_.drained;
  to.retired = counted_.retired;
  to.retired_bytes = counted_.retired_bytes;
  to.peak_together_bytes = counted_.peak_together_bytes;
  to.standby_bytes = standby_ ? standby_->memory_bytes() : 0;
  to.image_bytes = image_ ? image_->resident_bytes : 0;
  to.last_problem = last_problem_;
}

std::string Warmer::last_problem() const {
  std::lock_guard lock(mutex_);
  return last_problem_;
}

void Warmer::note_problem(const Error& problem) {
  std::lock_guard lock(mutex_);
  last_problem_ = problem.to_string();
}

// ---- on the background thread ---------------------------------------------------------------------------------------

void Warmer::run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    flush_events(lock);
    if (stop_ || do_one_job(lock)) continue;
    if (!events_.empty()) continue;
    if (draining_ > 0) {
      work_.wait_for(lock, std::chrono::milliseconds(20));
      lock.unlock();
      callbacks_.check_drains();
      lock.lock();
    } else {
      work_.wait(lock);
    }
  }
  flush_events(lock);
  // Guests are freed on this thread, where they may be entered.
  std::vector<std::unique_ptr<LiveGuest>> rest = std::move(retired_);
  if (standby_) rest.push_back(std::move(standby_));
  image_.reset();
  lock.unlock();
  rest.clear();
}

void Warmer::flush_events(std::unique_lock<std::mutex>& lock) {
  if (events_.empty()) return;
  std::vector<ProxyEvent> events = std::exchange(events_, {});
  if (!callbacks_.on_event) return;
  lock.unlock();
  Result<void> told;
  for (const ProxyEvent& event : events)
    if (auto one = detail::guarded("on_event", [&] { callbacks_.on_event(event); }); !one) told = std::move(one);
  lock.lock();
  if (!told) last_problem_ = told.error().to_string();
}

bool Warmer::do_one_job(std::unique_lock<std::mutex>& lock) {
  if (!retired_.empty()) {
    free_retired(lock);
  } else if (given_up_ && (standby_ || image_ || phase_ != Phase::none)) {
    drop_standby();
    image_.reset();
    enter(Phase::none);
    publish_positions();
    changed_.notify_all();
  } else if (phase_ == Phase::warming) {
    warm(lock);
  } else if (phase_ == Phase::ready && !log_.at_end(position_)) {
    follow(lock);
  } else if (compact_) {
    compact(lock);
  } else if (verify_) {
    verify_ = false;
    std::shared_ptr<const StandbyImage> image = image_;
    if (!image) return true;
    lock.unlock();
    auto report = verify(*image);
    lock.lock();
    const bool equal = report && (report->digests_equal || !report->compared_digests);
    later({.kind = ProxyEventKind::image_verified,
           .calls = image->calls.size(),
           .text = equal    ? std::string()
                   : report ? "the digests differ"
                            : printable(report.error().message)});
  } else {
    return false;
  }
  return true;
}

void Warmer::free_retired(std::unique_lock<std::mutex>& lock) {
  std::vector<std::unique_ptr<LiveGuest>> doomed = std::exchange(retired_, {});
  lock.unlock();
  std::vector<ProxyEvent> freed;
  for (std::unique_ptr<LiveGuest>& guest : doomed) {
    const uint64_t since_ns = guest->retired_at_ns;
    const uint64_t bytes = guest->memory_bytes();
    guest.reset();
    freed.push_back({.kind = ProxyEventKind::drained, .ns = now_ns() - since_ns, .bytes = bytes});
  }
  lock.lock();
  for (ProxyEvent& event : freed) {
    counted_.retired--;
    counted_.retired_bytes -= event.bytes;
    counted_.drained++;
    counted_.drain_ns_last = event.ns;
    counted_.drain_ns_total += event.ns;
    later(std::move(event));
  }
}

void Warmer::warm(std::unique_lock<std::mutex>& lock) {
  Warming warming;
  if (image_ && log_.missed_one(image_position_)) image_.reset();
  warming.image = image_;
  warming.position = image_position_;
  const bool at_any_use = at_any_use_;
  lock.unlock();
  auto reading = log_.reading();  // held until its position is published for compactions
  const uint64_t start = now_ns();
  auto made = make(warming, at_any_use);
  if (!made && warming.image && !stop_) {
    // What failed with the image need not fail without it: its state may be what is too big.
    lock.lock();
    image_.reset();
    if (warming.guest) push_retired(std::move(warming.guest));
    counted_.images_dropped++;
    last_problem_ = "no standby from the image: " + made.error().error.to_string();
    lock.unlock();
    warming = {};
    made = make(warming, at_any_use);
  }
  lock.lock();
  if (!made) {
    if (warming.guest) push_retired(std::move(warming.guest));
    return failed(made.error());
  }
  const uint64_t took = now_ns() - start;
  warming.guest->warmup_ns = took;
  counted_.warmup_ns_last = took;
  counted_.warmup_ns_total += took;
  standby_ = std::move(warming.guest);
  position_ = warming.position;
  publish_positions();
  note_peak(standby_->memory_bytes());
  enter(Phase::ready);
  later({.kind = ProxyEventKind::warmup_done,
         .ns = took,
         .bytes = standby_->memory_bytes(),
         .calls = standby_->calls_replayed});
  changed_.notify_all();
}

std::expected<void, Warmer::Failure> Warmer::make(Warming& warming, bool at_any_use) {
  auto because = [](Error error) { return std::unexpected(Failure{.error = std::move(error)}); };
  const bool imaging = policy_.image == ImageMode::lazy;
  const bool images_anew = imaging && (!warming.image || log_.tail_ns(warming.position) > policy_.image_tail_ns);
  auto made = source_.make(warming.image.get(), images_anew);
  if (!made) return because(std::move(made).error());
  warming.guest = std::move(*made);
  LiveGuest& guest = *warming.guest;
  if (auto started = guest.start_workers(); !started) return because(std::move(started).error());
  if (!warming.image) {
    warming.calls = log_.fresh_calls(&warming.position);
    for (const auto& call : warming.calls)
      if (auto replayed = replay_one(*call, guest); !replayed) return because(std::move(replayed).error());
  } else if (images_anew) {
    warming.calls = warming.image->calls;
  }
  if (auto caught = catch_up(warming); !caught) return caught;
  if (const double use = guest.use(); use >= policy_.warm_at && !at_any_use)
    return std::unexpected(Failure{
        .error =
            Error(ErrorKind::limit,
                  fmt::format("rotation is futile: after replay a standby uses {:.0f} % of its memory", use * 100)),
        .futile = true});
  if (!images_anew) return {};
  take_image(warming);
  if (!warming.guest) return because(Error(ErrorKind::internal, "the standby did not survive being imaged"));
  return {};
}

/// Replays the calls that were recorded while the standby was made, in rounds, each shorter than the one before if all
/// is well.
std::expected<void, Warmer::Failure> Warmer::catch_up(Warming& warming) {
  for (uint32_t round = 0; !log_.at_end(warming.position); round++) {
    if (round == policy_.catch_up_rounds && log_.tail_ns(warming.position) > policy_.catch_up_ns)
      return std::unexpected(Failure{
          .error = Error(ErrorKind::limit, fmt::format("the log grows faster than it is replayed: after {} rounds the "
                                                       "standby is behind by {} ns of calls",
                                                       round, log_.tail_ns(warming.position))),
          .ran_away = true});
    if (round > 0 && log_.tail_ns(warming.position) <= policy_.catch_up_ns) return {};  // the rest when it is taken
    auto replayed = replay_tail(*warming.guest, warming.position, &warming.calls);
    if (!replayed) return std::unexpected(Failure{.error = std::move(replayed).error()});
  }
  return {};
}

Result<void> Warmer::replay_tail(LiveGuest& guest, LogPosition& position, Calls* calls) {
  ROTOR_TRY(Calls tail, log_.tail_calls(position, [&](HandleId id) { return guest.handles.find(id) != nullptr; }));
  for (const auto& call : tail) ROTOR_CHECK(replay_one(*call, guest));
  if (calls) calls->insert(calls->end(), tail.begin(), tail.end());
  return {};
}

Result<void> Warmer::replay_one(const LogCall& call, LiveGuest& guest) {
  if (stop_) return fail(ErrorKind::internal, "the proxy is being destroyed");
  ROTOR_CHECK(replay(plan_, call, guest));
  calls_replayed_.fetch_add(1, std::memory_order_relaxed);
  return {};
}

/// Makes an image of a standby. One that can't be imaged serves without; one that did not survive the attempt is
/// dropped.
void Warmer::take_image(Warming& warming) {
  const uint64_t start = now_ns();
  bool usable = false;
  auto image = warming.guest->make_image(std::move(warming.calls), &usable);
  // If address space for the next instance can't be had in advance, it is mapped when it is needed.
  Result<void> ready;
  if (image) ready = (*image)->snapshot.keep_ready(1);
  std::lock_guard lock(mutex_);
  if (!ready) {
    counted_.not_kept_ready++;
    last_problem_ = "no address space kept ready: " + ready.error().to_string();
  }
  if (image) {
    if (image_) (void)image_->snapshot.keep_ready(0);
    image_ = *image;
    image_position_ = warming.position;
    counted_.images++;
    verify_ |= policy_.verify_every && counted_.images % policy_.verify_every == 0;
    later({.kind = ProxyEventKind::image_made,
           .ns = now_ns() - start,
           .bytes = image_->resident_bytes,
           .calls = image_->calls.size()});
    return;
  }
  counted_.images_failed++;
  last_problem_ = "no image: " + image.error().to_string();
  if (!usable) push_retired(std::move(warming.guest));
}

void Warmer::follow(std::unique_lock<std::mutex>& lock) {
  busy_ = true;
  Warming warming{.position = position_, .guest = std::move(standby_)};
  lock.unlock();
  auto reading = log_.reading();
  auto caught = catch_up(warming);
  lock.lock();
  busy_ = false;
  standby_ = std::move(warming.guest);
  position_ = warming.position;
  publish_positions();
  if (!caught) {
    drop_standby();
    return failed(caught.error());
  }
  changed_.notify_all();
}

void Warmer::compact(std::unique_lock<std::mutex>& lock) {
  compact_ = false;
  std::vector<LogPosition> positions;
  if (standby_) positions.push_back(position_);
  if (image_) positions.push_back(image_position_);
  // Meanwhile only `take` can change what is ready, and without the standby fewer calls are needed.
  lock.unlock();
  const uint64_t calls = log_.compact(positions);
  lock.lock();
  later({.kind = ProxyEventKind::log_compacted, .calls = calls});
}

void Warmer::publish_positions() {
  std::vector<LogPosition> positions;
  if (standby_) positions.push_back(position_);
  if (image_) positions.push_back(image_position_);
  log_.set_positions(std::move(positions));
}

void Warmer::drop_standby() {
  if (standby_) push_retired(std::move(standby_));
}

void Warmer::failed(const Failure& why) {
  enter(Phase::none);
  at_any_use_ = false;
  changed_.notify_all();
  if (stop_) return;
  counted_.warmups_failed++;
  counted_.futile += why.futile;
  counted_.catch_up_failed += why.ran_away;
  counted_.divergences += is_divergence(why.error);
  uint64_t pause_ms = failures_ < 32 ? policy_.backoff_first_ms << failures_ : policy_.backoff_max_ms;
  next_try_ns_ = now_ns() + std::min(pause_ms, policy_.backoff_max_ms) * 1'000'000;
  failures_++;
  futile_ = why.futile;
  last_problem_ = why.futile || why.ran_away ? printable(why.error.message) : why.error.to_string();
  later({.kind = ProxyEventKind::warmup_failed, .text = last_problem_});
  work_.notify_one();
}

Result<VerifyReport> Warmer::verify(const StandbyImage& image) {
  auto run = [&]() -> Result<VerifyReport> {
    ROTOR_TRY(std::unique_ptr<LiveGuest> guest, source_.make(nullptr, false));
    ROTOR_CHECK(guest->start_workers());
    VerifyReport report;
    for (const auto& call : image.calls) {
      ROTOR_CHECK(replay_one(*call, *guest));
      report.calls++;
    }
    // Threads allocate in another order each time, so for a group with workers only the calls' results are compared.
    report.compared_digests = plan_.group.workers == 0;
    if (!report.compared_digests) return report;
    ROTOR_TRY(Snapshot again, guest->instance().snapshot());
    ROTOR_TRY(SnapshotDigest got, again.digest());
    ROTOR_TRY(SnapshotDigest wanted, image.snapshot.digest());
    report.digests_equal = got == wanted;
    return report;
  };
  Result<VerifyReport> report = run();
  std::lock_guard lock(mutex_);
  counted_.verified++;
  if (!report || (report->compared_digests && !report->digests_equal)) counted_.verify_failed++;
  return report;
}

}  // namespace rotor::proxy
