#include "proxy/log.h"

#include <algorithm>

namespace rotor::proxy {

std::string LogCall::key() const {
  std::string key(reinterpret_cast<const char*>(&export_index), sizeof export_index);
  key.append(reinterpret_cast<const char*>(args.data()), args.size() * sizeof(Slot));
  key.append(reinterpret_cast<const char*>(data.data()), data.size());
  return key;
}

bool Log::append(std::shared_ptr<const LogCall> call, bool once) {
  std::unique_lock lock(mutex_);
  std::string key = once ? call->key() : std::string();
  const uint64_t bytes = call->size_bytes() + key.size();
  if (calls_.size() >= max_calls_ || bytes_ + bytes > max_bytes_) {
    lock.unlock();
    give_up();
    return false;
  }
  bytes_ += bytes;
  cost_ns_ += call->cost_ns;
  if (once) once_.insert(std::move(key));
  calls_.push_back(std::move(call));
  return true;
}

bool Log::has_once(const std::string& key) const {
  std::lock_guard lock(mutex_);
  return once_.contains(key);
}

void Log::give_up() {
  std::lock_guard lock(mutex_);
  calls_ = {};
  once_ = {};
  bytes_ = 0;
  cost_ns_ = 0;
}

uint64_t Log::size() const {
  std::lock_guard lock(mutex_);
  return calls_.size();
}

uint64_t Log::size_bytes() const {
  std::lock_guard lock(mutex_);
  return bytes_;
}

uint64_t Log::cost_ns() const {
  std::lock_guard lock(mutex_);
  return cost_ns_;
}

std::vector<std::shared_ptr<const LogCall>> Log::read(uint64_t first, size_t max) const {
  std::lock_guard lock(mutex_);
  size_t end = std::min<uint64_t>(calls_.size(), first + max);
  if (first >= end) return {};
  return {calls_.begin() + static_cast<ptrdiff_t>(first), calls_.begin() + static_cast<ptrdiff_t>(end)};
}

}  // namespace rotor::proxy
