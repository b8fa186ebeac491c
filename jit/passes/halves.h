// Halves of masked and shifted values. A compiler that cuts x & (2^51 - 1) in halves masks only the upper one; of x >>
// 7 it takes bits 39 and up. So neither half says of what it is one. Here both are made halves of the same value, which
// changes no result and costs nothing. And of x & (2^32 - 2) that is added to an even number, whose sum is shifted to
// the right, the lowest bit may as well be there: so it is a half again.
#pragma once

#include "llvm/IR/Function.h"

namespace rotor::jit {

/// Of halves that are multiplied. True: something was changed.
bool name_halves(llvm::Function& function);

}  // namespace rotor::jit
