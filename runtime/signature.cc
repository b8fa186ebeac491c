#include "runtime/signature.h"

#include <cassert>

#include "jit/abi.h"

namespace rotor::runtime {

namespace {

/// The places of one value, the first of which is `word`: one a slot.
void append_places(std::vector<ValuePlace>& places, ValType type, uint32_t word) {
  bool is32 = type == ValType::i32 || type == ValType::f32;
  places.push_back({static_cast<uint16_t>(word), is32, type.is_func_ref()});
  if (type == ValType::v128) places.push_back({static_cast<uint16_t>(word + 1), false, false});
}
bool in_xmm(ValType type) { return type == ValType::f32 || type == ValType::f64 || type == ValType::v128; }

}  // namespace

Signature::Signature(const EngineImpl& owner, uint32_t type_index, FuncType func_type)
    : engine(&owner), index(type_index), type(std::move(func_type)) {
  uint32_t gprs = 0, xmms = 0;
  bool vectors = false;
  for (ValType param : type.params) {
    uint32_t word;
    bool is_vector = param == ValType::v128;
    if (in_xmm(param) && xmms < CallRegs::kXmms) {
      word = CallRegs::xmm(xmms++);
      vectors |= is_vector;
    } else if (!in_xmm(param) && gprs < CallRegs::kGprs) {
      word = gprs++;
    } else {
      if (is_vector) stack_words += stack_words % 2;
      word = CallRegs::kWords + stack_words;
      stack_words += is_vector ? 2 : 1;
    }
    append_places(params, param, word);
    has_ref_params |= param.is_ref();
  }
  shape = entry_shape(stack_words, vectors);
  bool in_memory = type.results.size() > jit::kMaxRegisterResults;
  gprs = xmms = 0;
  for (ValType result : type.results) {
    uint32_t word;
    if (in_memory) {
      word = result_words;
      result_words += jit::kResultStride / sizeof(uint64_t);
    } else {
      word = in_xmm(result) ? CallRegs::xmm(xmms++) : gprs++;
    }
    append_places(results, result, word);
    has_ref_results |= result.is_ref();
  }
  // Tail calls put arguments where this says they are.
  assert(stack_words == jit::ArgumentPlaces::stack_words(type));
}

}  // namespace rotor::runtime
