// What the globals and tables that a module defines hold first, worked out once: an instance copies it. The references
// to functions among it lie in the context, which each instance has elsewhere, so tables are kept as offsets in that.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "code/abi.h"
#include "wasm/module.h"

namespace rotor::runtime {

/// Returns the value, as a slot's 64 bits, of an expression that has the same one in each instance, so that it reads no
/// global, refers to no function and makes no object; else nullopt. Pre: its type is not v128.
std::optional<uint64_t> constant_value(const wasm::ConstExpr& expr);
/// Returns the constant offset of a segment in a memory or table; nullopt if a global decides on it.
std::optional<uint64_t> constant_offset(const wasm::ConstExpr& expr, bool is64);

struct Preformed {
  Preformed(const wasm::Module& module, const code::ContextLayout& layout);

  /// Those that the module defines; zeroes for the late ones.
  std::vector<code::GlobalCell> globals;
  /// The indices of those that each instance evaluates, in order: they read imported globals, refer to functions or
  /// make objects, or read a late one.
  std::vector<uint32_t> late_globals;
  /// Whether `tables` has what the active element segments write; else each instance writes them. Segments are written
  /// in order up to the first that does not fit, and what was written stays where others see it: so either all are
  /// known to fit into tables of the instance's own, or none is preformed.
  bool has_elements = false;
  /// By index of the table: the places of its first elements' FuncRefs in the context, 0 for null. All behind are null.
  std::vector<std::vector<uint32_t>> tables;
  /// By segment: whether it is dropped once the active ones are written.
  std::vector<bool> dropped_elements;
};

}  // namespace rotor::runtime
