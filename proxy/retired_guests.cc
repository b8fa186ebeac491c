#include "proxy/retired_guests.h"

#include "proxy/clock.h"

namespace rotor::proxy {

void RetiredGuests::add(std::unique_ptr<LiveGuest> guest) {
  if (guest->retired_at_ns == 0) guest->retired_at_ns = now_ns();
  count_++;
  bytes_ += guest->memory_bytes();
  waiting_.push_back(std::move(guest));
}

std::vector<ProxyEvent> RetiredGuests::free(Guests guests) {
  std::vector<ProxyEvent> freed;
  for (std::unique_ptr<LiveGuest>& guest : guests) {
    const uint64_t since_ns = guest->retired_at_ns;
    const uint64_t bytes = guest->memory_bytes();
    guest.reset();
    freed.push_back({.kind = ProxyEventKind::drained, .ns = now_ns() - since_ns, .bytes = bytes});
  }
  return freed;
}

void RetiredGuests::note_freed(const ProxyEvent& drained) {
  count_--;
  bytes_ -= drained.bytes;
  drained_++;
  drain_ns_last_ = drained.ns;
  drain_ns_total_ += drained.ns;
}

void RetiredGuests::after_fork_in_child() {
  count_ = waiting_.size();
  bytes_ = 0;
  for (const auto& guest : waiting_) bytes_ += guest->memory_bytes();
}

void RetiredGuests::report(ProxyCounters& to) const {
  to.retired = count_;
  to.retired_bytes = bytes_;
  to.drained = drained_;
  to.drain_ns_last = drain_ns_last_;
  to.drain_ns_total = drain_ns_total_;
}

}  // namespace rotor::proxy
