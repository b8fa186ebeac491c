// Constant expressions (spec section 3.4.13): decoding, checking and evaluation.
#pragma once

#include <cassert>
#include <cstdint>
#include <optional>
#include <vector>

#include "wasm/decode_types.h"
#include "wasm/module.h"
#include "wasm/reader.h"

namespace rotor::wasm {

/// Reads an expression up to and including the final `end`.
bool read_const_expr(ByteReader& reader, const TypeScope& scope, ConstExpr& out);

/// Checks that the expression yields one value that matches `wanted`. It may read the first `visible_globals` globals,
/// if they are immutable.
bool check_const_expr(ErrorSlot& errors, const Module& module, const ConstExpr& expr, ValType wanted,
                      size_t visible_globals);

/// Returns what an instruction that combines two numbers makes of them, as slots' bits; nullopt for another one.
inline std::optional<uint64_t> combine_const(Opcode op, uint64_t a, uint64_t b) {
  switch (op) {
    case Opcode::I32Add: return static_cast<uint32_t>(a + b);
    case Opcode::I32Sub: return static_cast<uint32_t>(a - b);
    case Opcode::I32Mul: return static_cast<uint32_t>(a * b);
    case Opcode::I64Add: return a + b;
    case Opcode::I64Sub: return a - b;
    case Opcode::I64Mul: return a * b;
    default: return std::nullopt;
  }
}
/// Returns whether an instruction combines two numbers.
inline bool combines_const(Opcode op) { return combine_const(op, 0, 0).has_value(); }

/// Returns the value of a checked expression as a slot's 64 bits (i32 and f32: zero-extended; null: 0). Must not be
/// called for a v128: since no instruction combines those, such an expression is a single instruction.
/// `get_global(GlobalIndex)` and `get_func(FuncIndex)` return such bits.
template <class GetGlobal, class GetFunc>
uint64_t eval_const_expr(const ConstExpr& expr, GetGlobal&& get_global, GetFunc&& get_func) {
  auto value_of = [&](const ConstInstr& instr) -> uint64_t {
    if (instr.op == Opcode::GlobalGet) return get_global(GlobalIndex(static_cast<uint32_t>(instr.bits)));
    if (instr.op == Opcode::RefFunc) return get_func(FuncIndex(static_cast<uint32_t>(instr.bits)));
    return instr.op == Opcode::RefNull ? 0 : instr.bits;
  };
  assert(!expr.code.empty());
  if (expr.code.size() == 1) return value_of(expr.code[0]);
  std::vector<uint64_t> stack;
  for (const ConstInstr& instr : expr.code) {
    if (!combines_const(instr.op)) {
      stack.push_back(value_of(instr));
      continue;
    }
    assert(stack.size() >= 2);
    const uint64_t right = stack.back();
    stack.pop_back();
    stack.back() = *combine_const(instr.op, stack.back(), right);
  }
  assert(stack.size() == 1);
  return stack.back();
}

}  // namespace rotor::wasm
