#include "hosts/wasm_bindgen/worker_pool.h"

#include <chrono>
#include <cstring>

#include "rotor/trap.h"

namespace rotor::wasm_bindgen {

/// A worker. The pool and the worker's thread own it, so that an abandoned thread still finds all that it needs.
struct WorkerPool::Worker {
  Worker(InstancePre p, std::shared_ptr<GuestShared> s, Limits l, uint32_t r, std::string e)
      : pre(std::move(p)), context(std::move(s)), limits(std::move(l)), receiver(r), thread_exit(std::move(e)) {}

  enum class State { starting, ready, ended };
  void set(State next, std::optional<Error> problem = {}) {
    std::lock_guard lock(mutex);
    state = next;
    if (problem) error = std::move(problem);
    changed.notify_all();
  }
  bool wait_until_ended(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex);
    return changed.wait_until(lock, deadline, [&] { return state == State::ended; });
  }
  /// Returns whether a worker ended as the pool wanted: by the pool's own interrupt.
  bool ended_as_wanted(const Error& problem) const {
    std::lock_guard lock(mutex);
    return interrupted && problem.trap && problem.trap->kind == TrapKind::interrupted;
  }

  const InstancePre pre;
  GuestContext context;
  const Limits limits;
  const uint32_t receiver;
  const std::string thread_exit;
  pthread_t thread{};

  mutable std::mutex mutex;
  std::condition_variable changed;
  State state = State::starting;
  InterruptHandle interrupt;
  bool interrupted = false;
  std::optional<Error> error;
};

WorkerPool::~WorkerPool() { join(0); }

Result<void> WorkerPool::start(uint32_t receiver, std::string thread_exit) {
  auto worker = std::make_shared<Worker>(pre_, shared_, limits_, receiver, std::move(thread_exit));
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, kNativeStackBytes);
  auto* own = new std::shared_ptr<Worker>(worker);
  int failed = pthread_create(&worker->thread, &attributes, &WorkerPool::run, own);
  pthread_attr_destroy(&attributes);
  if (failed) {
    delete own;
    return fail(ErrorKind::io, std::string("can't start a worker thread: ") + std::strerror(failed));
  }
  std::unique_lock lock(worker->mutex);
  worker->changed.wait(lock, [&] { return worker->state != Worker::State::starting; });
  if (worker->state == Worker::State::ended && worker->error) {
    Error error = *worker->error;
    lock.unlock();
    pthread_join(worker->thread, nullptr);
    return std::unexpected(std::move(error));
  }
  lock.unlock();
  workers_.push_back(std::move(worker));
  return {};
}

void* WorkerPool::run(void* argument) {
  std::unique_ptr<std::shared_ptr<Worker>> own(static_cast<std::shared_ptr<Worker>*>(argument));
  Worker& worker = **own;
  auto result = serve(worker);
  if (!result && worker.ended_as_wanted(result.error())) result = {};
  if (auto& told = worker.context.shared->on_worker_error; !result && told) told(result.error());
  worker.set(Worker::State::ended, result ? std::optional<Error>() : std::move(result).error());
  return nullptr;
}

Result<void> WorkerPool::serve(Worker& worker) {
  InstanceOptions options;
  options.limits = worker.limits;
  options.host_data = &worker.context;
  options.on_interrupt_handle = [&worker](const InterruptHandle& handle) {
    std::lock_guard lock(worker.mutex);
    worker.interrupt = handle;
  };
  // A worker is entered once, by no call of the host's that could pay for it.
  if (worker.pre.module().uses_fuel()) options.fuel = UINT64_MAX;
  ROTOR_TRY(Instance instance, worker.pre.instantiate(options));
  // Before wasm-bindgen 0.2.91 it takes no size, and gives as much.
  if (auto start = instance.get_typed<void()>("__wbindgen_start")) {
    ROTOR_CHECK((*start)());
  } else {
    ROTOR_TRY(auto start_with_size, instance.get_typed<void(uint32_t)>("__wbindgen_start"));
    ROTOR_CHECK(start_with_size(kGuestStackBytes));
  }
  ROTOR_TRY(auto serve, instance.get_typed<void(uint32_t)>("wbg_rayon_start_worker"));
  worker.set(Worker::State::ready);
  ROTOR_CHECK(serve(worker.receiver));
  // Without it each restart of the pool would leak the worker's stack and thread-local storage in the guest's memory.
  // Zeros mean those of the calling thread.
  if (auto destroy = instance.get_typed<void(uint32_t, uint32_t, uint32_t)>(worker.thread_exit))
    return (*destroy)(0, 0, 0);
  if (auto destroy = instance.get_typed<void(uint32_t, uint32_t)>(worker.thread_exit)) return (*destroy)(0, 0);
  return {};
}

bool WorkerPool::join(uint64_t deadline_ms) {
  using Clock = std::chrono::steady_clock;
  auto deadline = Clock::now() + std::chrono::milliseconds(deadline_ms);
  bool all = true;
  for (auto& worker : workers_) all &= worker->wait_until_ended(deadline);
  if (!all) {
    interrupt_unended();
    deadline = Clock::now() + std::chrono::milliseconds(kInterruptDeadlineMs);
  }
  for (auto& worker : workers_) {
    if (worker->wait_until_ended(deadline)) {
      pthread_join(worker->thread, nullptr);
    } else {
      pthread_detach(worker->thread);
      ++abandoned_;
    }
    std::lock_guard lock(worker->mutex);
    if (worker->error) errors_.push_back(*worker->error);
  }
  workers_.clear();
  return all;
}

void WorkerPool::interrupt_unended() {
  for (auto& worker : workers_) {
    std::lock_guard lock(worker->mutex);
    if (worker->state == Worker::State::ended) continue;
    worker->interrupted = true;
    ++interrupted_;
    // Interrupts whatever the code was compiled with, since most workers sleep. It fails if the instance is gone
    // already.
    (void)worker->interrupt.interrupt_best_effort();
  }
}

std::vector<Error> WorkerPool::errors() const {
  std::vector<Error> all = errors_;
  for (auto& worker : workers_) {
    std::lock_guard lock(worker->mutex);
    if (worker->error) all.push_back(*worker->error);
  }
  return all;
}

}  // namespace rotor::wasm_bindgen
