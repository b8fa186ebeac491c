// Constant expressions (spec section 3.4.13): decoding, checking and evaluation.
#pragma once

#include <cassert>
#include <cstdint>
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
  auto binary = [&](auto combine) {
    assert(stack.size() >= 2);
    uint64_t right = stack.back();
    stack.pop_back();
    stack.back() = combine(stack.back(), right);
  };
  for (const ConstInstr& instr : expr.code) {
    switch (instr.op) {
      case Opcode::I32Add: binary([](uint64_t a, uint64_t b) { return uint64_t{static_cast<uint32_t>(a + b)}; }); break;
      case Opcode::I32Sub: binary([](uint64_t a, uint64_t b) { return uint64_t{static_cast<uint32_t>(a - b)}; }); break;
      case Opcode::I32Mul: binary([](uint64_t a, uint64_t b) { return uint64_t{static_cast<uint32_t>(a * b)}; }); break;
      case Opcode::I64Add: binary([](uint64_t a, uint64_t b) { return a + b; }); break;
      case Opcode::I64Sub: binary([](uint64_t a, uint64_t b) { return a - b; }); break;
      case Opcode::I64Mul: binary([](uint64_t a, uint64_t b) { return a * b; }); break;
      default: stack.push_back(value_of(instr));
    }
  }
  assert(stack.size() == 1);
  return stack.back();
}

}  // namespace rotor::wasm
