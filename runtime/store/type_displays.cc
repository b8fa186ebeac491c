#include "runtime/store/type_displays.h"

#include <cstring>

#include "memory/os.h"
#include "runtime/enter/canonical_type.h"

namespace rotor::runtime {

static_assert(code::kFirstGcType % 4 == code::kStructureKind && (code::kFirstGcType + 2) % 4 == code::kArrayKind);

TypeDisplays::~TypeDisplays() {
  if (rows_) memory::os::release(rows_, kReservedBytes);
}

Result<uint32_t> TypeDisplays::take(HeapType::Kind kind) {
  if (!rows_) {
    ROTOR_TRY(rows_, memory::os::reserve(kReservedBytes));
  }
  const bool is_array = kind == HeapType::Kind::array;
  if (!free_[is_array].empty()) {
    const uint32_t number = free_[is_array].back();
    free_[is_array].pop_back();
    return number;
  }
  uint32_t& next = next_[is_array];
  if (next >= memory::HeapTypes::kMost)
    return fail(ErrorKind::limit, "the engine has as many structure and array types as it can have");
  const uint64_t need = memory::os::round_up_to_page((uint64_t{next} + 1) * code::kDisplayRowBytes);
  if (need > committed_bytes_) {
    if (!memory::os::commit(rows_ + committed_bytes_, need - committed_bytes_))
      return fail(ErrorKind::io, "no memory for a type");
    committed_bytes_ = need;
  }
  const uint32_t number = next;
  next += 4;
  return number;
}

void TypeDisplays::give_back(uint32_t number) { free_[number % 4 == code::kArrayKind].push_back(number); }

void TypeDisplays::write_row(const CanonicalType& type) {
  uint32_t row[code::kDisplayDepth] = {};
  for (const CanonicalType* above = &type; above; above = above->supertype)
    if (above->depth < code::kDisplayDepth) row[above->depth] = above->number;
  std::memcpy(rows_ + uint64_t{type.number} * code::kDisplayRowBytes, row, sizeof row);
}

}  // namespace rotor::runtime
