// Stubs: what stands for functions whose code may change.
#pragma once

#include <cstdint>
#include <vector>

#include "code/run_page.h"

namespace rotor::code {

/// Where functions are compiled on demand or again, text begins with one stub per function. Its address stands for the
/// function in every FuncRef, and never changes; its second half is what an empty slot points to.
///   head:   jmp  [rip + lazy_entry]
///   stub i: jmp  [rip + slot i]
///      + 6: call head                 ; pushes stub i + kReturn, which tells the function
/// The lazy entry has the code compiled, which fills the slot, and jumps to it with the registers that it was entered
/// with.
struct Stubs {
  static constexpr uint32_t kStubBytes = 16;
  static constexpr uint32_t kLazyBegin = 6;
  static constexpr uint32_t kReturn = 11;
  /// Offsets in text.
  static constexpr uint32_t stub(uint32_t defined_func) { return (defined_func + 1) * kStubBytes; }
  static constexpr uint32_t lazy(uint32_t defined_func) { return stub(defined_func) + kLazyBegin; }
  /// The function whose stub's call returns to this offset in text.
  static constexpr uint32_t func_of_return(uint64_t offset) {
    return static_cast<uint32_t>((offset - kReturn) / kStubBytes - 1);
  }
  /// The function whose stub holds that offset in text. Pre: one does.
  static constexpr uint32_t func_at(uint64_t offset) { return static_cast<uint32_t>(offset / kStubBytes - 1); }
  /// Returns the stubs of a module, as text from offset 0. `run_page_offset` is that of the run page, counted from the
  /// start of text.
  static std::vector<uint8_t> code(uint32_t defined_funcs, const RunPageLayout& run_page, uint64_t run_page_offset);
};

}  // namespace rotor::code
