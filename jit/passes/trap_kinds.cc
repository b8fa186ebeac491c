#include "jit/passes/trap_kinds.h"

#include "jit/passes/opcodes.h"
#include "llvm/CodeGen/MachineFunction.h"
#include "llvm/CodeGen/MachineInstrBuilder.h"
#include "llvm/CodeGen/TargetInstrInfo.h"
#include "llvm/CodeGen/TargetSubtargetInfo.h"

namespace rotor::jit {

namespace {

class TrapKindsPass : public llvm::MachineFunctionPass {
 public:
  static char id;
  TrapKindsPass() : MachineFunctionPass(id) {}

  bool runOnMachineFunction(llvm::MachineFunction& function) override {
    const llvm::TargetInstrInfo& instructions = *function.getSubtarget().getInstrInfo();
    if (!ud1_) find_opcodes(instructions, {{"TRAP", trap_}, {"UBSAN_UD1", ud1_}});
    bool changed = false;
    for (llvm::MachineBasicBlock& block : function) {
      // A trap is the last instruction of its block: `unreachable` follows it, which makes no machine instruction.
      if (block.empty() || block.back().getOpcode() != trap_) continue;
      llvm::MachineInstr& trap = block.back();
      unsigned column = trap.getDebugLoc() ? trap.getDebugLoc().getCol() : 0;
      if (column == 0) llvm::report_fatal_error("a trap without a kind");
      llvm::BuildMI(block, trap, trap.getDebugLoc(), instructions.get(ud1_)).addImm(column - 1);
      trap.eraseFromParent();
      changed = true;
    }
#ifndef NDEBUG
    for (const llvm::MachineBasicBlock& block : function)
      for (const llvm::MachineInstr& instruction : block)
        if (instruction.getOpcode() == trap_) llvm::report_fatal_error("a trap in the middle of a block");
#endif
    return changed;
  }

 private:
  unsigned trap_ = 0;
  unsigned ud1_ = 0;
};

char TrapKindsPass::id = 0;

}  // namespace

llvm::MachineFunctionPass* create_trap_kinds_pass() { return new TrapKindsPass; }

}  // namespace rotor::jit
