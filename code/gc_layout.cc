#include "code/gc_layout.h"

#include <algorithm>

#include "wasm/subtypes.h"

namespace rotor::code {

Storage storage_of(const wasm::FieldType& field, HeapType::Abstract top) {
  using enum ValType::Kind;
  if (field.packed == wasm::FieldType::Packed::i8) return Storage::i8;
  if (field.packed == wasm::FieldType::Packed::i16) return Storage::i16;
  switch (field.type.kind()) {
    case i32:
    case f32: return Storage::i32;
    case i64:
    case f64: return Storage::i64;
    case v128: return Storage::v128;
    default: break;
  }
  if (top == HeapType::Abstract::any) return Storage::reference;
  return top == HeapType::Abstract::func ? Storage::function : Storage::foreign;
}

Storage storage_of(const wasm::Module& module, const wasm::FieldType& field) {
  return storage_of(field, field.type.is_ref() ? wasm::top_of(module, field.type.heap()) : HeapType::Abstract::any);
}

StructureLayout::StructureLayout(std::span<const Storage> fields) {
  offsets.reserve(fields.size());
  for (Storage field : fields) {
    const uint32_t size = uint32_t{1} << storage_log2(field);
    const uint32_t align = std::min(size, 8u);
    bytes = (bytes + align - 1) / align * align;
    offsets.push_back(bytes);
    bytes += size;
  }
  bytes = (bytes + 7) / 8 * 8;
}

std::vector<StructureLayout> structure_layouts(const wasm::Module& module) {
  std::vector<StructureLayout> layouts;
  std::vector<Storage> fields;
  for (size_t i = 0; i < module.types.size(); ++i) {
    const auto* structure = std::get_if<wasm::StructType>(&module.types[i].composite);
    if (!structure) continue;
    layouts.resize(module.types.size());
    fields.clear();
    for (const wasm::FieldType& field : structure->fields) fields.push_back(storage_of(module, field));
    layouts[i] = StructureLayout(fields);
  }
  return layouts;
}

}  // namespace rotor::code
