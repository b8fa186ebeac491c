// Proxy: serves calls from an instance that leaks, and exchanges it for a fresh one before it runs out of memory.
//
// The proxy logs the calls that built state. When memory use passes `warm_at`, a background thread prepares a standby:
// the first one by replaying the log, the others from the image of the first and what the log got since. At `swap_at`
// the standby takes the active instance's place between two leases, and the retired one is freed in the background.
// Handles that the host holds are tokens, so they survive the swap. docs/rotation.md explains it all.
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

#include "rotor/import_observer.h"
#include "rotor/instance.h"
#include "rotor/linker.h"
#include "rotor/result.h"
#include "rotor/snapshot.h"

namespace rotor {
namespace proxy { class ProxyImpl; }

// ---- Policy ---------------------------------------------------------------------------------------------------------

/// What calling an export does to the guest's state.
enum class Effect : uint8_t {
  query,    ///< nothing that a later call needs: not recorded, unless it consumes a build's handle or a build takes its
  build,    ///< makes or changes state: recorded, and replayed while something that it made or changed is alive
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
  /// The build does not change the handles it takes: it need not be replayed for their sake. (One that takes handles
  /// and makes none is then never replayed.)
  bool reads = false;
  /// A call that traps runs once more, on a fresh instance, and is told what the host functions of the failed attempt
  /// answered (those of ImportMode::answer; the others run again): its caller sees no trap. The trap is returned after
  /// all if no instance can be had, if an argument is a query's handle, after Lease::raw, resolve or memory in the same
  /// lease, and from within a host function. Not for releases, and not for what takes references.
  bool retry = false;
  /// Of builds with equal arguments at these positions, from 0 on, only the last one is replayed (a setting that is
  /// overwritten). An empty list: of all builds by this export.
  std::optional<std::vector<uint32_t>> key = {};
  /// Unset: each parameter is a scalar; the first one of a release is consumed.
  std::optional<std::vector<ArgKind>> args = {};
  /// Unset: each result is a scalar.
  std::optional<std::vector<ResultKind>> results = {};
  uint32_t line = 0;  ///< in the policy file; 0: made in C++
};

/// What a host function's call within a recorded call is when that is replayed. Without a rule: `answer` with
/// Preset::plain, `run` with Preset::wasm_bindgen.
enum class ImportMode : uint8_t {
  answer,  ///< not run: its results, and what it did to the guest, come from the log
  run,     ///< run again, for the standby (views, casts, clones: no side effect outside the guest)
};

/// One argument of an import, as far as replaying an answer asks.
enum class ImportArg : uint8_t {
  scalar,   ///< must be what it was
  pointer,  ///< may differ from instance to instance; what the host wrote is placed relative to it
  any,      ///< may differ, and nothing is placed relative to it
};

/// What the policy says of an imported function, or of all that match a glob, by `module.name` or by `name` alone. The
/// exact `module.name` wins over the exact `name`, that over globs, a later glob over an earlier one.
struct ImportRule {
  std::string name;
  ImportMode mode = ImportMode::answer;
  /// Unset: an i32 may be a pointer, every other number must be what it was, references may differ.
  std::optional<std::vector<ImportArg>> args = {};
  uint32_t line = 0;  ///< in the policy file; 0: made in C++
};

/// A guest that is several instances on one shared memory: the main one and workers, which wait inside the guest for
/// work. It is paused for its image, and started anew on each standby. The exports are called by the host's `Guest`.
struct GroupRule {
  uint32_t workers = 0;  ///< 0: a guest without workers
  // Names of exports. With Preset::wasm_bindgen empty ones are wasm-bindgen-rayon's, if the module has these.
  std::string start = {};            ///< starts the pool
  std::string stop = {};             ///< has each worker leave the guest
  std::string thread_exit = {};      ///< called on each worker after that, else its stack is lost at each restart
  uint64_t stop_deadline_ms = 5000;  ///< how long a worker has to leave before it is interrupted
};

/// How a guest allocates and frees, and which exports are releases.
enum class Preset : uint8_t {
  plain,         ///< malloc(size), free(ptr); the host keeps what it passes and the proxy frees it after the call
  wasm_bindgen,  ///< __wbindgen_malloc(size, align), __wbindgen_free(ptr, size, align); the guest frees what it is
                 ///< passed; `__wbg_*_free(ptr, 0)` is a release
};

/// What a caller gets who finds the active instance at `swap_at` and no standby ready: the active, the standby as soon
/// as it is ready, or an error of kind `limit`. If none can be had, `wait` gives the active.
enum class AtSwap : uint8_t { serve, wait, fail };
/// What follows a trap, or a host function's error, within a call: a fresh instance, or the old one as that left it.
enum class OnTrap : uint8_t { rotate, keep };
/// How standbys are made.
enum class ImageMode : uint8_t {
  off,   ///< by replay, each of them
  lazy,  ///< the first by replay, which then is imaged
};

/// What a policy makes of one function of a module.
struct ExplainedExport {
  std::string name;
  FuncType type;
  Effect effect = Effect::query;
  bool once = false, reads = false, retry = false;
  std::optional<std::vector<uint32_t>> key;
  std::vector<ArgKind> args;
  std::vector<ResultKind> results;
  std::string raw_only;  ///< why it can only be called through Lease::raw; empty: it can be called
  std::string rule;      ///< the name or glob that says so, with its line; "preset"; "default"
};
struct ExplainedImport {
  std::string name;  ///< module.name
  FuncType type;
  ImportMode mode = ImportMode::answer;
  std::vector<ImportArg> args;
  std::string rule;
};
struct PolicyExplanation {
  std::vector<ExplainedExport> exports;
  std::vector<ExplainedImport> imports;
};
/// As policy files have them.
const char* to_string(Effect effect);
const char* to_string(ArgKind kind);
const char* to_string(ResultKind kind);
const char* to_string(ImportMode mode);
const char* to_string(ImportArg kind);

/// When to rotate, and what each export means. A plain value.
struct Policy {
  bool enabled = true;  ///< false, or ROTOR_ROTATION=off in the environment: no recording, tokens are raw values
  Preset preset = Preset::plain;

  /// Memory use (memory.size of the limit) from which on a standby is prepared.
  double warm_at = 0.70;
  /// Memory use from which on the active is exchanged, at the next call without lease and live query handle.
  double swap_at = 0.90;
  /// Memory use from which on no lease is given on the active any more, as long as a standby can be had: callers wait
  /// for it. Live query handles no longer hold a swap up: they go stale. A lease that is held then, while another
  /// thread waits, drains beside the new active: unless it is in a call that is recorded, or in a with_lease.
  double force_at = 0.97;
  /// What memory use is: an exported function without parameters or an exported global that gives bytes in use (i32 or
  /// i64). Empty: memory.size, of memory 0. Asked at the end of each outermost lease, unrecorded: it must be a query,
  /// and where it traps memory.size counts.
  std::string gauge;
  /// What memory use is relative to; 0, or more than the instance's own limit: that limit. It limits nothing itself.
  uint64_t memory_limit_bytes = 0;
  AtSwap at_swap = AtSwap::serve;
  OnTrap on_trap = OnTrap::rotate;
  /// A standby may be swapped in once the calls it has yet to replay took the active no longer than this.
  uint64_t catch_up_ns = 1'000'000;
  /// A standby that is behind by more than catch_up_ns after so many rounds of replaying what came meanwhile is given
  /// up.
  uint32_t catch_up_rounds = 8;
  /// How long after the exchange a lease whose instance was exchanged under it may go on calling that. A call that runs
  /// is not ended.
  uint64_t drain_deadline_ms = 10'000;
  /// Live query handles that `Proxy::call` returned, or `Lease::keep` kept, hold a swap up until so many calls after
  /// the newest of them.
  uint32_t query_handle_calls = 64;
  /// Pause after a failed warm-up; doubled by each further one.
  uint64_t backoff_first_ms = 100;
  uint64_t backoff_max_ms = 60'000;

  ImageMode image = ImageMode::lazy;
  /// A standby that had to replay calls that took the active longer than this is imaged anew.
  uint64_t image_tail_ns = 100'000'000;
  /// Of so many images one is verified: the calls it was made from are replayed once more, on one more guest, in the
  /// background, and the outcome is compared (Proxy::verify). 1: each. 0: none.
  uint32_t verify_every = 0;

  /// A log that is still above one of these bounds after compaction is given up: rotation ends, for the reason in the
  /// counters.
  uint64_t log_max_calls = 1'000'000;
  uint64_t log_max_bytes = UINT64_C(256) << 20;
  uint64_t log_max_replay_ns = UINT64_C(600'000'000'000);  ///< what its calls took on the active

  GroupRule group;
  std::vector<ImportRule> imports;
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
  /// What each export and import of the module is taken for, and why. Errors: those of check.
  Result<PolicyExplanation> explain(const Module& module) const;
};

// ---- Guests ---------------------------------------------------------------------------------------------------------

/// A running guest: an instance, and whatever host objects must live exactly as long (a wasm-bindgen host, the
/// `host_data`, worker threads). The proxy owns it; it is entered by one thread at a time, not always the same one.
/// Destroyed on the proxy's background thread; the last active by the thread that destroys the proxy, and the one of
/// Proxy::verify by the thread that called it.
class Guest {
 public:
  Guest() = default;
  virtual ~Guest() = default;
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;
  virtual Instance& instance() = 0;
  /// Text of an error object that the guest returned (ResultKind::error): an element of its exported externref table,
  /// with Preset::wasm_bindgen.
  virtual std::string describe_error(ExternRef /*error*/) { return {}; }

  /// Policy::group: starts the workers, and has them leave the guest and end, so that nothing but the main instance is
  /// left. Called while no call runs. Errors of `start` fail the warm-up; one of `stop` means that the guest must not
  /// be used any more.
  virtual Result<void> start_workers(const GroupRule& group);
  virtual Result<void> stop_workers(const GroupRule& group);
  /// Host state that belongs to the guest's references and must come along with its image (what external references
  /// stand for): given to the factory as GuestRequest::saved for every guest restored from that image. Called while no
  /// call runs, with the workers stopped.
  virtual Result<std::shared_ptr<const void>> save() { return nullptr; }
  /// This guest is about to take the place of another: takes over host state that is neither replayed nor in the image
  /// (open files, connections). Called on a thread that calls the proxy, with the gate closed, so it must be quick. An
  /// error keeps the old one in place and fails the warm-up. The old one may have trapped; and where it is exchanged
  /// under a lease (`force_at`), another thread may be in it.
  virtual Result<void> on_rotate(Guest& /*retired*/) { return {}; }
  /// A call of the guest trapped (`on_trap` = rotate): its locks may be held, nothing but its end is to be expected of
  /// it. Called on the thread of the call; stop_workers is not called after it.
  virtual void on_trap() {}
};

/// What the proxy asks of a factory.
struct GuestRequest {
  /// Null: a fresh start. Else the guest must be in that state; `instantiate` sees to the instance.
  const Snapshot* snapshot = nullptr;
  /// Of the guest that the snapshot was taken of: Guest::save. Shared by all guests made from it.
  std::shared_ptr<const void> saved;
  /// Its memory is to be made with MemoryLimits::imageable; `instantiate` and `apply` see to it.
  bool imageable = false;
  /// Others like it will be made: what can't be had twice is an error. False: rotation is off.
  bool rotates = true;
  /// For InstanceOptions::import_observer of the main instance; `instantiate` sees to it. Outlives the guest. Null: the
  /// policy answers no import.
  ImportObserver* import_observer = nullptr;

  /// The options with what the request says of them put in.
  InstanceOptions apply(InstanceOptions options) const;
  /// For a memory that the host makes for the guest to import.
  MemoryLimits apply(MemoryLimits limits) const;
  /// The main instance: fresh, or from the snapshot.
  Result<Instance> instantiate(const InstancePre& pre, InstanceOptions options = {}) const;
};

/// Makes a guest, ready for its first recorded call: what the factory itself calls (start functions) is not logged, and
/// not called for a guest made from a snapshot. Called on the thread that creates the proxy, on the background thread
/// and on threads that call the proxy, never twice at once. Guests must be alike: the same module, the same limits.
using GuestFactory = std::function<Result<std::unique_ptr<Guest>>(const GuestRequest&)>;

/// For guests that need no more than a linker. `make_host_data`, if given, is asked for each instance's host_data,
/// which then lives as long as that instance. Memories, tables and mutable globals that the linker defines once for all
/// instances can't be rotated: unless rotation is off, the factory refuses them (invalid_argument), and so does
/// Proxy::create with it.
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

  static Arg from_slot(ValType type, Slot slot) { return Arg(type, slot); }

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

/// What a proxied call returned. The accessors ask for an index within `values`.
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
/// A lease that is held while the active passes `force_at` may find its instance exchanged under it: queries that
/// neither return nor consume handles go on on the old one until the drain deadline, everything else gives `retired`.
/// The next lease is on the new active.
class [[nodiscard]] Lease {
 public:
  Lease(Lease&& other) noexcept : impl_(std::exchange(other.impl_, nullptr)) {}
  Lease& operator=(Lease&& other) noexcept;
  ~Lease();

  /// Calls an export as the policy describes it: tokens are translated both ways, bytes and vectors go through the
  /// guest's allocator, builds are recorded. Errors: not_found, type_mismatch (arguments), stale_handle (a token that
  /// is none or no more), trap, host (a host function failed, or the guest returned its `error` result), limit (the
  /// guest's allocator has nothing left; too many handles), invalid_argument (a build that takes a query's handle which
  /// can't be recorded, or is called from a host function; an export that can only be called raw; data outside of the
  /// guest's memory), retired (the instance was exchanged under the lease). After a trap or a host function's error,
  /// with `on_trap` = rotate, further calls of this lease repeat that error.
  Result<Reply> call(std::string_view name, std::span<const Arg> args = {});
  Result<Reply> call(std::string_view name, std::initializer_list<Arg> args) {
    return call(name, std::span<const Arg>(args.begin(), args.size()));
  }
  /// Calls an export with nothing translated: for malloc, free and queries on raw pointers, which mean nothing after
  /// the lease. Errors: those of Func::call; not_found; retired; invalid_argument for a build or release, which could
  /// not be recorded.
  Result<std::vector<Value>> raw(std::string_view name, std::span<const Value> args = {});
  Result<std::vector<Value>> raw(std::string_view name, std::initializer_list<Value> args) {
    return raw(name, std::span<const Value>(args.begin(), args.size()));
  }
  /// The raw value behind a token, for use with raw(). Errors: stale_handle; retired.
  Result<uint32_t> resolve(uint32_t token) const;
  /// Has a query's handle outlive the lease: as if Proxy::call had returned it. Nothing to do for a build's. Errors:
  /// stale_handle; retired.
  Result<void> keep(uint32_t token);
  /// Memory 0 of the pinned instance. Errors: not_found.
  Result<Memory> memory() const;

 private:
  friend class Proxy;
  template <class>
  friend class ProxyFunc;
  explicit Lease(proxy::ProxyImpl* impl) : impl_(impl) {}
  proxy::ProxyImpl* impl_;
};

namespace proxy {
/// Of ProxyFunc: `slots` holds the arguments and takes the results.
Result<void> call_slots(ProxyImpl& impl, uint32_t export_index, Slot* slots, bool own_lease);
}  // namespace proxy

template <class Signature>
class ProxyFunc;
/// An export whose name and type were looked up once: the fast way to call it. Handles are uint32_t tokens. For exports
/// whose arguments and results are scalars and handles; bytes and vectors go through Lease::call. Copies share nothing;
/// valid as long as the proxy, moved or not. Used by any thread.
template <class R, class... Args>
class ProxyFunc<R(Args...)> {
 public:
  /// As Proxy::call.
  Result<R> operator()(Args... args) const { return run(true, args...); }
  /// As Lease::call, of a lease of the same proxy.
  Result<R> operator()(Lease& /*held*/, Args... args) const { return run(false, args...); }

 private:
  friend class Proxy;
  ProxyFunc(proxy::ProxyImpl* impl, uint32_t export_index) : impl_(impl), export_index_(export_index) {}
  Result<R> run(bool own_lease, Args... args) const {
    static_assert(!(std::is_same_v<Args, V128> || ...) && !std::is_same_v<R, V128>, "a v128 goes through Lease::raw");
    constexpr size_t count = std::max<size_t>({sizeof...(Args), detail::Results<R>::count, 1});
    Slot slots[count];
    size_t i = 0;
    ((slots[i++] = detail::to_slot<Args>(args)), ...);
    (void)i;
    if (auto done = proxy::call_slots(*impl_, export_index_, slots, own_lease); !done) [[unlikely]]
      return std::unexpected(std::move(done).error());
    if constexpr (std::is_void_v<R>)
      return {};
    else
      return detail::Results<R>::load(slots);
  }
  proxy::ProxyImpl* impl_;
  uint32_t export_index_;
};

// ---- The proxy ------------------------------------------------------------------------------------------------------

/// Why an instance was exchanged: memory use, or Proxy::rotate; a trap; memory use, under a lease.
enum class RotationCause : uint8_t { memory, trap, force };
/// How the new one was made.
enum class StandbyOrigin : uint8_t { replay, image };

struct RotationEvent {
  uint64_t rotation = 0;  ///< 1: the first
  RotationCause cause = RotationCause::memory;
  StandbyOrigin origin = StandbyOrigin::replay;
  uint64_t calls = 0;           ///< export calls made through the proxy before it
  uint64_t bytes_before = 0;    ///< memory of the retired instance
  uint64_t bytes_after = 0;     ///< memory of the new active
  uint64_t calls_replayed = 0;  ///< on the new active; those in its image apart
  uint64_t warmup_ns = 0;       ///< instantiation and replay
  uint64_t wait_ns = 0;         ///< the caller waited so long for the standby (`at_swap` = wait, a trap, `force_at`)
  uint64_t swap_pause_ns = 0;   ///< from gate closed to gate open, the wait apart
};

/// What else may be told of, beside rotations.
enum class ProxyEventKind : uint8_t {
  warmup_begun,
  warmup_done,     ///< `ns` it took
  warmup_failed,   ///< `text` says why: an error, a divergence, futility
  image_made,      ///< `bytes` that the system holds for it, `ns` it took beyond the warm-up
  image_verified,  ///< `text`: empty, or how the replay differed
  drained,         ///< a retired instance, or a standby that was dropped, was freed: `bytes` of its memory, `ns` since
  drain_overdue,   ///< a lease of a retired instance did not end by the deadline
  retried,         ///< `text`: the trap that nobody saw
  log_compacted,   ///< `calls` that remain
  rotation_ended,  ///< for good, and `text` says why: a bound of the log
};
struct ProxyEvent {
  ProxyEventKind kind;
  uint64_t ns = 0;
  uint64_t bytes = 0;
  uint64_t calls = 0;
  std::string text = {};
};

/// A snapshot; counts since the proxy was created.
struct ProxyCounters {
  uint64_t calls = 0;    ///< export calls by the host
  uint64_t leases = 0;   ///< outermost ones; those of one call included
  uint64_t waiting = 0;  ///< threads that wait for a lease, as of now
  uint64_t traps = 0;
  uint64_t retries = 0;        ///< calls and with_lease functions that ran again after a trap
  uint64_t stale_handles = 0;  ///< calls refused for a token

  uint64_t rotations = 0;
  uint64_t rotations_trap = 0;   ///< of them, for a trap
  uint64_t rotations_force = 0;  ///< of them, under a lease
  uint64_t rotations_image = 0;  ///< of them, with a standby from the image
  uint64_t warmups = 0;          ///< begun
  uint64_t warmups_failed = 0;   ///< `last_problem` says why
  uint64_t futile = 0;           ///< of the failed, those whose standby stood above warm_at
  uint64_t divergences = 0;      ///< of the failed, those where a replay went another way
  uint64_t catch_up_failed = 0;  ///< of the failed, those that the log ran away from
  uint64_t calls_replayed = 0;
  uint64_t images = 0;          ///< made
  uint64_t images_failed = 0;   ///< a standby went on without
  uint64_t images_dropped = 0;  ///< no standby could be made from them: one was made from the log instead
  uint64_t not_kept_ready = 0;  ///< images without Snapshot::keep_ready: the system refused
  uint64_t verified = 0;        ///< images whose calls were replayed once more
  uint64_t verify_failed = 0;   ///< of them, with another outcome

  uint64_t log_calls = 0;
  uint64_t log_bytes = 0;
  uint64_t log_replay_ns = 0;  ///< what its calls took on the active
  uint64_t log_recorded = 0;   ///< calls ever recorded
  uint64_t log_compactions = 0;

  uint64_t warmup_ns_last = 0;
  uint64_t warmup_ns_total = 0;
  uint64_t swap_pause_ns_last = 0;
  uint64_t swap_pause_ns_max = 0;
  uint64_t swap_pause_ns_total = 0;
  uint64_t wait_ns_max = 0;
  uint64_t drain_ns_last = 0;  ///< from swap to freed
  uint64_t drain_ns_total = 0;
  uint64_t drained = 0;        ///< retired instances that were freed
  uint64_t drain_overdue = 0;  ///< leases that did not end by the deadline

  uint64_t retired = 0;              ///< instances not yet freed, as of now
  uint64_t memory_bytes = 0;         ///< of the active, as of the last lease's end
  uint64_t standby_bytes = 0;        ///< memory of the standby, as of now; 0: none
  uint64_t retired_bytes = 0;        ///< of those not yet freed
  uint64_t image_bytes = 0;          ///< what the system holds for the image
  uint64_t reclaimed_bytes = 0;      ///< what retired instances had more than those that took their place
  uint64_t peak_together_bytes = 0;  ///< most that active, standby and retired ones had at once
  uint64_t denied_growths = 0;       ///< of the active

  bool rotating = false;     ///< rotation is on
  std::string off_reason;    ///< why it is not: policy, environment or a bound of the log
  std::string last_problem;  ///< of the last failed warm-up; or what an event's callback, or Guest::on_trap, threw
};

/// The counters in Prometheus' text format (0.0.4), each name with `rotor_` before it, times in seconds. `labels`, if
/// any, go into each line's braces as they are: `guest="prover"`.
std::string prometheus_text(const ProxyCounters& counters, std::string_view labels = {});

struct ProxyOptions {
  /// Told of each rotation, on the thread that caused it, before its lease begins (for `retry`, within it). Every
  /// caller waits meanwhile. Must not call the proxy.
  std::function<void(const RotationEvent&)> on_rotation = {};
  /// Told of everything else, with no lock held: on the background thread, or, of `retried` and most ends of rotation,
  /// on the thread whose call it is. Must not call the proxy.
  std::function<void(const ProxyEvent&)> on_event = {};
};

/// Outcome of Proxy::verify.
struct VerifyReport {
  uint64_t calls = 0;  ///< replayed; each returned what it once did
  bool digests_equal = false;
  bool compared_digests = false;  ///< false: a group, whose calls' results were compared only
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

  /// Runs `work` within a lease. If the guest traps in it, or in one of its calls, it runs as a whole once more, on a
  /// fresh instance: builds of the failed attempt are forgotten, handles that it ended live again, and host functions
  /// answer what they answered then (those of ImportMode::answer). So `work` must be able to run twice, and have the
  /// guest call the same host functions in the same order. Within another lease, with rotation off or `on_trap` = keep
  /// it runs but once. Errors: those of acquire, then those of `work`.
  Result<void> with_lease(const std::function<Result<void>(Lease&)>& work);
  /// Looks an export up, and compares its type with what the policy says of it. Errors: not_found, type_mismatch.
  template <class Signature>
  Result<ProxyFunc<Signature>> get_typed(std::string_view name) const {
    ROTOR_TRY(uint32_t index, export_of(name, signature_of(static_cast<ProxyFunc<Signature>*>(nullptr))));
    return ProxyFunc<Signature>(impl_.get(), index);
  }

  /// Has a standby, and with `image` = lazy its image, prepared now, and waits until it is there: after the state is
  /// built, so that the first trap finds one. Must not be called within a lease. Errors: internal, with what failed the
  /// warm-up; limit (an earlier one failed a short while ago: `backoff_first_ms`); invalid_argument (rotation is off).
  Result<void> prepare();
  /// Asks for a standby and returns; the active is exchanged for it by the first call or lease that finds it ready and
  /// no live query handle, whatever the memory in use: for tests, and for guests that are known to have gone bad.
  /// Errors: invalid_argument (rotation is off).
  Result<void> rotate();
  /// Replays the calls that the image was made from on a fresh guest, on the calling thread, and compares what each
  /// returns, and, but for a group, digests of memories, globals and tables: whether these are equal the report says.
  /// Calls go on meanwhile. Errors: not_found (no image); those of the factory and of replay; internal (divergence).
  Result<VerifyReport> verify();

  ProxyCounters counters() const;
  const Policy& policy() const;

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
