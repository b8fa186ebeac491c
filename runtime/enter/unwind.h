// Exceptions on their way through frames of compiled code (code/abi.h, "Exceptions").
#pragma once

#include <cstddef>
#include <cstdint>

#include "code/abi.h"
#include "code/code_image.h"

namespace rotor::runtime {

/// What a frame goes on with, as unwind_x86_64.S knows it. Of a frame that an exception leaves: its callee-saved
/// registers at the call.
struct UnwindRegs {
  uint64_t saved[code::kSavedRegisters];  ///< in the order of code::SavedRegister
  uint64_t rbp;
  uint64_t rsp;
  uint64_t rip;
};
static_assert(sizeof(UnwindRegs) == 64 && offsetof(UnwindRegs, rip) == 56);

extern "C" {
/// The helpers code::Libcall::throw_new, throw_ref and throw_on.
void rotor_throw_new(code::Context* context, uint32_t tag);
void rotor_throw_ref(code::Context* context, uint64_t exception);
void rotor_throw_on(code::Context* context);
/// Where rotor_tail_call's callees return to. Not a function.
void rotor_tail_call_return();
}

/// The helper code::Libcall::take_exception.
uint64_t take_exception(code::Context* context);

}  // namespace rotor::runtime
