// What instructions cost in fuel, and where the straight-line segments of a body begin: what is charged together. Both
// follow from the body alone, so that the account is the same whatever the compiler makes of it. docs/fuel.md says it
// for embedders.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "wasm/opcodes.h"

namespace rotor::wasm {

/// Returns the units that an instruction costs: none if it makes no code of its own, or only says where code is.
constexpr uint32_t fuel_of(Opcode op) {
  using enum Opcode;
  switch (op) {
    case Nop:
    case Drop:
    case Block:
    case Loop:
    case Else:
    case End:
    case Unreachable:
    case Return:
    case TryTable:
    case Try:
    case Catch:
    case CatchAll:
    case Delegate: return 0;
    default: return 1;
  }
}

/// Returns the units of what is zeroed beside its instructions: fields of a structure, locals.
constexpr uint64_t fuel_of_zeros(uint64_t count) { return count / 8; }
/// The least declared locals for whose zeroing a function's entry pays.
inline constexpr uint64_t kFuelLocals = 64;
/// Returns the units of a function's entry, of which even one without instructions takes some.
constexpr uint64_t fuel_of_entry(uint64_t declared_locals) {
  return 1 + (declared_locals < kFuelLocals ? 0 : fuel_of_zeros(declared_locals));
}

/// Finds the segments of one body after another, from what the decoder tells a sink.
class FuelSegments {
 public:
  /// Whether a segment begins, and whether its beginning is one of those that every endless run comes by: there the
  /// account is looked at.
  enum class Begin : uint8_t { none, unchecked, checked };

  void function_begin(uint64_t declared_locals) {
    entry_units_ = fuel_of_entry(declared_locals);
    units_ = 0;
    next_ = Begin::checked;
  }
  /// Takes what BodyDecoder says before each instruction. If a segment begins with that, the one before is complete:
  /// take_units has to be called before. Segments begin with what costs something, however far that is behind where
  /// code comes together.
  Begin begins_at(Opcode op) const { return fuel_of(op) || entry_units_ ? next_ : Begin::none; }
  /// Counts the instruction, and the units of the entry if it is the first.
  void count(Opcode op) {
    if (begins_at(op) != Begin::none) next_ = Begin::none;
    units_ += fuel_of(op) + std::exchange(entry_units_, 0);
    if (op == Opcode::Loop)
      next_ = Begin::checked;
    else if (ends_segment(op))
      next_ = std::max(next_, Begin::unchecked);
  }
  /// Adds to the instruction that was counted last.
  void add(uint64_t units) { units_ += units; }
  /// Returns the units of the segment that ends.
  uint64_t take_units() { return std::exchange(units_, 0); }

 private:
  /// Returns whether what follows in the body can be reached without the instruction, or be passed over by it.
  static constexpr bool ends_segment(Opcode op) {
    using enum Opcode;
    switch (op) {
      case If:
      case Else:
      case End:
      case BrIf:
      case BrOnNull:
      case BrOnNonNull:
      case BrOnCast:
      case BrOnCastFail:
      case Catch:
      case CatchAll:
      case Delegate: return true;
      default: return false;
    }
  }

  uint64_t entry_units_ = 0;  ///< while nothing of the body was counted
  uint64_t units_ = 0;
  Begin next_ = Begin::none;  ///< what the next instruction that costs something begins
};

}  // namespace rotor::wasm
