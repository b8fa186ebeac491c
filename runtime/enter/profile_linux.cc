// Profiles: a timer on the CPU time of a thread sends that thread a signal, whose handler takes a sample.
#include <signal.h>
#include <time.h>
#include <unistd.h>
#include <unwind.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <utility>

#include "code/region.h"
#include "code/region_table.h"
#include "memory/fork.h"
#include "rotor/guard.h"
#include "rotor/profile.h"
#include "runtime/enter/entry.h"
#include "runtime/enter/sample.h"
#include "runtime/module.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid  // NOLINT: the name that manuals have for it
#endif

namespace rotor {

namespace {

constexpr uint32_t kMinIntervalUs = 100;

/// What the handler fills; null: the thread is in no profile.
struct Taking {
  runtime::SampleBuffer* buffer = nullptr;
  uint64_t last_ns = 0;
};
thread_local constinit Taking t_taking __attribute__((tls_model("initial-exec")));

uint64_t thread_cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

void handle_sample(int, siginfo_t*, void* context) {
  if (!t_taking.buffer) return;
  const int saved_errno = errno;
  const uint64_t now_ns = thread_cpu_ns();
  t_taking.buffer->take(context, now_ns - std::exchange(t_taking.last_ns, now_ns));
  errno = saved_errno;
}

std::unexpected<Error> system_error(const char* what, int number) {
  return fail(ErrorKind::io, std::string(what) + ": " + std::strerror(number));
}

/// Installs the handler. It stays: a signal that is on its way must never find the default action.
Result<void> install_handler() {
  static constinit std::mutex mutex;
  memory::ForkPass pass;
  std::lock_guard lock(mutex);
  struct sigaction current{};
  if (sigaction(SIGPROF, nullptr, &current) != 0) return system_error("sigaction", errno);
  if ((current.sa_flags & SA_SIGINFO) && current.sa_sigaction == handle_sample) return {};
  if ((current.sa_flags & SA_SIGINFO) || (current.sa_handler != SIG_DFL && current.sa_handler != SIG_IGN))
    return fail(ErrorKind::unsupported, "the program has a handler of its own for SIGPROF");
  struct sigaction action{};
  action.sa_sigaction = handle_sample;
  // The guest may have no stack left.
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigemptyset(&action.sa_mask);
  if (sigaction(SIGPROF, &action, nullptr) != 0) return system_error("sigaction", errno);
  // The unwinder's first run finds and prepares what later ones, in the handler, have ready.
  auto touch = [](_Unwind_Context* context, void*) {
    (void)_Unwind_GetIP(context);
    (void)_Unwind_GetGR(context, 6);
    (void)_Unwind_GetRegionStart(context);
    return _URC_NO_REASON;
  };
  (void)_Unwind_Backtrace(touch, nullptr);
  return {};
}

/// A timer that sends the calling thread SIGPROF, as long as it lives.
class SampleTimer {
 public:
  SampleTimer() = default;
  SampleTimer(const SampleTimer&) = delete;
  ~SampleTimer() {
    if (timer_) timer_delete(*timer_);
    if (mask_) pthread_sigmask(SIG_SETMASK, &*mask_, nullptr);
  }
  Result<void> start(uint32_t interval_us) {
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, SIGPROF);
    sigset_t mask;
    if (const int failed = pthread_sigmask(SIG_UNBLOCK, &ours, &mask)) return system_error("pthread_sigmask", failed);
    mask_ = mask;
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGPROF;
    event.sigev_notify_thread_id = gettid();
    timer_t timer;
    if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer) != 0) return system_error("timer_create", errno);
    timer_ = timer;
    itimerspec times{};
    times.it_interval.tv_sec = interval_us / 1'000'000;
    times.it_interval.tv_nsec = interval_us % 1'000'000 * 1000;
    times.it_value = times.it_interval;
    if (timer_settime(timer, 0, &times, nullptr) != 0) return system_error("timer_settime", errno);
    return {};
  }

 private:
  std::optional<timer_t> timer_;
  std::optional<sigset_t> mask_;
};

/// Makes functions of frames' words, each once.
class Functions {
 public:
  Functions(const runtime::SampleBuffer& buffer, std::vector<Profile::Function>& to) : buffer_(buffer), to_(to) {
    code::for_each_code_region([&](const code::CodeRegion& region) {
      if (std::shared_ptr<const code::CodeOwner> owner = region.owner().keep()) {
        const uint64_t id = owner->id();
        owners_.emplace(id, std::move(owner));
      }
    });
  }
  uint32_t index_of(uint64_t word) {
    const auto [place, is_new] = indices_.emplace(word, to_.size());
    if (is_new) to_.push_back(function_of(runtime::SampledFrame::of(word)));
    return place->second;
  }

 private:
  Profile::Function function_of(const runtime::SampledFrame& frame) const {
    Profile::Function function{.kind = frame.kind, .module_name = {}, .name = {}, .index = frame.index};
    if (frame.kind == Profile::Kind::runtime) return function;
    function.module_id = buffer_.module_id(frame.module);
    function.tier = frame.tier;
    const auto owner = owners_.find(function.module_id);
    if (owner == owners_.end()) return function;
    const wasm::Module& module = owner->second->wasm();
    if (frame.kind == Profile::Kind::host) {
      function.module_name = module.imports[frame.index].module;
      function.name = module.imports[frame.index].name;
      return function;
    }
    function.index += module.imported_funcs;
    const wasm::Names& names = owner->second->names();
    function.module_name = names.module;
    if (auto name = names.functions.find(function.index); name != names.functions.end()) function.name = name->second;
    return function;
  }

  const runtime::SampleBuffer& buffer_;
  std::vector<Profile::Function>& to_;
  std::map<uint64_t, std::shared_ptr<const code::CodeOwner>> owners_;
  std::map<uint64_t, uint32_t> indices_;
};

Profile profile_of(const runtime::SampleBuffer& buffer) {
  Profile profile;
  profile.dropped = buffer.dropped();
  Functions functions(buffer, profile.functions);
  buffer.for_each([&](uint64_t cpu_ns, std::span<const uint64_t> frames) {
    Profile::Sample& sample = profile.samples.emplace_back();
    sample.cpu_ns = cpu_ns;
    for (size_t i = frames.size(); i-- > 0;) sample.stack.push_back(functions.index_of(frames[i]));
  });
  return profile;
}

}  // namespace

Result<Profile> profile(const ProfileOptions& options, const std::function<void()>& run) {
  if (options.interval_us < kMinIntervalUs)
    return fail(ErrorKind::invalid_argument, "a profile's interval is at least 100 µs");
  if (t_taking.buffer) return fail(ErrorKind::invalid_argument, "the thread is in a profile already");
  ROTOR_CHECK(runtime::prepare_thread(runtime::t_thread));  // the handler runs on the stack for signals
  ROTOR_CHECK(install_handler());
  runtime::SampleBuffer buffer(options.limit_bytes);
  Result<void> ran;
  {
    SampleTimer timer;
    t_taking = {&buffer, thread_cpu_ns()};
    ran = timer.start(options.interval_us);
    if (ran) ran = detail::guarded("what a profile was taken of", run);
    t_taking.buffer = nullptr;
  }
  ROTOR_CHECK(std::move(ran));
  return profile_of(buffer);
}

}  // namespace rotor
