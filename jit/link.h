// ELF objects of one compilation to one position-independent image. A linker for just what LLVM makes of our modules:
// text, read-only data, relative relocations; anything else is an error.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "code/compiler.h"

namespace rotor::jit {

/// Returns the function that a symbol names: `f` and the function's index; or `u`, the index, `.` and anything, for its
/// uniform prototype (jit/emit/module.h), which has the same entry. The index is digits only, without a sign.
std::optional<uint32_t> function_of_symbol(std::string_view name);

/// Parses ELF objects, each of which holds some defined functions of `module`, which must outlive the result; none of
/// them twice. Errors: internal: not what the contract allows (a section that could not be shared by instances).
Result<std::unique_ptr<code::UnlinkedCode>> parse_objects(std::vector<std::vector<char>> objects,
                                                          const wasm::Module& module);

}  // namespace rotor::jit
