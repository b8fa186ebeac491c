#include "runtime/store/const_eval.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "wasm/const_expr.h"

namespace rotor::runtime {

namespace {

using wasm::ConstInstr;
using wasm::Opcode;

class Evaluator {
 public:
  explicit Evaluator(const ConstScope& scope) : scope_(scope), heap_(scope.heap), roots_(heap_, words_) {}

  Result<code::GlobalCell> run(const wasm::ConstExpr& expr) {
    for (const ConstInstr& instr : expr.code) ROTOR_CHECK(step(instr));
    return code::GlobalCell{{words_[0], words_[1]}};
  }

 private:
  /// Each operand takes two words, as a global does.
  void push(uint64_t low, uint64_t high = 0) {
    words_.push_back(low);
    words_.push_back(high);
  }
  uint64_t pop() {
    const uint64_t low = words_[words_.size() - 2];
    words_.resize(words_.size() - 2);
    return low;
  }
  Result<void> push(Result<uint64_t> made) {
    if (!made) return std::unexpected(std::move(made).error());
    push(*made);
    return {};
  }
  Result<void> step(const ConstInstr& instr) {
    if (wasm::combines_const(instr.op)) {
      const uint64_t right = pop();
      push(*wasm::combine_const(instr.op, pop(), right));
      return {};
    }
    switch (instr.op) {
      case Opcode::GlobalGet: {
        const code::GlobalCell& cell = scope_.global(static_cast<uint32_t>(instr.bits));
        push(cell.bits[0], cell.bits[1]);
        return {};
      }
      case Opcode::RefFunc:
        push(reinterpret_cast<uint64_t>(scope_.function(static_cast<uint32_t>(instr.bits))));
        return {};
      case Opcode::RefNull: push(0); return {};
      case Opcode::RefI31: push(static_cast<uint32_t>(pop() << 1 | 1)); return {};
      case Opcode::AnyConvertExtern: return push(heap_.any_of_extern(pop()));
      case Opcode::ExternConvertAny: return push(heap_.extern_of_any(pop()));
      case Opcode::StructNew:
      case Opcode::StructNewDefault: return structure(instr);
      case Opcode::ArrayNew:
      case Opcode::ArrayNewDefault:
      case Opcode::ArrayNewFixed: return array(instr);
      default: push(instr.bits, instr.high_bits); return {};
    }
  }

  const CanonicalType& type_of(const ConstInstr& instr) const { return *scope_.types[instr.bits]; }
  /// Returns the words of an operand, of the last `count`.
  const uint64_t* operand(size_t count, size_t index) const {
    return words_.data() + words_.size() - 2 * (count - index);
  }

  void store(code::Storage storage, uint8_t* to, const uint64_t* words) {
    const uint64_t number = storage == code::Storage::function ? heap_.function_number(*words) : 0;
    std::memcpy(to, storage == code::Storage::function ? &number : words, size_t{1} << code::storage_log2(storage));
  }

  Result<void> structure(const ConstInstr& instr) {
    const CanonicalType& type = type_of(instr);
    // What the object refers to is still among the operands while it is made.
    ROTOR_TRY(const uint64_t made, heap_.new_structure(type));
    if (instr.op == Opcode::StructNew) {
      const size_t count = type.storage.size();
      for (size_t i = 0; i < count; ++i)
        store(type.storage[i], heap_.bytes(made) + type.layout.offsets[i], operand(count, i));
      words_.resize(words_.size() - 2 * count);
    }
    push(made);
    return {};
  }

  Result<void> array(const ConstInstr& instr) {
    const CanonicalType& type = type_of(instr);
    const bool is_fixed = instr.op == Opcode::ArrayNewFixed;
    const auto length = static_cast<uint32_t>(is_fixed ? instr.high_bits : pop());
    ROTOR_TRY(const uint64_t made, heap_.new_array(type, length));
    const size_t size = size_t{1} << code::storage_log2(type.storage[0]);
    uint8_t* to = heap_.bytes(made) + code::kArrayElementsAt;
    const size_t operands = is_fixed ? length : instr.op == Opcode::ArrayNew;
    if (operands)
      for (size_t i = 0; i < length; ++i) store(type.storage[0], to + i * size, operand(operands, is_fixed ? i : 0));
    words_.resize(words_.size() - 2 * operands);
    push(made);
    return {};
  }

  const ConstScope& scope_;
  GcHeap& heap_;
  std::vector<uint64_t> words_;
  const GcHeap::Evaluation roots_;
};

}  // namespace

bool needs_heap(const wasm::ConstExpr& expr) {
  return std::ranges::any_of(
      expr.code, [](const ConstInstr& instr) { return instr.op >= Opcode::StructNew && instr.op <= Opcode::I31GetU; });
}

Result<code::GlobalCell> evaluate_const(const ConstScope& scope, const wasm::ConstExpr& expr) {
  return Evaluator(scope).run(expr);
}

}  // namespace rotor::runtime
