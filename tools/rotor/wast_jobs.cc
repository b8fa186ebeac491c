#include "tools/rotor/wast_jobs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "tools/rotor/output.h"

namespace rotor::cli {
namespace {

using Clock = std::chrono::steady_clock;

// ---- in the child ---------------------------------------------------------------------------------------------------
//
// It reports by lines: "@LINE" a command begins, "+LINE" it passed, "-LINE what" failed, "?LINE feature" is
// unsupported, "~LINE words" passed with other words.

constexpr char kMarks[] = {'+', '-', '?', '~'};

class Reporter {
 public:
  explicit Reporter(int fd) : fd_(fd) {}

  void begin(uint64_t line) {
    buffer_ += fmt::format("@{}\n", line);
    flush();
  }
  void end(uint64_t line, const Outcome& outcome) {
    // The detail must not contain a newline, or a script's words would be taken for reports.
    buffer_ += fmt::format("{}{} {}\n", kMarks[static_cast<int>(outcome.kind)], line, printable(outcome.detail));
  }
  void flush() {
    for (size_t done = 0; done < buffer_.size();) {
      ssize_t n = write(fd_, buffer_.data() + done, buffer_.size() - done);
      if (n < 0 && errno != EINTR) break;
      if (n > 0) done += static_cast<size_t>(n);
    }
    buffer_.clear();
  }

 private:
  int fd_;
  std::string buffer_;
};

/// Runs one script. Returns why not all of its commands ran, or an empty string.
std::string run_script(const Config& config, const std::string& path, const OnCommand& on_command) {
  std::ifstream in(path, std::ios::binary);
  std::string source(std::istreambuf_iterator<char>(in), {});
  if (!in) return "can't be read";
  auto script = wasm::text::Script::parse(source);
  if (!script) {
    TextPosition at = text_position(source, script.error().offset.value_or(0));
    return fmt::format("{}:{}: {}", at.line, at.column, script.error().message);
  }
  auto engine = Engine::create(config);
  if (!engine) return engine.error().to_string();
  WastScript run(*engine, std::make_shared<const wasm::text::Script>(std::move(*script)), on_command);
  if (auto ready = run.prepare(); !ready) return "spectest: " + ready.error().to_string();
  run.run();
  return {};
}

[[noreturn]] void run_child(const WastJobs& jobs, const std::string& path, int fd) {
  Reporter reporter(fd);
  std::string problem;
  try {
    problem = run_script(jobs.config, path, [&](uint64_t line, const Outcome* outcome) {
      if (outcome)
        reporter.end(line, *outcome);
      else
        reporter.begin(line);
    });
  } catch (const std::exception& error) {
    problem = error.what();
  }
  if (!problem.empty()) reporter.end(0, {Outcome::Kind::failed, problem});
  reporter.flush();
  std::_Exit(0);
}

FileResult run_here(const Config& config, const std::string& path) {
  FileResult result;
  result.path = path;
  std::string problem = run_script(config, path, [&](uint64_t line, const Outcome* outcome) {
    if (outcome) result.commands.push_back({line, *outcome});
  });
  if (!problem.empty()) result.commands.push_back({0, {Outcome::Kind::failed, problem}});
  return result;
}

// ---- in the parent --------------------------------------------------------------------------------------------------

class Child {
 public:
  Child(pid_t pid, int fd, std::string path, Clock::time_point deadline) : pid_(pid), fd_(fd), deadline_(deadline) {
    result_.path = std::move(path);
  }

  int fd() const { return fd_; }
  Clock::time_point deadline() const { return deadline_; }

  /// Reads some output. Returns false if the child has closed its end.
  bool read_some() {
    char chunk[65536];
    ssize_t n = read(fd_, chunk, sizeof chunk);
    if (n < 0) return errno == EINTR;
    if (n == 0) return false;
    text_.append(chunk, static_cast<size_t>(n));
    size_t start = 0;
    for (size_t end; (end = text_.find('\n', start)) != text_.npos; start = end + 1)
      take_line(std::string_view(text_).substr(start, end - start));
    text_.erase(0, start);
    return true;
  }

  void time_out(unsigned seconds) {
    kill(pid_, SIGKILL);
    result_.ending = fmt::format("timed out after {} s", seconds);
  }

  FileResult finish() {
    close(fd_);
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    if (!result_.ending.empty()) return std::move(result_);
    if (WIFSIGNALED(status))
      result_.ending = fmt::format("crashed with signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status))
      result_.ending = fmt::format("ended with exit code {}", WEXITSTATUS(status));
    return std::move(result_);
  }

 private:
  void take_line(std::string_view line) {
    if (line.empty()) return;
    char* end = nullptr;
    std::string rest(line.substr(1));
    uint64_t number = std::strtoull(rest.c_str(), &end, 10);
    if (line[0] == '@') {
      result_.last_line = number;
      return;
    }
    for (int kind = 0; kind < 4; ++kind) {
      if (kMarks[kind] != line[0]) continue;
      result_.commands.push_back({number, {static_cast<Outcome::Kind>(kind), *end ? std::string(end + 1) : ""}});
    }
  }

  pid_t pid_;
  int fd_;
  Clock::time_point deadline_;
  FileResult result_;
  std::string text_;
};

Result<Child> start(const WastJobs& jobs, const std::string& path) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC)) return fail(ErrorKind::io, std::string("pipe: ") + std::strerror(errno));
  flush_out();
  pid_t pid = fork();
  if (pid < 0) return fail(ErrorKind::io, std::string("fork: ") + std::strerror(errno));
  if (pid == 0) {
    close(ends[0]);
    run_child(jobs, path, ends[1]);
  }
  close(ends[1]);
  return Child(pid, ends[0], path, Clock::now() + std::chrono::seconds(jobs.timeout_s));
}

/// Waits for output or the nearest deadline, and passes the results of children that ended to `on_file`.
void attend(const WastJobs& jobs, std::vector<Child>& running, const std::function<void(FileResult&&)>& on_file) {
  std::vector<pollfd> fds;
  auto nearest = Clock::time_point::max();
  for (const Child& child : running) {
    fds.push_back({child.fd(), POLLIN, 0});
    nearest = std::min(nearest, child.deadline());
  }
  auto wait_ms = std::chrono::duration_cast<std::chrono::milliseconds>(nearest - Clock::now()).count() + 1;
  poll(fds.data(), fds.size(), static_cast<int>(std::clamp<int64_t>(wait_ms, 0, 60'000)));
  for (size_t i = fds.size(); i-- > 0;) {
    bool is_over = fds[i].revents && !running[i].read_some();
    if (!is_over && Clock::now() >= running[i].deadline()) {
      running[i].time_out(jobs.timeout_s);
      is_over = true;
    }
    if (!is_over) continue;
    on_file(running[i].finish());
    running.erase(running.begin() + static_cast<ptrdiff_t>(i));
  }
}

}  // namespace

Result<void> run_wast_files(const WastJobs& jobs, const std::vector<std::string>& paths,
                            const std::function<void(FileResult&&)>& on_file) {
  if (jobs.jobs == 0) {
    for (const std::string& path : paths) on_file(run_here(jobs.config, path));
    return {};
  }
  std::vector<Child> running;
  Result<void> result;
  for (size_t next = 0; (result && next < paths.size()) || !running.empty();) {
    while (result && running.size() < jobs.jobs && next < paths.size()) {
      auto child = start(jobs, paths[next]);
      ++next;
      if (child)
        running.push_back(std::move(*child));
      else
        result = std::unexpected(std::move(child).error());
    }
    if (!running.empty()) attend(jobs, running, on_file);
  }
  return result;
}

}  // namespace rotor::cli
