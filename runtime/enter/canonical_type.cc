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

CanonicalType::CanonicalType(const EngineImpl& owner, uint64_t type_name, FuncType func_type)
    : engine(&owner), name(type_name), type(std::move(func_type)) {
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
    has_exn |= param.is_exn_ref();
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
    has_exn |= result.is_exn_ref();
  }
}

}  // namespace rotor::runtime
