#include "rotor/interrupt.h"

#include "runtime/store/instance.h"

namespace rotor {

using runtime::LinkGroup;

namespace {
std::unexpected<Error> empty() { return fail(ErrorKind::stale_handle, "an empty interrupt handle"); }
}  // namespace

Result<void> InterruptHandle::interrupt() const {
  if (!group_) return empty();
  return group_->interrupt(LinkGroup::Promptness::sure);
}

Result<void> InterruptHandle::interrupt_best_effort() const {
  if (!group_) return empty();
  return group_->interrupt(LinkGroup::Promptness::best_effort);
}

void InterruptHandle::cancel() const {
  if (group_) group_->cancel_interrupt();
}

Result<void> InterruptHandle::set_deadline(Clock::time_point deadline) const {
  if (!group_) return empty();
  return group_->set_deadline(deadline, watchdog_);
}

void InterruptHandle::clear_deadline() const {
  // A group for which this fails never had a deadline.
  if (group_) (void)group_->set_deadline(Clock::time_point::max(), watchdog_);
}

InterruptHandle Instance::interrupt_handle() const { return impl_ ? impl_->interrupt_handle() : InterruptHandle(); }

}  // namespace rotor
