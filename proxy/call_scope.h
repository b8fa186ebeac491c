// What a call owes the gate, as scopes, so that no path forgets it: the holder's phase is closed while the call touches
// members of the lease, open inside the guest where the holder may be exchanged under, and then as the call found it.
#pragma once

#include <utility>

#include "proxy/gate.h"

namespace rotor::proxy {

/// Closes the calling thread's phase while it touches members of the lease, and reopens it if it was open.
class PhaseScope {
 public:
  [[gnu::always_inline]] PhaseScope(Gate& gate, Holder& holder)
      : gate_(gate), holder_(holder), was_open_(Gate::is_open(holder)), reopens_(was_open_) {
    alive_ = was_open_ ? gate.close(holder) : !holder.is_retired.load(std::memory_order_acquire);
  }
  [[gnu::always_inline]] ~PhaseScope() {
    if (reopens_) gate_.allow_exchange(holder_);
  }
  PhaseScope(const PhaseScope&) = delete;
  /// Returns false if the lease is on a retired instance.
  bool alive() const { return alive_; }
  bool was_open() const { return was_open_; }
  /// Returns whether a call into the guest may open the phase.
  bool may_open() const { return was_open_ || holder_.guest_depth == 0; }
  /// Leaves the phase to a call into the guest that left it as this scope found it.
  void leave_as_is() { reopens_ = false; }

 private:
  Gate& gate_;
  Holder& holder_;
  const bool was_open_;
  bool reopens_;
  bool alive_;
};

/// A call's time inside the guest: the depth counts it, and the phase is open if `opens`.
class GuestScope {
 public:
  [[gnu::always_inline]] GuestScope(Gate& gate, Holder& holder, bool opens)
      : gate_(gate), holder_(holder), closes_(opens) {
    holder.guest_depth++;
    if (opens) gate.allow_exchange(holder);
  }
  [[gnu::always_inline]] ~GuestScope() {
    if (closes_) gate_.close(holder_);
    holder_.guest_depth--;
  }
  GuestScope(const GuestScope&) = delete;
  /// Leaves the phase open.
  void leave_open() { closes_ = false; }

 private:
  Gate& gate_;
  Holder& holder_;
  bool closes_;
};

/// Makes a call into the guest, under which the holder may be exchanged if `opens`. Then the phase is closed, unless
/// the call went well and `stays_open`.
template <class Call>
[[gnu::always_inline]] inline auto call_guest(Gate& gate, Holder& holder, bool opens, Call&& call,
                                              bool stays_open = false) {
  GuestScope inside(gate, holder, opens);
  auto called = call();
  if (called && stays_open) [[likely]]
    inside.leave_open();
  return called;
}

}  // namespace rotor::proxy
