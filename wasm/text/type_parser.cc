#include "wasm/text/type_parser.h"

#include <bit>

#include "wasm/text/binary_codes.h"
#include "wasm/text/keywords.h"
#include "wasm/text/number.h"

namespace rotor::wasm::text {

bool TypeParser::at_ref_type() const {
  return cursor_.at_open("ref") ||
         (cursor_.at(TokenKind::keyword) && ref_shorthand_code(cursor_.text(cursor_.peek())) != 0);
}

void TypeParser::value_type(ByteWriter& out) {
  if (cursor_.at(TokenKind::keyword)) {
    if (uint8_t code = number_type_code(cursor_.text(cursor_.peek()))) {
      cursor_.next();
      out.u8(code);
      return;
    }
  }
  if (!at_ref_type()) return cursor_.unexpected("a value type");
  ref_type(out);
}

void TypeParser::heap_type(ByteWriter& out) {
  if (cursor_.at(TokenKind::keyword)) {
    if (uint8_t code = heap_type_code(cursor_.text(cursor_.peek()))) {
      cursor_.next();
      out.u8(code);
      return;
    }
  }
  if (!cursor_.at_index()) return cursor_.unexpected("a heap type");
  out.s64(state_.index(Space::type));
}

bool TypeParser::ref_type_parts(ByteWriter& heap) {
  if (cursor_.at(TokenKind::keyword)) {
    if (uint8_t code = ref_shorthand_code(cursor_.text(cursor_.peek()))) {
      cursor_.next();
      heap.u8(code);
      return true;
    }
  }
  if (!cursor_.take_open("ref")) {
    cursor_.unexpected("a reference type");
    return false;
  }
  bool nullable = cursor_.take_keyword("null");
  heap_type(heap);
  cursor_.expect_close();
  return nullable;
}

void TypeParser::ref_type(ByteWriter& out) {
  heap_.clear();
  bool nullable = ref_type_parts(heap_);
  if (cursor_.failed()) return;
  // Each type is written in one form, the shortest, since type uses are compared by their bytes. An abstract heap type
  // is a negative number.
  bool is_abstract = heap_.view()[0] & 0x40 && heap_.size() == 1;
  if (!nullable || !is_abstract) out.u8(nullable ? kRefNull : kRef);
  out.bytes(heap_.view());
}

void TypeParser::global_type(ByteWriter& out) {
  bool is_mutable = cursor_.take_open("mut");
  value_type(out);
  if (is_mutable) cursor_.expect_close();
  out.u8(is_mutable);
}

bool TypeParser::address_type() {
  if (cursor_.take_keyword("i64")) return true;
  cursor_.take_keyword("i32");
  return false;
}

void TypeParser::table_limits(ByteWriter& out) {
  bool is64 = address_type();
  uint64_t min = cursor_.expect_natural(UINT64_MAX, "i64");
  bool has_max = cursor_.at(TokenKind::natural);
  out.u8(static_cast<uint8_t>((has_max ? kHasMax : 0) | (is64 ? kIs64 : 0)));
  out.u64(min);
  if (has_max) out.u64(cursor_.expect_natural(UINT64_MAX, "i64"));
}

bool TypeParser::page_size(uint32_t& log2) {
  if (!cursor_.take_open("pagesize")) return false;
  uint32_t begin = cursor_.offset();
  uint64_t size = cursor_.expect_natural(UINT64_MAX, "i64");
  if (!std::has_single_bit(size)) cursor_.fail(begin, "invalid custom page size: not a power of two");
  cursor_.expect_close();
  log2 = static_cast<uint32_t>(std::countr_zero(size));
  return true;
}

void TypeParser::memory_type(ByteWriter& out) {
  bool is64 = address_type();
  uint64_t min = cursor_.expect_natural(UINT64_MAX, "i64");
  bool has_max = cursor_.at(TokenKind::natural);
  uint64_t max = has_max ? cursor_.expect_natural(UINT64_MAX, "i64") : 0;
  bool shared = cursor_.take_keyword("shared");
  uint32_t log2 = 0;
  bool has_page_size = page_size(log2);
  out.u8(static_cast<uint8_t>((has_max ? kHasMax : 0) | (shared ? kShared : 0) | (is64 ? kIs64 : 0) |
                              (has_page_size ? kHasPageSize : 0)));
  out.u64(min);
  if (has_max) out.u64(max);
  if (has_page_size) out.u32(log2);
}

// ---- type uses ----------------------------------------------------------------------------------------------------

void TypeParser::params(TypeUse& use, IndexSpace* locals, std::vector<NamedIndex>* local_names) {
  while (cursor_.take_open("param")) {
    if (locals && state_.inner_name(*locals, use.params, "local", local_names)) {
      value_type(params_);
      ++use.params;
    } else {
      for (; !cursor_.at(TokenKind::close) && !cursor_.failed(); ++use.params) value_type(params_);
    }
    cursor_.expect_close();
  }
}

TypeUse TypeParser::type_use(IndexSpace* locals, std::vector<NamedIndex>* local_names) {
  TypeUse use;
  params_.clear();
  results_.clear();
  if (cursor_.take_open("type")) {
    use.has_type = true;
    use.type = state_.index(Space::type);
    cursor_.expect_close();
  }
  params(use, locals, local_names);
  while (cursor_.take_open("result")) {
    for (; !cursor_.at(TokenKind::close) && !cursor_.failed(); ++use.results) value_type(results_);
    cursor_.expect_close();
  }
  if (cursor_.at_open("type") || cursor_.at_open("param"))
    cursor_.unexpected("type, parameters, results, in this order");
  return use;
}

std::string_view TypeParser::encode_func(const TypeUse& use) {
  func_.clear();
  func_.u8(kFunc);
  func_.u32(use.params);
  func_.bytes(params_.view());
  func_.u32(use.results);
  func_.bytes(results_.view());
  std::span<const uint8_t> bytes = func_.view();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

uint32_t TypeParser::resolve(const TypeUse& use, uint32_t offset) {
  if (cursor_.failed()) return 0;
  bool is_inline = use.params + use.results > 0;
  if (!use.has_type) return state_.types.intern(encode_func(use), use.params, state_.section(SectionId::type));
  if (!is_inline) return use.type;
  if (use.type >= state_.types.count()) {
    cursor_.fail(offset, "unknown type " + std::to_string(use.type));
  } else if (state_.types.func(use.type) != encode_func(use)) {
    cursor_.fail(offset, "inline function type differs from type " + std::to_string(use.type));
  }
  return use.type;
}

// ---- definitions --------------------------------------------------------------------------------------------------

void TypeParser::type_definition() {
  SectionWriter& section = state_.section(SectionId::type);
  section.note(cursor_.offset());
  ++section.count;
  if (cursor_.at_open("type")) return definition(section.bytes, true);
  cursor_.expect_open("rec");
  uint32_t count = 0;
  ByteWriter group;
  for (; cursor_.at_open("type"); ++count) definition(group, false);
  cursor_.expect_close();
  section.bytes.u8(kRec);
  section.bytes.u32(count);
  section.bytes.bytes(group.view());
}

void TypeParser::definition(ByteWriter& out, bool alone) {
  cursor_.expect_open("type");
  cursor_.take_id();
  if (cursor_.at_annotation("name")) cursor_.skip_parenthesis();
  if (cursor_.take_open("sub")) {
    bool is_final = cursor_.take_keyword("final");
    uint32_t supertypes = 0;
    ByteWriter indices;
    for (; cursor_.at_index(); ++supertypes) indices.u32(state_.index(Space::type));
    bool is_plain = is_final && supertypes == 0;
    if (!is_plain) {
      out.u8(is_final ? kSubFinal : kSub);
      out.u32(supertypes);
      out.bytes(indices.view());
    }
    composite(out, alone && is_plain);
    cursor_.expect_close();
  } else {
    composite(out, alone);
  }
  cursor_.expect_close();
}

void TypeParser::composite(ByteWriter& out, bool simple) {
  if (cursor_.take_open("func")) {
    // Names of parameters mean nothing here, but two of one name are still wrong.
    IndexSpace names;
    if (cursor_.at_open("type")) return cursor_.unexpected("parameters or results");
    TypeUse use = type_use(&names, nullptr);
    std::string_view bytes = encode_func(use);
    out.bytes({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
    state_.types.add(bytes, use.params, simple);
  } else if (cursor_.take_open("struct")) {
    out.u8(kStruct);
    field_types(out, state_.types.count());
    state_.types.add({}, 0, false);
  } else if (cursor_.take_open("array")) {
    out.u8(kArray);
    field_type(out);
    state_.types.add({}, 0, false);
  } else {
    return cursor_.unexpected("(func, (struct or (array");
  }
  cursor_.expect_close();
}

void TypeParser::field_types(ByteWriter& out, uint32_t type) {
  uint32_t count = 0;
  ByteWriter fields;
  std::vector<NamedIndex> names;
  auto is_named = [&] { return cursor_.at(TokenKind::id) || cursor_.at_annotation("name"); };
  while (cursor_.take_open("field")) {
    if (is_named() && state_.inner_name(state_.fields[type], count, "field", &names)) {
      field_type(fields);
      ++count;
    } else {
      for (; !cursor_.at(TokenKind::close) && !cursor_.failed(); ++count) field_type(fields);
    }
    cursor_.expect_close();
  }
  out.u32(count);
  out.bytes(fields.view());
  if (state_.names.wanted && !names.empty()) state_.names.add(state_.names.fields, type, names);
}

void TypeParser::field_type(ByteWriter& out) {
  bool is_mutable = cursor_.take_open("mut");
  storage_type(out);
  if (is_mutable) cursor_.expect_close();
  out.u8(is_mutable);
}

void TypeParser::storage_type(ByteWriter& out) {
  if (cursor_.at(TokenKind::keyword)) {
    if (uint8_t code = packed_type_code(cursor_.text(cursor_.peek()))) {
      cursor_.next();
      out.u8(code);
      return;
    }
  }
  value_type(out);
}

}  // namespace rotor::wasm::text
