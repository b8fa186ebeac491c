// Linked code as plain data: the region of memory that it is made for, and what lies in it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "rotor/result.h"
#include "wasm/module.h"

namespace rotor::code {

/// Parts of a region of code begin at multiples of this.
inline constexpr uint64_t kCodePageBytes = 4096;
inline constexpr uint64_t round_up_to_page(uint64_t bytes) {
  return (bytes + kCodePageBytes - 1) / kCodePageBytes * kCodePageBytes;
}

/// A module's code lies in one region: [text | read-only data | run page]. Code holds the distances between the three,
/// so they are settled when the region is made; where functions are compiled on demand, text and read-only data have
/// room to grow into. Sizes are multiples of kCodePageBytes.
struct RegionLayout {
  uint64_t text_bytes = 0;    ///< room for text
  uint64_t rodata_bytes = 0;  ///< room for read-only data
  uint64_t run_page_bytes = 0;

  uint64_t rodata() const { return text_bytes; }
  uint64_t run_page() const { return text_bytes + rodata_bytes; }
  uint64_t total_bytes() const { return text_bytes + rodata_bytes + run_page_bytes; }
};

/// Returns the layout for a module whose functions are compiled on demand. Errors: limit.
Result<RegionLayout> tiered_region(const wasm::Module& module, uint64_t code_limit_bytes);

/// The machine code of one function. Also a record of the code file.
struct FunctionCode {
  uint32_t func;   ///< among the defined functions
  uint32_t begin;  ///< its entry: offset in the region's text
  uint32_t end;
  /// The function's sites: `lines[lines_begin, lines_end)` is a run of ULEB128 pairs (code offset delta, from the
  /// entry; zigzag module offset delta, from 0), in code order.
  uint32_t lines_begin;
  uint32_t lines_end;
  uint16_t tier;  ///< 0 or 1; a function's code of the higher tier is the one in use
  /// The callee-saved registers that its frame keeps, one bit each in the order of SavedRegister: that of the highest
  /// bit lies right below the frame pointer, and each other one below the one before.
  uint16_t saved;
};
enum class SavedRegister : uint8_t { rbx, r12, r13, r14, r15 };
inline constexpr uint32_t kSavedRegisters = 5;

/// Where a call that an exception leaves goes on: both are offsets in the region's text. Also a record of the code
/// file.
struct LandingPad {
  uint32_t return_address;
  uint32_t pad;
  /// Bytes of arguments that were pushed for the call, and are off the stack at the pad.
  uint32_t pushed_bytes;
  static constexpr uint32_t kMaxPushedBytes = 16 << 10;  ///< what wasm::kMaxParams vectors take
};
static_assert(sizeof(LandingPad) == 12);
static_assert(sizeof(FunctionCode) == 24);

/// Code of some functions, linked for its place in a region: it holds no relocation, and is the same wherever the
/// region lies.
struct CodeImage {
  uint64_t text_offset = 0;    ///< of `text` in the region's text
  uint64_t rodata_offset = 0;  ///< of `rodata` in the region's read-only data
  std::vector<uint8_t> text;   ///< whole pages
  std::vector<uint8_t> rodata;
  std::vector<FunctionCode> functions;  ///< ascending by `begin`
  std::vector<uint8_t> lines;
  std::vector<LandingPad> pads;  ///< ascending by `return_address`, which are all different
};

/// Returns the module offset of the instruction at `code_offset` (in the region's text); 0 if it is not known.
uint64_t module_offset_at(const FunctionCode& function, std::span<const uint8_t> lines, uint32_t code_offset);

}  // namespace rotor::code
