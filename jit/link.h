// ELF objects of one compilation to one position-independent image. A linker for just what LLVM makes of our modules:
// text, read-only data, relative relocations; anything else is an error.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "jit/code.h"
#include "rotor/result.h"

namespace rotor::jit {

/// `objects` hold together every defined function of `module` once. Errors: internal (an undefined symbol, an absolute
/// relocation, a writable section: nothing that the contract allows), limit (code_limit_bytes).
Result<CodeImage> link_objects(std::span<const std::vector<char>> objects, const wasm::Module& module,
                               uint64_t code_limit_bytes);

}  // namespace rotor::jit
