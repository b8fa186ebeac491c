#include "runtime/compile_pool.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>

namespace rotor::runtime {

CompilePool::~CompilePool() {
  {
    std::scoped_lock lock(mutex_);
    assert(queue_.empty());
    stop_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void CompilePool::submit(const void* owner, std::function<void()> job) {
  {
    std::scoped_lock lock(mutex_);
    queue_.push_back({owner, std::move(job)});
    if (queue_.size() > idle_ && threads_.size() < limit_) threads_.emplace_back([this] { work(); });
  }
  wake_.notify_one();
}

void CompilePool::cancel(const void* owner) {
  std::unique_lock lock(mutex_);
  std::erase_if(queue_, [&](const Job& job) { return job.owner == owner; });
  done_.wait(lock, [&] { return std::ranges::find(running_, owner) == running_.end(); });
}

void CompilePool::work() {
  // Of this thread alone, as Linux has it. Where it fails the thread runs as the others do.
  if (nice_) (void)setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), nice_);
  std::unique_lock lock(mutex_);
  for (;;) {
    ++idle_;
    wake_.wait(lock, [&] { return stop_ || !queue_.empty(); });
    --idle_;
    if (queue_.empty()) return;
    Job job = std::move(queue_.front());
    queue_.pop_front();
    running_.push_back(job.owner);
    lock.unlock();
    job.run();
    job.run = nullptr;
    lock.lock();
    running_.erase(std::ranges::find(running_, job.owner));
    done_.notify_all();
  }
}

}  // namespace rotor::runtime
