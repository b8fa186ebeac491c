// The proxy itself.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>

#include "rotor/module.h"
#include "rotor/proxy/counters.h"
#include "rotor/proxy/guest.h"
#include "rotor/proxy/lease.h"
#include "rotor/proxy/policy.h"
#include "rotor/result.h"

namespace rotor {
namespace proxy { class ProxyImpl; }

/// Whom a proxy tells of its work.
struct ProxyOptions {
  /// Told of each rotation, on the thread that caused it, before its lease begins (for `retry`, within it). Every
  /// caller waits meanwhile. Must not call the proxy.
  std::function<void(const RotationEvent&)> on_rotation = {};
  /// Told of everything else, with no lock held: on the background thread, or, of `retried` and most ends of rotation,
  /// on the thread whose call it is. Must not call the proxy.
  std::function<void(const ProxyEvent&)> on_event = {};
  /// RotationMode::checkpoint: asked before each rewind, with the gate closed: whether all pointers into the guest that
  /// the host holds were there at the checkpoint (live ⊆ checkpoint). With it the proxy does not keep track of results:
  /// Returned::held means nothing, and a release that is not allowed changes state. Must not call the proxy.
  std::function<bool()> live_in_checkpoint = {};
  /// RotationMode::checkpoint: told of each checkpoint, with the gate closed: what the host holds now is in it. Must
  /// not call the proxy.
  std::function<void()> on_checkpoint = {};
};

/// Outcome of Proxy::verify.
struct VerifyReport {
  uint64_t calls = 0;             ///< replayed; each returned what it once did
  bool digests_equal = false;     ///< false also if they were not compared
  bool compared_digests = false;  ///< false: a group, whose calls' results were compared only
};

/// Thread-safe, but for create, move and destruction.
class Proxy {
 public:
  /// Checks the policy, then makes the first guest. Errors: those of Policy::check, then the factory's.
  static Result<Proxy> create(const Module& module, GuestFactory make_guest, Policy policy, ProxyOptions options = {});
  /// Takes over the guests; a proxy that was moved from may only be assigned to or destroyed.
  Proxy(Proxy&&) noexcept;
  /// Does the same in place of the guests that were here, which are freed.
  Proxy& operator=(Proxy&&) noexcept;
  /// Ends a warm-up after the call it is replaying, frees every instance.
  ~Proxy();

  /// Waits until no other thread holds a lease, in order of arrival; then swaps, if it is time. Errors: limit
  /// (`at_swap` = fail), or what kept a trapped instance from being replaced; invalid_argument (from a host function
  /// during replay).
  Result<Lease> acquire();
  /// A lease of one call. Handles that a query returns live until a swap, which they hold up for `query_handle_calls`
  /// calls. Errors: those of acquire and Lease::call.
  Result<Reply> call(std::string_view name, std::span<const Arg> args = {});
  /// Does the same with arguments in braces.
  Result<Reply> call(std::string_view name, std::initializer_list<Arg> args) {
    return call(name, std::span<const Arg>(args.begin(), args.size()));
  }

  /// Runs `work` within a lease. If the guest traps in it, or in one of its calls, it runs as a whole once more, on a
  /// fresh instance: builds of the failed attempt are forgotten, handles that it ended live again, and host functions
  /// answer what they answered then (those of ImportMode::answer, up to one that failed). So `work` must be able to run
  /// twice, and have the guest call the same host functions in the same order. Within another lease, with rotation off
  /// or `on_trap` = keep it runs but once. Errors: those of acquire, then those of `work`.
  Result<void> with_lease(const std::function<Result<void>(Lease&)>& work);
  /// Looks an export up, and compares its type with what the policy says of it. Errors: not_found, type_mismatch.
  template <class Signature>
  Result<ProxyFunc<Signature>> get_typed(std::string_view name) const {
    ROTOR_TRY(uint32_t index, export_of(name, signature_of(static_cast<ProxyFunc<Signature>*>(nullptr))));
    return ProxyFunc<Signature>(impl_.get(), index);
  }

  /// Has a standby, and with `image` = lazy its image, prepared now, and waits until it is there: after the state is
  /// built, so that the first trap finds one. RotationMode::checkpoint: does what `checkpoint` does, if there is none
  /// or a stale one. Must not be called within a lease. Errors: internal, with what failed the warm-up; limit (an
  /// earlier one failed a short while ago: `backoff_first_ms`); invalid_argument (rotation is off).
  Result<void> prepare();
  /// Asks for a standby and returns; the active is exchanged for it by the first call or lease that finds it ready and
  /// no live query handle, whatever the memory in use: for tests, and for guests that are known to have gone bad.
  /// RotationMode::checkpoint: by the first that finds a checkpoint which is not stale, and nothing newer held.
  /// Errors: invalid_argument (rotation is off).
  Result<void> rotate();
  /// RotationMode::checkpoint: takes a checkpoint now, whether one is due or not; what the host holds now is in it. To
  /// be called when the state is built and little has leaked. Must not be called within a lease. Errors:
  /// invalid_argument (another mode; rotation is off; within a lease); those of Proxy::acquire, Guest and
  /// Instance::snapshot: the checkpoint before it, if there is one, stays.
  Result<void> checkpoint();
  /// Replays the calls that the image was made from on a fresh guest, on the calling thread, and compares what each
  /// returns, and, but for a group, digests of memories, globals and tables: whether these are equal the report says.
  /// Calls go on meanwhile. Errors: not_found (no image); those of the factory and of replay; internal (divergence).
  Result<VerifyReport> verify();

  ProxyCounters counters() const;  ///< as of now
  const Policy& policy() const;    ///< what it was created with

 private:
  explicit Proxy(std::unique_ptr<proxy::ProxyImpl> impl);
  Result<uint32_t> export_of(std::string_view name, const FuncType& type) const;
  template <class R, class... Args>
  static FuncType signature_of(ProxyFunc<R(Args...)>*) {
    return detail::func_type_of<R, Args...>();
  }
  std::unique_ptr<proxy::ProxyImpl> impl_;
};

}  // namespace rotor
