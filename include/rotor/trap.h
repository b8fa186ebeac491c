// Traps and wasm backtraces.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "rotor/result.h"

namespace rotor {

/// Why a guest trapped. The numbers are part of the compiled-code contract (`code/abi.h`): compiled code
/// states them at its trap sites, so they never change once written to code files.
enum class TrapKind : uint8_t {
  unreachable = 0,
  integer_divide_by_zero = 1,
  integer_overflow = 2,
  invalid_conversion_to_integer = 3,
  out_of_bounds_memory = 4,
  out_of_bounds_table = 5,    ///< table.get/set/copy/init/fill
  undefined_element = 6,      ///< call_indirect with an index past the table
  uninitialized_element = 7,  ///< call_indirect on a null element
  indirect_call_type_mismatch = 8,
  null_reference = 9,  ///< ref.as_non_null
  unaligned_atomic = 10,
  expected_shared_memory = 11,  ///< memory.atomic.wait on an unshared memory
  stack_overflow = 12,
  interrupted = 13,
  host = 14,                      ///< a host function returned an error of kind `trap` that had none
  null_function_reference = 15,   ///< call_ref
  null_exception_reference = 16,  ///< throw_ref
  null_structure_reference = 17,  ///< struct.get, struct.set
  null_array_reference = 18,      ///< array.get and the like
  null_i31_reference = 19,        ///< i31.get_s, i31.get_u
  out_of_bounds_array = 20,       ///< array.get and the like
  cast_failure = 21,              ///< ref.cast
  out_of_fuel = 22,               ///< what came next was not paid for (Config::fuel)
};
/// The number of kinds; each is below it.
inline constexpr uint8_t kTrapKindCount = 23;

/// Returns the spec suite's words for a trap ("integer divide by zero").
const char* to_string(TrapKind kind);

/// One wasm frame.
struct Frame {
  uint32_t func_index = 0;     ///< in the module, imported functions counted
  std::string func_name;       ///< from the name section or the export, else empty; as the module has it
  std::string module_name;     ///< from the name section, else empty; likewise
  uint64_t module_offset = 0;  ///< byte offset of the instruction in the module; 0: unknown
  uint64_t func_offset = 0;    ///< the same from where its function's locals begin; 0: unknown, as in a code file
  uint64_t module_id = 0;      ///< Module::id of the module
};

namespace runtime { class Backtrace; }

/// A guest's trap. Copies share the frames, and may be read by several threads.
struct Trap {
  /// The most frames that a trap keeps: those nearest to the trap.
  static constexpr uint32_t kMaxFrames = 64;
  TrapKind kind = TrapKind::unreachable;  ///< why
  std::string message;  ///< the spec suite's words for the kind; of TrapKind::host, the host function's own
  /// Returns the frames, the innermost first. The first call finds them out; until then the trap keeps the code that
  /// it came from, whatever else of the module was dropped.
  const std::vector<Frame>& frames() const;
  /// Returns the message, then one line per frame, with names made printable as by rotor/printable.h.
  std::string to_string() const;

  std::shared_ptr<const runtime::Backtrace> backtrace;  ///< the library's own; null: no frames
};

}  // namespace rotor
