#include "packages/node/addon/references.h"

#include <algorithm>

namespace rotor::node {

napi_value References::array() const {
  napi_value array = nullptr;
  napi_get_reference_value(env_, array_, &array);
  return array;
}

ExternRef References::add(napi_value value) {
  napi_valuetype type = napi_undefined;
  napi_typeof(env_, value, &type);
  if (type == napi_null) return {};
  if (!array_) {
    napi_value made = nullptr;
    napi_create_array(env_, &made);
    napi_create_reference(env_, made, 1, &array_);
  }
  uint32_t index = 0;
  if (free_.empty()) {
    index = next_++;
  } else {
    index = free_.back();
    free_.pop_back();
  }
  ++added_;
  napi_set_element(env_, array(), index, value);
  return {index};
}

napi_value References::get(ExternRef reference) const {
  napi_value value = nullptr;
  if (reference.is_null() || !array_)
    napi_get_null(env_, &value);
  else
    napi_get_element(env_, array(), static_cast<uint32_t>(reference.bits), &value);
  return value;
}

void References::sweep() {
  if (!array_) return;
  std::vector<bool> named(next_);
  auto mark = [&](ExternRef reference) {
    if (reference.bits < next_) named[static_cast<uint32_t>(reference.bits)] = true;
  };
  for (const ReferenceHolder* holder : holders_)
    if (!holder->mark_references(mark)) {
      due_ = added_ * 2;  // one can't be asked, as long as it is there: all are kept
      return;
    }
  std::vector<bool> was_free(next_);
  for (uint32_t index : free_) was_free[index] = true;
  napi_handle_scope scope = nullptr;
  napi_open_handle_scope(env_, &scope);
  napi_value values = array();
  napi_value nothing = nullptr;
  napi_get_undefined(env_, &nothing);
  in_use_ = 0;
  for (uint32_t index = 1; index < next_; ++index) {
    if (named[index]) {
      ++in_use_;
    } else if (!was_free[index]) {
      napi_set_element(env_, values, index, nothing);
      free_.push_back(index);
    }
  }
  napi_close_handle_scope(env_, scope);
  added_ = 0;
  due_ = std::max<size_t>(kLeastAdded, in_use_);
}

}  // namespace rotor::node
