#include "code/build.h"

namespace rotor::code {

const char* build_name() { return ROTOR_BUILD; }

}  // namespace rotor::code
