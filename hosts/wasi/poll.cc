#include <sys/ioctl.h>

#include <algorithm>
#include <vector>

#include "hosts/wasi/clocks.h"
#include "hosts/wasi/functions.h"
#include "hosts/wasi/wait.h"

namespace rotor::wasi {
namespace {

/// A time that a subscription waits for.
struct Alarm {
  uint32_t id;
  uint64_t time_ns;
  size_t subscription;
};
/// A descriptor of the system's that one waits for.
struct Polled {
  DescriptorRef descriptor;  ///< keeps it open
  size_t subscription;
};

class Poll {
 public:
  Poll(Call& call, std::vector<Subscription> subscriptions) : call_(call), subscriptions_(std::move(subscriptions)) {}

  Outcome<std::vector<Event>> run() {
    for (size_t i = 0; i < subscriptions_.size(); ++i) sort(i);
    polled_.emplace_back();  // for the wait itself
    for (;;) {
      ROTOR_TRY(auto timeout_ns, time_left());
      ROTOR_TRY(int ready, wait_for(call_, polled_, timeout_ns));
      if (ready > 0) add_ready();
      ROTOR_CHECK(add_expired());
      if (!events_.empty()) return std::move(events_);
      // A clock of the embedder's goes its own way: it is asked again.
      if (call_.caller().must_stop()) return fail(Errno::intr);
    }
  }

 private:
  void add(size_t subscription, Errno error, uint64_t bytes = 0, uint16_t flags = 0) {
    Event event{};
    event.user_data = subscriptions_[subscription].user_data;
    event.type = subscriptions_[subscription].type;
    event.error = static_cast<uint16_t>(error);
    event.bytes = bytes;
    event.flags = flags;
    events_.push_back(event);
  }

  /// Puts a subscription to the others of its kind, or makes an event of it if that is known already.
  void sort(size_t i) {
    const Subscription& subscription = subscriptions_[i];
    if (subscription.type == EventType::clock) return sort_clock(i);
    if (subscription.type > EventType::fd_write) return add(i, Errno::inval);
    const bool reads = subscription.type == EventType::fd_read;
    auto found = call_.table().get(subscription.file.fd, kPollFdReadwrite);
    if (!found) return add(i, found.error());
    const Descriptor& descriptor = **found;
    if (!descriptor.check(reads ? kFdRead : kFdWrite)) return add(i, Errno::notcapable);
    if (descriptor.is_file()) return add(i, Errno::success, reads ? bytes_left(descriptor) : 0);
    if (descriptor.fd < 0) return add(i, Errno::success);
    polled_.push_back({descriptor.fd, static_cast<short>(reads ? POLLIN : POLLOUT), 0});
    waiting_.push_back({std::move(*found), i});
  }

  void sort_clock(size_t i) {
    const auto& clock = subscriptions_[i].clock;
    if (clock.flags & ~kClockAbsolute) return add(i, Errno::inval);
    // Nobody sleeps until a thread has worked for so long.
    if (clock.id != static_cast<uint32_t>(Clock::Id::realtime) &&
        clock.id != static_cast<uint32_t>(Clock::Id::monotonic))
      return add(i, clock.id > static_cast<uint32_t>(Clock::Id::thread_cpu) ? Errno::inval : Errno::notsup);
    uint64_t time_ns = clock.timeout_ns;
    if (!(clock.flags & kClockAbsolute)) {
      auto now = now_ns(call_.environment(), clock.id);
      if (!now) return add(i, now.error());
      if (__builtin_add_overflow(*now, clock.timeout_ns, &time_ns)) time_ns = UINT64_MAX;
    }
    alarms_.push_back({clock.id, time_ns, i});
  }

  static uint64_t bytes_left(const Descriptor& file) {
    const auto offset = file.object->seek(0, Whence::current);
    const auto stat = file.object->stat();
    return offset && stat && stat->size_bytes > *offset ? stat->size_bytes - *offset : 0;
  }

  /// Returns the time until the first alarm; 0 if there are events already, nullopt if there is none. A clock that can
  /// skips to it.
  Outcome<std::optional<uint64_t>> time_left() {
    if (!events_.empty()) return 0;
    std::optional<uint64_t> least;
    for (const Alarm& alarm : alarms_) {
      ROTOR_TRY(uint64_t now, now_ns(call_.environment(), alarm.id));
      const uint64_t left = alarm.time_ns > now ? alarm.time_ns - now : 0;
      if (!least || left < *least) {
        least = left;
        first_ = &alarm;
      }
    }
    Clock* clock = call_.environment().clock.get();
    if (!least || !clock) return least;
    // Descriptors that are ready come before a time that is skipped to.
    ROTOR_TRY(int ready, wait_for(call_, polled_, 0));
    if (ready > 0 || clock->skip_to(static_cast<Clock::Id>(first_->id), first_->time_ns)) return 0;
    return least;
  }

  void add_ready() {
    for (size_t i = 0; i < waiting_.size(); ++i) {
      const short ready = polled_[i].revents;
      if (!ready) continue;
      if (ready & POLLNVAL) {
        add(waiting_[i].subscription, Errno::badf);
      } else if (ready & POLLERR && !(ready & (POLLIN | POLLOUT))) {
        add(waiting_[i].subscription, Errno::io);
      } else {
        int bytes = 0;
        if (polled_[i].events == POLLIN && ioctl(polled_[i].fd, FIONREAD, &bytes) != 0) bytes = 1;
        add(waiting_[i].subscription, Errno::success, static_cast<uint64_t>(std::max(bytes, 0)),
            ready & POLLHUP ? kHangup : 0);
      }
    }
  }

  Outcome<void> add_expired() {
    for (const Alarm& alarm : alarms_) {
      ROTOR_TRY(uint64_t now, now_ns(call_.environment(), alarm.id));
      if (now >= alarm.time_ns) add(alarm.subscription, Errno::success);
    }
    return {};
  }

  Call& call_;
  const std::vector<Subscription> subscriptions_;
  std::vector<Event> events_;
  std::vector<Alarm> alarms_;
  const Alarm* first_ = nullptr;
  std::vector<Polled> waiting_;
  std::vector<pollfd> polled_;  ///< of `waiting_`, and one more
};

}  // namespace

Outcome<void> poll_oneoff(Call& call, uint32_t subscriptions, uint32_t events, uint32_t count, uint32_t result) {
  if (count == 0 || count > kMaxSubscriptions) return fail(Errno::inval);
  ROTOR_TRY(auto bytes, call.view(subscriptions, uint64_t{count} * sizeof(Subscription)));
  ROTOR_TRY(auto out, call.edit(events, uint64_t{count} * sizeof(Event)));
  std::vector<Subscription> all(count);
  std::memcpy(all.data(), bytes.data(), bytes.size());
  ROTOR_TRY(std::vector<Event> happened, Poll(call, std::move(all)).run());
  const size_t size = happened.size() * sizeof(Event);
  std::memcpy(out.data(), happened.data(), size);
  call.caller().edited(events, size);
  return call.store(result, static_cast<uint32_t>(happened.size()));
}

}  // namespace rotor::wasi
