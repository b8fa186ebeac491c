// The approaches that need no proxy.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include "bench/approaches/approaches.h"
#include "hosts/wasm_bindgen/host.h"
#include "hosts/wasm_bindgen/host_executor.h"

namespace rotor::approaches {

using namespace wasm_bindgen;

namespace {

/// A host with its pool, whose state is built.
struct Served {
  std::unique_ptr<BindgenHost> host;
  std::unique_ptr<HostExecutor> executor;
  std::unique_ptr<TraceReplayer> replayer;

  static Result<Served> create(const Workload& workload) {
    BindgenOptions options;
    options.max_pages = static_cast<uint32_t>(workload.limit_bytes / Memory::kPageBytes);
    Served served;
    ROTOR_TRY(served.host, BindgenHost::create(workload.engine, workload.module, std::move(options)));
    if (workload.workers) ROTOR_CHECK(served.host->start_pool(workload.workers));
    served.executor = std::make_unique<HostExecutor>(*served.host);
    served.replayer = std::make_unique<TraceReplayer>(*served.executor);
    ReplayReport report;
    ROTOR_CHECK(served.replayer->run(workload.setup, report));
    return served;
  }
};

Error system_error(const char* what) { return Error(ErrorKind::io, std::string(what) + ": " + std::strerror(errno)); }

}  // namespace

Result<Outcome> recycle_threads(const Workload& workload) {
  Outcome out;
  Stopwatch setup;
  ROTOR_TRY(Served served, Served::create(workload));
  out.setup_ms = setup.ms();
  const double cpu_before = cpu_ms();
  bool goes_on = true;
  while (goes_on && out.call_ms.size() < workload.calls) {
    Stopwatch exchange;
    std::thread([&] {
      out.pause(exchange.ms());
      const uint64_t count = std::min<uint64_t>(workload.recycle_calls, workload.calls - out.call_ms.size());
      for (uint64_t i = 0; i < count && goes_on; i++) {
        Stopwatch watch;
        ReplayReport report;
        const Result<void> done = served.replayer->run(workload.load, report);
        goes_on = out.record(done, watch.ms(), report);
        if (out.due(workload)) out.memory_bytes.emplace_back(out.call_ms.size() - 1, proportional_bytes());
      }
    }).join();
    out.exchanges++;
  }
  out.cpu_ms = cpu_ms() - cpu_before;
  return out;
}

Result<Outcome> reload(const Workload& workload) {
  Outcome out;
  Stopwatch setup;
  ROTOR_TRY(Served served, Served::create(workload));
  out.setup_ms = setup.ms();
  const double cpu_before = cpu_ms();
  const auto threshold = static_cast<uint64_t>(workload.reload_at * static_cast<double>(workload.limit_bytes));
  for (uint64_t i = 0; i < workload.calls; i++) {
    Stopwatch watch;
    if (served.host->memory_bytes() >= threshold) {
      served = {};  // before the new one, so that memory for one guest is enough
      ROTOR_TRY(served, Served::create(workload));
      out.exchanges++;
      out.pause(watch.ms());
    }
    ReplayReport report;
    const Result<void> done = served.replayer->run(workload.load, report);
    if (!out.record(done, watch.ms(), report)) break;
    if (out.due(workload)) out.memory_bytes.emplace_back(i, proportional_bytes());
  }
  out.cpu_ms = cpu_ms() - cpu_before;
  return out;
}

// ---- A process per job
// ------------------------------------------------------------------------------------------------

namespace {

/// Runs calls and keeps what they return, which is the child's answer.
class Collector final : public TraceExecutor {
 public:
  explicit Collector(TraceExecutor& inner) : inner_(inner) {}
  Result<void> prepare(std::span<const std::string> names) override { return inner_.prepare(names); }
  Result<void> call(uint32_t name, std::span<const ReplayArg> args, TraceResult result, ReplayReply& reply) override {
    ROTOR_CHECK(inner_.call(name, args, result, reply));
    if (result == TraceResult::data) bytes.insert(bytes.end(), reply.data.begin(), reply.data.end());
    if (result == TraceResult::integer)
      append(std::visit([](auto v) { return static_cast<uint64_t>(v); }, reply.number));
    return {};
  }
  void append(uint64_t number) {
    const auto* begin = reinterpret_cast<const uint8_t*>(&number);
    bytes.insert(bytes.end(), begin, begin + sizeof number);
  }

  std::vector<uint8_t> bytes;

 private:
  TraceExecutor& inner_;
};

struct Pipe {
  int read_end = -1;
  int write_end = -1;
  static Result<Pipe> create() {
    int ends[2];
    if (pipe(ends)) return std::unexpected(system_error("pipe"));
    return Pipe{ends[0], ends[1]};
  }
};

bool write_all(int file, const void* data, size_t size) {
  for (const auto* next = static_cast<const uint8_t*>(data); size;) {
    const ssize_t count = write(file, next, size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    next += count;
    size -= static_cast<size_t>(count);
  }
  return true;
}

bool read_all(int file, void* data, size_t size) {
  for (auto* next = static_cast<uint8_t*>(data); size;) {
    const ssize_t count = read(file, next, size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    next += count;
    size -= static_cast<size_t>(count);
  }
  return true;
}

/// The header that is sent before the results' bytes.
struct JobHeader {
  uint64_t checked = 0;
  uint64_t equal = 0;
  uint64_t result_bytes = 0;
  uint64_t is_error = 0;
  double started_ms = 0;  ///< from fork until the child, and its pool, could begin
};

struct Forker {
  const Workload& workload;
  BindgenHost& host;
  Collector& collector;
  TraceReplayer& replayer;

  /// Runs the child. Its handles are the parent's, since its memory is a copy; its pool is its own.
  void run_child(int results, int end, const Stopwatch& since_fork) {
    JobHeader header;
    Result<void> done;
    if (workload.workers) done = host.start_pool(workload.workers);
    header.started_ms = since_fork.ms();
    ReplayReport report;
    if (done) done = replayer.run(workload.load, report);
    header.checked = report.checked;
    header.equal = report.equal;
    if (!done) {
      header.is_error = 1;
      const std::string text = done.error().to_string();
      collector.bytes.assign(text.begin(), text.end());
    }
    header.result_bytes = collector.bytes.size();
    bool sent = write_all(results, &header, sizeof header) &&
                write_all(results, collector.bytes.data(), collector.bytes.size());
    // Waits for a byte, which asks for its memory use, or for the end of the pipe.
    uint8_t asked;
    if (sent && read_all(end, &asked, 1)) {
      const uint64_t bytes = proportional_bytes();
      sent = write_all(results, &bytes, sizeof bytes) && read_all(end, &asked, 1);
    }
    _exit(0);  // nothing that is the parent's may be torn down here
  }

  Result<void> run_job(Outcome& out, bool measure, ReplayReport& report, double& ms);
};

/// Runs one call in a child. `ms` gets the time until the results have arrived. The child's exit, which another core
/// can handle, is part of the CPU time only.
Result<void> Forker::run_job(Outcome& out, bool measure, ReplayReport& report, double& ms) {
  ROTOR_TRY(Pipe results, Pipe::create());
  ROTOR_TRY(Pipe end, Pipe::create());
  const Stopwatch watch;
  const pid_t child = fork();
  if (child < 0) return std::unexpected(system_error("fork"));
  if (child == 0) {
    close(results.read_end);
    close(end.write_end);
    run_child(results.write_end, end.read_end, watch);
  }
  close(results.write_end);
  close(end.read_end);
  JobHeader header;
  std::vector<uint8_t> bytes;
  bool received = read_all(results.read_end, &header, sizeof header);
  if (received) {
    bytes.resize(header.result_bytes);
    received = read_all(results.read_end, bytes.data(), bytes.size());
  }
  ms = watch.ms();
  if (measure && received) {
    uint64_t child_bytes = 0;
    const uint8_t ask = 1;
    if (write_all(end.write_end, &ask, 1) && read_all(results.read_end, &child_bytes, sizeof child_bytes))
      out.memory_bytes.emplace_back(out.call_ms.size(), proportional_bytes() + child_bytes);
  }
  close(end.write_end);
  close(results.read_end);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!received) return fail(ErrorKind::host, "the child ended without an answer");
  if (header.is_error) return fail(ErrorKind::host, std::string(bytes.begin(), bytes.end()));
  out.pause(header.started_ms);
  out.exchanges++;
  report.checked = header.checked;
  report.equal = header.equal;
  return {};
}

}  // namespace

Result<Outcome> fork_server(const Workload& workload) {
  Outcome out;
  BindgenOptions options;
  options.max_pages = static_cast<uint32_t>(workload.limit_bytes / Memory::kPageBytes);
  Stopwatch setup;
  ROTOR_TRY(auto host, BindgenHost::create(workload.engine, workload.module, std::move(options)));
  if (workload.workers) ROTOR_CHECK(host->start_pool(workload.workers));
  HostExecutor executor(*host);
  Collector collector(executor);
  TraceReplayer replayer(collector);
  ReplayReport report;
  ROTOR_CHECK(replayer.run(workload.setup, report));
  collector.bytes.clear();
  ROTOR_CHECK(host->stop());  // threads don't survive a fork
  out.setup_ms = setup.ms();

  Forker forker{workload, *host, collector, replayer};
  const double cpu_before = cpu_ms();
  for (uint64_t i = 0; i < workload.calls; i++) {
    ReplayReport job;
    double ms = 0;
    const bool measure = (i + 1) % workload.sample_calls == 0;
    const Result<void> done = forker.run_job(out, measure, job, ms);
    if (!out.record(done, ms, job)) break;
  }
  out.cpu_ms = cpu_ms() - cpu_before;
  return out;
}

}  // namespace rotor::approaches
