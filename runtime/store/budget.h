// Amounts that an instance's memories or tables have in sum, and that Limits bound.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

namespace rotor::runtime {

/// An amount, and the most that it may be. Thread-safe.
class Budget {
 public:
  explicit Budget(uint64_t limit) : limit_(limit) {}
  Budget(const Budget&) = delete;

  /// Takes `amount` and returns what is in use with it; nullopt if that would be over the limit, and nothing was taken.
  std::optional<uint64_t> take(uint64_t amount) {
    uint64_t used = used_.load(std::memory_order_relaxed);
    do {
      // Neither term wraps: what is in use is at most the limit.
      if (amount > limit_ - used) return std::nullopt;
    } while (!used_.compare_exchange_weak(used, used + amount, std::memory_order_relaxed));
    return used + amount;
  }
  /// Pre: it was taken.
  void give_back(uint64_t amount) { used_.fetch_sub(amount, std::memory_order_relaxed); }
  /// Makes it as a new one. Pre: nobody else uses it, and nothing of it is taken.
  void renew(uint64_t limit) {
    limit_ = limit;
    denied_.store(0, std::memory_order_relaxed);
  }
  /// Counts a growth that was refused, for whatever reason.
  void deny() { denied_.fetch_add(1, std::memory_order_relaxed); }

  uint64_t limit() const { return limit_; }
  uint64_t used() const { return used_.load(std::memory_order_relaxed); }
  uint64_t denied() const { return denied_.load(std::memory_order_relaxed); }

 private:
  uint64_t limit_;
  std::atomic<uint64_t> used_{0};
  std::atomic<uint64_t> denied_{0};
};

/// The budget of the memories and tables that an instance defines, each of which shares it, since they may outlive the
/// instance.
struct InstanceBudget {
  InstanceBudget(uint64_t limit_bytes, uint64_t limit_elements)
      : memory_bytes(limit_bytes), table_elements(limit_elements) {}
  void renew(uint64_t limit_bytes, uint64_t limit_elements) {
    memory_bytes.renew(limit_bytes);
    table_elements.renew(limit_elements);
  }
  Budget memory_bytes;
  Budget table_elements;
};

}  // namespace rotor::runtime
