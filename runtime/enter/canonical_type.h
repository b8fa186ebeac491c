// Canonical types: of functions with the places of their arguments and results in registers and on the stack, of
// structures and arrays with what they look like in a heap.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "code/abi.h"
#include "code/gc_layout.h"
#include "memory/heap_types.h"
#include "rotor/value.h"
#include "runtime/enter/entry.h"
#include "wasm/types.h"

namespace rotor::runtime {

class EngineImpl;

/// The place of one slot of an argument or result: `word` below CallRegs::kWords is a word of CallRegs, else a stack
/// word. For results in memory it is a word of Context::results.
struct ValuePlace {
  uint16_t word = 0;
  bool is32 = false;     ///< the upper half of the word is garbage
  bool is_func = false;  ///< a function reference
};

/// A defined type as an engine keeps it: the types that it names are those of the engine.
struct TypeDefinition {
  bool is_final = true;
  std::optional<HeapType> supertype;
  wasm::CompositeType composite;
  HeapType::Kind kind() const { return static_cast<HeapType::Kind>(composite.index()); }
};

/// A type of an engine. Equal types of one engine are one object: of a function type its address is the canonical type
/// id that compiled code compares (code::FuncRef::type). It lives while something uses it (TypeUses): the module whose
/// code compares it, and the module of each function or object that such code can meet.
struct CanonicalType : code::FunctionTypeDisplay {
  /// `super`: the supertype; null if there is none. `gc_number`: of a structure or array (code/gc_layout.h), else 0.
  CanonicalType(const EngineImpl& owner, uint64_t type_name, TypeDefinition definition, const CanonicalType* super,
                uint32_t gc_number);
  CanonicalType(const CanonicalType&) = delete;

  uint64_t id() const { return reinterpret_cast<uint64_t>(this); }
  static const CanonicalType& of(uint64_t id) { return *reinterpret_cast<const CanonicalType*>(id); }

  const EngineImpl* engine;
  uint64_t name;  ///< in the engine's TypeRegistry: what a HeapType names it by
  FuncType type;  ///< of a function, in terms of the engine's types; of others empty
  HeapType::Kind kind;
  bool is_final;
  const CanonicalType* supertype;
  uint32_t depth = 0;                  ///< the number of types above it
  uint32_t number;                     ///< of a structure or array: what its objects' headers have
  wasm::CompositeType gc;              ///< of a structure or array, in terms of the engine's types
  std::vector<code::Storage> storage;  ///< of each field, or of the element
  code::StructureLayout layout;        ///< of a structure
  HeapType heap_type() const { return HeapType::named(name, kind); }
  /// Returns whether it is `other` or below it.
  bool descends_from(const CanonicalType& other) const {
    const CanonicalType* type = this;
    while (type && type->depth > other.depth) type = type->supertype;
    return type == &other;
  }
  /// Returns what the heap has to know of a structure or array.
  memory::HeapShape heap_shape() const;
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
  /// A parameter or result is a reference to an exception or an object, which as bits would be nobody's.
  bool has_owned = false;

 private:
  void set_function(FuncType func_type);
  void set_object(wasm::CompositeType composite);
};

}  // namespace rotor::runtime
