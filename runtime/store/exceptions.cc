#include "runtime/store/exceptions.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "code/abi.h"

namespace rotor::runtime {

uint32_t payload_words(const CanonicalType& tag_type) {
  return static_cast<uint32_t>(tag_type.type.params.size() * (code::kResultStride / sizeof(uint64_t)));
}

ExceptionHeap::~ExceptionHeap() {
  for (ExceptionObject* object : objects_) free(object);
}

ExceptionObject* ExceptionHeap::add(std::shared_ptr<const TagImpl> tag, LinkGroup* group, const uint64_t* payload) {
  const uint32_t words = payload_words(tag->type);
  const size_t size = sizeof(ExceptionObject) + words * sizeof(uint64_t);
  void* block = std::aligned_alloc(alignof(ExceptionObject), size);
  if (!block) return nullptr;
  auto* object = new (block) ExceptionObject{.tag = std::move(tag), .group = group, .words = words};
  std::copy_n(payload, words, object->payload());
  if (!objects_.empty() && object < objects_.back()) sorted_ = false;
  objects_.push_back(object);
  bytes_ += size;
  return object;
}

void ExceptionHeap::free(ExceptionObject* object) {
  bytes_ -= sizeof(ExceptionObject) + object->words * sizeof(uint64_t);
  object->~ExceptionObject();
  std::free(object);
}

void ExceptionHeap::sort() {
  if (std::exchange(sorted_, true)) return;
  // Not std::sort, which recurses: the guest may have left no more than the least reserve of the stack.
  std::ranges::make_heap(objects_);
  std::ranges::sort_heap(objects_);
}

bool ExceptionHeap::has(uint64_t bits) {
  sort();
  return std::ranges::binary_search(objects_, ExceptionObject::of(bits));
}

void ExceptionHeap::Marker::word(uint64_t bits) {
  const auto& objects = heap_.objects_;
  if (objects.empty() || bits < objects.front()->bits() || bits > objects.back()->bits() ||
      bits % alignof(ExceptionObject) != 0)
    return;
  ExceptionObject* object = ExceptionObject::of(bits);
  if (!std::ranges::binary_search(objects, object) || std::exchange(object->marked, true)) return;
  heap_.pending_.push_back(object);
}

// The frames of compiled code, and those of ours and the host's between them, with all that the address sanitizer puts
// around variables.
[[gnu::no_sanitize("address", "undefined")]] void ExceptionHeap::Marker::stack(uintptr_t low, uintptr_t high) {
  for (uintptr_t at = (low + 7) & ~uintptr_t{7}; at < high; at += sizeof(uint64_t))
    word(*reinterpret_cast<const volatile uint64_t*>(at));
}

void ExceptionHeap::collect(const std::function<void(Marker&)>& mark_roots) {
  mark(mark_roots);
  drain([](ExceptionObject&) {});
  sweep();
}

void ExceptionHeap::mark(const std::function<void(Marker&)>& mark_roots) {
  sort();
  Marker marker(*this);
  mark_roots(marker);
  for (ExceptionObject* object : objects_)
    if (object->holds.load(std::memory_order_acquire)) marker.word(object->bits());
  for (uint64_t bits : host_payload) marker.word(bits);
}

void ExceptionHeap::drain(const std::function<void(ExceptionObject&)>& visit) {
  Marker marker(*this);
  while (!pending_.empty()) {
    ExceptionObject* object = pending_.back();
    pending_.pop_back();
    visit(*object);
    // Whatever type a value has, it may be taken for a reference: at worst it keeps one.
    for (uint32_t i = 0; i < object->words; ++i) marker.word(object->payload()[i]);
  }
}

void ExceptionHeap::sweep() {
  std::erase_if(objects_, [&](ExceptionObject* object) {
    if (std::exchange(object->marked, false)) return false;
    free(object);
    return true;
  });
  kept_ = objects_.size();
  calls_put_off = 0;
  due_at_ = std::max(kLeastDue, 2 * kept_);
}

void ExceptionHeap::absorb(ExceptionHeap& other) {
  objects_.insert(objects_.end(), other.objects_.begin(), other.objects_.end());
  other.objects_.clear();
  bytes_ += std::exchange(other.bytes_, 0);
  sorted_ = false;
}

}  // namespace rotor::runtime
