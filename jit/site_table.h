// The table of where instructions of the module end up in machine code, for backtraces. The emitters give calls and
// whatever may fault a debug location whose line is the module offset; this handler writes (code offset, module offset)
// pairs into a section of the object, for the linker to read.
//
// LLVM's own line table is not used: a function with a DISubprogram makes the code generator track variables and scopes
// that are not there, 27 % of the compile time of kimchi at --opt 0 (8.1 s against 5.9 s).
#pragma once

#include <memory>
#include <vector>

#include "llvm/CodeGen/AsmPrinter.h"
#include "llvm/CodeGen/AsmPrinterHandler.h"

namespace rotor::jit {

/// Name of the section: an array of Site, in address order.
inline constexpr const char* kSiteSection = ".rotor.sites";

/// Code from `code_offset` (in the object's text) on belongs to the instruction at `module_offset`.
struct Site {
  uint32_t code_offset;
  uint32_t module_offset;
};

class SiteTableHandler : public llvm::AsmPrinterHandler {
 public:
  explicit SiteTableHandler(llvm::AsmPrinter& printer) : printer_(printer) {}
  void beginFunction(const llvm::MachineFunction*) override { last_line_ = 0; }
  void endFunction(const llvm::MachineFunction*) override {}
  void beginInstruction(const llvm::MachineInstr* instruction) override;
  void endModule() override;

 private:
  struct Label {
    llvm::MCSymbol* symbol;
    uint32_t line;
  };
  llvm::AsmPrinter& printer_;
  llvm::MCSymbol* text_begin_ = nullptr;
  std::vector<Label> labels_;
  uint32_t last_line_ = 0;
};

}  // namespace rotor::jit
