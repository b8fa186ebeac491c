// The tables by which exceptions pass frames: which callee-saved registers each function keeps in its frame, and where
// each call with a landing pad goes on. This handler writes them into sections of the object, for the linker to read.
//
// DWARF's tables are not read, and not made for functions without landing pads. What they would say of a frame is known
// beforehand: every function has a frame pointer, and pushes the registers it keeps right below the saved one, in one
// order. So five bits a function are all that an unwinder needs (docs/decisions/exceptions.md).
#pragma once

#include <cstdint>
#include <vector>

#include "llvm/ADT/DenseMap.h"
#include "llvm/CodeGen/AsmPrinter.h"
#include "llvm/CodeGen/AsmPrinterHandler.h"

namespace rotor::jit {

/// Names of the sections: arrays of FrameRecord and of PadRecord, each in address order. Offsets are in the object's
/// text.
inline constexpr const char* kFrameSection = ".rotor.frames";
inline constexpr const char* kPadSection = ".rotor.pads";

/// A function's entry, and code::FunctionCode::saved. Functions that keep no register have none.
struct FrameRecord {
  uint32_t code_offset;
  uint32_t saved;
};
/// A code::LandingPad.
struct PadRecord {
  uint32_t return_address;
  uint32_t pad;
  uint32_t pushed_bytes;
};

class UnwindTableHandler : public llvm::AsmPrinterHandler {
 public:
  explicit UnwindTableHandler(llvm::AsmPrinter& printer) : printer_(printer) {}
  void beginFunction(const llvm::MachineFunction* function) override;
  void endFunction(const llvm::MachineFunction*) override {}
  void beginInstruction(const llvm::MachineInstr* instruction) override;
  void endInstruction() override;
  void endModule() override;

 private:
  struct Frame {
    llvm::MCSymbol* entry;
    uint32_t saved;
  };
  struct Pad {
    llvm::MCSymbol* return_address;
    llvm::MCSymbol* pad;
    uint32_t pushed_bytes;
  };
  llvm::AsmPrinter& printer_;
  std::vector<Frame> frames_;
  std::vector<Pad> pads_;
  /// The landing pads of the current function, by the label before each call that has one; null by the one behind it.
  llvm::DenseMap<llvm::MCSymbol*, llvm::MCSymbol*> pad_of_label_;
  llvm::MCSymbol* pad_ = nullptr;  ///< of the calls that come
  uint32_t pushed_bytes_ = 0;      ///< for the call that comes
  bool is_call_ = false;           ///< the current instruction is a call with a landing pad
};

}  // namespace rotor::jit
