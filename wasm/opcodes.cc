#include "wasm/opcodes.h"

namespace rotor::wasm {

const char* opcode_text(Opcode op) {
  switch (op) {
#define ROTOR_OP(code, Name, text, immediate, signature, feature) \
  case Opcode::Name: return text;
#include "wasm/opcodes.def"
  }
  return nullptr;
}

const char* feature_text(Feature feature) {
  switch (feature) {
#define ROTOR_FEATURE(name, text, state) \
  case Feature::name: return text;
#include "wasm/features.def"
  }
  return "?";
}

}  // namespace rotor::wasm
