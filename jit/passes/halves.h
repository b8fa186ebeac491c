// Halves of masked and shifted values. A compiler that cuts x & (2^51 - 1) in halves masks only the upper one; as the
// upper half of x >> 7 it takes bits 39 and up of x. So the halves do not show which value they are halves of. This
// pass makes both of them halves of the same value, which changes no result and costs nothing. Where x & (2^32 - 2) is
// added to an even number and the sum is shifted to the right, the lowest bit does not matter: so the mask becomes that
// of a half again.
#pragma once

#include "llvm/IR/Function.h"

namespace rotor::jit {

/// Rewrites the halves that are multiplied. Returns whether it changed something.
bool name_halves(llvm::Function& function);

}  // namespace rotor::jit
