#include "jit/passes/trap_kinds.h"

#include "code/abi.h"
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
    if (!int_) find_opcodes(instructions, {{"TRAP", trap_}, {"UBSAN_UD1", ud1_}, {"INT", int_}});
    bool changed = false;
    for (llvm::MachineBasicBlock& block : function) {
      // A trap is the last instruction of its block: `unreachable` follows it, which makes no machine instruction.
      if (block.empty() || !is_trap(block.back())) continue;
      llvm::MachineInstr& trap = block.back();
      llvm::BuildMI(block, trap, trap.getDebugLoc(), instructions.get(int_)).addImm(code::kTrapVector + kind_of(trap));
      trap.eraseFromParent();
      changed = true;
    }
#ifndef NDEBUG
    for (const llvm::MachineBasicBlock& block : function)
      for (const llvm::MachineInstr& instruction : block)
        if (is_trap(instruction)) llvm::report_fatal_error("a trap in the middle of a block");
#endif
    return changed;
  }

 private:
  bool is_trap(const llvm::MachineInstr& instruction) const {
    return instruction.getOpcode() == trap_ || instruction.getOpcode() == ud1_;
  }
  int64_t kind_of(const llvm::MachineInstr& trap) const {
    if (trap.getOpcode() == ud1_) return trap.getOperand(0).getImm();
    unsigned column = trap.getDebugLoc() ? trap.getDebugLoc().getCol() : 0;
    if (column == 0) llvm::report_fatal_error("a trap without a kind");
    return column - 1;
  }

  unsigned trap_ = 0, ud1_ = 0, int_ = 0;
};

char TrapKindsPass::id = 0;

}  // namespace

llvm::MachineFunctionPass* create_trap_kinds_pass() { return new TrapKindsPass; }

}  // namespace rotor::jit
