#include "jit/site_table.h"

#include "llvm/BinaryFormat/ELF.h"
#include "llvm/CodeGen/MachineFunction.h"
#include "llvm/MC/MCContext.h"
#include "llvm/MC/MCSectionELF.h"
#include "llvm/MC/MCStreamer.h"
#include "llvm/Target/TargetLoweringObjectFile.h"

namespace rotor::jit {

void SiteTableHandler::beginInstruction(const llvm::MachineInstr* instruction) {
  if (instruction->isMetaInstruction()) return;
  const llvm::DebugLoc& location = instruction->getDebugLoc();
  uint32_t line = location ? location.getLine() : 0;
  // An instruction without a location cannot fault and calls nothing: it may as well belong to its predecessor's site.
  if (line == 0 || line == last_line_) return;
  last_line_ = line;
  llvm::MCSymbol* label = printer_.OutContext.createTempSymbol();
  printer_.OutStreamer->emitLabel(label);
  labels_.push_back({label, line});
}

void SiteTableHandler::endModule() {
  llvm::MCStreamer& out = *printer_.OutStreamer;
  llvm::MCSection* text = printer_.getObjFileLowering().getTextSection();
  out.switchSection(printer_.OutContext.getELFSection(kSiteSection, llvm::ELF::SHT_PROGBITS, 0));
  out.emitValueToAlignment(llvm::Align(alignof(Site)));  // the linker reads it in place, as an array
  for (const Label& label : labels_) {
    out.emitAbsoluteSymbolDiff(label.symbol, text->getBeginSymbol(), 4);
    out.emitInt32(label.line);
  }
  labels_.clear();  // the printer is used for another module afterwards
}

}  // namespace rotor::jit
