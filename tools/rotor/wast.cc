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
#include "tools/rotor/wast_jobs.h"
#include "tools/rotor/wast_skips.h"

namespace rotor::cli {
namespace {

namespace fs = std::filesystem;

struct WastOptions {
  std::vector<std::string> paths;
  unsigned jobs = std::max(1u, std::thread::hardware_concurrency());
  unsigned timeout_s = 60;
  std::string filter;
  std::string skips;
  std::string write_skips;
  bool summary = false;
  EngineOptions engine;
};

std::vector<std::string> collect(const WastOptions& options) {
  std::vector<std::string> files;
  for (const std::string& path : options.paths) {
    std::error_code failed;
    if (fs::is_directory(path, failed)) {
      for (auto it = fs::recursive_directory_iterator(path, failed); !failed && it != fs::end(it); it.increment(failed))
        if (it->path().extension() == ".wast") files.push_back(it->path().string());
    } else if (fs::is_regular_file(path, failed)) {
      files.push_back(path);
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

std::string find_wasm_tools(const std::vector<std::string>& files) {
  bool needed = std::ranges::any_of(files, [](const std::string& file) { return !file.ends_with(".json"); });
  const char* set = std::getenv("WASM_TOOLS");
  if (!needed) return {};
  if (set && *set) {
    if (std::error_code failed; fs::exists(set, failed)) return set;
    die(Exit::usage, fmt::format("WASM_TOOLS: no file {}", set));
  }
  std::string path = std::getenv("PATH") ? std::getenv("PATH") : "";
  for (size_t start = 0; start <= path.size();) {
    size_t end = std::min(path.find(':', start), path.size());
    fs::path tool = fs::path(path.substr(start, end - start)) / "wasm-tools";
    if (std::error_code failed; fs::exists(tool, failed)) return tool.string();
    start = end + 1;
  }
  die(Exit::usage, "wasm-tools, which reads the text format, is not on the PATH; WASM_TOOLS can name it");
}

SkipList load_skips(const std::string& path) {
  if (path.empty()) return SkipList::built_in();
  std::vector<uint8_t> bytes = read_file_or_die(path);
  return value_or_die(path, SkipList::parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path));
}

/// Counts, and says what failed.
class Judge {
 public:
  explicit Judge(SkipList skips) : skips_(std::move(skips)) {}

  void judge(const FileResult& file) {
    whole_file_passes_ =
        std::ranges::none_of(file.commands, [](auto& c) { return c.outcome.kind == Outcome::Kind::unsupported; });
    after_unsupported_ = false;
    for (const CommandResult& command : file.commands) judge(file, command);
    if (file.ending.empty()) return;
    fail(file.path, file.last_line, file.ending);
  }

  bool print_totals(bool with_reasons) const {
    if (with_reasons)
      for (auto& [reason, count] : reasons_) fmt::print("skipped for {}: {}\n", reason, count);
    fmt::print("{} passed, {} failed, {} skipped\n", passed_, failed_, skipped_);
    return failed_ == 0;
  }

 private:
  void judge(const FileResult& file, const CommandResult& command) {
    const Outcome& outcome = command.outcome;
    const SkipList::Entry* listed = skips_.find(file.path, command.line);
    switch (outcome.kind) {
      case Outcome::Kind::failed:
        // What a module that could not be made would have done to another's table or memory is missed there.
        if (listed && listed->is_whole_file() && after_unsupported_)
          skip(listed->feature);
        else
          fail(file.path, command.line, outcome.detail);
        return;
      case Outcome::Kind::text: skip("text format"); return;
      case Outcome::Kind::passed:
        // An entry for a whole file holds as long as anything in it is unsupported.
        if (listed && (!listed->is_whole_file() || whole_file_passes_))
          fail(file.path, command.line, fmt::format("unexpected pass: listed as needing {}", listed->feature));
        else
          ++passed_;
        return;
      case Outcome::Kind::unsupported:
        after_unsupported_ = true;
        if (!listed)
          fail(file.path, command.line,
               fmt::format("needs {}, and is not on the list of skipped commands", outcome.detail));
        else if (!listed->is_whole_file() && listed->feature != outcome.detail)
          fail(file.path, command.line,
               fmt::format("needs {}, but is listed as needing {}", outcome.detail, listed->feature));
        else
          skip(outcome.detail);
        return;
    }
  }

  void fail(const std::string& path, uint64_t line, const std::string& what) {
    ++failed_;
    if (line)
      fmt::print("{}:{}: {}\n", path, line, what);
    else
      fmt::print("{}: {}\n", path, what);
  }
  void skip(const std::string& reason) {
    ++skipped_;
    ++reasons_[reason];
  }

  SkipList skips_;
  uint64_t passed_ = 0, failed_ = 0, skipped_ = 0;
  std::map<std::string, uint64_t> reasons_;
  bool whole_file_passes_ = false;
  bool after_unsupported_ = false;
};

/// The list for review: what was unsupported in this run.
std::string skips_of(const FileResult& file) {
  std::vector<uint64_t> lines;
  std::vector<Unsupported> skipped;
  for (const CommandResult& command : file.commands) {
    if (command.outcome.kind != Outcome::Kind::text) lines.push_back(command.line);
    if (command.outcome.kind == Outcome::Kind::unsupported) skipped.push_back({command.line, command.outcome.detail});
  }
  return skip_lines(file.path, lines, skipped);
}

void wast(const WastOptions& options) {
  std::vector<std::string> files = collect(options);
  WastJobs jobs;
  jobs.config = options.engine.config();
  if (!options.engine.compile_workers) jobs.config.compile_workers = 1;  // the files run in parallel
  jobs.wasm_tools = find_wasm_tools(files);
  jobs.jobs = options.jobs;
  jobs.timeout_s = options.timeout_s;
  Judge judge(load_skips(options.skips));
  std::map<std::string, std::string> new_skips;
  Progress progress("file");
  uint64_t done = 0;
  check_or_die("wast", run_wast_files(jobs, files, [&](FileResult&& file) {
                 progress.clear();
                 judge.judge(file);
                 new_skips[file.path] = skips_of(file);
                 progress.update(++done, files.size());
               }));
  progress.clear();
  if (!options.write_skips.empty()) {
    std::ofstream out(options.write_skips);
    for (auto& [path, text] : new_skips) out << text;
    if (!out.flush()) die(Exit::usage, fmt::format("{}: can't be written", options.write_skips));
  }
  if (!judge.print_totals(options.summary)) finish(Exit::failed);
}

}  // namespace

void add_wast(CLI::App& app) {
  auto options = std::make_shared<WastOptions>();
  CLI::App* command = app.add_subcommand("wast", "Run scripts of the spec suite");
  command->add_option("path", options->paths, ".wast files, their .json, or folders")->required();
  command->add_option("--jobs", options->jobs, "files run in parallel")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  command->add_option("--timeout", options->timeout_s, "seconds a file may take")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str();
  command->add_option("--filter", options->filter, "only paths in which this regular expression is found");
  command->add_option("--skips", options->skips, "list of skipped commands, in place of the built-in one");
  command->add_option("--write-skips", options->write_skips, "write the list that this run would need");
  command->add_flag("--summary", options->summary, "count the skipped by reason");
  options->engine.add_to(*command);
  command->callback([options] { wast(*options); });
}

}  // namespace rotor::cli
