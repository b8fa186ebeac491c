// Policies: when a proxy rotates, and what each export and import of its guest means.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "rotor/module.h"
#include "rotor/result.h"
#include "rotor/value.h"

namespace rotor {

/// What calling an export does to the guest's state.
enum class Effect : uint8_t {
  query,    ///< nothing that a later call needs: not recorded, unless it consumes a build's handle or a build takes its
  build,    ///< makes or changes state: recorded, and replayed
  release,  ///< ends a handle: recorded if that handle was recorded
};

/// One argument of an export as the host sees it.
enum class ArgKind : uint8_t {
  scalar,      ///< one parameter, passed as it is
  handle,      ///< one i32: an opaque pointer that the host keeps
  consumed,    ///< a handle that the call ends
  out,         ///< a pointer to an i32 that the guest fills. The host gives none: it gets the number behind the results
  out_handle,  ///< the same for a handle
  // Data, which goes through the guest's allocator:
  bytes,                   ///< (ptr, len)
  text,                    ///< (ptr, len), with a NUL behind the bytes that len does not count
  cstring,                 ///< (ptr) of bytes that a NUL ends
  vector,                  ///< (ptr, count) of u32 numbers
  handles,                 ///< (ptr, count) of handles
  consumed_handles,        ///< (ptr, count) of handles that the call ends
  count_bytes,             ///< (len, ptr): these are the same with the count before the pointer
  count_vector,            ///< (count, ptr) of u32 numbers
  count_handles,           ///< (count, ptr) of handles
  count_consumed_handles,  ///< (count, ptr) of handles that the call ends
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
/// wins over globs, a later glob over an earlier one. An export that nothing in the policy names is a build of scalars;
/// if it can't be one, since it takes references or passes what can't be recorded, the policy is refused.
struct ExportRule {
  std::string name;  ///< an export, or a glob
  /// The export that is called. Not empty: `name` is another name for it, which no export has, with a rule of its own:
  /// for minified names, and for an export that does one thing or another.
  std::string export_name = {};
  /// What a call does to the guest's state. Unset: it is a build. (RotationMode::checkpoint: `allow` says it.)
  std::optional<Effect> effect = {};
  /// The build only fills a cache: of the calls with equal arguments the first is a build, the others are queries.
  bool once = false;
  /// The build changes nothing but the handles it takes and makes: once none of those is alive or needed, it is no
  /// longer replayed. (Without: what else it may have changed is never lost, and it is replayed for ever.)
  bool local = false;
  /// The `local` build does not change the handles it takes: it need not be replayed for their sake.
  bool reads = false;
  /// A call that traps runs once more, on a fresh instance, and is told what the host functions of the failed attempt
  /// answered (those of ImportMode::answer, up to one that failed; the others run again): its caller sees no trap. The
  /// trap is returned after all if no instance can be had, if an argument is a query's handle, after Lease::raw,
  /// resolve or memory in the same lease, and from within a host function. Not for releases, and not for what takes
  /// references.
  bool retry = false;
  /// Of builds with equal arguments at these positions, from 0 on among those that the host gives, only the last one is
  /// replayed (a setting that is overwritten). An empty list: of all builds by this export.
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
  std::string name;                      ///< an import, or a glob
  ImportMode mode = ImportMode::answer;  ///< what a call of it is when a recorded call is replayed
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

/// The exports that are the guest's malloc and free, and the memory that they are of. Empty ones have the names of the
/// preset.
struct AllocatorRule {
  std::string allocate = {};    ///< (size) -> ptr; with Preset::wasm_bindgen (size, align) -> ptr
  std::string deallocate = {};  ///< (ptr); with Preset::wasm_bindgen (ptr, size, align)
  std::string memory = {};      ///< the exported memory that data goes in and out by; empty: memory 0
};

/// How the instance that takes the active's place comes by its state.
enum class RotationMode : uint8_t {
  replay,      ///< the calls that built state are recorded, and replayed on a fresh instance: handles are tokens
  checkpoint,  ///< it is made from an image of the active itself: handles are the guest's own numbers, nothing is
               ///< recorded
};

/// What the integers are that an allowed export returns.
enum class Returned : uint8_t {
  held,   ///< each but 0 may be a pointer to something new, which the host holds until it releases or drops it
  value,  ///< none is a pointer, or only to what was there before the call, or one that the lease alone uses
};

/// RotationMode::checkpoint: an export, or all that match a glob, whose calls leave nothing behind in the guest that a
/// later call needs. An exact name wins over globs, a later glob over an earlier one, and an exact name among the
/// builds and releases of Policy::exports over globs here. All other exports change state.
struct AllowRule {
  std::string name;                   ///< an export, or a glob
  Returned results = Returned::held;  ///< what its calls return
  uint32_t line = 0;                  ///< in the policy file; 0: made in C++
};

/// What is done while the host holds a result that is newer than the checkpoint.
enum class WhileHeld : uint8_t {
  wait,        ///< neither a rewind nor a checkpoint, but one by Proxy::checkpoint
  checkpoint,  ///< a new checkpoint when one is due, in which it will be
};

/// What the host writes through Lease::memory.
enum class HostWrites : uint8_t {
  state,    ///< what a later call may need: taking the memory changes state
  scratch,  ///< arguments, into what it holds: nothing that outlives that
};

/// RotationMode::checkpoint: when checkpoints are taken, and what a rewind needs.
struct CheckpointRule {
  /// A new checkpoint, if the last one is stale, is due once memory use has grown by this fraction of the limit since,
  /// or a rewind gave back as much;
  double grown = 0.05;
  /// or once the last one took no more than this fraction of the time since it began. 1: always.
  double cpu = 0.01;
  /// What is done while a result that is newer than the checkpoint is held.
  WhileHeld while_held = WhileHeld::wait;
  /// What the host writes through Lease::memory.
  HostWrites host_writes = HostWrites::state;
  /// What keeps random numbers that the guest holds from coming again after each rewind: an export that is called on
  /// each instance made from a checkpoint, before it serves. It returns nothing; its parameters, if any, are integers,
  /// and get random bits of the system's. "none": nothing has to. Empty: a policy that is refused if the module imports
  /// a known source of randomness.
  std::string reseed;
  bool operator==(const CheckpointRule&) const = default;  ///< for tests
};

/// An argument of a probe: the oldest handle that lives of those that builds by an export returned.
struct ProbeHandle {
  std::string made_by;                                  ///< the export
  bool operator==(const ProbeHandle&) const = default;  ///< for tests
};
/// One argument of a probe: a whole number, another number, the contents of `bytes`, those of a `vector`, or a handle.
using ProbeArg = std::variant<int64_t, double, std::string, std::vector<uint32_t>, ProbeHandle>;

/// A query whose answer says whether an instance has the state that the active has: it is made on both before one takes
/// the other's place, and where they differ, the active stays.
struct ProbeRule {
  std::string name;                 ///< what events and errors call it
  std::string query = {};           ///< the export; empty: `name`
  std::vector<ProbeArg> args = {};  ///< one for each argument of the export
  uint32_t line = 0;                ///< in the policy file; 0: made in C++
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

/// What RotationMode::checkpoint makes of a call.
enum class Leaves : uint8_t {
  state,    ///< it changes state: the checkpoint is stale
  nothing,  ///< the policy allows it
  release,  ///< it ends what it is given: nothing is left if that is newer than the checkpoint
};
/// What a policy makes of one function of a module.
struct ExplainedExport {
  std::string name;                          ///< as the module has it, or the policy's name for it
  std::string export_name;                   ///< as the module has it
  FuncType type;                             ///< as the module has it
  Effect effect = Effect::query;             ///< what the proxy takes its calls for
  bool unsaid = false;                       ///< it is a build because no line says what it is
  bool once = false,                         ///< as of ExportRule
      reads = false,                         ///< as of ExportRule
      local = false,                         ///< as of ExportRule
      retry = false;                         ///< as of ExportRule
  std::optional<std::vector<uint32_t>> key;  ///< as of ExportRule
  std::vector<ArgKind> args;                 ///< one for each argument that the host gives
  std::vector<ResultKind> results;           ///< one for each result that the host gets
  std::string raw_only;                      ///< why it can only be called through Lease::raw; empty: it can be called
  std::string rule;                          ///< the name or glob that says so, with its line; "preset"; "default"
  // With RotationMode::checkpoint:
  Leaves leaves = Leaves::state;        ///< what a call of it leaves behind
  Returned returned = Returned::value;  ///< what it returns, if it is allowed
  std::string allow_rule;               ///< of Policy::allow, with its line; "preset"; empty: none
};
/// What a policy makes of one imported function.
struct ExplainedImport {
  std::string name;                      ///< module.name
  FuncType type;                         ///< as the module has it
  ImportMode mode = ImportMode::answer;  ///< as of ImportRule
  std::vector<ImportArg> args;           ///< one for each parameter
  std::string rule;                      ///< as of ExplainedExport
};
/// What a policy makes of a module.
struct PolicyExplanation {
  std::vector<ExplainedExport> exports;      ///< its functions, in the order of the module
  std::vector<ExplainedImport> imports;      ///< its functions, in the order of the module
  RotationMode mode = RotationMode::replay;  ///< the policy's
  std::vector<std::string> warnings;         ///< what is no error, and makes rotation useless
};
/// As policy files have them.
const char* to_string(Effect effect);
/// Does the same for what an argument is.
const char* to_string(ArgKind kind);
/// Does the same for what a result is.
const char* to_string(ResultKind kind);
/// Does the same for what a host function's call is in a replay.
const char* to_string(ImportMode mode);
/// Does the same for what an import's argument is.
const char* to_string(ImportArg kind);
/// Does the same for what an allowed export returns.
const char* to_string(Returned returned);
/// For people.
const char* to_string(Leaves leaves);

/// When to rotate, and what each export means. A plain value.
struct Policy {
  bool enabled = true;  ///< false, or ROTOR_ROTATION=off in the environment: no recording, tokens are raw values
  /// How the instance that takes the active's place comes by its state. With `checkpoint`, `exports` only say how data
  /// goes in and out and which exports release; the log, `image` and `imports` have no meaning.
  RotationMode mode = RotationMode::replay;
  /// How the guest allocates and frees.
  Preset preset = Preset::plain;
  /// The exports that do it.
  AllocatorRule allocator;

  /// Memory use (memory.size of the limit) from which on a standby is prepared.
  double warm_at = 0.70;
  /// Memory use from which on the active is exchanged, at the next call without lease and live query handle.
  double swap_at = 0.90;
  /// Memory use from which on no lease is given on the active any more, as long as a standby can be had: callers wait
  /// for it. Live query handles no longer hold a swap up: they go stale. A lease that is held then, while another
  /// thread waits, drains beside the new active: unless it is in a call that is recorded, or in a with_lease.
  double force_at = 0.97;
  /// What memory use is: an exported function without parameters or an exported global that gives bytes in use (i32 or
  /// i64). Empty: memory.size; of several memories, what all together have of what they may have together, or what one
  /// has of its own limit, whichever is more (a memory that can't grow from the start is no reason). Asked at the end
  /// of each outermost lease, unrecorded: it must be a query, and where it traps memory.size counts.
  std::string gauge;
  /// What memory use is relative to; 0, or more than the instance's own limit: that limit. It limits nothing itself.
  uint64_t memory_limit_bytes = 0;
  /// What a caller gets at swap_at if no standby is ready.
  AtSwap at_swap = AtSwap::serve;
  /// What follows a trap.
  OnTrap on_trap = OnTrap::rotate;
  /// A standby may be swapped in once the calls it has yet to replay took the active no longer than this.
  uint64_t catch_up_ns = 1'000'000;
  /// A standby that is behind by more than catch_up_ns after so many rounds of replaying what came meanwhile is given
  /// up.
  uint32_t catch_up_rounds = 8;
  /// How long each call of an export may take in the guest, host functions included: see Lease::set_deadline. The wait
  /// for a lease and for a standby is not counted. Needs Config::interruptible, and takes 0.3 to 0.5 µs a call. 0: any
  /// time.
  uint64_t call_deadline_ms = 0;
  /// The fuel that each call of an export begins with, of which what is left is lost with its end: a call that needs
  /// more traps with TrapKind::out_of_fuel, and what follows is what follows any trap, but it is not tried again. Calls
  /// that host functions make draw from that of the call around them. What the proxy has a guest do of its own accord
  /// (start functions, replays, probes) is not counted. Needs Config::fuel, and takes some 20 ns a call. 0: any number.
  uint64_t call_fuel = 0;
  /// How long after the exchange a lease whose instance was exchanged under it may go on calling that. A call that runs
  /// is not ended.
  uint64_t drain_deadline_ms = 10'000;
  /// Live query handles that `Proxy::call` returned, or `Lease::keep` kept, hold a swap up until so many calls after
  /// the newest of them.
  uint32_t query_handle_calls = 64;
  /// Pause after a failed warm-up; doubled by each further one.
  uint64_t backoff_first_ms = 100;
  uint64_t backoff_max_ms = 60'000;  ///< the longest that such a pause gets

  /// How standbys are made.
  ImageMode image = ImageMode::lazy;
  /// A standby that had to replay calls that took the active longer than this is imaged anew.
  uint64_t image_tail_ns = 100'000'000;
  /// Of so many images one is verified: the calls it was made from are replayed once more, on one more guest, in the
  /// background, and the outcome is compared (Proxy::verify). 1: each. 0: none.
  uint32_t verify_every = 0;

  /// At one of these bounds the log is cut: an image stands for the calls before it. Calls wait for that once the log
  /// is twice as large. If no image can be made, or ImageMode::off, rotation ends, for the reason in the counters.
  uint64_t log_max_calls = 1'000'000;
  uint64_t log_max_bytes = UINT64_C(256) << 20;            ///< of the log itself
  uint64_t log_max_replay_ns = UINT64_C(600'000'000'000);  ///< what its calls took on the active

  /// The workers of the guest, if it has any.
  GroupRule group;
  /// The rules of host functions; the order matters for globs only.
  std::vector<ImportRule> imports;
  /// The rules of exports; the order matters for globs only.
  std::vector<ExportRule> exports;
  /// RotationMode::checkpoint: the exports that leave nothing behind; the order matters for globs only. Without them
  /// nothing is ever lost, and no memory given back.
  std::vector<AllowRule> allow;
  CheckpointRule checkpoint;  ///< RotationMode::checkpoint: when, and what a rewind needs
  /// The queries that are compared before an exchange, in this order.
  std::vector<ProbeRule> probes;
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

}  // namespace rotor
