#include "tools/rotor/cli.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <utility>

namespace rotor::cli {
namespace {

uint64_t wall_ns() {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1));
}

uint64_t cpu_ns() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto ns = [](const timeval& t) {
    return static_cast<uint64_t>(t.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(t.tv_usec) * 1000;
  };
  return ns(usage.ru_utime) + ns(usage.ru_stime);
}

Exit exit_for(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::io:
    case ErrorKind::not_found:
    case ErrorKind::invalid_argument:
    case ErrorKind::type_mismatch: return Exit::usage;
    default: return Exit::failed;
  }
}

}  // namespace

Exit exit_code(Exit code) {
  auto written = finish_output();
  if (written) return code;
  print_error("rotor: {}\n", written.error().to_string());
  return code == Exit::ok ? Exit::usage : code;
}

void finish(Exit code) { throw CLI::RuntimeError(static_cast<int>(code)); }

void die(Exit code, std::string_view what) {
  flush_out();
  print_error("rotor: {}\n", what);
  finish(code);
}

void die(const std::string& file, const Error& error) {
  std::string text = error.to_string();
  // Errors of traces and code files name their file themselves.
  const bool is_named = text.contains(file == "-" ? "standard output" : file);
  die(exit_for(error.kind), is_named ? text : fmt::format("{}: {}", file, text));
}

void print_guest_error(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  for (size_t end = 0; end != text.npos; text.remove_prefix(end == text.npos ? 0 : end + 1)) {
    end = text.find('\n');
    print_error("[guest error] {}\n", printable(text.substr(0, end)));
  }
}

std::string input_path(const std::string& path) {
  static bool is_named = false;
  if (path != "-") return path;
  if (std::exchange(is_named, true)) die(Exit::usage, "standard input can be read once only");
  return "/dev/stdin";
}

std::vector<uint8_t> read_file_or_die(const std::string& path) {
  std::error_code failed;
  if (std::filesystem::is_directory(path, failed)) die(Exit::usage, path + ": is a directory");
  errno = 0;
  std::ifstream in(input_path(path), std::ios::binary);
  std::vector<uint8_t> bytes;
  const uintmax_t expected =
      std::filesystem::is_regular_file(path, failed) ? std::filesystem::file_size(path, failed) : 0;
  // In blocks, which double: an iterator over the stream takes as long as loading the code of a module.
  while (in) {
    const size_t size = bytes.size();
    bytes.resize(size == 0 ? static_cast<size_t>(failed ? 0 : expected) + (1 << 12) : 2 * size);
    in.read(reinterpret_cast<char*>(bytes.data() + size), static_cast<std::streamsize>(bytes.size() - size));
    bytes.resize(size + static_cast<size_t>(in.gcount()));
  }
  if (!in.eof() || in.bad())
    die(Exit::usage, fmt::format("{}: {}", path, errno ? std::strerror(errno) : "can't be read"));
  return bytes;
}

void EngineOptions::add_to(CLI::App& command, int default_opt, const char* default_mode) {
  opt = default_opt;
  mode = default_mode;
  command.add_option("--mode", mode, "when functions are compiled: lazy, eager or aot")
      ->check(CLI::IsMember({"lazy", "eager", "aot"}))
      ->capture_default_str();
  command.add_option("--opt", opt, "optimisation level; of lazy and eager: the highest")
      ->check(CLI::Range(0, 1))
      ->capture_default_str();
  command
      .add_option("--hot-count", hot_count, "calls and loop turns after which a function is optimised (lazy, eager)")
      ->check(CLI::Range(1, 1'000'000'000))
      ->capture_default_str();
  command.add_option("--cpu", cpu, "native, baseline (x86-64-v2), x86-64-v3 or x86-64-v4")
      ->check(CLI::IsMember({"native", "baseline", "x86-64-v3", "x86-64-v4"}))
      ->capture_default_str();
  command.add_option("--compile-workers", compile_workers, "compile threads; 0: one a core")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  command
      .add_option_function<std::string>(
          "--compile-memory", [this](const std::string& text) { compile_memory_bytes = parse_size(text); },
          "most memory that compiling takes at once, such as 256MiB; default 1GiB")
      ->check(check_size);
  command
      .add_option("--compile-deadline", compile_deadline_s,
                  "seconds that compiling may take; the second half of them is without optimising; 0: any time")
      ->check(CLI::Range(0.0, kMaxSeconds))
      ->capture_default_str();
  command.add_flag("--deterministic", deterministic, "canonical NaNs, and the same relaxed SIMD on any processor");
  command
      .add_option("--compile-steps-per-byte", compile_steps_per_byte,
                  "what compiling a function may come to, a byte, before its values are kept in memory")
      ->group("");
  command.add_flag("!--no-wide-products", wide_products, "leave products of 128 bits as wasm code computes them");
  command.add_flag("--slab-memories", slab_memories, "small memories of a module's own share mappings, with checks");
  add_features(command, features);
}

void add_features(CLI::App& command, Features& features) {
  auto switches = [&features](bool on) {
    return [&features, on](const std::vector<std::string>& names) {
      for (const std::string& name : names) {
        if (!features.set(name, on)) throw CLI::ValidationError(name + " is no proposal that can be switched");
      }
    };
  };
  command
      .add_option_function<std::vector<std::string>>("--enable", switches(true), "proposals to allow (simd,memory64)")
      ->delimiter(',')
      ->allow_extra_args(false);
  command.add_option_function<std::vector<std::string>>("--disable", switches(false), "proposals to refuse")
      ->delimiter(',')
      ->allow_extra_args(false);
}

void EngineOptions::add_cache_to(CLI::App& command, bool by_default) {
  cache = by_default;
  command.add_flag("--cache,!--no-cache", cache,
                   by_default ? "--no-cache: neither use nor fill the code cache" : "use and fill the code cache");
  command.add_option("--cache-folder", cache_folder, "default: $XDG_CACHE_HOME/rotor/code or ~/.cache/rotor/code");
}

void EngineOptions::add_perf_map_to(CLI::App& command) {
  command.add_flag("--perf-map", perf_map, "list the functions' code in /tmp/perf-PID.map, for perf");
}

void EngineOptions::add_fuel_to(CLI::App& command) {
  command.add_flag("--fuel", fuel, "code that pays for what it executes: say how much that is");
}

Config EngineOptions::config() const {
  Config config;
  config.features = features;
  config.opt = opt == 0 ? OptLevel::o0 : OptLevel::o1;
  config.mode = mode == "lazy" ? CompileMode::lazy : mode == "eager" ? CompileMode::eager : CompileMode::aot;
  config.hot_count = hot_count;
  config.cache.enabled = cache;
  config.cache.folder = cache_folder;
  config.cpu = cpu;
  config.compile_workers = compile_workers;
  config.interruptible = interruptible;
  config.deterministic = deterministic;
  config.fuel = fuel;
  config.wide_products = wide_products;
  config.slab_memories = slab_memories;
  config.gc_stress = gc_stress;
  config.compile_steps_per_byte = compile_steps_per_byte;
  config.compile_memory_bytes = compile_memory_bytes;
  config.compile_deadline_ms = static_cast<uint64_t>(compile_deadline_s * 1000);
  if (compile_deadline_s > 0) config.compile_deadline_ms = std::max<uint64_t>(config.compile_deadline_ms, 1);
  config.perf_map = perf_map;
  return config;
}

Engine engine_or_die(const EngineOptions& options) {
  if (options.perf_map) {
    // Removes what another process of this id left, since the engine only adds to the file.
    std::error_code ignored;
    std::filesystem::remove(fmt::format("/tmp/perf-{}.map", getpid()), ignored);
  }
  Config config = options.config();
  auto progress = std::make_shared<Progress>("compiling");
  config.compile_progress = [progress](uint32_t done, uint32_t all) {
    progress->update(done, all);
    if (done >= all) progress->clear();
  };
  auto engine = Engine::create(config);
  if (!engine && config.cache.enabled) {
    print_error("rotor: running without the cache: {}\n", engine.error().message);
    config.cache.enabled = false;
    engine = Engine::create(std::move(config));
  }
  return value_or_die("engine", std::move(engine));
}

void update_cache(const Module& module) {
  auto warn = [](const Error& error) { print_error("rotor: code cache: {}\n", error.message); };
  if (auto outcome = module.cache_outcome(); outcome.failure) warn(*outcome.failure);
  if (auto updated = module.update_cache(); !updated) warn(updated.error());
}

struct Progress::State {
  std::string what;
  std::mutex mutex;
  uint64_t drawn_ns = 0;
};

Progress::Progress(std::string what) {
  // A terminal that is none to speak of can't erase a line.
  const char* terminal = std::getenv("TERM");
  if (!isatty(STDERR_FILENO) || !terminal || std::string_view(terminal) == "dumb") return;
  state_ = std::make_unique<State>();
  state_->what = std::move(what);
}

Progress::~Progress() { clear(); }

void Progress::update(uint64_t done, uint64_t all) {
  constexpr uint64_t kRedrawNs = 100'000'000;
  if (!state_) return;
  std::unique_lock lock(state_->mutex, std::try_to_lock);
  if (!lock) return;
  uint64_t now = wall_ns();
  if (now - state_->drawn_ns < kRedrawNs) return;
  state_->drawn_ns = now;
  show_progress(fmt::format("{} {} of {}", state_->what, done, all));
}

void Progress::clear() {
  if (state_) erase_progress();
}

Stopwatch::Stopwatch() : wall_ns_(wall_ns()), cpu_ns_(cpu_ns()) {}
double Stopwatch::wall_ms() const { return static_cast<double>(rotor::cli::wall_ns() - wall_ns_) / 1e6; }
double Stopwatch::cpu_ms() const { return static_cast<double>(rotor::cli::cpu_ns() - cpu_ns_) / 1e6; }

std::string check_size(const std::string& text) {
  parse_size(text);
  return {};
}

uint64_t parse_size(const std::string& text) {
  size_t used = 0;
  uint64_t value = 0;
  try {
    if (!text.empty() && text[0] >= '0' && text[0] <= '9') value = std::stoull(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  std::string unit = CLI::detail::to_lower(text.substr(used));
  while (!unit.empty() && unit[0] == ' ') unit.erase(0, 1);
  int shift = -1;
  if (unit.empty() || unit == "b") shift = 0;
  if (unit == "k" || unit == "kb" || unit == "kib") shift = 10;
  if (unit == "m" || unit == "mb" || unit == "mib") shift = 20;
  if (unit == "g" || unit == "gb" || unit == "gib") shift = 30;
  if (used == 0 || shift < 0 || value > UINT64_MAX >> shift)
    throw CLI::ValidationError(text + " is no size (such as 8MiB)");
  return value << shift;
}

}  // namespace rotor::cli
