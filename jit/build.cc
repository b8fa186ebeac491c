#include "jit/code.h"

namespace rotor::jit {

const char* build_name() { return ROTOR_BUILD; }

}  // namespace rotor::jit
