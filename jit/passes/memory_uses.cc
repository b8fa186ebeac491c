#include "jit/passes/memory_uses.h"

#include "llvm/MC/MCInst.h"
#include "llvm/MC/MCInstrInfo.h"
#include "llvm/MC/MCRegisterInfo.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/raw_ostream.h"

namespace rotor::jit {

namespace {

constexpr auto kRegisters = llvm::MCSubtargetInfo::HwMode_RegInfo;

llvm::MCOperand address_operand(unsigned index) {
  switch (index) {
    case 1: return llvm::MCOperand::createImm(1);  // scale
    case 3: return llvm::MCOperand::createImm(0);  // displacement
    default: return llvm::MCOperand::createReg(llvm::MCRegister::NoRegister);
  }
}

/// Returns the bytes that an instruction accesses, from its text in Intel's syntax.
uint8_t bytes_of(llvm::StringRef text) {
  // "word ptr" is part of all but "byte ptr", so it is looked for last.
  static constexpr std::pair<llvm::StringLiteral, uint8_t> kWords[] = {
      {"byte ptr", 1},     {"dword ptr", 4},    {"qword ptr", 8}, {"xmmword ptr", 16},
      {"ymmword ptr", 32}, {"zmmword ptr", 64}, {"word ptr", 2}};
  for (auto [word, bytes] : kWords)
    if (text.contains(word)) return bytes;
  return 0;
}

}  // namespace

MemoryUses::MemoryUses(const llvm::TargetMachine& target)
    : instructions_(*target.getMCInstrInfo()),
      registers_(*target.getMCRegisterInfo()),
      subtarget_(*target.getMCSubtargetInfo()),
      printer_(target.getTarget().createMCInstPrinter(target.getTargetTriple(), /*SyntaxVariant=*/1,
                                                      *target.getMCAsmInfo(), instructions_, registers_)),
      uses_(instructions_.getNumOpcodes()) {}

MemoryUse MemoryUses::find(unsigned opcode) const {
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

const llvm::MachineMemOperand* guest_access(const llvm::MachineInstr& instruction) {
  for (const llvm::MachineMemOperand* operand : instruction.memoperands())
    if (operand->isVolatile() || operand->isAtomic()) return operand;
  return nullptr;
}

}  // namespace rotor::jit
