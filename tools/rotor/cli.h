// Functions and options that the commands of the tool share.
#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "rotor/rotor.h"
#include "tools/rotor/output.h"

namespace rotor::cli {

/// Exit codes.
enum class Exit : int {
  ok = 0,
  failed = 1,  ///< the guest failed: it trapped, is no module, gave a wrong result
  usage = 2,   ///< the command can't be run as given
};

/// Returns the exit code of the process: `code`, unless some of standard output was lost, which is reported.
Exit exit_code(Exit code);
/// Ends the command: thrown past CLI11's parse to main.
[[noreturn]] void finish(Exit code);
/// Prints "rotor: what" to stderr and ends the command.
[[noreturn]] void die(Exit code, std::string_view what);
/// Does the same for an error about a file: prints file, message and offset. Misuse and missing files end with `usage`.
[[noreturn]] void die(const std::string& file, const Error& error);

template <class T>
T value_or_die(const std::string& file, Result<T>&& result) {
  if (!result) die(file, result.error());
  return std::move(*result);
}
inline void check_or_die(const std::string& file, const Result<void>& result) {
  if (!result) die(file, result.error());
}

/// Returns the path to open to read the file of that name: `-` is standard input, which can be named once.
std::string input_path(const std::string& path);
std::vector<uint8_t> read_file_or_die(const std::string& path);

/// Prints what a guest wrote for people to stderr, each line marked, so that none passes for a line of the tool's own.
void print_guest_error(std::string_view text);

/// Adds --enable and --disable. `features` must live as long as the command.
void add_features(CLI::App& command, Features& features);

/// The longest time that an option may name.
inline constexpr double kMaxSeconds = 1e9;

/// Settings of the engine, as options of a command.
struct EngineOptions {
  Features features;
  int opt = 1;
  std::string mode;
  uint32_t hot_count = Config().hot_count;
  std::string cpu = "native";
  unsigned compile_workers = 0;
  bool interruptible = false;
  bool deterministic = false;
  bool fuel = false;
  bool wide_products = true;
  bool slab_memories = false;
  bool gc_stress = false;
  uint32_t compile_steps_per_byte = Config().compile_steps_per_byte;
  uint64_t compile_memory_bytes = Config().compile_memory_bytes;
  double compile_deadline_s = static_cast<double>(Config().compile_deadline_ms) / 1000;
  bool perf_map = false;
  bool cache = false;
  std::string cache_folder;

  void add_to(CLI::App& command, int default_opt = 1, const char* default_mode = "aot");
  /// Adds the options of the code cache.
  void add_cache_to(CLI::App& command, bool by_default);
  /// Adds --fuel, for commands that measure what it costs.
  void add_fuel_to(CLI::App& command);
  /// Adds --perf-map, for commands that run guests.
  void add_perf_map_to(CLI::App& command);
  Config config() const;
};

/// Makes the engine, or ends the command. A cache folder that can't be used is only a warning.
Engine engine_or_die(const EngineOptions& options);
/// Puts what was compiled on demand into the cache. An error of the cache is only a warning.
void update_cache(const Module& module);

/// A line on stderr that is rewritten in place, if that is a terminal. Thread-safe.
class Progress {
 public:
  explicit Progress(std::string what);
  ~Progress();
  void update(uint64_t done, uint64_t all);
  void clear();

 private:
  struct State;
  std::unique_ptr<State> state_;  // null: no terminal
};

/// Measures wall and process CPU time since it was made.
class Stopwatch {
 public:
  Stopwatch();
  double wall_ms() const;
  double cpu_ms() const;

 private:
  uint64_t wall_ns_;
  uint64_t cpu_ns_;
};

/// Parses a number of bytes as a person writes it: "4096", "8MiB", "8MB" (both 2^20), "1g". Throws CLI::ValidationError
/// if it is none.
uint64_t parse_size(const std::string& text);
/// Checks an option's value: throws as parse_size does, else returns an empty string.
std::string check_size(const std::string& text);

// The commands, one a file.
void add_run(CLI::App& app);
void add_validate(CLI::App& app);
void add_wat2wasm(CLI::App& app);
void add_wasm2wat(CLI::App& app);
void add_inspect(CLI::App& app);
void add_compile(CLI::App& app);
void add_explore(CLI::App& app);
void add_replay(CLI::App& app);
void add_wast(CLI::App& app);
void add_rotate(CLI::App& app);
void add_policy(CLI::App& app);
void add_policy_suggest(CLI::App& group);
void add_bench(CLI::App& app);
void add_completions(CLI::App& app);
/// Adds the command of `bench` that measures runs.
void add_bench_run(CLI::App& bench);
/// Adds the commands of `bench` that measure instances and calls.
void add_bench_instances(CLI::App& bench);

}  // namespace rotor::cli
