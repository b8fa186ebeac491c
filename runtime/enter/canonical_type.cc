#include "runtime/enter/canonical_type.h"

#include "code/abi.h"

namespace rotor::runtime {

namespace {

/// Appends the places of one value, one per slot, the first of which is `word`.
void append_places(std::vector<ValuePlace>& places, ValType type, uint32_t word) {
  bool is32 = type == ValType::i32 || type == ValType::f32;
  places.push_back({static_cast<uint16_t>(word), is32, type.is_func_ref()});
  if (type == ValType::v128) places.push_back({static_cast<uint16_t>(word + 1), false, false});
}
bool in_xmm(ValType type) { return type == ValType::f32 || type == ValType::f64 || type == ValType::v128; }

}  // namespace

static_assert(CallRegs::kGprs == code::ArgumentPlaces::kGprs && CallRegs::kXmms == code::ArgumentPlaces::kXmms);

CanonicalType::CanonicalType(const EngineImpl& owner, uint64_t type_name, TypeDefinition definition,
                             const CanonicalType* super, uint32_t gc_number)
    : FunctionTypeDisplay{},  // with zeros, which no type's id is
      engine(&owner),
      name(type_name),
      kind(definition.kind()),
      is_final(definition.is_final),
      supertype(super),
      depth(super ? super->depth + 1 : 0),
      number(gc_number) {
  for (const CanonicalType* above = this; above; above = above->supertype)
    if (above->depth < std::size(supertypes)) supertypes[above->depth] = above->id();
  if (kind == HeapType::Kind::func)
    set_function(std::get<FuncType>(std::move(definition.composite)));
  else
    set_object(std::move(definition.composite));
}

void CanonicalType::set_object(wasm::CompositeType composite) {
  gc = std::move(composite);
  auto storage_of = [](const wasm::FieldType& field) {
    using enum HeapType::Abstract;
    return code::storage_of(field, field.type.is_any_ref() ? any : field.type.is_func_ref() ? func : extern_);
  };
  if (const auto* structure = std::get_if<wasm::StructType>(&gc)) {
    for (const wasm::FieldType& field : structure->fields) storage.push_back(storage_of(field));
    layout = code::StructureLayout(storage);
  } else {
    storage.push_back(storage_of(std::get<wasm::ArrayType>(gc).element));
  }
}

memory::HeapShape CanonicalType::heap_shape() const {
  memory::HeapShape shape;
  if (kind == HeapType::Kind::array) {
    shape.kind = memory::HeapShape::Kind::array;
    shape.bytes = uint32_t{1} << code::storage_log2(storage[0]);
    shape.reference_elements = storage[0] == code::Storage::reference;
    shape.foreign_elements = storage[0] == code::Storage::foreign;
    return shape;
  }
  shape.bytes = layout.bytes;
  for (size_t i = 0; i < storage.size(); ++i) {
    if (storage[i] == code::Storage::reference) shape.reference_offsets.push_back(layout.offsets[i]);
    if (storage[i] == code::Storage::foreign) shape.foreign_offsets.push_back(layout.offsets[i]);
  }
  return shape;
}

void CanonicalType::set_function(FuncType func_type) {
  type = std::move(func_type);
  using Kind = code::ArgumentPlaces::Place::Kind;
  code::ArgumentPlaces places;
  bool vectors = false;
  for (ValType param : type.params) {
    code::ArgumentPlaces::Place place = places.next(param);
    uint32_t word = place.index;
    if (place.kind == Kind::xmm) word = CallRegs::xmm(place.index);
    if (place.kind == Kind::stack) word = CallRegs::kWords + place.index;
    vectors |= place.kind == Kind::xmm && param == ValType::v128;
    append_places(params, param, word);
    has_ref_params |= param.is_ref();
    has_owned |= param.is_exn_ref() || param.is_any_ref();
  }
  stack_words = places.stack_words();
  shape = entry_shape(stack_words, vectors);
  bool in_memory = type.results.size() > code::kMaxRegisterResults;
  uint32_t gprs = 0, xmms = 0;
  for (ValType result : type.results) {
    uint32_t word;
    if (in_memory) {
      word = result_words;
      result_words += code::kResultStride / sizeof(uint64_t);
    } else {
      word = in_xmm(result) ? CallRegs::xmm(xmms++) : gprs++;
    }
    append_places(results, result, word);
    has_ref_results |= result.is_ref();
    has_owned |= result.is_exn_ref() || result.is_any_ref();
  }
}

}  // namespace rotor::runtime
