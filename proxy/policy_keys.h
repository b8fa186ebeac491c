// The keys that each table of a policy file has. docs/policy-reference.md describes them, and a test holds it to these.
#pragma once

#include <span>
#include <string_view>

namespace rotor::proxy {

inline constexpr std::string_view kTopKeys[] = {"preset",  "enabled",    "mode", "allocator", "rotation",
                                                "image",   "checkpoint", "log",  "group",     "imports",
                                                "exports", "allow",      "probe"};
inline constexpr std::string_view kAllocatorKeys[] = {"malloc", "free", "memory"};
inline constexpr std::string_view kRotationKeys[] = {"warm_at",
                                                     "swap_at",
                                                     "force_at",
                                                     "gauge",
                                                     "memory_limit",
                                                     "at_swap",
                                                     "on_trap",
                                                     "catch_up_ns",
                                                     "catch_up_rounds",
                                                     "call_deadline_ms",
                                                     "call_fuel",
                                                     "drain_deadline_ms",
                                                     "query_handle_calls",
                                                     "backoff_first_ms",
                                                     "backoff_max_ms"};
inline constexpr std::string_view kImageKeys[] = {"mode", "tail_ms", "verify_every"};
inline constexpr std::string_view kCheckpointKeys[] = {"grown", "cpu", "while_held", "host_writes", "reseed"};
inline constexpr std::string_view kLogKeys[] = {"max_calls", "max_bytes", "max_replay_ms"};
inline constexpr std::string_view kGroupKeys[] = {"workers", "start", "stop", "thread_exit", "stop_deadline_ms"};
inline constexpr std::string_view kExportKeys[] = {"export", "effect", "once", "reads",  "local",
                                                   "retry",  "key",    "args", "results"};
inline constexpr std::string_view kImportKeys[] = {"mode", "args"};
inline constexpr std::string_view kAllowKeys[] = {"results"};
inline constexpr std::string_view kProbeKeys[] = {"query", "args"};

struct TableKeys {
  std::string_view table;  ///< "[rotation]"; "a line of [exports]": what stands behind a name there
  std::span<const std::string_view> keys;
};
inline constexpr TableKeys kTables[] = {
    {"the top of the file", kTopKeys}, {"[allocator]", kAllocatorKeys},      {"[rotation]", kRotationKeys},
    {"[image]", kImageKeys},           {"[checkpoint]", kCheckpointKeys},    {"[log]", kLogKeys},
    {"[group]", kGroupKeys},           {"a line of [exports]", kExportKeys}, {"a line of [imports]", kImportKeys},
    {"a line of [allow]", kAllowKeys}, {"a line of [probe]", kProbeKeys},
};

}  // namespace rotor::proxy
