// Modules whose few bytes ask a compiler for much: what jit/cost.h has to count. Each comes in any size, so that it can
// be seen how cost grows with it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace rotor::jit {

struct CostlyModule {
  const char* name;
  /// A module that validates, with a function that is large or repeated in proportion to `size`.
  std::vector<uint8_t> (*make)(uint32_t size);
  /// At which the module has some KiB or what it is made of has begun to tell.
  uint32_t size;
};

std::span<const CostlyModule> costly_modules();

/// A valid module with a function of pieces that ask for much, one behind and inside another: values by the thousand,
/// branches with them, loops, tables and memories. Each byte of `choices` is a piece, or how much of it.
std::vector<uint8_t> mixed_module(std::span<const uint8_t> choices);

}  // namespace rotor::jit
