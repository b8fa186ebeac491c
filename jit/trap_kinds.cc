#include "jit/trap_kinds.h"

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
    if (!ud1_) find_opcodes(instructions);
    bool changed = false;
    for (llvm::MachineBasicBlock& block : function) {
      // `unreachable` follows, which is no instruction: a trap is the last of its block.
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
  /// LLVM's headers do not have the target's opcodes, but their names.
  void find_opcodes(const llvm::TargetInstrInfo& instructions) {
    for (unsigned i = 0; i < instructions.getNumOpcodes(); ++i) {
      llvm::StringRef name = instructions.getName(i);
      if (name == "TRAP") trap_ = i;
      if (name == "UBSAN_UD1") ud1_ = i;
    }
    if (!trap_ || !ud1_) llvm::report_fatal_error("LLVM's x86-64 target has no trap instructions of the names we know");
  }

  unsigned trap_ = 0;
  unsigned ud1_ = 0;
};

char TrapKindsPass::id = 0;

}  // namespace

llvm::MachineFunctionPass* create_trap_kinds_pass() { return new TrapKindsPass; }

}  // namespace rotor::jit
