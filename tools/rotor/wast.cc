// rotor wast: runs scripts of the spec suite.
#include <fmt/format.h>
#include <regex.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <thread>

#include "tools/rotor/cli.h"
#include "tools/rotor/wast_expected.h"
#include "tools/rotor/wast_jobs.h"

namespace rotor::cli {
namespace {

namespace fs = std::filesystem;

struct WastOptions {
  std::vector<std::string> paths;
  unsigned jobs = std::max(1u, std::thread::hardware_concurrency());
  unsigned timeout_s = 60;
  std::string filter;
  std::string expected;
  std::string write_expected;
  bool summary = false;
  bool words = false;
  bool one_process = false;
  bool times = false;
  EngineOptions engine;
};

std::vector<std::string> collect(const WastOptions& options) {
  std::vector<std::string> files;
  for (const std::string& path : options.paths) {
    std::error_code failed;
    if (path == "-") {
      files.push_back(input_path(path));
    } else if (fs::is_directory(path, failed)) {
      for (auto it = fs::recursive_directory_iterator(path, failed); !failed && it != fs::end(it); it.increment(failed))
        if (it->path().extension() == ".wast") files.push_back(it->path().string());
    } else if (fs::exists(path, failed)) {
      files.push_back(path);
    } else if (!failed) {
      failed = std::make_error_code(std::errc::no_such_file_or_directory);
    }
    if (failed) die(Exit::usage, fmt::format("{}: {}", path, failed.message()));
  }
  if (!options.filter.empty()) {
    regex_t pattern;
    if (int bad = regcomp(&pattern, options.filter.c_str(), REG_EXTENDED | REG_NOSUB)) {
      char what[200];
      regerror(bad, &pattern, what, sizeof what);
      die(Exit::usage, fmt::format("--filter {}: {}", options.filter, what));
    }
    std::erase_if(files, [&](const std::string& file) { return regexec(&pattern, file.c_str(), 0, nullptr, 0) != 0; });
    regfree(&pattern);
  }
  std::ranges::sort(files);
  if (files.empty()) die(Exit::usage, "no scripts to run");
  return files;
}

ExpectedFailures load_expected(const std::string& path) {
  if (path.empty()) return value_or_die("wast", ExpectedFailures::built_in());
  std::vector<uint8_t> bytes = read_file_or_die(path);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return value_or_die(path, ExpectedFailures::parse(text, path));
}

/// Counts outcomes, and prints what failed.
class Judge {
 public:
  Judge(ExpectedFailures expected, bool shows_words, bool shows_fuel)
      : expected_(std::move(expected)), shows_words_(shows_words), shows_fuel_(shows_fuel) {}

  void judge(const FileResult& file) {
    for (const CommandResult& command : file.commands) judge(file, command);
    if (!file.ending.empty()) fail(file.path, file.last_line, file.ending);
  }

  bool print_totals(bool with_reasons) const {
    if (with_reasons)
      for (auto& [reason, count] : reasons_) print("expected to fail for {}: {}\n", reason, count);
    if (with_reasons || shows_words_) print("rejected, but not in the suite's words: {}\n", reworded_);
    print("{} passed, {} failed, {} expected to fail\n", passed_, failed_, expected_count_);
    return failed_ == 0;
  }

 private:
  void judge(const FileResult& file, const CommandResult& command) {
    const Outcome& outcome = command.outcome;
    const ExpectedFailures::Entry* listed = expected_.find(file.path, command.line);
    switch (outcome.kind) {
      case Outcome::Kind::reworded:
        ++reworded_;
        if (shows_words_) print("{}:{}: {}\n", file.path, command.line, printable(outcome.detail));
        [[fallthrough]];
      case Outcome::Kind::passed:
        if (shows_fuel_ && outcome.kind == Outcome::Kind::passed && !outcome.detail.empty())
          print("{}:{}: {}\n", file.path, command.line, outcome.detail);
        if (listed)
          fail(file.path, command.line, fmt::format("unexpected pass: listed as needing {}", listed->feature));
        else
          ++passed_;
        return;
      case Outcome::Kind::failed:
        // A command may fail because a module that could not be made did not write to another's table or memory.
        if (listed)
          expect(listed->feature);
        else
          fail(file.path, command.line, outcome.detail);
        return;
      case Outcome::Kind::unsupported:
        if (!listed)
          fail(file.path, command.line,
               fmt::format("needs {}, and is not on the list of expected failures", outcome.detail));
        else if (listed->feature != outcome.detail)
          fail(file.path, command.line,
               fmt::format("needs {}, but is listed as needing {}", outcome.detail, listed->feature));
        else
          expect(outcome.detail);
        return;
    }
  }

  void fail(const std::string& path, uint64_t line, const std::string& what) {
    ++failed_;
    if (line)
      print("{}:{}: {}\n", path, line, printable(what));
    else
      print("{}: {}\n", path, printable(what));
  }
  void expect(const std::string& reason) {
    ++expected_count_;
    ++reasons_[reason];
  }

  ExpectedFailures expected_;
  const bool shows_words_;
  const bool shows_fuel_;
  uint64_t passed_ = 0, failed_ = 0, expected_count_ = 0, reworded_ = 0;
  std::map<std::string, uint64_t> reasons_;
};

/// Returns the list for review: the commands that failed in this run for want of a proposal, or as a consequence of
/// that.
std::string failures_of(const FileResult& file) {
  std::vector<uint64_t> lines;
  std::vector<Failure> failures;
  std::string lacked;
  for (const CommandResult& command : file.commands) {
    lines.push_back(command.line);
    if (command.outcome.kind == Outcome::Kind::unsupported) lacked = command.outcome.detail;
    const bool failed = command.outcome.kind == Outcome::Kind::failed && !lacked.empty();
    if (failed || command.outcome.kind == Outcome::Kind::unsupported) failures.push_back({command.line, lacked});
  }
  return failure_lines(file.path, lines, failures);
}

void wast(const WastOptions& options) {
  std::vector<std::string> files = collect(options);
  WastJobs jobs;
  jobs.config = options.engine.config();
  if (!options.engine.compile_workers) jobs.config.compile_workers = 1;  // the files run in parallel
  jobs.jobs = options.one_process ? 0 : options.jobs;
  jobs.timeout_s = options.timeout_s;
  Judge judge(load_expected(options.expected), options.words, options.engine.fuel);
  std::map<std::string, std::string> new_list;
  Progress progress("file");
  Stopwatch watch;
  uint64_t done = 0;
  check_or_die("wast", run_wast_files(jobs, files, [&](FileResult&& file) {
                 progress.clear();
                 judge.judge(file);
                 new_list[file.path] = failures_of(file);
                 if (options.times) {
                   print("{:.0f} ms CPU: {}\n", watch.cpu_ms(), file.path);
                   watch = Stopwatch();
                 }
                 progress.update(++done, files.size());
               }));
  progress.clear();
  if (!options.write_expected.empty()) {
    std::string list;
    for (auto& [path, text] : new_list) list += text;
    check_or_die(options.write_expected, write_output_file(options.write_expected, list));
  }
  if (!judge.print_totals(options.summary)) finish(Exit::failed);
}

}  // namespace

void add_wast(CLI::App& app) {
  auto options = std::make_shared<WastOptions>();
  CLI::App* command = app.add_subcommand("wast", "Run scripts of the spec suite");
  command->add_option("path", options->paths, ".wast files, or folders of them")->required();
  command->add_option("--jobs", options->jobs, "files run in parallel")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->add_option("--timeout", options->timeout_s, "seconds a file may take")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
  command->add_option("--filter", options->filter, "only paths in which this regular expression is found");
  command->add_option("--expected", options->expected, "list of expected failures, in place of the built-in one");
  command->add_option("--write-expected", options->write_expected, "write the list that this run would need");
  command->add_flag("--summary", options->summary, "count the expected failures by reason");
  command->add_flag("--words", options->words, "show what is rejected in other words than the suite's");
  auto* one_process =
      command->add_flag("--one-process", options->one_process, "run all files in this process, without a time-out");
  command->add_flag("--times", options->times, "the CPU time of each file")->needs(one_process);
  options->engine.features.custom_page_sizes = options->engine.features.wide_arithmetic = true;
  command->add_flag("--gc-stress", options->engine.gc_stress, "collect garbage at each allocation");
  command->add_flag("--fuel", options->engine.fuel, "code that pays for what it executes: say how much each call is");
  options->engine.features.legacy_exceptions = true;
  options->engine.features.gc = true;
  options->engine.add_to(*command);
  options->engine.add_cache_to(*command, false);
  command->callback([options] { wast(*options); });
}

}  // namespace rotor::cli
