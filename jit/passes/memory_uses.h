// What machine instructions do with the memory that they name, as LLVM's printer tells it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "llvm/CodeGen/MachineInstr.h"
#include "llvm/MC/MCInstPrinter.h"
#include "llvm/Target/TargetMachine.h"

namespace rotor::jit {

/// Operands of an address: base, scale, index, displacement, segment.
inline constexpr unsigned kAddressOperands = 5;

struct MemoryUse {
  bool known = false;     ///< the rest was found out
  bool masked = false;    ///< it may leave out bytes, by a mask register
  bool moves_if = false;  ///< a conditional move
  uint8_t address = 0;    ///< index of the first operand of the address
  uint8_t bytes = 0;      ///< that are accessed; 0: none, or not told
};

/// The instructions of a target. Not thread-safe.
class MemoryUses {
 public:
  explicit MemoryUses(const llvm::TargetMachine& target);
  const MemoryUse& of(unsigned opcode) {
    MemoryUse& use = uses_[opcode];
    if (!use.known) use = find(opcode);
    return use;
  }

 private:
  MemoryUse find(unsigned opcode) const;

  const llvm::MCInstrInfo& instructions_;
  const llvm::MCRegisterInfo& registers_;
  const llvm::MCSubtargetInfo& subtarget_;
  const std::unique_ptr<llvm::MCInstPrinter> printer_;
  std::vector<MemoryUse> uses_;  ///< by opcode
};

/// Returns the memory operand of an instruction that is a guest's access, or null. Guests' accesses are volatile or
/// atomic; no other access of 16 bytes, or under a condition, is.
const llvm::MachineMemOperand* guest_access(const llvm::MachineInstr& instruction);

}  // namespace rotor::jit
