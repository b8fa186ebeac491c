#include "jit/passes/guest_accesses.h"

#include <memory>
#include <mutex>
#include <vector>

#include "jit/passes/memory_uses.h"
#include "jit/passes/opcodes.h"
#include "llvm/CodeGen/MachineFunction.h"
#include "llvm/CodeGen/MachineFunctionPass.h"
#include "llvm/CodeGen/MachineInstrBuilder.h"
#include "llvm/CodeGen/MachineRegisterInfo.h"
#include "llvm/CodeGen/Passes.h"
#include "llvm/CodeGen/TargetInstrInfo.h"
#include "llvm/CodeGen/TargetPassConfig.h"
#include "llvm/CodeGen/TargetRegisterInfo.h"
#include "llvm/CodeGen/TargetSubtargetInfo.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/PassInfo.h"
#include "llvm/PassRegistry.h"
#include "llvm/Target/TargetMachine.h"

namespace rotor::jit {

namespace {

using llvm::MachineInstr;

struct Opcodes {
  explicit Opcodes(const llvm::TargetInstrInfo& instructions) {
    find_opcodes(instructions, {{"MOV8rm", mov8},
                                {"MOV16rm", mov16},
                                {"MOV32rm", mov32},
                                {"MOV64rm", mov64},
                                {"MOVUPSrm", movups},
                                {"VMOVUPSrm", vmovups},
                                {"CMOV16rr", cmov16},
                                {"CMOV32rr", cmov32},
                                {"CMOV64rr", cmov64}});
  }
  unsigned load_of(uint64_t bytes, bool avx) const {
    switch (bytes) {
      case 1: return mov8;
      case 2: return mov16;
      case 4: return mov32;
      case 8: return mov64;
      case 16: return avx ? vmovups : movups;
      default: return 0;
    }
  }
  unsigned move_if(uint64_t bytes) const { return bytes == 2 ? cmov16 : bytes == 4 ? cmov32 : cmov64; }

  unsigned mov8, mov16, mov32, mov64, movups, vmovups;
  unsigned cmov16, cmov32, cmov64;
};

class GuestAccessesPass : public llvm::MachineFunctionPass {
 public:
  GuestAccessesPass(char& pass_id, bool before_conversion)
      : MachineFunctionPass(pass_id), before_conversion_(before_conversion) {}

  void getAnalysisUsage(llvm::AnalysisUsage& usage) const override {
    usage.setPreservesCFG();
    MachineFunctionPass::getAnalysisUsage(usage);
  }

  bool runOnMachineFunction(llvm::MachineFunction& function) override {
    const llvm::TargetMachine& target = function.getTarget();
    if (!uses_) {
      uses_ = std::make_unique<MemoryUses>(target);
      opcodes_ = std::make_unique<Opcodes>(*function.getSubtarget().getInstrInfo());
      avx_ = target.getMCSubtargetInfo()->checkFeatures("+avx");
    }
    bool converts_moves = before_conversion_ && target.getOptLevel() != llvm::CodeGenOptLevel::None;
    bool changed = false;
    for (llvm::MachineBasicBlock& block : function)
      for (MachineInstr& instruction : llvm::make_early_inc_range(block)) {
        const llvm::MachineMemOperand* access = guest_access(instruction);
        if (!access || !access->getSize().hasValue()) continue;
        const MemoryUse& use = uses_->of(instruction.getOpcode());
        if (!use.bytes) continue;
        if (use.moves_if && converts_moves)
          take_load_out(instruction, use, *access);
        else if ((use.masked || use.bytes < access->getSize().getValue()) &&
                 !is_loaded_before(instruction, use, *access))
          load_before(instruction, use, *access);
        else
          continue;
        changed = true;
      }
    return changed;
  }

 private:
  /// Returns whether the load is there already: the pass may run twice.
  bool is_loaded_before(MachineInstr& instruction, const MemoryUse& use, const llvm::MachineMemOperand& access) const {
    const MachineInstr* before = instruction.getPrevNode();
    if (!before || before->getOpcode() != opcodes_->load_of(access.getSize().getValue(), avx_)) return false;
    for (unsigned i = 0; i < kAddressOperands; ++i)
      if (!before->getOperand(1 + i).isIdenticalTo(instruction.getOperand(use.address + i))) return false;
    return true;
  }

  /// Emits a load of all bytes of `access`, 1, 2, 4, 8 or 16, into a new register, which is returned.
  llvm::Register load_before(MachineInstr& instruction, const MemoryUse& use, const llvm::MachineMemOperand& access) {
    llvm::MachineFunction& function = *instruction.getMF();
    const llvm::TargetInstrInfo& instructions = *function.getSubtarget().getInstrInfo();
    unsigned opcode = opcodes_->load_of(access.getSize().getValue(), avx_);
    if (!opcode) llvm::report_fatal_error("a guest's access of a width that none has");
    const llvm::MCInstrDesc& load = instructions.get(opcode);
    llvm::Register loaded = function.getRegInfo().createVirtualRegister(instructions.getRegClass(load, 0));
    auto builder = llvm::BuildMI(*instruction.getParent(), instruction, instruction.getDebugLoc(), load, loaded);
    for (unsigned i = 0; i < kAddressOperands; ++i) {
      const llvm::MachineOperand& operand = instruction.getOperand(use.address + i);
      builder.add(operand);
      // The instruction itself reads the register after the load, which therefore does not end its life.
      if (operand.isReg()) builder->getOperand(1 + i).setIsKill(false);
    }
    auto flags = llvm::MachineMemOperand::MOLoad | llvm::MachineMemOperand::MOVolatile;
    builder.addMemOperand(function.getMachineMemOperand(access.getPointerInfo(), flags, access.getSize().getValue(),
                                                        access.getBaseAlign()));
    return loaded;
  }

  void take_load_out(MachineInstr& move, const MemoryUse& use, const llvm::MachineMemOperand& access) {
    const llvm::TargetInstrInfo& instructions = *move.getMF()->getSubtarget().getInstrInfo();
    llvm::Register loaded = load_before(move, use, access);
    llvm::BuildMI(*move.getParent(), move, move.getDebugLoc(), instructions.get(opcodes_->move_if(use.bytes)))
        .add(move.getOperand(0))
        .add(move.getOperand(1))
        .addReg(loaded)
        .add(move.getOperand(use.address + kAddressOperands));  // the condition
    move.eraseFromParent();
  }

  const bool before_conversion_;
  std::unique_ptr<MemoryUses> uses_;
  std::unique_ptr<Opcodes> opcodes_;
  bool avx_ = false;
};

struct AfterSelection : GuestAccessesPass {
  static char id;
  AfterSelection() : GuestAccessesPass(id, true) {}
};
struct AfterFolding : GuestAccessesPass {
  static char id;
  AfterFolding() : GuestAccessesPass(id, false) {}
};
char AfterSelection::id = 0;
char AfterFolding::id = 0;

template <class Pass>
void add_to_registry(const char* name) {
  auto* info = new llvm::PassInfo(name, name, &Pass::id, []() -> llvm::Pass* { return new Pass; }, false, false);
  llvm::PassRegistry::getPassRegistry()->registerPass(*info, /*ShouldFree=*/true);
}

}  // namespace

void add_guest_access_passes(llvm::TargetPassConfig& config) {
  // LLVM makes inserted passes by their names in its registry, so they are registered there.
  static std::once_flag once;
  std::call_once(once, [] {
    add_to_registry<AfterSelection>("rotor-guest-accesses");
    add_to_registry<AfterFolding>("rotor-folded-guest-accesses");
  });
  config.insertPass(&llvm::FinalizeISelID, &AfterSelection::id);
  config.insertPass(&llvm::PeepholeOptimizerLegacyID, &AfterFolding::id);
}

}  // namespace rotor::jit
