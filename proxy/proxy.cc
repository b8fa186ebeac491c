#include "rotor/proxy.h"

#include "proxy/proxy_impl.h"
#include "rotor/guard.h"

namespace rotor {

Proxy::Proxy(std::unique_ptr<proxy::ProxyImpl> impl) : impl_(std::move(impl)) {}
Proxy::Proxy(Proxy&&) noexcept = default;
Proxy& Proxy::operator=(Proxy&&) noexcept = default;
Proxy::~Proxy() = default;

Result<Proxy> Proxy::create(const Module& module, GuestFactory make_guest, Policy policy, ProxyOptions options) {
  auto impl = std::make_unique<proxy::ProxyImpl>(std::move(policy), std::move(make_guest), std::move(options));
  ROTOR_CHECK(impl->start(module));
  return Proxy(std::move(impl));
}

Result<Lease> Proxy::acquire() {
  ROTOR_CHECK(impl_->acquire(true));
  return Lease(impl_.get());
}

Result<Reply> Proxy::call(std::string_view name, std::span<const Arg> args) {
  ROTOR_CHECK(impl_->acquire(false));
  Lease lease(impl_.get());
  return lease.call(name, args);
}

Result<void> Proxy::with_lease(const std::function<Result<void>(Lease&)>& work) {
  constexpr int kAttempts = 2;
  proxy::Attempt attempt;
  for (int i = 1;; i++) {
    ROTOR_TRY(Lease lease, acquire());
    auto run = [&] { return detail::guarded("with_lease's work", [&] { return work(lease); }); };
    if (!impl_->begin_attempt(attempt)) return run();
    Result<void> outcome = run();
    if (!impl_->end_attempt(i == kAttempts)) return outcome;
    attempt = {.given = std::move(attempt.answers)};
  }
}

Result<uint32_t> Proxy::export_of(std::string_view name, const FuncType& type) const {
  return impl_->export_of(name, type);
}

Result<void> Proxy::prepare() { return impl_->prepare(); }
Result<void> Proxy::rotate() { return impl_->rotate(); }
Result<void> Proxy::checkpoint() { return impl_->checkpoint(); }
Result<VerifyReport> Proxy::verify() { return impl_->verify(); }
ProxyCounters Proxy::counters() const { return impl_->counters(); }
const Policy& Proxy::policy() const { return impl_->policy(); }

Result<void> proxy::call_slots(ProxyImpl& impl, uint32_t export_index, Slot* slots, bool own_lease, RawCall raw_call) {
  return own_lease ? impl.call_own(export_index, slots, raw_call) : impl.call_slots(export_index, slots, raw_call);
}

Lease& Lease::operator=(Lease&& other) noexcept {
  if (this == &other) return *this;
  if (impl_) impl_->release();
  impl_ = std::exchange(other.impl_, nullptr);
  return *this;
}
Lease::~Lease() {
  if (impl_) impl_->release();
}
Result<Reply> Lease::call(std::string_view name, std::span<const Arg> args) { return impl_->call(name, args); }
Result<std::vector<Value>> Lease::raw(std::string_view name, std::span<const Value> args) {
  return impl_->raw(name, args);
}
Result<uint32_t> Lease::resolve(uint32_t token) const { return impl_->resolve(token); }
Result<void> Lease::keep(uint32_t token) { return impl_->keep(token); }
Result<void> Lease::drop(uint64_t number) { return impl_->drop(number); }
Result<Memory> Lease::memory() const { return impl_->memory(); }
Result<void> Lease::set_deadline(InterruptHandle::Clock::time_point deadline) { return impl_->set_deadline(deadline); }
void Lease::clear_deadline() { (void)impl_->set_deadline(InterruptHandle::Clock::time_point::max()); }

}  // namespace rotor
