// The sections' contents (spec section 5.5), in the order of their ids.
#include <algorithm>
#include <utility>

#include "wasm/limits.h"
#include "wasm/module_decoder.h"
#include "wasm/subtypes.h"

namespace rotor::wasm {

bool ModuleDecoder::contents(SectionId id, uint64_t start) {
  switch (id) {
    case SectionId::custom: break;  // custom_section
    case SectionId::type: return type_section();
    case SectionId::import: return import_section();
    case SectionId::function: return function_section();
    case SectionId::table: return table_section();
    case SectionId::memory: return memory_section();
    case SectionId::global: return global_section();
    case SectionId::export_: return export_section();
    case SectionId::start: return start_section();
    case SectionId::element: return element_section();
    case SectionId::code: return code_section();
    case SectionId::data: return data_section();
    case SectionId::data_count: return data_count_section();
    case SectionId::tag: return tag_section();
  }
  return false;
}

bool ModuleDecoder::count(uint32_t& out, size_t have, Message too_many, uint32_t max) {
  uint64_t start = reader_.offset();
  if (!reader_.count(out)) return false;
  if (have + out > max) return reader_.fail_limit(too_many, start, have + out, max);
  return true;
}

bool ModuleDecoder::type_section() {
  uint32_t groups = 0;
  if (!count(groups, 0, Message::limit_types, kMaxTypes)) return false;
  module_.types.reserve(groups);
  module_.rec_groups.reserve(groups);
  module_.canonical_types.reserve(groups);
  for (uint32_t i = 0; i < groups; ++i)
    if (!rec_group()) return false;
  return true;
}

bool ModuleDecoder::rec_group() {
  const uint64_t start = reader_.offset();
  const auto first = static_cast<uint32_t>(module_.types.size());
  uint32_t types = 1;
  if (reader_.peek() == 0x4e) {
    if (!use_feature(reader_, scope_, Feature::gc, start) || !reader_.skip(1) ||
        !count(types, first, Message::limit_types, kMaxTypes))
      return false;
  } else if (first == kMaxTypes) {
    return reader_.fail_limit(Message::limit_types, start, first + 1, kMaxTypes);
  }
  // Types may refer to themselves and, in a group, to each other: they are there before they are read.
  module_.types.resize(first + types);
  for (uint32_t i = 0; i < types; ++i) module_.canonical_types.push_back(TypeIndex(first + i));
  for (uint32_t i = 0; i < types; ++i)
    if (!types_.sub_type(module_.types[first + i], first + i)) return false;
  if (types != 0) canonicalise({.first = first, .count = types});
  for (uint32_t i = 0; i < types; ++i)
    if (!check_supertype(reader_, module_, TypeIndex(first + i), start)) return false;
  return true;
}

/// Pre: the group is the last one so far, and names no type that is not canonical, itself excepted.
void ModuleDecoder::canonicalise(RecGroup group) {
  module_.rec_groups.push_back(group);
  uint32_t canonical = rec_groups_.intern(module_.types, group);
  if (canonical == group.first) return;
  auto canonical_of = [&](ValType type) {
    if (!type.is_concrete_ref() || type.heap().type_index() < group.first) return type;
    return ValType::ref(HeapType::concrete(type.heap().type_index() - group.first + canonical), type.nullable());
  };
  for (uint32_t i = 0; i < group.count; ++i) {
    module_.canonical_types[group.first + i] = TypeIndex(canonical + i);
    SubType& type = module_.types[group.first + i];
    for_each_type(type.composite, [&](ValType& value) { value = canonical_of(value); });
    for (TypeIndex& supertype : type.supertypes)
      if (raw(supertype) >= group.first) supertype = TypeIndex(raw(supertype) - group.first + canonical);
  }
}

bool ModuleDecoder::import_desc(Import& import) {
  uint64_t start = reader_.offset();
  uint8_t kind = 0;
  if (!reader_.u8(kind)) return false;
  switch (kind) {
    case 0: {
      uint32_t type = 0;
      if (!reader_.u32(type)) return false;
      import.desc = TypeIndex(type);
      module_.funcs.push_back(TypeIndex(type));
      return true;
    }
    case 1: {
      TableType type;
      if (!types_.table_type(type)) return false;
      import.desc = type;
      return add_table({.type = type, .init = {}}, start);
    }
    case 2: {
      MemoryType type;
      if (!types_.memory_type(type) || !add_memory(type, start)) return false;
      import.desc = type;
      return true;
    }
    case 3: {
      GlobalType type;
      if (!types_.global_type(type)) return false;
      if (type.is_mutable) use(Feature::mutable_global);
      import.desc = type;
      module_.globals.push_back({.type = type, .init = {}});
      return true;
    }
    case 4: {
      TagDesc tag;
      if (!tag_desc(tag, start)) return false;
      import.desc = tag;
      module_.tags.push_back(tag.type);
      return true;
    }
    default: return reader_.fail(Message::malformed_import_kind, start);
  }
}

bool ModuleDecoder::import_section() {
  uint32_t imports = 0;
  if (!count(imports, 0, Message::limit_imports, kMaxImports)) return false;
  for (uint32_t i = 0; i < imports; ++i) {
    Import& import = module_.imports.emplace_back();
    import.offset = reader_.offset();
    if (!reader_.name(import.module) || !reader_.name(import.name) || !import_desc(import)) return false;
  }
  module_.imported_funcs = static_cast<uint32_t>(module_.funcs.size());
  module_.imported_tables = static_cast<uint32_t>(module_.tables.size());
  module_.imported_memories = static_cast<uint32_t>(module_.memories.size());
  module_.imported_globals = static_cast<uint32_t>(module_.globals.size());
  module_.imported_tags = static_cast<uint32_t>(module_.tags.size());
  return true;
}

bool ModuleDecoder::function_section() {
  uint32_t funcs = 0;
  if (!count(funcs, module_.funcs.size(), Message::limit_functions, kMaxFunctions)) return false;
  module_.funcs.reserve(module_.funcs.size() + funcs);
  offsets_.funcs.reserve(funcs);
  for (uint32_t i = 0; i < funcs; ++i) {
    offsets_.funcs.push_back(reader_.offset());
    uint32_t type = 0;
    if (!reader_.u32(type)) return false;
    module_.funcs.push_back(TypeIndex(type));
  }
  return true;
}

bool ModuleDecoder::table_section() {
  uint32_t tables = 0;
  if (!count(tables, module_.tables.size(), Message::limit_tables, kMaxTables)) return false;
  for (uint32_t i = 0; i < tables; ++i) {
    uint64_t start = reader_.offset();
    offsets_.tables.push_back(start);
    Table table;
    bool has_init = reader_.peek() == 0x40;
    if (has_init && !table_init_prefix(start)) return false;
    if (!types_.table_type(table.type)) return false;
    if (has_init && !const_expr(table.init.emplace())) return false;
    if (!add_table(std::move(table), start)) return false;
  }
  return true;
}

bool ModuleDecoder::add_table(Table table, uint64_t start) {
  module_.tables.push_back(std::move(table));
  if (module_.tables.size() > kMaxTables)
    return reader_.fail_limit(Message::limit_tables, start, module_.tables.size(), kMaxTables);
  if (module_.tables.size() > 1) use(Feature::reference_types);
  return true;
}

/// 0x40 0x00, before the type of a table that has an initialiser.
bool ModuleDecoder::table_init_prefix(uint64_t start) {
  if (!use_feature(reader_, scope_, Feature::function_references, start)) return false;
  uint8_t zero = 0;
  if (!reader_.skip(1) || !reader_.u8(zero)) return false;
  return zero == 0 || reader_.fail(Message::zero_byte_expected, start);
}

bool ModuleDecoder::add_memory(const MemoryType& type, uint64_t start) {
  module_.memories.push_back(type);
  if (module_.memories.size() == 1) return true;
  if (module_.memories.size() > kMaxMemories)
    return reader_.fail_limit(Message::limit_memories, start, module_.memories.size(), kMaxMemories);
  if (!options_.features.multi_memory) return reader_.fail_unsupported(Feature::multi_memory, start);
  use(Feature::multi_memory);
  return true;
}

bool ModuleDecoder::memory_section() {
  uint32_t memories = 0;
  if (!count(memories, module_.memories.size(), Message::limit_memories, kMaxMemories)) return false;
  for (uint32_t i = 0; i < memories; ++i) {
    uint64_t start = reader_.offset();
    offsets_.memories.push_back(start);
    MemoryType type;
    if (!types_.memory_type(type) || !add_memory(type, start)) return false;
  }
  return true;
}

bool ModuleDecoder::tag_desc(TagDesc& out, uint64_t start) {
  if (!use_feature(reader_, scope_, Feature::exceptions, start)) return false;
  uint8_t attribute = 0;
  uint64_t at = reader_.offset();
  uint32_t type = 0;
  if (!reader_.u8(attribute)) return false;
  if (attribute != 0) return reader_.fail(Message::malformed_tag_attribute, at);
  if (!reader_.u32(type)) return false;
  out.type = TypeIndex(type);
  return true;
}

bool ModuleDecoder::tag_section() {
  uint64_t start = reader_.offset();
  uint32_t tags = 0;
  if (!(scope_.enabled & feature_bit(Feature::exceptions))) return reader_.fail_unsupported(Feature::exceptions, start);
  if (!count(tags, module_.tags.size(), Message::limit_tags, kMaxTags)) return false;
  for (uint32_t i = 0; i < tags; ++i) {
    uint64_t at = reader_.offset();
    offsets_.tags.push_back(at);
    TagDesc tag;
    if (!tag_desc(tag, at)) return false;
    module_.tags.push_back(tag.type);
  }
  return true;
}

bool ModuleDecoder::global_section() {
  uint32_t globals = 0;
  if (!count(globals, module_.globals.size(), Message::limit_globals, kMaxGlobals)) return false;
  module_.globals.reserve(module_.globals.size() + globals);
  for (uint32_t i = 0; i < globals; ++i) {
    offsets_.globals.push_back(reader_.offset());
    Global& global = module_.globals.emplace_back();
    if (!types_.global_type(global.type) || !const_expr(global.init)) return false;
  }
  return true;
}

bool ModuleDecoder::export_section() {
  uint32_t exports = 0;
  if (!count(exports, 0, Message::limit_exports, kMaxExports)) return false;
  for (uint32_t i = 0; i < exports; ++i) {
    offsets_.exports.push_back(reader_.offset());
    Export& exported = module_.exports.emplace_back();
    if (!reader_.name(exported.name)) return false;
    uint64_t start = reader_.offset();
    uint8_t kind = 0;
    if (!reader_.u8(kind)) return false;
    if (kind == 4 && !(scope_.enabled & feature_bit(Feature::exceptions)))
      return reader_.fail_unsupported(Feature::exceptions, start);
    if (kind > 4) return reader_.fail(Message::malformed_export_kind, start);
    exported.kind = static_cast<ExternKind>(kind);
    if (!reader_.u32(exported.index)) return false;
  }
  return true;
}

bool ModuleDecoder::start_section() {
  offsets_.start = reader_.offset();
  uint32_t func = 0;
  if (!reader_.u32(func)) return false;
  module_.start = FuncIndex(func);
  return true;
}

bool ModuleDecoder::element_items(ElementSegment& segment, bool are_exprs) {
  uint32_t items = 0;
  if (!count(items, 0, Message::limit_elem_items, kMaxElemSegmentItems)) return false;
  if (are_exprs) {
    for (uint32_t i = 0; i < items; ++i) {
      if (!const_expr(segment.exprs.emplace_back())) return false;
    }
    return true;
  }
  segment.funcs.reserve(items);
  for (uint32_t i = 0; i < items; ++i) {
    uint32_t func = 0;
    if (!reader_.u32(func)) return false;
    segment.funcs.push_back(FuncIndex(func));
  }
  return true;
}

bool ModuleDecoder::element(ElementSegment& segment) {
  uint64_t start = reader_.offset();
  uint32_t flags = 0;
  if (!reader_.u32(flags)) return false;
  if (flags > 7) return reader_.fail(Message::malformed_elem_segment, start);
  // Bit 0: not active; bit 1: a table index is given (active), or it is declarative; bit 2: items are expressions.
  bool active = !(flags & 1), explicit_type = flags & 3, are_exprs = flags & 4;
  segment.mode = active ? SegmentMode::active : flags & 2 ? SegmentMode::declarative : SegmentMode::passive;
  if (flags != 0) use(active ? Feature::reference_types : Feature::bulk_memory);
  if (active) {
    uint32_t table = 0;
    if ((flags & 2) && !reader_.u32(table)) return false;
    segment.table = TableIndex(table);
    if (!const_expr(segment.table_offset)) return false;
  }
  if (explicit_type && are_exprs) {
    if (!read_ref_type(reader_, scope_, segment.type)) return false;
  } else if (are_exprs) {
    segment.type = ValType::funcref;
  } else if (explicit_type) {
    uint64_t at = reader_.offset();
    uint8_t kind = 0;
    if (!reader_.u8(kind)) return false;
    if (kind != 0) return reader_.fail(Message::malformed_elem_kind, at);
  }
  return element_items(segment, are_exprs);
}

bool ModuleDecoder::element_section() {
  uint32_t segments = 0;
  if (!count(segments, 0, Message::limit_elem_segments, kMaxElemSegments)) return false;
  for (uint32_t i = 0; i < segments; ++i) {
    offsets_.elements.push_back(reader_.offset());
    if (!element(module_.elements.emplace_back())) return false;
  }
  return true;
}

bool ModuleDecoder::code_section() {
  has_code_ = true;
  uint64_t start = reader_.offset();
  uint32_t bodies = 0;
  if (!reader_.u32(bodies)) return false;
  if (bodies != module_.defined_funcs()) {
    return reader_.fail(Message::code_length_mismatch, start);
  }
  module_.bodies.reserve(bodies);
  for (uint32_t i = 0; i < bodies; ++i) {
    uint64_t at = reader_.offset();
    uint32_t size = 0;
    if (!reader_.length(size)) return false;
    if (size > kMaxFunctionBytes) return reader_.fail_limit(Message::limit_body_size, at, size, kMaxFunctionBytes);
    uint64_t begin = reader_.offset();
    module_.bodies.push_back({.begin = begin, .end = begin + size});
    reader_.seek(begin + size);
  }
  return true;
}

bool ModuleDecoder::data(DataSegment& segment) {
  uint64_t start = reader_.offset();
  uint32_t flags = 0;
  if (!reader_.u32(flags)) return false;
  if (flags > 2) return reader_.fail(Message::malformed_data_segment, start);
  if (flags != 0) use(Feature::bulk_memory);
  segment.mode = flags == 1 ? SegmentMode::passive : SegmentMode::active;
  if (flags != 1) {
    uint32_t memory = 0;
    if (flags == 2 && !reader_.u32(memory)) return false;
    segment.memory = MemoryIndex(memory);
    if (!const_expr(segment.memory_offset)) return false;
  }
  uint32_t size = 0;
  if (!reader_.length(size)) return false;
  segment.begin = reader_.offset();
  segment.size = size;
  reader_.seek(segment.begin + size);
  return true;
}

bool ModuleDecoder::data_section() {
  uint32_t segments = 0;
  if (!count(segments, 0, Message::limit_data_segments, kMaxDataSegments)) return false;
  for (uint32_t i = 0; i < segments; ++i) {
    offsets_.data.push_back(reader_.offset());
    if (!data(module_.data.emplace_back())) return false;
  }
  return true;
}

bool ModuleDecoder::data_count_section() {
  uint64_t start = reader_.offset();
  uint32_t segments = 0;
  if (!reader_.u32(segments)) return false;
  if (segments > kMaxDataSegments) {
    return reader_.fail_limit(Message::limit_data_segments, start, segments, kMaxDataSegments);
  }
  use(Feature::bulk_memory);
  module_.data_count = segments;
  return true;
}

}  // namespace rotor::wasm
