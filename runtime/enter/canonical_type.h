// Canonical function types, with the places of their arguments and results in registers and on the stack.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "rotor/value.h"
#include "runtime/enter/entry.h"

namespace rotor::runtime {

class EngineImpl;

/// The place of one slot of an argument or result: `word` below CallRegs::kWords is a word of CallRegs, else a stack
/// word. For results in memory it is a word of Context::results.
struct ValuePlace {
  uint16_t word = 0;
  bool is32 = false;     ///< the upper half of the word is garbage
  bool is_func = false;  ///< a function reference
};

/// A function type of an engine. Equal types of one engine are one object: its address is the canonical type id that
/// compiled code compares (code::FuncRef::type). It lives while something uses it (TypeUses): the module whose code
/// compares it, and the module of each function that such code can meet.
struct CanonicalType {
  CanonicalType(const EngineImpl& owner, uint64_t type_name, FuncType func_type);
  CanonicalType(const CanonicalType&) = delete;

  uint64_t id() const { return reinterpret_cast<uint64_t>(this); }
  static const CanonicalType& of(uint64_t id) { return *reinterpret_cast<const CanonicalType*>(id); }

  const EngineImpl* engine;
  uint64_t name;  ///< in the engine's TypeRegistry: what a HeapType names it by
  FuncType type;  ///< in terms of the engine's types
  /// One place per slot (rotor::Slot): a v128 has two.
  std::vector<ValuePlace> params;
  std::vector<ValuePlace> results;
  uint32_t stack_words = 0;   ///< of the arguments
  uint32_t result_words = 0;  ///< in Context::results; 0: results are in registers
  uint64_t shape = 0;         ///< entry_shape of the arguments
  /// Returns the slots that a call needs: those of the arguments or of the results, whichever are more.
  size_t slot_count() const { return std::max(params.size(), results.size()); }
  bool has_ref_params = false;
  bool has_ref_results = false;
  bool has_exn = false;  ///< a parameter or result is a reference to an exception
};

}  // namespace rotor::runtime
