// The guest's pointers for the handles of recorded calls.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "proxy/log_call.h"

namespace rotor::proxy {

/// A map from HandleId to the guest's pointer. Guests restored from one image share the part that the image knows:
/// restoring copies nothing.
class HandleMap {
 public:
  using Table = std::unordered_map<HandleId, uint32_t>;

  HandleMap() = default;
  explicit HandleMap(std::shared_ptr<const Table> base) : base_(std::move(base)) {}

  void set(HandleId id, uint32_t raw) { own_[id] = raw; }
  /// Forgets a handle; if it is in the part that is shared, when that is made anew.
  void erase(HandleId id) {
    own_.erase(id);
    if (base_ && base_->contains(id)) gone_.push_back(id);
  }
  /// Returns the guest's pointer, or null if it has no such handle.
  const uint32_t* find(HandleId id) const {
    if (auto found = own_.find(id); found != own_.end()) return &found->second;
    if (!base_) return nullptr;
    auto found = base_->find(id);
    return found == base_->end() ? nullptr : &found->second;
  }
  /// Returns the whole map, which is shared from now on.
  std::shared_ptr<const Table> share() {
    auto all = base_ ? std::make_shared<Table>(*base_) : std::make_shared<Table>();
    for (const auto& [id, raw] : own_) all->insert_or_assign(id, raw);
    for (HandleId id : gone_) all->erase(id);
    gone_.clear();
    base_ = all;
    own_.clear();
    return base_;
  }

 private:
  std::shared_ptr<const Table> base_;
  Table own_;
  std::vector<HandleId> gone_;  ///< erased, and in the part that is shared
};

}  // namespace rotor::proxy
