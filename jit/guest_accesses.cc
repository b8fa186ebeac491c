#include "jit/guest_accesses.h"

#include <memory>
#include <mutex>
#include <vector>

#include "jit/opcodes.h"
#include "llvm/CodeGen/MachineFunction.h"
#include "llvm/CodeGen/MachineFunctionPass.h"
#include "llvm/CodeGen/MachineInstrBuilder.h"
#include "llvm/CodeGen/MachineRegisterInfo.h"
#include "llvm/CodeGen/Passes.h"
#include "llvm/CodeGen/TargetInstrInfo.h"
#include "llvm/CodeGen/TargetPassConfig.h"
#include "llvm/CodeGen/TargetRegisterInfo.h"
#include "llvm/CodeGen/TargetSubtargetInfo.h"
#include "llvm/MC/MCInst.h"
#include "llvm/MC/MCInstPrinter.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/PassInfo.h"
#include "llvm/PassRegistry.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"

namespace rotor::jit {

namespace {

using llvm::MachineInstr;

/// Operands of an address: base, scale, index, displacement, segment.
constexpr unsigned kAddressOperands = 5;

constexpr auto kRegisters = llvm::MCSubtargetInfo::HwMode_RegInfo;

/// What an instruction does with the memory that it names.
struct MemoryUse {
  bool known = false;     ///< the rest was found out
  bool masked = false;    ///< it may leave out bytes, by a mask register
  bool moves_if = false;  ///< a conditional move
  uint8_t address = 0;    ///< index of the address's first operand
  uint8_t bytes = 0;      ///< that are accessed; 0: none, or not told
};

/// The instructions of a target, by what its printer says of them.
class MemoryUses {
 public:
  explicit MemoryUses(const llvm::TargetMachine& target)
      : instructions_(*target.getMCInstrInfo()),
        registers_(*target.getMCRegisterInfo()),
        subtarget_(*target.getMCSubtargetInfo()),
        printer_(target.getTarget().createMCInstPrinter(target.getTargetTriple(), /*SyntaxVariant=*/1,
                                                        *target.getMCAsmInfo(), instructions_, registers_)),
        uses_(instructions_.getNumOpcodes()) {}

  const MemoryUse& of(unsigned opcode) {
    MemoryUse& use = uses_[opcode];
    if (!use.known) use = find(opcode);
    return use;
  }

 private:
  MemoryUse find(unsigned opcode) const {
    MemoryUse use;
    use.known = true;
    const llvm::MCInstrDesc& description = instructions_.get(opcode);
    if (description.isPseudo()) return use;
    llvm::MCInst instruction;
    instruction.setOpcode(opcode);
    unsigned in_address = 0;
    for (unsigned i = 0; i < description.getNumOperands(); ++i) {
      const llvm::MCOperandInfo& operand = description.operands()[i];
      if (operand.OperandType == llvm::MCOI::OPERAND_MEMORY) {
        if (in_address == 0) use.address = static_cast<uint8_t>(i);
        instruction.addOperand(address_operand(in_address++ % kAddressOperands));
      } else if (int16_t registers = instructions_.getOpRegClassID(operand, subtarget_.getHwMode(kRegisters));
                 registers >= 0) {
        instruction.addOperand(llvm::MCOperand::createReg(*registers_.getRegClass(registers).begin()));
      } else {
        instruction.addOperand(llvm::MCOperand::createImm(0));
      }
    }
    if (in_address != kAddressOperands) return use;
    std::string text;
    llvm::raw_string_ostream stream(text);
    printer_->printInst(&instruction, 0, "", subtarget_, stream);
    use.bytes = bytes_of(text);
    use.masked = llvm::StringRef(text).contains("{k");
    use.moves_if = llvm::StringRef(text).trim().starts_with("cmov");
    return use;
  }

  llvm::MCOperand address_operand(unsigned index) const {
    switch (index) {
      case 1: return llvm::MCOperand::createImm(1);  // scale
      case 3: return llvm::MCOperand::createImm(0);  // displacement
      default: return llvm::MCOperand::createReg(llvm::MCRegister::NoRegister);
    }
  }

  static uint8_t bytes_of(llvm::StringRef text) {
    // "word ptr" is in all but the first.
    static constexpr std::pair<llvm::StringLiteral, uint8_t> kWords[] = {
        {"byte ptr", 1},     {"dword ptr", 4},    {"qword ptr", 8}, {"xmmword ptr", 16},
        {"ymmword ptr", 32}, {"zmmword ptr", 64}, {"word ptr", 2}};
    for (auto [word, bytes] : kWords)
      if (text.contains(word)) return bytes;
    return 0;
  }

  const llvm::MCInstrInfo& instructions_;
  const llvm::MCRegisterInfo& registers_;
  const llvm::MCSubtargetInfo& subtarget_;
  const std::unique_ptr<llvm::MCInstPrinter> printer_;
  std::vector<MemoryUse> uses_;  ///< by opcode
};

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

/// The guest's access of an instruction: guests' accesses, and nobody else's of 16 bytes or under a condition, are
/// volatile or atomic.
const llvm::MachineMemOperand* guest_access(const MachineInstr& instruction) {
  for (const llvm::MachineMemOperand* operand : instruction.memoperands())
    if (operand->isVolatile() || operand->isAtomic()) return operand;
  return nullptr;
}

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
        else if ((use.masked || use.bytes < access->getSize().getValue()) && !is_loaded_before(instruction, use, *access))
          load_before(instruction, use, *access);
        else
          continue;
        changed = true;
      }
    return changed;
  }

 private:
  /// Whether the pass has been here before.
  bool is_loaded_before(MachineInstr& instruction, const MemoryUse& use, const llvm::MachineMemOperand& access) const {
    const MachineInstr* before = instruction.getPrevNode();
    if (!before || before->getOpcode() != opcodes_->load_of(access.getSize().getValue(), avx_)) return false;
    for (unsigned i = 0; i < kAddressOperands; ++i)
      if (!before->getOperand(1 + i).isIdenticalTo(instruction.getOperand(use.address + i))) return false;
    return true;
  }

  /// Loads all that `access` is, into a new register. Its bytes are 1, 2, 4, 8 or 16.
  llvm::Register load_before(MachineInstr& instruction, const MemoryUse& use, const llvm::MachineMemOperand& access) {
    llvm::MachineFunction& function = *instruction.getMF();
    const llvm::TargetInstrInfo& instructions = *function.getSubtarget().getInstrInfo();
    unsigned opcode = opcodes_->load_of(access.getSize().getValue(), avx_);
    if (!opcode) llvm::report_fatal_error("a guest's access of a width that none has");
    const llvm::MCInstrDesc& load = instructions.get(opcode);
    llvm::Register loaded =
        function.getRegInfo().createVirtualRegister(instructions.getRegClass(load, 0));
    auto builder = llvm::BuildMI(*instruction.getParent(), instruction, instruction.getDebugLoc(), load, loaded);
    for (unsigned i = 0; i < kAddressOperands; ++i) {
      const llvm::MachineOperand& operand = instruction.getOperand(use.address + i);
      builder.add(operand);
      // The instruction reads the register after this one.
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
  auto* info = new llvm::PassInfo(
      name, name, &Pass::id, [] () -> llvm::Pass* { return new Pass; }, false, false);
  llvm::PassRegistry::getPassRegistry()->registerPass(*info, /*ShouldFree=*/true);
}

}  // namespace

void add_guest_access_passes(llvm::TargetPassConfig& config) {
  // LLVM makes inserted passes by their names in its registry.
  static std::once_flag once;
  std::call_once(once, [] {
    add_to_registry<AfterSelection>("rotor-guest-accesses");
    add_to_registry<AfterFolding>("rotor-folded-guest-accesses");
  });
  config.insertPass(&llvm::FinalizeISelID, &AfterSelection::id);
  config.insertPass(&llvm::PeepholeOptimizerLegacyID, &AfterFolding::id);
}

}  // namespace rotor::jit
