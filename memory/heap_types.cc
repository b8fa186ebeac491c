#include "memory/heap_types.h"

#include <bit>
#include <string>

namespace rotor::memory {

namespace {

Result<void> check(const HeapShape& shape) {
  const auto wrong = [](const char* what) { return fail(ErrorKind::invalid_argument, what); };
  if (shape.kind == HeapShape::Kind::array) {
    if (!std::has_single_bit(shape.bytes) || shape.bytes > 16) return wrong("an array's elements have 1 to 16 bytes");
    if (shape.reference_elements && shape.bytes != kHeapRefBytes) return wrong("a reference has 4 bytes");
    if (!shape.reference_offsets.empty() || !shape.foreign_offsets.empty()) return wrong("an array has no fields");
    if (shape.foreign_elements && shape.bytes != sizeof(uint64_t)) return wrong("a foreign word has 8 bytes");
    return {};
  }
  if (shape.bytes < kHeapHeaderBytes) return wrong("a structure begins with a header");
  if (shape.reference_elements || shape.foreign_elements) return wrong("a structure has no elements");
  for (uint32_t offset : shape.foreign_offsets)
    if (offset % 8 != 0 || offset < kHeapHeaderBytes || shape.bytes < 16 || offset > shape.bytes - 8)
      return wrong("a foreign word lies within its structure, at a multiple of 8 bytes");
  for (uint32_t offset : shape.reference_offsets)
    if (offset % kHeapRefBytes != 0 || offset < kHeapHeaderBytes || offset > shape.bytes - kHeapRefBytes)
      return wrong("a reference field lies within its structure, at a multiple of 4 bytes");
  return {};
}

}  // namespace

Result<void> HeapTypes::define(uint32_t type, const HeapShape& shape) {
  if (type == 0) return fail(ErrorKind::invalid_argument, "no type has the number 0");
  if (type >= kMost) return fail(ErrorKind::limit, "a heap has types below the number " + std::to_string(kMost));
  ROTOR_CHECK(check(shape));
  if (type >= types_.size()) types_.resize(type + 1);
  Type& known = types_[type];
  if (known.is_defined)
    return fail(ErrorKind::invalid_argument, "the type " + std::to_string(type) + " is defined already");
  known.is_defined = true;
  known.kind = shape.kind;
  if (shape.kind == HeapShape::Kind::array) {
    known.reference_elements = shape.reference_elements;
    known.has_foreign = shape.foreign_elements;
    known.element_log2 = static_cast<uint8_t>(std::countr_zero(shape.bytes));
    return {};
  }
  known.bytes = shape.bytes;
  known.first_reference = static_cast<uint32_t>(offsets_.size());
  known.reference_count = static_cast<uint32_t>(shape.reference_offsets.size());
  offsets_.insert(offsets_.end(), shape.reference_offsets.begin(), shape.reference_offsets.end());
  if (shape.foreign_offsets.empty()) return {};
  known.has_foreign = true;
  offsets_.push_back(static_cast<uint32_t>(shape.foreign_offsets.size()));
  offsets_.insert(offsets_.end(), shape.foreign_offsets.begin(), shape.foreign_offsets.end());
  return {};
}

}  // namespace rotor::memory
