#include "memory/testing/heap_model.h"

#include <algorithm>
#include <cstring>

namespace rotor::memory::test {

namespace {

using Kind = HeapShape::Kind;
struct NamedShape {
  HeapShape shape;
  uint32_t most_length;  ///< of arrays
};
/// Of the types 1, 2, …; the lengths reach from cells to several blocks.
const std::vector<NamedShape> kShapes = {
    {{.bytes = 8}, 0},
    {{.bytes = 16, .reference_offsets = {8}}, 0},
    {{.bytes = 20, .reference_offsets = {16, 8}}, 0},
    {{.bytes = 40, .reference_offsets = {12, 24}}, 0},
    {{.bytes = 3000, .reference_offsets = {8, 1500, 2996}}, 0},
    {{.bytes = 70'000, .reference_offsets = {8, 69'996}}, 0},
    {{.kind = Kind::array, .bytes = 1}, 150'000},
    {{.kind = Kind::array, .bytes = 2}, 600},
    {{.kind = Kind::array, .bytes = 4, .reference_elements = true}, 40'000},
    {{.kind = Kind::array, .bytes = 4, .reference_elements = true}, 20},
    {{.kind = Kind::array, .bytes = 8}, 5'000},
    {{.kind = Kind::array, .bytes = 16}, 100},
};

uint64_t size_of(uint32_t type, uint32_t length) {
  const HeapShape& shape = kShapes[type - 1].shape;
  return shape.kind == Kind::structure ? shape.bytes : kHeapHeaderBytes + uint64_t{length} * shape.bytes;
}
/// Returns the bytes of the cell or blocks that an object has.
uint64_t room_of(uint64_t bytes) {
  for (uint32_t cell : kHeapClassBytes)
    if (bytes <= cell) return cell;
  return (bytes + kHeapBlockBytes - 1) / kHeapBlockBytes * kHeapBlockBytes;
}

}  // namespace

HeapModel::HeapModel(std::span<const uint8_t> script) : script_(script) {
  const uint8_t how = next();
  options_.limit_bytes = std::array{40, 3, 1, 200}[how % 4] * uint64_t{kHeapBlockBytes};
  options_.stress = (how & 12) == 12;
  options_.least_growth_bytes = (how & 16) != 0 ? 0 : 500'000;
  options_.mark_stack_entries = (how & 64) != 0 ? 1 + next() % 4 : 1 << 16;
}

uint8_t HeapModel::next() { return at_ < script_.size() ? script_[at_++] : 0; }

void HeapModel::visit_ambiguous(AmbiguousRoots& roots) {
  roots.add(state_.ambiguous[0]);
  roots.add_range(&state_.ambiguous[1], state_.ambiguous.data() + state_.ambiguous.size());
}

void HeapModel::visit_exact(ExactRoots& roots) {
  for (HeapRef reference : state_.exact) roots.add(reference);
}

void HeapModel::make_heap(std::shared_ptr<const Image> image) {
  if (heap_) {
    const HeapCounters counters = heap_->counters();
    total_.collections += counters.collections;
    total_.imprecise_collections += counters.imprecise_collections;
    total_.failed_allocations += counters.failed_allocations;
    total_.returned_bytes += counters.returned_bytes;
    total_.rescans += counters.rescans;
  }
  auto heap = Heap::create(options_, *this, std::move(image));
  if (!heap) return differ(heap.error().message);
  heap_ = std::move(*heap);
  collections_ = 0;
  for (uint32_t i = 0; i < kShapes.size(); ++i)
    if (auto defined = heap_->define(i + 1, kShapes[i].shape); !defined) differ(defined.error().message);
}

std::string HeapModel::run() {
  make_heap(nullptr);
  while (difference_.empty() && at_ < script_.size()) {
    ++steps_;
    step();
  }
  if (difference_.empty()) {
    heap_->collect();
    collected(0);
    make_heap(nullptr);  // adds what the last one counted
  }
  return difference_;
}

void HeapModel::step() {
  const uint8_t what = next();
  if (what < 100) return allocate();
  if (what < 160) return store();
  if (what < 190) return load();
  if (what < 205) return write();
  if (what < 220) return void(root() = 0);
  if (what < 232) return keep_ambiguous();
  if (what < 246) return resolve();
  if (what < 252) {
    heap_->collect();
    return collected(0);
  }
  if (what < 254) return seal();
  restore();
}

HeapRef HeapModel::find(uint64_t offset) const {
  auto behind = state_.objects.upper_bound(static_cast<HeapRef>(std::min<uint64_t>(offset, UINT32_MAX)));
  if (behind == state_.objects.begin()) return 0;
  const auto& [reference, object] = *std::prev(behind);
  return offset - reference < room_of(size_of(object.type, object.length)) ? reference : 0;
}

std::vector<HeapRef> HeapModel::references(const Object& object) const {
  const HeapShape& shape = kShapes[object.type - 1].shape;
  if (shape.reference_elements) return object.words;
  std::vector<HeapRef> all;
  for (uint32_t offset : shape.reference_offsets) all.push_back(object.words[(offset - kHeapHeaderBytes) / 4]);
  return all;
}

std::set<HeapRef> HeapModel::reachable() const {
  std::vector<HeapRef> waiting(state_.exact.begin(), state_.exact.end());
  waiting.push_back(find_address(state_.ambiguous[0]));
  waiting.push_back(find(state_.ambiguous[0]));
  const auto* words = reinterpret_cast<const uint8_t*>(&state_.ambiguous[1]);
  const size_t bytes = (state_.ambiguous.size() - 1) * sizeof(uint64_t);
  for (size_t at = 0; at < bytes; at += 4) {
    uint32_t offset;
    std::memcpy(&offset, words + at, 4);
    waiting.push_back(find(offset));
    uint64_t address;
    if (at + 8 > bytes) continue;
    std::memcpy(&address, words + at, 8);
    waiting.push_back(find_address(address));
  }
  std::set<HeapRef> found;
  while (!waiting.empty()) {
    const HeapRef reference = waiting.back();
    waiting.pop_back();
    if (!is_heap_object(reference) || !found.insert(reference).second) continue;
    const std::vector<HeapRef> next = references(state_.objects.at(reference));
    waiting.insert(waiting.end(), next.begin(), next.end());
  }
  return found;
}

void HeapModel::compare(HeapRef object, const Object& model) {
  if (heap_->resolve(object) != object) return differ("an object that lives is not found");
  const HeapHeader& header = heap_->header(object);
  if (header.type != model.type || header.length != model.length) return differ("a header changed");
  const uint64_t bytes = size_of(model.type, model.length) - kHeapHeaderBytes;
  if (bytes != 0 && std::memcmp(heap_->bytes(object) + kHeapHeaderBytes, model.words.data(), bytes) != 0)
    differ("an object's contents changed");
}

void HeapModel::collected(HeapRef fresh) {
  collections_ = heap_->counters().collections;
  const std::set<HeapRef> live = reachable();
  uint64_t live_bytes = 0;
  std::vector<HeapRef> freed;
  for (const auto& [reference, object] : state_.objects) {
    if (!live.contains(reference)) {
      freed.push_back(reference);
      continue;
    }
    compare(reference, object);
    live_bytes += room_of(size_of(object.type, object.length));
  }
  for (HeapRef reference : freed) {
    state_.objects.erase(reference);
    const HeapRef there = heap_->resolve(reference);
    if (there != 0 && there == fresh) continue;
    if (there != 0 || heap_->resolve(reference + 7) != 0) differ("what was freed is still found");
    const uint32_t type = heap_->header(reference).type;
    if (options_.stress && type != 0 && type != HeapBlocks::kPoisonType) differ("what was freed holds no poison");
  }
  if (heap_->counters().live_bytes != live_bytes) differ("bytes that live are not counted right");
}

void HeapModel::allocate() {
  const uint32_t type = 1 + next() % static_cast<uint32_t>(kShapes.size());
  const NamedShape& named = kShapes[type - 1];
  const bool is_array = named.shape.kind == Kind::array;
  uint32_t length = 0;
  if (is_array) {
    const uint8_t how = next();
    // Most are short; some are longer than anything that fits.
    length = how < 180 ? how % 24 % (named.most_length + 1) : next_wide() % (named.most_length + 1);
    if (how >= 254) length = UINT32_MAX - next();
  }
  const uint64_t bytes = size_of(type, length);
  auto object = is_array ? heap_->allocate_array(type, length) : heap_->allocate_structure(type);
  if (heap_->counters().collections != collections_) collected(object.value_or(0));
  if (object) return allocated(*object, type, length, bytes);
  if (object.error().kind != ErrorKind::limit) return differ(object.error().message);
  if (state_.objects.empty() && room_of(bytes) <= options_.limit_bytes) differ("an empty heap has no memory");
}

void HeapModel::allocated(HeapRef object, uint32_t type, uint32_t length, uint64_t bytes) {
  if (!is_heap_object(object)) return differ("a reference is no multiple of 8");
  const auto next_one = state_.objects.lower_bound(object);
  if (find(object) != 0 || (next_one != state_.objects.end() && next_one->first < object + room_of(bytes)))
    return differ("an object lies over another one");
  Object model{type, length, std::vector<uint32_t>((bytes - kHeapHeaderBytes + 3) / 4)};
  state_.objects.emplace(object, model);
  compare(object, model);  // it is zero
  root() = object;
}

void HeapModel::store() {
  const HeapRef into = root();
  HeapRef what = root();
  if (next() % 8 == 0) what = next_wide() | 1;  // an i31
  if (!is_heap_object(into)) return;
  Object& object = state_.objects.at(into);
  const HeapShape& shape = kShapes[object.type - 1].shape;
  uint32_t offset = kHeapHeaderBytes;
  if (shape.reference_elements && object.length != 0)
    offset += next_wide() % object.length * kHeapRefBytes;
  else if (!shape.reference_offsets.empty())
    offset = shape.reference_offsets[next() % shape.reference_offsets.size()];
  else
    return;
  object.words[(offset - kHeapHeaderBytes) / 4] = what;
  std::memcpy(heap_->bytes(into) + offset, &what, sizeof(what));
}

void HeapModel::load() {
  const HeapRef from = root();
  if (!is_heap_object(from)) return;
  const std::vector<HeapRef> all = references(state_.objects.at(from));
  if (!all.empty()) root() = all[next_wide() % all.size()];
}

/// Writes to an array that holds no references: what looks like one keeps nothing alive.
void HeapModel::write() {
  const HeapRef into = root();
  if (!is_heap_object(into)) return;
  Object& object = state_.objects.at(into);
  const HeapShape& shape = kShapes[object.type - 1].shape;
  if (shape.kind != Kind::array || shape.reference_elements || shape.bytes < 4 || object.length == 0) return;
  const uint32_t index = next_wide() % static_cast<uint32_t>(object.words.size());
  object.words[index] = next() % 2 == 0 ? root() : next_wide();
  std::memcpy(heap_->bytes(into) + kHeapHeaderBytes + index * 4, &object.words[index], 4);
}

void HeapModel::keep_ambiguous() {
  uint64_t& word = state_.ambiguous[next() % state_.ambiguous.size()];
  const HeapRef object = root();
  if (!is_heap_object(object)) return void(word = next_wide());
  const Object& model = state_.objects.at(object);
  word = object + next_wide() % room_of(size_of(model.type, model.length));
  const uint8_t how = next();
  if (how % 2 == 0) word += reinterpret_cast<uintptr_t>(heap_->base());
  // Words of stacks lie anywhere, and so do references in vectors.
  if (how % 4 == 1) word = word << 32 | next();
}

void HeapModel::resolve() {
  const HeapRef near = root();
  const uint64_t offset = near - 64 + next_wide() % (next() % 4 == 0 ? 1 << 24 : 128);
  const HeapRef expected = find(offset);
  if (heap_->resolve(offset) != expected) differ("an offset is found to be of another object");
  if (heap_->resolve(reinterpret_cast<uintptr_t>(heap_->base()) + offset) != expected)
    differ("an address is found to be of another object");
}

void HeapModel::seal() {
  auto image = heap_->seal(next() % 2 == 0 ? LinearMemory::Copy::whole : LinearMemory::Copy::changes);
  if (!image) return differ(image.error().message);
  image_ = std::move(*image);
  imaged_ = state_;
}

void HeapModel::restore() {
  if (!image_) return;
  // The old heap stays until the new one is there, which so lies elsewhere.
  make_heap(image_);
  state_ = imaged_;
  for (const auto& [reference, object] : state_.objects) compare(reference, object);
}

}  // namespace rotor::memory::test
