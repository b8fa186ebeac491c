#include "jit/unwind_table.h"

#include "code/code_image.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/CodeGen/MachineFrameInfo.h"
#include "llvm/CodeGen/MachineFunction.h"
#include "llvm/CodeGen/TargetRegisterInfo.h"
#include "llvm/CodeGen/TargetSubtargetInfo.h"
#include "llvm/MC/MCContext.h"
#include "llvm/MC/MCDwarf.h"
#include "llvm/MC/MCSectionELF.h"
#include "llvm/MC/MCStreamer.h"
#include "llvm/Target/TargetLoweringObjectFile.h"

namespace rotor::jit {

namespace {

constexpr const char* kRegisterNames[code::kSavedRegisters] = {"RBX", "R12", "R13", "R14", "R15"};

/// The offset of the place below the saved frame pointer from the stack pointer before the call: that, and the return
/// address.
constexpr int64_t kFirstPlace = -24;

/// Returns code::FunctionCode::saved. LLVM may lay out frames differently some day: that would be found here.
uint32_t saved_registers(const llvm::MachineFunction& function) {
  const llvm::TargetRegisterInfo& registers = *function.getSubtarget().getRegisterInfo();
  const llvm::MachineFrameInfo& frame = function.getFrameInfo();
  uint32_t saved = 0;
  int64_t place_of[code::kSavedRegisters] = {};
  for (const llvm::CalleeSavedInfo& info : frame.getCalleeSavedInfo()) {
    llvm::StringRef name = registers.getName(info.getReg());
    if (name == "RBP") continue;
    for (uint32_t i = 0; i < code::kSavedRegisters; ++i) {
      if (name != kRegisterNames[i]) continue;
      saved |= 1u << i;
      place_of[i] = info.isSpilledToReg() ? 0 : frame.getObjectOffset(info.getFrameIdx());
    }
  }
  int64_t place = kFirstPlace;
  for (uint32_t i = code::kSavedRegisters; i-- > 0;) {
    if (!(saved & 1u << i)) continue;
    if (place_of[i] != place) llvm::report_fatal_error("a frame whose saved registers are not where they should be");
    place -= 8;
  }
  return saved;
}

}  // namespace

void UnwindTableHandler::beginFunction(const llvm::MachineFunction* function) {
  if (uint32_t saved = saved_registers(*function))
    frames_.push_back({printer_.getSymbol(&function->getFunction()), saved});
  pad_of_label_.clear();
  pad_ = nullptr;
  pushed_bytes_ = 0;
  for (const llvm::LandingPadInfo& info : function->getLandingPads()) {
    for (llvm::MCSymbol* label : info.BeginLabels) pad_of_label_[label] = info.LandingPadLabel;
    for (llvm::MCSymbol* label : info.EndLabels) pad_of_label_[label] = nullptr;
  }
}

void UnwindTableHandler::beginInstruction(const llvm::MachineInstr* instruction) {
  if (pad_of_label_.empty()) return;
  if (instruction->isEHLabel()) {
    auto found = pad_of_label_.find(instruction->getOperand(0).getMCSymbol());
    if (found != pad_of_label_.end()) pad_ = found->second;
  }
  // LLVM says so before each call, if a function pushes arguments for one.
  if (instruction->isCFIInstruction()) {
    const llvm::MCCFIInstruction& cfi =
        instruction->getMF()->getFrameInstructions()[instruction->getOperand(0).getCFIIndex()];
    if (cfi.getOperation() == llvm::MCCFIInstruction::OpGnuArgsSize)
      pushed_bytes_ = static_cast<uint32_t>(cfi.getOffset());
  }
  is_call_ = pad_ && instruction->isCall();
}

void UnwindTableHandler::endInstruction() {
  if (!is_call_) return;
  is_call_ = false;
  llvm::MCSymbol* label = printer_.OutContext.createTempSymbol();
  printer_.OutStreamer->emitLabel(label);
  pads_.push_back({label, pad_, pushed_bytes_});
}

void UnwindTableHandler::endModule() {
  llvm::MCStreamer& out = *printer_.OutStreamer;
  const llvm::MCSymbol* text = printer_.getObjFileLowering().getTextSection()->getBeginSymbol();
  auto begin = [&](const char* name) {
    out.switchSection(printer_.OutContext.getELFSection(name, llvm::ELF::SHT_PROGBITS, 0));
    out.emitValueToAlignment(llvm::Align(alignof(FrameRecord)));  // the linker reads it in place, as an array
  };
  // The printer is used for other modules afterwards.
  if (!frames_.empty()) begin(kFrameSection);
  for (const Frame& frame : std::exchange(frames_, {})) {
    out.emitAbsoluteSymbolDiff(frame.entry, text, 4);
    out.emitInt32(frame.saved);
  }
  if (!pads_.empty()) begin(kPadSection);
  for (const Pad& pad : std::exchange(pads_, {})) {
    out.emitAbsoluteSymbolDiff(pad.return_address, text, 4);
    out.emitAbsoluteSymbolDiff(pad.pad, text, 4);
    out.emitInt32(pad.pushed_bytes);
  }
}

}  // namespace rotor::jit
