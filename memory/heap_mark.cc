#include "memory/heap_mark.h"

#include <algorithm>
#include <utility>

#include "memory/heap_roots.h"

namespace rotor::memory {

namespace {

constexpr size_t kFirstWaiting = 1024;
/// Entries of the stack that are kept for the next collection.
constexpr size_t kKeptWaiting = 1 << 16;

}  // namespace

HeapMarker::HeapMarker(const HeapBlocks& blocks, const HeapTypes& types, HeapRoots& roots, uint32_t most_waiting)
    : blocks_(blocks),
      types_(types),
      roots_(roots),
      most_waiting_(std::max<size_t>(most_waiting, 1)),
      stack_(std::min(most_waiting_, kFirstWaiting)) {}

bool HeapMarker::make_room(Top& top) {
  const size_t size = stack_.size();
  if (size == most_waiting_) return false;
  stack_.resize(std::min(2 * size, most_waiting_));
  top = {stack_.data() + size, stack_.data() + stack_.size()};
  return true;
}

void HeapMarker::note_for_rescan(HeapRef object) {
  blocks_.block(object >> kHeapBlockLog2).rescan = 1;
  overflowed_ = true;
}

[[gnu::always_inline]] inline void HeapMarker::see(Top& top, HeapRef reference) {
  if (!is_heap_object(reference)) return;
  assert(blocks_.block(reference >> kHeapBlockLog2).kind != HeapBlock::Kind::free && "a reference to nothing");
  if (!blocks_.mark(reference)) return;
  // It comes into the cache while others are traced.
  __builtin_prefetch(blocks_.base() + reference);
  if (top.at == top.end && !make_room(top)) [[unlikely]]
    return note_for_rescan(reference);
  *top.at++ = {reference, 0};
}

void HeapMarker::trace_elements(Top& top, Waiting waiting, uint32_t length) {
  const auto* elements = reinterpret_cast<const HeapRef*>(blocks_.base() + waiting.object + kHeapHeaderBytes);
  uint32_t end = length;
  // The rest waits below what is found now. Without room for it all is traced at once.
  if (length - waiting.from > kSlice && (top.at != top.end || make_room(top))) {
    end = waiting.from + kSlice;
    *top.at++ = {waiting.object, end};
  }
  for (uint32_t i = waiting.from; i < end; ++i) see(top, elements[i]);
}

[[gnu::noinline]] void HeapMarker::trace_foreign(Top& top, HeapRef object, const HeapTypes::Type& type) {
  const uint8_t* bytes = blocks_.base() + object;
  auto visit = [&](const uint8_t* at) { see(top, roots_.foreign(*reinterpret_cast<const uint64_t*>(at))); };
  if (type.kind == HeapShape::Kind::array) {
    const uint32_t length = reinterpret_cast<const HeapHeader*>(bytes)->length;
    for (uint32_t i = 0; i < length; ++i) visit(bytes + kHeapHeaderBytes + uint64_t{i} * sizeof(uint64_t));
  } else {
    for (uint32_t offset : types_.foreign(type)) visit(bytes + offset);
  }
}

[[gnu::always_inline]] inline void HeapMarker::trace(Top& top, Waiting waiting) {
  const uint8_t* object = blocks_.base() + waiting.object;
  const auto* header = reinterpret_cast<const HeapHeader*>(object);
  const HeapTypes::Type& type = types_[header->type];
  if (type.reference_elements) return trace_elements(top, waiting, header->length);
  if (type.has_foreign) [[unlikely]]
    trace_foreign(top, waiting.object, type);
  for (uint32_t offset : types_.references(type)) see(top, *reinterpret_cast<const HeapRef*>(object + offset));
}

void HeapMarker::drain(Top& top) {
  while (top.at != stack_.data()) {
    --top.at;
    trace(top, *top.at);
  }
}

void HeapMarker::add(HeapRef reference) {
  Top top{stack_.data() + waiting_, stack_.data() + stack_.size()};
  see(top, reference);
  // Roots are not known to be few: no more of them wait than there is room for now.
  if (top.at == top.end) drain(top);
  waiting_ = static_cast<size_t>(top.at - stack_.data());
}

void HeapMarker::rescan() {
  const HeapState& state = blocks_.state();
  Top top{stack_.data(), stack_.data() + stack_.size()};
  for (uint32_t i = blocks_.first_block(); i < state.end_block; ++i) {
    HeapBlock& block = blocks_.block(i);
    if (!block.rescan) continue;
    block.rescan = 0;
    const bool is_large = block.kind == HeapBlock::Kind::large;
    const uint32_t bytes = is_large ? kHeapBlockBytes : kHeapClassBytes[block.size_class];
    for (uint32_t at = 0; (at = blocks_.next_marked(i, at)) < kHeapBlockBytes; at += bytes) {
      trace(top, {(i << kHeapBlockLog2) + at, 0});
      drain(top);
    }
  }
}

void HeapMarker::finish() {
  Top top{stack_.data() + waiting_, stack_.data() + stack_.size()};
  drain(top);
  waiting_ = 0;
  while (std::exchange(overflowed_, false)) {
    ++rescans_;
    rescan();
  }
  if (stack_.size() > kKeptWaiting) {
    stack_.resize(kKeptWaiting);
    stack_.shrink_to_fit();
  }
}

void ExactRoots::add(HeapRef reference) { marker_.add(reference); }

}  // namespace rotor::memory
