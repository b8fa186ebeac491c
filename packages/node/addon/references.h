// What external references of guests stand for: JavaScript values.
#pragma once

#include <node_api.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "rotor/rotor.h"

namespace rotor::node {

/// Something with places for external references that guests can name.
class ReferenceHolder {
 public:
  /// Calls `mark` with each reference that is in them. Returns false if it can't be asked.
  virtual bool mark_references(const std::function<void(ExternRef)>& mark) const = 0;

 protected:
  ~ReferenceHolder() = default;
};

/// The values that guests of an environment were given as external references. A reference is an index into an array
/// of JavaScript's; 0 is null. Nothing tells when a guest forgets one: so, between calls, what no table and no global
/// of a guest, and no checkpoint, still names is let go now and then.
class References {
 public:
  explicit References(napi_env env) : env_(env) {}

  ExternRef add(napi_value value);
  napi_value get(ExternRef reference) const;
  /// Lets go what no guest can name any more, if enough was added since the last time. Pre: no guest runs.
  void sweep_if_due() {
    if (added_ >= due_) sweep();
  }
  void sweep();
  /// Of all that guests can name references by, `holder` is one, until it is removed.
  void add(const ReferenceHolder& holder) { holders_.push_back(&holder); }
  void remove(const ReferenceHolder& holder) { std::erase(holders_, &holder); }
  /// Returns the values that are kept now.
  size_t size() const { return in_use_ + added_; }

 private:
  static constexpr uint32_t kLeastAdded = 4096;

  napi_value array() const;

  const napi_env env_;
  std::vector<const ReferenceHolder*> holders_;
  napi_ref array_ = nullptr;
  uint32_t next_ = 1;
  std::vector<uint32_t> free_;
  size_t in_use_ = 0;  ///< after the last sweep
  size_t added_ = 0;   ///< since the last sweep
  size_t due_ = kLeastAdded;
};

}  // namespace rotor::node
