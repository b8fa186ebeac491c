#include "runtime/signature.h"

#include <cassert>

#include "jit/abi.h"

namespace rotor::runtime {

namespace {

ValuePlace place_of(ValType type, uint32_t word) {
  return {static_cast<uint16_t>(word), type == ValType::i32 || type == ValType::f32, type.is_func_ref()};
}
bool is_float(ValType type) { return type == ValType::f32 || type == ValType::f64; }

}  // namespace

Signature::Signature(const EngineImpl& owner, uint32_t type_index, FuncType func_type)
    : engine(&owner), index(type_index), type(std::move(func_type)) {
  uint32_t gprs = 0, xmms = 0;
  for (ValType param : type.params) {
    uint32_t word;
    if (is_float(param))
      word = xmms < CallRegs::kXmms ? CallRegs::kFirstXmm + xmms++ : CallRegs::kWords + stack_words++;
    else
      word = gprs < CallRegs::kGprs ? gprs++ : CallRegs::kWords + stack_words++;
    params.push_back(place_of(param, word));
    has_ref_params |= param.is_ref();
  }
  results_in_memory = type.results.size() > jit::kMaxRegisterResults;
  gprs = xmms = 0;
  for (ValType result : type.results) {
    results.push_back(place_of(result, is_float(result) ? CallRegs::kFirstXmm + xmms++ : gprs++));
    has_ref_results |= result.is_ref();
  }
  // Tail calls put arguments where this says they are.
  assert(stack_words == jit::ArgumentPlaces::stack_words(type));
}

}  // namespace rotor::runtime
