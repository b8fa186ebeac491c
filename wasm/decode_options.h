// The options that a module is decoded with.
#pragma once

#include "rotor/config.h"

namespace rotor::wasm {

struct DecodeOptions {
  Features features;
  /// The code section is absent: the module comes from a code file, which holds linked code instead of bodies.
  bool bodies_elsewhere = false;
};

}  // namespace rotor::wasm
