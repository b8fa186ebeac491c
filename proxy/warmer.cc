#include "proxy/warmer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "proxy/replayer.h"

namespace rotor::proxy {

uint64_t now_ns() {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1));
}

Warmer::Warmer(const Policy& policy, const Plan& plan, const Log& log, GuestFactory factory)
    : policy_(policy), plan_(plan), log_(log), factory_(std::move(factory)) {}

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
  // Not std::thread: that throws where there is no thread to be had, and its stack is too small for a guest.
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  int error = pthread_create(&thread_, &attributes, run_thread, this);
  pthread_attr_destroy(&attributes);
  if (error) return fail(ErrorKind::io, fmt::format("no background thread: {}", std::strerror(error)));
  started_ = true;
  return {};
}

void* Warmer::run_thread(void* self) {
  static_cast<Warmer*>(self)->run();
  return nullptr;
}

bool Warmer::request(bool at_any_use) {
  std::lock_guard lock(mutex_);
  if (given_up_) return false;
  at_any_use_ |= at_any_use;
  if (phase_ != Phase::none) return true;
  if (failures_ && now_ns() < next_try_ns_ && !(at_any_use && futile_)) return false;
  phase_ = Phase::warming;
  warmups_++;
  work_.notify_one();
  return true;
}

void Warmer::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return phase_ == Phase::none || level(); });
}

std::unique_ptr<LiveGuest> Warmer::take(uint64_t tail_ns) {
  std::unique_lock lock(mutex_);
  if (phase_ != Phase::ready) return nullptr;
  if (!level()) {
    if (log_.cost_ns() - cost_ns_ > tail_ns) return nullptr;
    changed_.wait(lock, [&] { return phase_ == Phase::none || level(); });
    if (phase_ == Phase::none) return nullptr;
  }
  phase_ = Phase::none;
  following_ = false;
  at_any_use_ = false;
  failures_ = 0;
  return std::move(standby_);
}

void Warmer::notify() {
  // A standby that is not yet seen here looks at the log, whose lock orders the two, before the thread waits.
  if (!following_.load(std::memory_order_relaxed)) return;
  std::lock_guard lock(mutex_);
  work_.notify_one();
}

void Warmer::retire(std::unique_ptr<LiveGuest> guest) {
  std::lock_guard lock(mutex_);
  retired_.push_back(std::move(guest));
  retired_count_++;
  work_.notify_one();
}

void Warmer::give_up() {
  std::lock_guard lock(mutex_);
  given_up_ = true;
  work_.notify_one();
}

void Warmer::count(ProxyCounters& counters) const {
  std::lock_guard lock(mutex_);
  counters.warmups = warmups_;
  counters.warmups_failed = warmups_failed_;
  counters.calls_replayed = calls_replayed_;
  counters.warmup_ns_last = warmup_ns_last_;
  counters.retired = retired_count_;
  counters.last_problem = last_problem_;
}

std::string Warmer::last_problem() const {
  std::lock_guard lock(mutex_);
  return last_problem_;
}

// ---- on the background thread ---------------------------------------------------------------------------------------

void Warmer::run() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    if (!retired_.empty()) {
      std::vector<std::unique_ptr<LiveGuest>> doomed = std::move(retired_);
      retired_.clear();
      uint64_t count = doomed.size();
      lock.unlock();
      doomed.clear();
      lock.lock();
      retired_count_ -= count;
    } else if (given_up_ && phase_ != Phase::none) {
      if (standby_) {
        retired_.push_back(std::move(standby_));
        retired_count_++;
      }
      phase_ = Phase::none;
      following_ = false;
      changed_.notify_all();
    } else if (phase_ == Phase::warming) {
      warm(lock);
    } else if (phase_ == Phase::ready && position_ < log_.size()) {
      follow(lock);
    } else {
      work_.wait(lock);
    }
  }
}

void Warmer::warm(std::unique_lock<std::mutex>& lock) {
  lock.unlock();
  const uint64_t start = now_ns();
  uint64_t reached = 0, cost_ns = 0;
  auto made = LiveGuest::create(factory_, plan_, policy_.memory_limit_bytes);
  Result<void> replayed;
  if (!made)
    replayed = std::unexpected(std::move(made).error());
  else
    replayed = replay_from(0, **made, &reached, &cost_ns);
  lock.lock();
  if (!replayed) {
    if (made) {
      retired_.push_back(std::move(*made));
      retired_count_++;
    }
    return failed(replayed.error().to_string());
  }
  std::unique_ptr<LiveGuest> guest = std::move(*made);
  guest->warmup_ns = warmup_ns_last_ = now_ns() - start;
  if (guest->use() >= policy_.warm_at && !at_any_use_) {
    double use = guest->use();
    retired_.push_back(std::move(guest));
    retired_count_++;
    failed(fmt::format("rotation is futile: after replay a standby uses {:.0f} % of its memory", use * 100));
    futile_ = true;
    return;
  }
  standby_ = std::move(guest);
  position_ = reached;
  cost_ns_ = cost_ns;
  phase_ = Phase::ready;
  following_ = true;
  changed_.notify_all();
}

void Warmer::follow(std::unique_lock<std::mutex>& lock) {
  busy_ = true;
  uint64_t reached = position_, cost_ns = cost_ns_;
  LiveGuest& guest = *standby_;
  lock.unlock();
  Result<void> replayed = replay_from(position_, guest, &reached, &cost_ns);
  lock.lock();
  busy_ = false;
  position_ = reached;
  cost_ns_ = cost_ns;
  if (!replayed) {
    retired_.push_back(std::move(standby_));
    retired_count_++;
    return failed(replayed.error().to_string());
  }
  changed_.notify_all();
}

Result<void> Warmer::replay_from(uint64_t position, LiveGuest& guest, uint64_t* reached, uint64_t* cost_ns) {
  constexpr size_t kBatch = 64;  // calls taken from the log under its lock
  for (;;) {
    auto calls = log_.read(position, kBatch);
    if (calls.empty()) return {};
    for (const auto& call : calls) {
      if (stop_) return fail(ErrorKind::internal, "the proxy is being destroyed");
      ROTOR_CHECK(replay(plan_, *call, guest));
      *reached = ++position;
      *cost_ns += call->cost_ns;
    }
    std::lock_guard lock(mutex_);
    calls_replayed_ += calls.size();
  }
}

void Warmer::failed(std::string why) {
  phase_ = Phase::none;
  following_ = false;
  at_any_use_ = false;
  if (stop_) return;
  warmups_failed_++;
  uint64_t pause_ms = failures_ < 32 ? policy_.backoff_first_ms << failures_ : policy_.backoff_max_ms;
  next_try_ns_ = now_ns() + std::min(pause_ms, policy_.backoff_max_ms) * 1'000'000;
  failures_++;
  futile_ = false;
  last_problem_ = std::move(why);
  changed_.notify_all();
}

}  // namespace rotor::proxy
