#include "wasm/text/print_types.h"

#include "wasm/text/binary_codes.h"
#include "wasm/text/keywords.h"

namespace rotor::wasm::text {

void PrintState::index(Space space, uint32_t index) {
  out.put(' ');
  const PrintedName& name = names.of(space, index);
  if (name.id.empty()) {
    out.natural(index);
  } else {
    out.put(name.id);
  }
}

void PrintState::name(const PrintedName& name) {
  has_put_name |= name.exists();
  if (!name.id.empty()) {
    out.put(' ');
    out.put(name.id);
  }
  if (name.needs_annotation) {
    out.put(" (@name ");
    out.name(name.name);
    out.put(')');
  }
}

void PrintState::definition(Space space, uint32_t index) {
  name(names.of(space, index));
  out.put(" (;");
  out.natural(index);
  out.put(";)");
}

// ---- reading ------------------------------------------------------------------------------------------------------

bool PrintTypes::heap_type(int64_t& heap) {
  uint64_t start = reader_.offset();
  if (!reader_.s33(heap)) return false;
  if (heap >= 0 || (heap >= -64 && !heap_type_word(static_cast<uint8_t>(heap & 0x7f)).empty())) return true;
  return reader_.fail(Message::malformed_heap_type, start);
}

bool PrintTypes::finish_type(uint8_t code, uint64_t start, Message otherwise, BinaryType& type) {
  type.code = code;
  if (code == kRef || code == kRefNull) return heap_type(type.heap);
  if (heap_type_word(code).empty()) return reader_.fail(otherwise, start);
  type.code = kRefNull;
  type.heap = static_cast<int64_t>(code) - 0x80;
  return true;
}

bool PrintTypes::ref_type(BinaryType& type) {
  uint64_t start = reader_.offset();
  uint8_t code = 0;
  return reader_.u8(code) && finish_type(code, start, Message::malformed_ref_type, type);
}

bool PrintTypes::value_type(BinaryType& type) {
  uint64_t start = reader_.offset();
  uint8_t code = 0;
  if (!reader_.u8(code)) return false;
  type.code = code;
  return !number_type_word(code).empty() || finish_type(code, start, Message::malformed_value_type, type);
}

bool PrintTypes::storage_type(BinaryType& type) {
  if (packed_type_word(reader_.peek()).empty()) return value_type(type);
  return reader_.u8(type.code);
}

bool PrintTypes::mutability(BinaryType& type) {
  uint64_t start = reader_.offset();
  uint8_t flag = 0;
  if (!reader_.u8(flag)) return false;
  type.is_mutable = flag == 1;
  return flag <= 1 || reader_.fail(Message::malformed_mutability, start);
}

bool PrintTypes::limits(uint8_t flags, BinaryLimits& limits) {
  limits.flags = flags;
  return reader_.u64(limits.min) && (!(flags & kHasMax) || reader_.u64(limits.max));
}

bool PrintTypes::memory_limits(BinaryLimits& out) {
  uint64_t start = reader_.offset();
  uint8_t flags = 0;
  if (!reader_.u8(flags)) return false;
  if (flags > (kHasMax | kShared | kIs64 | kHasPageSize)) return reader_.fail(Message::malformed_limits_flags, start);
  if (!limits(flags, out)) return false;
  if (!(flags & kHasPageSize)) return true;
  start = reader_.offset();
  if (!reader_.u32(out.page_size_log2)) return false;
  // The text has the size itself, a number of 64 bits.
  return out.page_size_log2 < 64 || reader_.fail_detail(Message::malformed_limits_flags, start, "page size");
}

bool PrintTypes::table_type(BinaryExtern& type) {
  type.space = Space::table;
  if (!ref_type(type.value)) return false;
  uint64_t start = reader_.offset();
  uint8_t flags = 0;
  if (!reader_.u8(flags)) return false;
  if (flags & ~(kHasMax | kIs64)) return reader_.fail(Message::malformed_limits_flags, start);
  return limits(flags, type.limits);
}

bool PrintTypes::tag_type(uint32_t& type) {
  uint64_t start = reader_.offset();
  uint8_t attribute = 0;
  if (!reader_.u8(attribute)) return false;
  if (attribute != 0) return reader_.fail(Message::zero_byte_expected, start);
  return reader_.u32(type);
}

bool PrintTypes::extern_type(BinaryExtern& type) {
  uint64_t start = reader_.offset();
  uint8_t code = 0;
  if (!reader_.u8(code)) return false;
  if (code >= std::size(kExternSpaces)) return reader_.fail(Message::malformed_import_kind, start);
  type.space = kExternSpaces[code];
  switch (type.space) {
    case Space::func: return reader_.u32(type.type);
    case Space::table: return table_type(type);
    case Space::memory: return memory_limits(type.limits);
    case Space::global: return global_type(type.value);
    default: return tag_type(type.type);
  }
}

bool PrintTypes::parts(uint32_t& count) {
  if (!reader_.count(count)) return false;
  for (uint32_t i = 0; i < count; ++i)
    if (!value_type(parts_.emplace_back())) return false;
  return true;
}

bool PrintTypes::fields(uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    BinaryType& field = parts_.emplace_back();
    if (!storage_type(field) || !mutability(field)) return false;
  }
  definitions_.back().fields = count;
  return true;
}

bool PrintTypes::composite(uint8_t form) {
  definitions_.back().form = form;
  definitions_.back().first_part = static_cast<uint32_t>(parts_.size());
  if (form == kFunc) return parts(definitions_.back().params) && parts(definitions_.back().results);
  uint32_t count = 1;
  return (form == kArray || reader_.count(count)) && fields(count);
}

bool PrintTypes::definition() {
  uint64_t start = reader_.offset();
  uint8_t form = 0;
  if (!reader_.u8(form)) return false;
  BinaryDefinition& type = definitions_.emplace_back();
  if (form == kSub || form == kSubFinal) {
    type.sub = form;
    type.first_supertype = static_cast<uint32_t>(supertypes_.size());
    if (!reader_.count(type.supertypes)) return false;
    for (uint32_t i = 0; i < type.supertypes; ++i)
      if (!reader_.u32(supertypes_.emplace_back())) return false;
    // A plain type may have the long form; the encoder writes the short one only.
    if (form == kSubFinal && type.supertypes == 0) type.sub = 0;
    start = reader_.offset();
    if (!reader_.u8(form)) return false;
  }
  if (form != kFunc && form != kStruct && form != kArray) return reader_.fail(Message::malformed_type_form, start);
  return composite(form);
}

bool PrintTypes::section() {
  uint32_t count = 0;
  if (!reader_.count(count)) return false;
  for (uint32_t i = 0; i < count; ++i) {
    Group group{static_cast<uint32_t>(definitions_.size()), 1, reader_.peek() == kRec};
    if (group.is_explicit && (!reader_.skip(1) || !reader_.count(group.count))) return false;
    for (uint32_t j = 0; j < group.count; ++j)
      if (!definition()) return false;
    groups_.push_back(group);
  }
  state_.count(Space::type) = static_cast<uint32_t>(definitions_.size());
  return true;
}

std::span<const BinaryType> PrintTypes::params(uint32_t type) const {
  if (type >= definitions_.size() || definitions_[type].form != kFunc) return {};
  return std::span(parts_).subspan(definitions_[type].first_part, definitions_[type].params);
}

std::span<const PrintedName> PrintTypes::field_names(uint32_t type) {
  if (type >= definitions_.size() || definitions_[type].form != kStruct) return {};
  auto [place, is_new] = field_names_.try_emplace(type);
  if (is_new) place->second = state_.names.fields(type, definitions_[type].fields);
  return place->second;
}

// ---- text ---------------------------------------------------------------------------------------------------------

void PrintTypes::put_heap(int64_t heap) {
  if (heap >= 0) return state_.index(Space::type, static_cast<uint32_t>(heap));
  out_.put(' ');
  out_.put(heap_type_word(static_cast<uint8_t>(heap & 0x7f)));
}

void PrintTypes::put_ref(bool nullable, int64_t heap) {
  if (nullable && heap < 0) return out_.put(ref_shorthand_word(static_cast<uint8_t>(heap & 0x7f)));
  out_.put(nullable ? "(ref null" : "(ref");
  put_heap(heap);
  out_.put(')');
}

void PrintTypes::put(const BinaryType& type) {
  if (type.code == kRef || type.code == kRefNull) return put_ref(type.code == kRefNull, type.heap);
  std::string_view word = number_type_word(type.code);
  out_.put(word.empty() ? packed_type_word(type.code) : word);
}

void PrintTypes::put_mutable(const BinaryType& type) {
  if (type.is_mutable) out_.put("(mut ");
  put(type);
  if (type.is_mutable) out_.put(')');
}

void PrintTypes::put_limits(const BinaryLimits& limits) {
  if (limits.flags & kIs64) out_.put(" i64");
  out_.put(' ');
  out_.natural(limits.min);
  if (limits.flags & kHasMax) {
    out_.put(' ');
    out_.natural(limits.max);
  }
  if (limits.flags & kShared) out_.put(" shared");
  if (limits.flags & kHasPageSize) {
    out_.put(" (pagesize ");
    out_.natural(uint64_t{1} << limits.page_size_log2);
    out_.put(')');
  }
}

void PrintTypes::put_extern(const BinaryExtern& type) {
  switch (type.space) {
    case Space::table:
      put_limits(type.limits);
      out_.put(' ');
      return put(type.value);
    case Space::memory: return put_limits(type.limits);
    case Space::global: out_.put(' '); return put_mutable(type.value);
    default: return put_use(type.type);
  }
}

void PrintTypes::put_list(std::string_view word, std::span<const BinaryType> types,
                          std::span<const PrintedName> names) {
  bool is_open = false;
  auto open = [&] {
    if (is_open) return;
    out_.put(" (");
    out_.put(word);
    is_open = true;
  };
  auto close = [&] {
    if (is_open) out_.put(')');
    is_open = false;
  };
  for (size_t i = 0; i < types.size() && !out_.over(); ++i) {
    bool is_named = !names.empty() && names[i].exists();
    if (is_named) close();
    open();
    if (is_named) state_.name(names[i]);
    out_.put(' ');
    put_mutable(types[i]);
    if (is_named) close();
  }
  close();
}

void PrintTypes::put_signature(const BinaryDefinition& type, std::span<const PrintedName> names) {
  auto all = std::span(std::as_const(parts_)).subspan(type.first_part, type.params + type.results);
  put_list("param", all.first(type.params), names);
  put_list("result", all.subspan(type.params), {});
}

void PrintTypes::put_use(uint32_t type, std::span<const PrintedName> names) {
  out_.put(" (type");
  state_.index(Space::type, type);
  out_.put(')');
  if (type < definitions_.size() && definitions_[type].form == kFunc) put_signature(definitions_[type], names);
}

void PrintTypes::put_fields(uint32_t index) {
  const BinaryDefinition& type = definitions_[index];
  auto all = std::span(std::as_const(parts_)).subspan(type.first_part, type.fields);
  if (type.form == kArray) {
    out_.put(' ');
    return put_mutable(all[0]);
  }
  put_list("field", all, field_names(index));
}

void PrintTypes::put_definition(uint32_t index, uint32_t depth) {
  const BinaryDefinition& type = definitions_[index];
  out_.line(depth);
  out_.put("(type");
  state_.definition(Space::type, index);
  if (type.sub != 0) {
    out_.put(type.sub == kSubFinal ? " (sub final" : " (sub");
    for (uint32_t i = 0; i < type.supertypes; ++i) state_.index(Space::type, supertypes_[type.first_supertype + i]);
  }
  out_.put(type.form == kFunc ? " (func" : type.form == kStruct ? " (struct" : " (array");
  if (type.form == kFunc) {
    put_signature(type, {});
  } else {
    put_fields(index);
  }
  out_.put(type.sub != 0 ? ")))" : "))");
}

void PrintTypes::put_definitions() {
  for (const Group& group : groups_) {
    if (out_.over()) return;
    if (group.is_explicit) {
      out_.line(1);
      out_.put("(rec");
    }
    for (uint32_t i = 0; i < group.count && !out_.over(); ++i)
      put_definition(group.first + i, group.is_explicit ? 2 : 1);
    if (!group.is_explicit) continue;
    if (group.count > 0) out_.line(1);
    out_.put(')');
  }
}

}  // namespace rotor::wasm::text
