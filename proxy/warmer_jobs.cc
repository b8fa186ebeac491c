// What the background thread does, and in which order.
#include <chrono>
#include <utility>

#include "proxy/clock.h"
#include "proxy/warmer.h"

namespace rotor::proxy {
namespace {

/// The interval at which drains are looked at.
constexpr std::chrono::milliseconds kDrainPoll{20};

}  // namespace

void Warmer::run() {
  std::unique_lock lock(mutex_);
  auto tell_events = [&] {
    if (auto told = events_.tell_all(lock); !told) last_problem_ = told.error().to_string();
  };
  while (!stop_) {
    tell_events();
    if (stop_ || do_one_job(lock)) continue;
    if (!events_.empty()) continue;
    if (draining_ > 0) {
      work_.wait_for(lock, kDrainPoll);
      lock.unlock();
      callbacks_.check_drains();
      lock.lock();
    } else {
      work_.wait(lock);
    }
  }
  tell_events();
  // Guests are freed on this thread, where they may be entered.
  RetiredGuests::Guests rest = retired_.take();
  if (standby_) rest.push_back(std::move(standby_));
  checkpoint_.reset();
  images_.drop_all();
  ready_image_.reset();
  next_image_.reset();
  lock.unlock();
  rest.clear();
}

/// Does what is most urgent. Returns false if there is nothing to do.
bool Warmer::do_one_job(std::unique_lock<std::mutex>& lock) {
  if (!retired_.empty()) {
    free_retired(lock);
  } else if (given_up_ &&
             (standby_ || images_.image() || ready_image_ || cut_ != CutState::none || state_ != StandbyState::none)) {
    if (standby_) push_retired(remove_standby());
    checkpoint_.reset();
    images_.drop_all();
    ready_image_.reset();
    cut_ = CutState::none;
    set_state(StandbyState::none);
    changed_.notify_all();
  } else if (state_ == StandbyState::warming && checkpoint_) {
    warm_from_checkpoint(lock);
  } else if (state_ == StandbyState::warming) {
    warm(lock);
  } else if (state_ == StandbyState::ready && !log_.at_end(position_)) {
    follow(lock);
  } else if (cut_ == CutState::wanted) {
    prepare_cut(lock);
  } else if (next_image_) {
    exchange_ready(lock);
  } else if (compact_) {
    compact(lock);
  } else if (images_.verification_is_due()) {
    verify_newest(lock);
  } else {
    return false;
  }
  return true;
}

void Warmer::free_retired(std::unique_lock<std::mutex>& lock) {
  RetiredGuests::Guests guests = retired_.take();
  const std::shared_ptr<const StandbyImage> image = ready_image_ ? ready_image_ : images_.image();
  lock.unlock();
  std::vector<ProxyEvent> freed = RetiredGuests::free(std::move(guests));
  // If they were made from another image, they left no address space for the instance that comes after the next one.
  if (image) (void)image->snapshot.keep_ready(1);
  lock.lock();
  for (ProxyEvent& event : freed) {
    retired_.note_freed(event);
    events_.push(std::move(event));
  }
}

void Warmer::warm(std::unique_lock<std::mutex>& lock) {
  Warmup warmup = begin_warmup();
  const bool at_any_use = at_any_use_;
  lock.unlock();
  auto reading = log_.reading();  // held until its position is published for compactions
  const uint64_t start_ns = now_ns();
  auto made = make(warmup, at_any_use);
  if (!made && warmup.image && !stop_) {
    // What failed with the image need not fail without it: its state may be what is too big.
    lock.lock();
    const bool again = images_.drop_useless();
    if (again) {
      if (warmup.guest) push_retired(std::move(warmup.guest));
      last_problem_ = "no standby from the image: " + made.error().error.to_string();
      warmup = begin_warmup();
    }
    lock.unlock();
    if (again) made = make(warmup, at_any_use);
  }
  lock.lock();
  if (!made) {
    if (warmup.guest) push_retired(std::move(warmup.guest));
    return end_failed(made.error());
  }
  const uint64_t took_ns = now_ns() - start_ns;
  warmup.guest->warmup_ns = took_ns;
  counted_.warmup_ns_last = took_ns;
  counted_.warmup_ns_total += took_ns;
  put_standby(std::move(warmup.guest), warmup.position);
  note_peak(standby_->memory_bytes());
  set_state(StandbyState::ready);
  events_.push({.kind = ProxyEventKind::warmup_done,
                .ns = took_ns,
                .bytes = standby_->memory_bytes(),
                .calls = standby_->calls_replayed});
  changed_.notify_all();
}

/// Makes an instance from the checkpoint, unless there is another one when it is done.
void Warmer::warm_from_checkpoint(std::unique_lock<std::mutex>& lock) {
  const std::shared_ptr<const StandbyImage> checkpoint = checkpoint_;
  lock.unlock();
  Stamped made = maker_.stamp_checkpoint(checkpoint.get());
  lock.lock();
  if (checkpoint_ != checkpoint || made.error) {
    if (made.guest) push_retired(std::move(made.guest));
    if (checkpoint_ != checkpoint) return;
    counted_.warmups++;
    checkpoint_.reset();
    return end_failed({.error = std::move(*made.error)});
  }
  note_stamped(*made.guest);
  standby_ = std::move(made.guest);
  set_state(StandbyState::ready);
  events_.push({.kind = ProxyEventKind::warmup_done, .ns = standby_->warmup_ns, .bytes = standby_->memory_bytes()});
}

/// A standby that can't be imaged serves without an image; one that did not survive the attempt is dropped.
std::expected<void, WarmupFailure> Warmer::make(Warmup& warmup, bool at_any_use) {
  if (auto made = maker_.make(warmup, at_any_use); !made || !warmup.wants_image) return made;
  return image_of(warmup);
}

std::expected<void, WarmupFailure> Warmer::image_of(Warmup& warmup) {
  const TakenImage taken = take_image(*warmup.guest, std::move(warmup.calls), std::move(warmup.base));
  std::lock_guard lock(mutex_);
  if (std::string problem = images_.put(taken, warmup.position); !problem.empty()) last_problem_ = std::move(problem);
  if (taken.image)
    events_.push({.kind = ProxyEventKind::image_made,
                  .ns = taken.took_ns,
                  .bytes = (*taken.image)->resident_bytes,
                  .calls = (*taken.image)->calls.size()});
  if (taken.image || taken.guest_is_usable) return {};
  push_retired(std::move(warmup.guest));
  return std::unexpected(
      WarmupFailure{.error = Error(ErrorKind::internal, "the standby did not survive being imaged")});
}

/// Compacts the log, and if that is not enough, has an image ready that it can be cut at.
void Warmer::prepare_cut(std::unique_lock<std::mutex>& lock) {
  cut_ = CutState::preparing;
  compact(lock);
  Result<void> had;
  if (log_.fill() >= 0.5 && !given_up_) had = have_cut_image(lock);
  cut_problem_ = had ? "" : had.error().to_string();
  if (!had && !stop_) last_problem_ = "no image to cut the log at: " + cut_problem_;
  cut_ = CutState::none;
  changed_.notify_all();
}

Result<void> Warmer::have_cut_image(std::unique_lock<std::mutex>& lock) {
  if (policy_.image == ImageMode::off) return fail(ErrorKind::unsupported, "the policy says image.mode = \"off\"");
  Warmup warmup = begin_warmup();
  if (!warmup.image || warmup.image->stands_alone || log_.fill_behind(warmup.position) > 0.5) {
    lock.unlock();
    const Result<void> made = make_for_cut(warmup);
    lock.lock();
    if (warmup.guest) push_retired(std::move(warmup.guest));
    if (!made) {
      counted_.divergences += is_divergence(made.error());
      (void)images_.drop_useless();  // the next attempt does without
      return made;
    }
  } else if (images_.can_cut()) {
    return {};
  }
  const std::shared_ptr<const StandbyImage> image = images_.image();
  lock.unlock();
  const Result<VerifyReport> report = verify(*image);
  lock.lock();
  events_.push({.kind = ProxyEventKind::image_verified, .calls = image->calls.size(), .text = fault_of(report)});
  if (!report) return std::unexpected(report.error());
  images_.note_verified(image);
  return {};
}

Result<void> Warmer::make_for_cut(Warmup& warmup) {
  auto reading = log_.reading();
  ROTOR_CHECK(maker_.make_for_cut(warmup));
  const std::shared_ptr<const StandbyImage> before = image();
  if (auto imaged = image_of(warmup); !imaged) return std::unexpected(imaged.error().error);
  return image() == before ? fail(ErrorKind::internal, last_problem()) : Result<void>();
}

void Warmer::follow(std::unique_lock<std::mutex>& lock) {
  busy_ = true;
  // Its position stays known meanwhile.
  Warmup warmup{.position = position_, .guest = std::move(standby_)};
  lock.unlock();
  auto reading = log_.reading();
  auto caught = maker_.catch_up(warmup);
  lock.lock();
  busy_ = false;
  if (!caught) {
    push_retired(std::move(warmup.guest));
    return end_failed(caught.error());
  }
  put_standby(std::move(warmup.guest), warmup.position);
  changed_.notify_all();
}

void Warmer::compact(std::unique_lock<std::mutex>& lock) {
  compact_ = false;
  // Meanwhile only `take` can change what is ready, and without the standby fewer calls are needed.
  const std::vector<LogPosition> readers = positions();
  lock.unlock();
  const uint64_t calls = log_.compact(readers);
  lock.lock();
  events_.push({.kind = ProxyEventKind::log_compacted, .calls = calls});
}

void Warmer::exchange_ready(std::unique_lock<std::mutex>& lock) {
  std::shared_ptr<const StandbyImage> last = std::exchange(ready_image_, std::exchange(next_image_, nullptr));
  const std::shared_ptr<const StandbyImage> image = ready_image_;
  lock.unlock();
  if (last) (void)last->snapshot.keep_ready(0);
  last.reset();  // it may be the last one to know it: hundreds of megabytes are given back here
  const Result<void> kept = image->snapshot.keep_ready(1);
  lock.lock();
  if (kept) return;
  not_kept_ready_++;
  last_problem_ = "no address space kept ready: " + kept.error().to_string();
}

void Warmer::verify_newest(std::unique_lock<std::mutex>& lock) {
  const std::shared_ptr<const StandbyImage> image = images_.image();
  if (!image) return;
  lock.unlock();
  const Result<VerifyReport> report = verify(*image);
  lock.lock();
  events_.push({.kind = ProxyEventKind::image_verified, .calls = image->calls.size(), .text = fault_of(report)});
}

}  // namespace rotor::proxy
