// Asks a program that leaks for many things, one after another, and exchanges its instance for a fresh one again and
// again, while a file that it once opened stays open:
//   rotating checkpoint|replay quickjs|cpython MODULE REQUESTS
// Each request is a file in memory, and so is the answer. Prints what it took, as JSON.
#include <time.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "rotor/proxy.h"
#include "rotor/rotor.h"
#include "rotor/wasi.h"

namespace {

using namespace rotor;

// The first request of QuickJS opens the log, and it stays open: it has the same number in whichever instance the
// others run. A file that is only appended to makes no checkpoint stale.
constexpr const char* kScript = R"(
import * as os from 'qjs:os';
import * as std from 'qjs:std';
const n = Number(std.loadFile('/request'));
const log = 4;
if (n === 0 && os.open('/log', os.O_WRONLY | os.O_CREAT | os.O_APPEND) !== log) throw Error('another number');
const line = Uint8Array.from(`${n} squared is ${n * n}\n`, c => c.charCodeAt(0));
if (os.write(log, line.buffer, 0, line.length) !== line.length) throw Error('not written');
const reply = std.open('/reply', 'w');
reply.puts(String(n * n));
reply.close();
)";
// This CPython has a table of descriptors of its own in its memory, so that only standard streams outlive it: its log
// is its output.
constexpr const char* kPythonScript = R"(
n = int(open('/request').read())
print(f'{n} squared is {n * n}')
with open('/reply', 'w') as reply:
    reply.write(str(n * n))
)";

/// What is asked, and how.
struct Task {
  bool is_python;
  RotationMode mode;
  uint32_t requests;
};

/// The pages that a request leaks, beside what the program does of its own. CPython starts anew each time, and gives
/// back nothing of the interpreter before.
constexpr int32_t kLeakBytes = 64 << 10;
/// What leaks until there is an exchange.
constexpr uint64_t kLimitBytes = 16 << 20, kPythonLimitBytes = 256 << 20;

Result<std::vector<uint8_t>> read_module(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::vector<uint8_t> bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (bytes.empty()) return fail(ErrorKind::io, path + " can't be read");
  return bytes;
}

/// Puts the arguments of a reactor into a fresh guest, where they stay. Returns their address, the same in each.
Result<uint32_t> put_arguments(Instance& instance, const std::vector<std::string>& args) {
  ROTOR_TRY(auto allocate, instance.get_typed<uint32_t(uint32_t)>("malloc"));
  ROTOR_TRY(Memory memory, instance.get_memory("memory"));
  auto put = [&](const void* bytes, size_t size) -> Result<uint32_t> {
    ROTOR_TRY(uint32_t address, allocate(static_cast<uint32_t>(size)));
    ROTOR_CHECK(memory.write(address, {static_cast<const uint8_t*>(bytes), size}));
    return address;
  };
  std::vector<uint32_t> pointers;
  for (const std::string& arg : args) {
    ROTOR_TRY(uint32_t address, put(arg.c_str(), arg.size() + 1));
    pointers.push_back(address);
  }
  pointers.push_back(0);
  return put(pointers.data(), pointers.size() * sizeof(uint32_t));
}

class Service {
 public:
  static Result<Service> make(const Task& task, const std::string& path) {
    ROTOR_TRY(std::vector<uint8_t> bytes, read_module(path));
    Config config;
    config.cache.enabled = true;
    ROTOR_TRY(Engine engine, Engine::create(std::move(config)));
    ROTOR_TRY(Module module, Module::compile(engine, bytes));
    wasi::MemoryFolder files;
    ROTOR_CHECK(files.add_file(task.is_python ? "handle.py" : "handle.mjs", task.is_python ? kPythonScript : kScript));
    wasi::Builder builder;
    auto output = std::make_shared<wasi::Buffer>();
    builder.folder(files, "/").standard_out(wasi::Output::buffer(output)).standard_error(wasi::Output::inherit());
    if (task.is_python) builder.args({"python", "/handle.py"});
    ROTOR_TRY(wasi::Environment environment, builder.build());
    Linker linker(engine);
    wasi::define(linker, environment);
    ROTOR_TRY(InstancePre pre, linker.instantiate_pre(module));
    auto argv = std::make_shared<uint32_t>(0);
    GuestFactory factory = wasi::guests(std::move(pre), environment);
    if (!task.is_python) factory = initialized(std::move(factory), argv);
    ROTOR_TRY(Proxy proxy, Proxy::create(module, std::move(factory), policy_of(task)));
    if (task.is_python) ROTOR_CHECK(proxy.prepare());  // each request begins where nothing has run yet
    return Service(task, std::move(files), std::move(output), std::move(argv), std::move(proxy));
  }

  Result<void> request(uint32_t n) {
    ROTOR_CHECK(files_.add_file("request", std::to_string(n)));
    ROTOR_CHECK(task_.is_python ? run_python() : run_script());
    ROTOR_TRY(std::string reply, files_.contents("reply"));
    if (reply != std::to_string(uint64_t{n} * n)) return fail(ErrorKind::internal, "a wrong answer: " + reply);
    return {};
  }

  /// Checks that each request wrote its line to the file that the first one opened.
  Result<void> check_log() const {
    std::string log = output_->contents();
    if (!task_.is_python) {
      ROTOR_TRY(log, files_.contents("log"));
    }
    std::string wanted;
    for (uint64_t n = 0; n < task_.requests; ++n)
      wanted += std::to_string(n) + " squared is " + std::to_string(n * n) + "\n";
    if (log != wanted) return fail(ErrorKind::internal, "the log is another one");
    return {};
  }

  ProxyCounters counters() const { return proxy_.counters(); }

 private:
  Service(const Task& task, wasi::MemoryFolder files, std::shared_ptr<wasi::Buffer> output,
          std::shared_ptr<uint32_t> argv, Proxy proxy)
      : task_(task),
        files_(std::move(files)),
        output_(std::move(output)),
        argv_(std::move(argv)),
        proxy_(std::move(proxy)) {}

  /// Has each guest that begins afresh initialise itself.
  static GuestFactory initialized(GuestFactory make, std::shared_ptr<uint32_t> argv) {
    return [make = std::move(make), argv](const GuestRequest& request) -> Result<std::unique_ptr<Guest>> {
      ROTOR_TRY(std::unique_ptr<Guest> guest, make(request));
      if (request.snapshot) return guest;
      ROTOR_CHECK(wasi::initialize_reactor(guest->instance()));
      ROTOR_TRY(*argv, put_arguments(guest->instance(), {"qjs", "--std", "-m", "/handle.mjs"}));
      return guest;
    };
  }

  static Policy policy_of(const Task& task) {
    Policy policy;
    policy.mode = task.mode;
    policy.memory_limit_bytes = task.is_python ? kPythonLimitBytes : kLimitBytes;
    policy.at_swap = AtSwap::wait;
    policy.checkpoint.reseed = "none";  // an interpreter that begins draws its own random numbers
    for (const char* name :
         task.is_python ? std::vector{"_start"} : std::vector{"malloc", "qjs_init_argv", "qjs_destroy"}) {
      if (task.mode == RotationMode::checkpoint)
        policy.allow.push_back({.name = name, .results = Returned::value});
      else
        policy.exports.push_back({.name = name, .effect = Effect::query});
    }
    return policy;
  }

  Result<void> run_script() {
    return proxy_.with_lease([&](Lease& lease) -> Result<void> {
      ROTOR_CHECK(lease.call("malloc", {kLeakBytes}));  // and never freed
      ROTOR_TRY(Reply status, lease.call("qjs_init_argv", {int32_t{4}, static_cast<int32_t>(*argv_)}));
      if (status.i32() != 0) return fail(ErrorKind::internal, "the script failed");
      ROTOR_CHECK(lease.call("qjs_destroy"));
      return {};
    });
  }

  /// A command is over when it has run, and traps if it is run again: each request has an instance of its own.
  Result<void> run_python() {
    ROTOR_CHECK(proxy_.call("_start"));
    ROTOR_CHECK(proxy_.rotate());
    return task_.mode == RotationMode::replay ? proxy_.prepare() : Result<void>();
  }

  Task task_;
  wasi::MemoryFolder files_;
  std::shared_ptr<wasi::Buffer> output_;
  std::shared_ptr<uint32_t> argv_;
  Proxy proxy_;
};

Result<void> run(const Task& task, const std::string& path) {
  ROTOR_TRY(Service service, Service::make(task, path));
  ROTOR_CHECK(service.request(0));
  const auto begin = std::chrono::steady_clock::now();
  for (uint32_t n = 1; n < task.requests; ++n) ROTOR_CHECK(service.request(n));
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
  ROTOR_CHECK(service.check_log());
  const ProxyCounters counters = service.counters();
  std::printf(
      "{\"requests\": %u, \"rotations\": %llu, \"ms_per_request\": %.3f, \"memory_bytes\": %llu, \"off\": \"%s\"}\n",
      task.requests, static_cast<unsigned long long>(counters.rotations), took.count() / (task.requests - 1),
      static_cast<unsigned long long>(counters.memory_bytes), counters.off_reason.c_str());
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc == 5 ? argv[1] : "", program = argc == 5 ? argv[2] : "";
  const Task task{program == "cpython", mode == "replay" ? RotationMode::replay : RotationMode::checkpoint,
                  argc == 5 ? static_cast<uint32_t>(std::strtoul(argv[4], nullptr, 10)) : 0};
  if (task.requests < 2 || (mode != "checkpoint" && mode != "replay") ||
      (program != "quickjs" && program != "cpython")) {
    std::fputs("usage: rotating checkpoint|replay quickjs|cpython MODULE REQUESTS\n", stderr);
    return 2;
  }
  auto done = run(task, argv[3]);
  if (!done) std::fprintf(stderr, "%s\n", done.error().to_string().c_str());
  return done ? 0 : 1;
}
