// Proxy: serves calls from an instance that leaks, and exchanges it for a fresh one before it runs out of memory.
//
// The proxy logs the calls that built state. When memory use passes `warm_at`, a background thread instantiates a
// standby and replays the log on it; at `swap_at` the standby takes the active instance's place between two leases,
// and the retired one is freed in the background. Handles that the host holds are tokens, so they survive the swap.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rotor/instance.h"
#include "rotor/linker.h"
#include "rotor/result.h"

namespace rotor {
namespace proxy { class ProxyImpl; }

// ---- Policy ---------------------------------------------------------------------------------------------------------

/// What calling an export does to the guest's state.
enum class Effect : uint8_t {
  query,    ///< nothing that a later call needs: not recorded
  build,    ///< makes or changes state: recorded and replayed
  release,  ///< ends a handle: recorded if that handle was recorded
};

/// One argument of an export as the host sees it.
enum class ArgKind : uint8_t {
  scalar,            ///< one parameter, passed as it is
  handle,            ///< one i32: an opaque pointer that the host keeps
  consumed,          ///< a handle that the call ends
  bytes,             ///< (ptr, len), filled through the guest's allocator
  vector,            ///< (ptr, count) of u32 numbers
  handles,           ///< (ptr, count) of handles
  consumed_handles,  ///< (ptr, count) of handles that the call ends
};

/// One result of an export as the host sees it. At most one of `bytes`, `vector` and `handles`.
enum class ResultKind : uint8_t {
  scalar,   ///< one result, passed as it is
  handle,   ///< one i32
  bytes,    ///< (ptr, len), read and freed
  vector,   ///< (ptr, count) of u32 numbers, read and freed
  handles,  ///< (ptr, count) of handles, read and freed
  error,    ///< (err, is_err), the last of the list: err is an index into the guest's externref table
};

/// What the policy says of one export, or of all that match a glob (`*` any run, `?` one character). An exact name
/// wins over globs, a later glob over an earlier one. An export that nothing matches is a query of scalars.
struct ExportRule {
  std::string name;
  Effect effect = Effect::query;
  /// The build only fills a cache: of the calls with equal arguments the first is a build, the others are queries.
  bool once = false;
  /// Unset: each parameter is a scalar; the first one of a release is consumed.
  std::optional<std::vector<ArgKind>> args = {};
  /// Unset: each result is a scalar.
  std::optional<std::vector<ResultKind>> results = {};
  uint32_t line = 0;  ///< in the policy file; 0: made in C++
};

/// How a guest allocates and frees, and which exports are releases.
enum class Preset : uint8_t {
  plain,         ///< malloc(size), free(ptr); the host keeps what it passes and the proxy frees it after the call
  wasm_bindgen,  ///< __wbindgen_malloc(size, align), __wbindgen_free(ptr, size, align); the guest frees what it is
                 ///< passed; `__wbg_*_free(ptr, 0)` is a release
};

/// What a caller gets who finds the active instance at `swap_at` and no standby ready.
enum class AtSwap : uint8_t { serve, wait, fail };
/// What follows a trap: a fresh instance, or the old one as the trap left it.
enum class OnTrap : uint8_t { rotate, keep };

/// When to rotate, and what each export means. A plain value.
struct Policy {
  bool enabled = true;  ///< false, or ROTOR_ROTATION=off in the environment: no recording, tokens are raw values
  Preset preset = Preset::plain;

  /// Memory use (memory.size of the limit) from which on a standby is prepared.
  double warm_at = 0.70;
  /// Memory use from which on the active is exchanged, at the next call without lease and live query handle.
  double swap_at = 0.90;
  /// Memory use from which on live query handles no longer hold a swap up: they go stale.
  double force_at = 0.97;
  /// What memory use is relative to; 0, or more than the instance's own limit: that limit.
  uint64_t memory_limit_bytes = 0;
  AtSwap at_swap = AtSwap::serve;
  OnTrap on_trap = OnTrap::rotate;
  /// A standby may be swapped in once the calls it has yet to replay took the active no longer than this.
  uint64_t catch_up_ns = 1'000'000;
  /// A query handle that `Proxy::call` returned holds a swap up for so many calls.
  uint32_t query_handle_calls = 64;
  /// Pause after a failed warm-up; doubled by each further one.
  uint64_t backoff_first_ms = 100;
  uint64_t backoff_max_ms = 60'000;

  /// A log that reaches one of these bounds is given up: rotation ends, for the reason in the counters.
  uint64_t log_max_calls = 1'000'000;
  uint64_t log_max_bytes = UINT64_C(256) << 20;

  std::vector<ExportRule> exports;
  std::string file;  ///< what errors name; empty: made in C++

  /// Errors: corrupt (syntax, an unknown key or word, with the nearest right one), invalid_argument (out of range);
  /// each begins with `file:line:`.
  static Result<Policy> parse_toml(std::string_view text, std::string file = "policy");
  /// Errors: those of parse_toml; io.
  static Result<Policy> load_toml(const std::string& path);
  /// Everything that can be told without running the guest. Errors: not_found (an export, with the nearest name),
  /// type_mismatch (arguments or results that do not fit), invalid_argument (thresholds, what can't be recorded).
  Result<void> check(const Module& module) const;
};

// ---- Guests ---------------------------------------------------------------------------------------------------------

/// A running guest: an instance, and whatever host objects must live exactly as long (a wasm-bindgen host, the
/// `host_data`, worker threads). The proxy owns it; it is entered by one thread at a time, not always the same one, and
/// destroyed on the proxy's background thread.
class Guest {
 public:
  Guest() = default;
  virtual ~Guest() = default;
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;
  virtual Instance& instance() = 0;
  /// Text of an error object that the guest returned (ResultKind::error).
  virtual std::string describe_error(ExternRef /*error*/) { return {}; }
};

/// Makes a guest, ready for its first recorded call: what the factory itself calls (start functions) is not logged.
/// Called on the thread that creates the proxy and on the background thread, never twice at once. Guests must be alike:
/// the same module, the same limits.
using GuestFactory = std::function<Result<std::unique_ptr<Guest>>()>;

/// For guests that need no more than a linker. `make_host_data`, if given, is asked for each instance's host_data,
/// which then lives as long as that instance.
GuestFactory linked_guests(InstancePre pre, Limits limits = {},
                           std::function<std::shared_ptr<void>()> make_host_data = {});

// ---- Calls ----------------------------------------------------------------------------------------------------------

/// One argument of a proxied call. Bytes and vectors are viewed, not copied: they must outlive the call.
class Arg {
 public:
  Arg(int32_t v) : Arg(ValType::i32, detail::to_slot(v)) {}
  Arg(uint32_t v) : Arg(ValType::i32, detail::to_slot(v)) {}
  Arg(int64_t v) : Arg(ValType::i64, detail::to_slot(v)) {}
  Arg(uint64_t v) : Arg(ValType::i64, detail::to_slot(v)) {}
  Arg(float v) : Arg(ValType::f32, detail::to_slot(v)) {}
  Arg(double v) : Arg(ValType::f64, detail::to_slot(v)) {}
  Arg(ExternRef v) : Arg(ValType::externref, v.bits) {}
  static Arg bytes(std::span<const uint8_t> bytes) { return Arg(Shape::bytes, bytes); }
  /// Numbers, or the tokens of handles.
  static Arg vector(std::span<const uint32_t> elements) {
    return Arg(Shape::vector, {reinterpret_cast<const uint8_t*>(elements.data()), elements.size_bytes()});
  }

  enum class Shape : uint8_t { value, bytes, vector };
  Shape shape() const { return shape_; }
  ValType type() const { return type_; }                   ///< of a value
  Slot slot() const { return slot_; }                      ///< of a value
  std::span<const uint8_t> data() const { return data_; }  ///< of bytes or a vector

 private:
  Arg(ValType type, Slot slot) : type_(type), slot_(slot) {}
  Arg(Shape shape, std::span<const uint8_t> data) : shape_(shape), data_(data) {}
  Shape shape_ = Shape::value;
  ValType type_;
  Slot slot_ = 0;
  std::span<const uint8_t> data_;
};

/// What a proxied call returned.
struct Reply {
  std::vector<Value> values;     ///< scalars and the tokens of handles, in order
  std::vector<uint8_t> bytes;    ///< the `bytes` result
  std::vector<uint32_t> vector;  ///< the `vector` result, or the tokens of the `handles` result

  int32_t i32(size_t index = 0) const { return values[index].i32(); }
  uint32_t handle(size_t index = 0) const { return static_cast<uint32_t>(values[index].i32()); }
};

/// Pins the active instance for several calls. One lease is held at a time; a thread that holds one and asks again, by
/// acquire() or call(), joins it. Used and dropped on the thread that acquired it, before the proxy is destroyed (both
/// asserted). Handles that queries return within a lease end with it (with the outermost, if joined).
class [[nodiscard]] Lease {
 public:
  Lease(Lease&& other) noexcept : impl_(std::exchange(other.impl_, nullptr)) {}
  Lease& operator=(Lease&& other) noexcept;
  ~Lease();

  /// Calls an export as the policy describes it: tokens are translated both ways, bytes and vectors go through the
  /// guest's allocator, builds are recorded. Errors: not_found, type_mismatch (arguments), stale_handle (a token that
  /// is none or no more), trap, host (a host function failed, or the guest returned its `error` result), limit,
  /// invalid_argument (a build that takes a query's handle or is called from a host function).
  /// After a trap, with `on_trap` = rotate, further calls of this lease repeat that trap's error.
  Result<Reply> call(std::string_view name, std::span<const Arg> args = {});
  Result<Reply> call(std::string_view name, std::initializer_list<Arg> args) {
    return call(name, std::span<const Arg>(args.begin(), args.size()));
  }
  /// Calls an export with nothing translated: for malloc, free and queries on raw pointers, which mean nothing after
  /// the lease. Errors: those of Func::call; invalid_argument for a build or release, which could not be recorded.
  Result<std::vector<Value>> raw(std::string_view name, std::span<const Value> args = {});
  Result<std::vector<Value>> raw(std::string_view name, std::initializer_list<Value> args) {
    return raw(name, std::span<const Value>(args.begin(), args.size()));
  }
  /// The raw value behind a token, for use with raw(). Errors: stale_handle.
  Result<uint32_t> resolve(uint32_t token) const;
  /// Memory 0 of the pinned instance. Errors: not_found.
  Result<Memory> memory() const;

 private:
  friend class Proxy;
  explicit Lease(proxy::ProxyImpl* impl) : impl_(impl) {}
  proxy::ProxyImpl* impl_;
};

// ---- The proxy ------------------------------------------------------------------------------------------------------

/// Why an instance was exchanged.
enum class RotationCause : uint8_t { memory, trap };

struct RotationEvent {
  uint64_t rotation = 0;  ///< 1: the first
  RotationCause cause = RotationCause::memory;
  uint64_t calls = 0;           ///< export calls made through the proxy before it
  uint64_t bytes_before = 0;    ///< memory of the retired instance
  uint64_t bytes_after = 0;     ///< memory of the new active
  uint64_t calls_replayed = 0;  ///< on the new active
  uint64_t warmup_ns = 0;       ///< instantiation and replay, on the background thread
  uint64_t wait_ns = 0;         ///< the caller waited so long for the standby (`at_swap` = wait, or a trap)
  uint64_t swap_pause_ns = 0;   ///< from gate closed to gate open, the wait apart
};

/// A snapshot; counts since the proxy was created.
struct ProxyCounters {
  uint64_t calls = 0;    ///< export calls by the host: call() and raw()
  uint64_t leases = 0;   ///< joined ones and those of one call included
  uint64_t waiting = 0;  ///< threads that wait for a lease, as of now
  uint64_t traps = 0;
  uint64_t stale_handles = 0;  ///< calls refused for a token
  uint64_t rotations = 0;
  uint64_t warmups = 0;         ///< begun
  uint64_t warmups_failed = 0;  ///< `last_problem` says why
  uint64_t calls_replayed = 0;
  uint64_t log_calls = 0;
  uint64_t log_bytes = 0;
  uint64_t warmup_ns_last = 0;
  uint64_t swap_pause_ns_last = 0;
  uint64_t swap_pause_ns_max = 0;
  uint64_t wait_ns_max = 0;
  uint64_t retired = 0;       ///< instances not yet freed
  uint64_t memory_bytes = 0;  ///< of the active, as of the last lease's end
  bool rotating = false;      ///< rotation is on
  std::string off_reason;     ///< why it is not: policy, environment or a bound of the log
  std::string last_problem;   ///< of the last failed warm-up
};

struct ProxyOptions {
  /// Told of each rotation, on the thread that caused it, before its lease begins. Must not call the proxy.
  std::function<void(const RotationEvent&)> on_rotation;
};

/// Thread-safe, but for create, move and destruction.
class Proxy {
 public:
  /// Checks the policy, then makes the first guest. Errors: those of Policy::check, then the factory's.
  static Result<Proxy> create(const Module& module, GuestFactory make_guest, Policy policy, ProxyOptions options = {});
  Proxy(Proxy&&) noexcept;
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
  Result<Reply> call(std::string_view name, std::initializer_list<Arg> args) {
    return call(name, std::span<const Arg>(args.begin(), args.size()));
  }

  ProxyCounters counters() const;
  const Policy& policy() const;

 private:
  explicit Proxy(std::unique_ptr<proxy::ProxyImpl> impl);
  std::unique_ptr<proxy::ProxyImpl> impl_;
};

}  // namespace rotor
