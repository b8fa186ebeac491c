// Threads for LLVM, which recurses where a function nests and takes more stack than whoever calls the library may have.
#pragma once

#include <functional>

#include "rotor/result.h"

namespace rotor::jit {

/// Runs `work` on `count` (at least 1) threads with a stack of kCompileStackBytes, or on as many of them as the system
/// gives, and waits for all. Errors: io, if it gives none.
Result<void> run_on_compile_threads(unsigned count, const std::function<void()>& work);

}  // namespace rotor::jit
