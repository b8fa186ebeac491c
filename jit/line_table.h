// From an object's .debug_line to the table that is kept with the code (jit/code.h, CodeImage::lines).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "rotor/result.h"

namespace rotor::jit {

/// Code from `address` on belongs to the instruction at `module_offset` (0: to none).
struct LineRow {
  uint32_t address;  ///< offset in the object's text
  uint32_t module_offset;
};

/// Runs the DWARF 4 line programs of one object with one text section, relocated to it. Rows are in address order. Errors: internal, for a form that LLVM does not make here.
Result<std::vector<LineRow>> read_line_program(std::span<const uint8_t> debug_line);

/// Appends the run of a function of [begin, end) to `lines`.
void append_lines(std::vector<uint8_t>& lines, std::span<const LineRow> rows, uint32_t begin, uint32_t end);

}  // namespace rotor::jit
