// A body's local declarations (spec section 5.5.13), for all that read bodies.
#pragma once

#include <cstdint>

#include "wasm/errors.h"
#include "wasm/limits.h"
#include "wasm/reader.h"

namespace rotor::wasm {

/// Reads the declarations of the locals that follow `params` parameters. `read_type(Type&)` reads a type, and returns
/// false if it is malformed; `group(total, type)` is told that the locals up to number `total` are of that type, as
/// long as there are no more than kMaxLocals.
template <class Type, class ReadType, class Group>
bool read_local_declarations(ByteReader& reader, uint64_t params, ReadType read_type, Group group) {
  uint64_t start = reader.offset(), total = params;
  uint32_t groups = 0;
  if (!reader.count(groups)) return false;
  for (uint32_t i = 0; i < groups; ++i) {
    uint64_t at = reader.offset();
    uint32_t count = 0;
    Type type{};
    if (!reader.u32(count)) return false;
    total += count;
    if (total > UINT32_MAX) return reader.fail(Message::too_many_locals, at);
    if (!read_type(type)) return false;
    if (total <= kMaxLocals) group(total, type);
  }
  // Too many locals are reported only after the whole list, which may yet turn out malformed.
  return total <= kMaxLocals || reader.fail_limit(Message::limit_locals, start, total, kMaxLocals);
}

}  // namespace rotor::wasm
