#include "wasm/decode_types.h"

#include <algorithm>

#include "wasm/limits.h"

namespace rotor::wasm {

namespace {

/// The proposal that brought a one-byte code of a heap type; mvp: it is no such code.
Feature heap_type_feature(uint8_t code) {
  if (code >= 0x6a && code <= 0x6e) return Feature::gc;  // array, struct, i31, eq, any
  if (code >= 0x71 && code <= 0x73) return Feature::gc;  // none, noextern, nofunc
  if (code == 0x69 || code == 0x74) return Feature::exceptions;
  return Feature::mvp;
}

/// The heap type after 0x63 or 0x64 says which proposal the reference belongs to, if it is one at all.
bool fail_typed_ref(ByteReader& reader, uint64_t start) {
  uint64_t at = reader.offset();
  int64_t heap = 0;
  if (!reader.s33(heap)) return false;
  if (heap >= 0 || heap == -16 || heap == -17) return reader.fail_unsupported(Feature::function_references, start);
  Feature feature = heap >= -64 ? heap_type_feature(static_cast<uint8_t>(heap & 0x7f)) : Feature::mvp;
  if (feature != Feature::mvp) return reader.fail_unsupported(feature, start);
  return reader.fail(Message::malformed_heap_type, at);
}

/// Reads a reference type whose code is neither funcref nor externref: an error in any case.
bool fail_ref_type(ByteReader& reader, uint64_t start, uint8_t code, Message otherwise) {
  if (code == 0x63 || code == 0x64) return fail_typed_ref(reader, start);
  Feature feature = heap_type_feature(code);
  if (feature != Feature::mvp) return reader.fail_unsupported(feature, start);
  return reader.fail(otherwise, start);
}

}  // namespace

bool read_value_type(ByteReader& reader, const TypeScope& scope, ValType& out) {
  uint64_t start = reader.offset();
  uint8_t code = 0;
  if (!reader.u8(code)) return false;
  switch (code) {
    case 0x7f: out = ValType::i32; return true;
    case 0x7e: out = ValType::i64; return true;
    case 0x7d: out = ValType::f32; return true;
    case 0x7c: out = ValType::f64; return true;
    case 0x7b:
      if (!(scope.enabled & feature_bit(Feature::simd))) return reader.fail_unsupported(Feature::simd, start);
      scope.used |= feature_bit(Feature::simd);
      out = ValType::v128;
      return true;
    case 0x70: out = ValType::funcref; return true;
    case 0x6f: out = ValType::externref; return true;
    default: return fail_ref_type(reader, start, code, Message::malformed_value_type);
  }
}

bool read_ref_type(ByteReader& reader, ValType& out) {
  uint64_t start = reader.offset();
  uint8_t code = 0;
  if (!reader.u8(code)) return false;
  if (code == 0x70) {
    out = ValType::funcref;
  } else if (code == 0x6f) {
    out = ValType::externref;
  } else {
    return fail_ref_type(reader, start, code, Message::malformed_ref_type);
  }
  return true;
}

bool read_heap_type(ByteReader& reader, ValType& out) {
  uint64_t start = reader.offset();
  int64_t code = 0;
  if (!reader.s33(code)) return false;
  if (code == -16) {
    out = ValType::funcref;
  } else if (code == -17) {
    out = ValType::externref;
  } else if (code >= 0) {
    return reader.fail_unsupported(Feature::function_references, start);
  } else {
    Feature feature = code >= -64 ? heap_type_feature(static_cast<uint8_t>(code & 0x7f)) : Feature::mvp;
    if (feature != Feature::mvp) return reader.fail_unsupported(feature, start);
    return reader.fail(Message::malformed_heap_type, start);
  }
  return true;
}

bool TypeReader::type_list(std::vector<ValType>& out, Message too_many, uint32_t max) {
  uint64_t start = reader_.offset();
  uint32_t count = 0;
  if (!reader_.count(count)) return false;
  if (count > max) return reader_.fail_limit(too_many, start, count, max);
  out.resize(count);
  for (ValType& type : out) {
    if (!read_value_type(reader_, scope_, type)) return false;
    if (type.is_ref()) used_ |= feature_bit(Feature::reference_types);
  }
  return true;
}

bool TypeReader::func_type(FuncType& out) {
  if (!type_list(out.params, Message::limit_params, kMaxParams)) return false;
  if (!type_list(out.results, Message::limit_results, kMaxResults)) return false;
  if (out.results.size() > 1) used_ |= feature_bit(Feature::multi_value);
  return true;
}

bool TypeReader::limits(uint8_t flags, SizeLimits& out) {
  if (!reader_.u64(out.min)) return false;
  if (!(flags & 1)) return true;
  if (!reader_.u64(out.max)) return false;
  // UINT64_MAX stands for "none"; a declared one is as far out of range as its neighbour.
  out.max = std::min(out.max, UINT64_MAX - 1);
  return true;
}

bool TypeReader::table_type(TableType& out) {
  if (!read_ref_type(reader_, out.element)) return false;
  uint64_t start = reader_.offset();
  uint8_t flags = 0;
  if (!reader_.u8(flags)) return false;
  if (flags > 7 || (flags & 2)) return reader_.fail(Message::malformed_limits_flags, start);
  if (flags & 4) return reader_.fail_unsupported(Feature::memory64, start);
  if (out.element != ValType::funcref) used_ |= feature_bit(Feature::reference_types);
  return limits(flags, out.limits);
}

bool TypeReader::memory_type(MemoryType& out) {
  uint64_t start = reader_.offset();
  uint8_t flags = 0;
  if (!reader_.u8(flags)) return false;
  if (flags > 15) return reader_.fail(Message::malformed_limits_flags, start);
  if (flags & 8) {
    uint32_t page_size_log2 = 0;
    if (!limits(flags, out.limits) || !reader_.u32(page_size_log2)) return false;
    return reader_.fail_unsupported(Feature::custom_page_sizes, start);
  }
  if (flags & 4) return reader_.fail_unsupported(Feature::memory64, start);
  if (flags & 2) {
    if (!features_.threads) return reader_.fail_unsupported(Feature::threads, start);
    used_ |= feature_bit(Feature::threads);
    out.shared = true;
  }
  return limits(flags, out.limits);
}

bool TypeReader::global_type(GlobalType& out) {
  if (!read_value_type(reader_, scope_, out.value)) return false;
  if (out.value.is_ref()) used_ |= feature_bit(Feature::reference_types);
  uint64_t start = reader_.offset();
  uint8_t mutability = 0;
  if (!reader_.u8(mutability)) return false;
  if (mutability > 1) return reader_.fail(Message::malformed_mutability, start);
  out.is_mutable = mutability == 1;
  return true;
}

}  // namespace rotor::wasm
