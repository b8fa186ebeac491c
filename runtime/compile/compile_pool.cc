#include "runtime/compile/compile_pool.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <string>

#include "code/compiler.h"
#include "code/threads.h"

namespace rotor::runtime {

CompilePool::~CompilePool() {
  {
    std::scoped_lock lock(mutex_);
    assert(queue_.empty() && patient_queue_.empty());
    stop_ = true;
  }
  wake_.notify_all();
  for (pthread_t thread : threads_) pthread_join(thread, nullptr);
}

Result<void> CompilePool::submit(const void* owner, Urgency urgency, std::function<void()> job) {
  {
    std::scoped_lock lock(mutex_);
    bool patient = urgency == Urgency::patient;
    auto& queue = patient ? patient_queue_ : queue_;
    queue.push_back({owner, patient, std::move(job)});
    if (auto started = start_thread(); !started && threads_.empty()) {
      queue.pop_back();
      return started;
    }
  }
  wake_.notify_one();
  return {};
}

Result<void> CompilePool::see_to_threads() {
  std::scoped_lock lock(mutex_);
  return threads_.empty() ? start_thread() : Result<void>();
}

Result<void> CompilePool::start_thread() {
  if (queue_.size() + patient_queue_.size() <= idle_ || threads_.size() >= limit_) return {};
  pthread_t thread;
  if (int failed = code::start_thread(thread, run_thread, this, code::kCompileStackBytes))
    return fail(ErrorKind::io, std::string("can't start a thread to compile: ") + std::strerror(failed));
  threads_.push_back(thread);
  return {};
}

void* CompilePool::run_thread(void* self) {
  static_cast<CompilePool*>(self)->work();
  return nullptr;
}

void CompilePool::after_fork_in_child() {
  assert(running_.empty() && patient_running_ == 0);
  threads_.clear();
  idle_ = 0;
  memory::make_anew(mutex_);
  memory::make_anew(wake_);
  memory::make_anew(done_);
}

void CompilePool::cancel(const void* owner) {
  std::unique_lock lock(mutex_);
  for (auto* queue : {&queue_, &patient_queue_})
    std::erase_if(*queue, [&](const Job& job) { return job.owner == owner; });
  done_.wait(lock, [&] { return std::ranges::find(running_, owner) == running_.end(); });
}

bool CompilePool::can_take() const {
  return !queue_.empty() || (!patient_queue_.empty() && patient_running_ < limit_ / 2);
}

CompilePool::Job CompilePool::take() {
  auto& queue = queue_.empty() ? patient_queue_ : queue_;
  Job job = std::move(queue.front());
  queue.pop_front();
  return job;
}

void CompilePool::work() {
  // On Linux this sets the niceness of this thread alone. Where it fails the thread runs as the others do.
  if (nice_) (void)setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), nice_);
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    wake_.wait(lock, [&] { return stop_ || can_take(); });
    --idle_;
    if (!can_take()) return;
    // The pass is taken before the job, so that a job that was taken is not lost in a fork.
    lock.unlock();
    memory::ForkPass pass;
    lock.lock();
    if (!can_take()) continue;
    Job job = take();
    running_.push_back(job.owner);
    patient_running_ += job.patient;
    lock.unlock();
    job.run();
    job.run = nullptr;
    lock.lock();
    patient_running_ -= job.patient;
    running_.erase(std::ranges::find(running_, job.owner));
    done_.notify_all();
  }
}

}  // namespace rotor::runtime
