// Cuts long basic blocks. LLVM's instruction selector builds a graph of each block, and takes time over it that grows
// faster than the block: with its square (30,000 loads in one: 46 s), and with the cube of a sum's terms (1,000: 26 s),
// since it looks at all leaves of a sum at each of its additions.
#pragma once

#include <cstdint>

#include "llvm/IR/Function.h"
#include "llvm/Pass.h"

namespace rotor::jit {

/// The most instructions in a block.
inline constexpr uint32_t kBlockInstructions = 2048;
/// The most additions that one sum is made of within a block.
inline constexpr uint32_t kSumTerms = 48;

/// Cuts a function's long blocks. Returns whether it cut any.
bool split_blocks(llvm::Function& function);

/// Returns a pass of the code generator that does the same, to be run after whatever merges blocks.
llvm::FunctionPass* create_split_blocks_pass();

}  // namespace rotor::jit
