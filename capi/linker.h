// What stands behind rotor_linker_t.
#pragma once

#include "rotor/linker.h"

struct rotor_linker_t {
  rotor::Linker linker;
};
