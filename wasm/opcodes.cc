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

}  // namespace rotor::wasm
