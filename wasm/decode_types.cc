#include "wasm/decode_types.h"

#include <algorithm>
#include <iterator>

#include "wasm/limits.h"

namespace rotor::wasm {

namespace {

/// An abstract heap type, by its one-byte code.
struct AbstractCode {
  uint8_t code;
  HeapType::Abstract type;
  Feature feature;  ///< the proposal that brought it
};
constexpr AbstractCode kAbstractCodes[] = {
    {0x70, HeapType::Abstract::func, Feature::reference_types},
    {0x6f, HeapType::Abstract::extern_, Feature::reference_types},
    {0x69, HeapType::Abstract::exn, Feature::exceptions},
    {0x74, HeapType::Abstract::noexn, Feature::exceptions},
    {0x6e, HeapType::Abstract::any, Feature::gc},
    {0x6d, HeapType::Abstract::eq, Feature::gc},
    {0x6c, HeapType::Abstract::i31, Feature::gc},
    {0x6b, HeapType::Abstract::struct_, Feature::gc},
    {0x6a, HeapType::Abstract::array, Feature::gc},
    {0x71, HeapType::Abstract::none, Feature::gc},
    {0x72, HeapType::Abstract::noextern, Feature::gc},
    {0x73, HeapType::Abstract::nofunc, Feature::gc},
};

const AbstractCode* find_abstract(int64_t code) {
  const auto found = std::ranges::find(kAbstractCodes, code, &AbstractCode::code);
  return found == std::end(kAbstractCodes) ? nullptr : found;
}

/// Finishes a reference type whose code, `code` at `start`, was read.
bool finish_ref_type(ByteReader& reader, const TypeScope& scope, uint64_t start, uint8_t code, Message otherwise,
                     ValType& out) {
  if (const AbstractCode* abstract = find_abstract(code)) {
    out = ValType::ref(abstract->type, /*nullable=*/true);
    return use_feature(reader, scope, abstract->feature, start);
  }
  if (code != 0x63 && code != 0x64) return reader.fail(otherwise, start);
  HeapType heap = HeapType::Abstract::func;
  if (!use_feature(reader, scope, Feature::function_references, start) || !read_heap_type(reader, scope, heap))
    return false;
  out = ValType::ref(heap, /*nullable=*/code == 0x63);
  return use_feature(reader, scope, Feature::reference_types, start);
}

}  // namespace

bool use_feature(ByteReader& reader, const TypeScope& scope, Feature feature, uint64_t offset) {
  if (!(scope.enabled & feature_bit(feature))) return reader.fail_unsupported(feature, offset);
  scope.used |= feature_bit(feature);
  return true;
}

bool read_fixed_count(ByteReader& reader, uint32_t& out) {
  uint64_t start = reader.offset();
  if (!reader.u32(out)) return false;
  return out <= kMaxFixedElements || reader.fail_limit(Message::limit_fixed_elements, start, out, kMaxFixedElements);
}

bool read_value_type(ByteReader& reader, const TypeScope& scope, ValType& out) {
  uint64_t start = reader.offset();
  uint8_t code = 0;
  if (!reader.u8(code)) return false;
  switch (code) {
    case 0x7f: out = ValType::i32; return true;
    case 0x7e: out = ValType::i64; return true;
    case 0x7d: out = ValType::f32; return true;
    case 0x7c: out = ValType::f64; return true;
    case 0x7b: out = ValType::v128; return use_feature(reader, scope, Feature::simd, start);
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
  if (code < 0) {
    const AbstractCode* abstract = code >= -64 ? find_abstract(code & 0x7f) : nullptr;
    if (!abstract) return reader.fail(Message::malformed_heap_type, start);
    if (abstract->feature != Feature::reference_types && !use_feature(reader, scope, abstract->feature, start))
      return false;
    out = abstract->type;
  } else {
    if (!use_feature(reader, scope, Feature::function_references, start)) return false;
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

bool TypeReader::field_type(FieldType& out) {
  const uint8_t code = reader_.peek();
  if (code == 0x78 || code == 0x77) {
    out.type = ValType::i32;
    out.packed = code == 0x78 ? FieldType::Packed::i8 : FieldType::Packed::i16;
    if (!reader_.skip(1)) return false;
  } else if (!read_value_type(reader_, scope_, out.type)) {
    return false;
  }
  return mutability(out.is_mutable);
}

bool TypeReader::composite_type(CompositeType& out) {
  uint64_t start = reader_.offset();
  uint8_t form = 0;
  if (!reader_.u8(form)) return false;
  if (form == 0x60) return func_type(out.emplace<FuncType>());
  if (form != 0x5e && form != 0x5f) return reader_.fail(Message::malformed_type_form, start);
  if (!use(Feature::gc, start)) return false;
  if (form == 0x5e) return field_type(out.emplace<ArrayType>().element);
  uint64_t at = reader_.offset();
  uint32_t fields = 0;
  if (!reader_.count(fields)) return false;
  if (fields > kMaxStructFields) return reader_.fail_limit(Message::limit_fields, at, fields, kMaxStructFields);
  auto& structure = out.emplace<StructType>();
  structure.fields.resize(fields);
  for (FieldType& field : structure.fields)
    if (!field_type(field)) return false;
  return true;
}

bool TypeReader::supertypes(SubType& out, uint32_t index) {
  uint32_t supertypes = 0;
  if (!reader_.count(supertypes)) return false;
  for (uint32_t i = 0; i < supertypes; ++i) {
    uint64_t start = reader_.offset();
    uint32_t supertype = 0;
    if (!reader_.u32(supertype)) return false;
    if (supertype >= index) return reader_.fail_index(Message::unknown_type, start, supertype);
    out.supertypes.push_back(scope_.module.canonical(TypeIndex(supertype)));
    out.depth = std::max(out.depth, scope_.module.types[supertype].depth + 1);
  }
  return true;
}

bool TypeReader::sub_type(SubType& out, uint32_t index) {
  const uint8_t form = reader_.peek();
  if (form == 0x4f || form == 0x50) {
    out.is_final = form == 0x4f;
    if (!use(Feature::gc, reader_.offset()) || !reader_.skip(1) || !supertypes(out, index)) return false;
  }
  return composite_type(out.composite);
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

bool TypeReader::mutability(bool& out) {
  uint64_t start = reader_.offset();
  uint8_t code = 0;
  if (!reader_.u8(code)) return false;
  if (code > 1) return reader_.fail(Message::malformed_mutability, start);
  out = code == 1;
  return true;
}

bool TypeReader::global_type(GlobalType& out) {
  return read_value_type(reader_, scope_, out.value) && mutability(out.is_mutable);
}

}  // namespace rotor::wasm
