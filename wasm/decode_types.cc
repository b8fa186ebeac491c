#include "wasm/decode_types.h"

#include <algorithm>

#include "wasm/limits.h"

namespace rotor::wasm {

namespace {

/// Returns the proposal that brought a one-byte code of a heap type; mvp if it is no such code.
Feature heap_type_feature(uint8_t code) {
  if (code >= 0x6a && code <= 0x6e) return Feature::gc;  // array, struct, i31, eq, any
  if (code >= 0x71 && code <= 0x73) return Feature::gc;  // none, noextern, nofunc
  return Feature::mvp;
}

bool use(ByteReader& reader, const TypeScope& scope, Feature feature, uint64_t offset) {
  if (!(scope.enabled & feature_bit(feature))) return reader.fail_unsupported(feature, offset);
  scope.used |= feature_bit(feature);
  return true;
}

bool fail_heap_type(ByteReader& reader, uint64_t start, uint8_t code, Message otherwise) {
  Feature feature = heap_type_feature(code);
  if (feature != Feature::mvp) return reader.fail_unsupported(feature, start);
  return reader.fail(otherwise, start);
}

/// Finishes a reference type whose code, `code` at `start`, was read.
bool finish_ref_type(ByteReader& reader, const TypeScope& scope, uint64_t start, uint8_t code, Message otherwise,
                     ValType& out) {
  switch (code) {
    case 0x70: out = ValType::funcref; break;
    case 0x6f: out = ValType::externref; break;
    case 0x69:
    case 0x74:
      out = ValType::ref(code == 0x69 ? HeapType::Abstract::exn : HeapType::Abstract::noexn, /*nullable=*/true);
      return use(reader, scope, Feature::exceptions, start);
    case 0x63:
    case 0x64: {
      HeapType heap = HeapType::Abstract::func;
      if (!use(reader, scope, Feature::function_references, start) || !read_heap_type(reader, scope, heap))
        return false;
      out = ValType::ref(heap, /*nullable=*/code == 0x63);
      break;
    }
    default: return fail_heap_type(reader, start, code, otherwise);
  }
  return use(reader, scope, Feature::reference_types, start);
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
    default: return finish_ref_type(reader, scope, start, code, Message::malformed_value_type, out);
  }
}

bool read_ref_type(ByteReader& reader, const TypeScope& scope, ValType& out) {
  uint64_t start = reader.offset();
  uint8_t code = 0;
  return reader.u8(code) && finish_ref_type(reader, scope, start, code, Message::malformed_ref_type, out);
}

bool read_heap_type(ByteReader& reader, const TypeScope& scope, HeapType& out) {
  uint64_t start = reader.offset();
  int64_t code = 0;
  if (!reader.s33(code)) return false;
  if (code == -16) {
    out = HeapType::Abstract::func;
  } else if (code == -17) {
    out = HeapType::Abstract::extern_;
  } else if (code == -23 || code == -12) {
    out = code == -23 ? HeapType::Abstract::exn : HeapType::Abstract::noexn;
    return use(reader, scope, Feature::exceptions, start);
  } else if (code < 0) {
    return fail_heap_type(reader, start, code >= -64 ? static_cast<uint8_t>(code & 0x7f) : 0,
                          Message::malformed_heap_type);
  } else {
    if (!use(reader, scope, Feature::function_references, start)) return false;
    if (static_cast<uint64_t>(code) >= scope.module.types.size()) {
      return reader.fail_index(Message::unknown_type, start, static_cast<uint64_t>(code));
    }
    out = HeapType::concrete(raw(scope.module.canonical(TypeIndex(static_cast<uint32_t>(code)))));
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
  }
  return true;
}

bool TypeReader::func_type(FuncType& out) {
  if (!type_list(out.params, Message::limit_params, kMaxParams)) return false;
  if (!type_list(out.results, Message::limit_results, kMaxResults)) return false;
  if (out.results.size() > 1) scope_.used |= feature_bit(Feature::multi_value);
  return true;
}

bool TypeReader::limits(uint8_t flags, SizeLimits& out) {
  if (!reader_.u64(out.min)) return false;
  // UINT64_MAX stands for "none"; nothing is ever that large, nor as large as its neighbour.
  out.min = std::min(out.min, UINT64_MAX - 1);
  if (!(flags & 1)) return true;
  if (!reader_.u64(out.max)) return false;
  out.max = std::min(out.max, UINT64_MAX - 1);
  return true;
}

bool TypeReader::table_type(TableType& out) {
  uint32_t used_before = scope_.used;
  if (!read_ref_type(reader_, scope_, out.element)) return false;
  uint64_t start = reader_.offset();
  uint8_t flags = 0;
  if (!reader_.u8(flags)) return false;
  if (flags > 7 || (flags & 2)) return reader_.fail(Message::malformed_limits_flags, start);
  // A table of funcref does not use the reference-types proposal: it is older than that.
  if (out.element == ValType::funcref) scope_.used = used_before;
  out.is64 = flags & 4;
  if (out.is64 && !use(Feature::memory64, start)) return false;
  return limits(flags, out.limits);
}

bool TypeReader::memory_type(MemoryType& out) {
  uint64_t start = reader_.offset();
  uint8_t flags = 0;
  if (!reader_.u8(flags)) return false;
  if (flags > 15) return reader_.fail(Message::malformed_limits_flags, start);
  out.shared = flags & 2;
  out.is64 = flags & 4;
  if (!limits(flags, out.limits)) return false;
  if ((flags & 8) && !page_size(out)) return false;
  return (!(flags & 8) || use(Feature::custom_page_sizes, start)) && (!out.is64 || use(Feature::memory64, start)) &&
         (!out.shared || use(Feature::threads, start));
}

bool TypeReader::page_size(MemoryType& out) {
  uint64_t start = reader_.offset();
  uint32_t log2 = 0;
  if (!reader_.u32(log2)) return false;
  if (log2 >= 64) return reader_.fail(Message::malformed_page_size, start);
  out.page_size_log2 = static_cast<uint8_t>(log2);
  return true;
}

bool TypeReader::use(Feature feature, uint64_t start) {
  if (!(scope_.enabled & feature_bit(feature))) return reader_.fail_unsupported(feature, start);
  scope_.used |= feature_bit(feature);
  return true;
}

bool TypeReader::global_type(GlobalType& out) {
  if (!read_value_type(reader_, scope_, out.value)) return false;
  uint64_t start = reader_.offset();
  uint8_t mutability = 0;
  if (!reader_.u8(mutability)) return false;
  if (mutability > 1) return reader_.fail(Message::malformed_mutability, start);
  out.is_mutable = mutability == 1;
  return true;
}

}  // namespace rotor::wasm
