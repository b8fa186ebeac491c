#include "jit/passes/evaluate.h"

#include "llvm/ADT/PostOrderIterator.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/Instructions.h"

namespace rotor::jit {

namespace {

using U128 = unsigned __int128;

U128 mask(unsigned bits) { return bits >= 128 ? ~U128{0} : (U128{1} << bits) - 1; }
bool is_number(const llvm::Type* type) { return type->isIntegerTy() && type->getIntegerBitWidth() <= 128; }
__int128 with_sign(U128 value, unsigned bits) {
  unsigned above = 128 - bits;
  return static_cast<__int128>(value << above) >> above;
}

bool compare(llvm::CmpInst::Predicate predicate, U128 x, U128 y, unsigned bits) {
  __int128 s = with_sign(x, bits), t = with_sign(y, bits);
  switch (predicate) {
    case llvm::CmpInst::ICMP_EQ: return x == y;
    case llvm::CmpInst::ICMP_NE: return x != y;
    case llvm::CmpInst::ICMP_ULT: return x < y;
    case llvm::CmpInst::ICMP_ULE: return x <= y;
    case llvm::CmpInst::ICMP_UGT: return x > y;
    case llvm::CmpInst::ICMP_UGE: return x >= y;
    case llvm::CmpInst::ICMP_SLT: return s < t;
    case llvm::CmpInst::ICMP_SLE: return s <= t;
    case llvm::CmpInst::ICMP_SGT: return s > t;
    default: return s >= t;
  }
}

}  // namespace

Evaluation::Evaluation(const llvm::Function& function, uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 + 1) {
  for (const llvm::BasicBlock* block : llvm::ReversePostOrderTraversal<const llvm::Function*>(&function))
    for (const llvm::Instruction& op : *block)
      if (is_number(op.getType())) values_[&op] = evaluate(op, op.getType()->getIntegerBitWidth());
}

U128 Evaluation::operator()(const llvm::Value* value) {
  unsigned bits = value->getType()->getIntegerBitWidth();
  if (auto* constant = llvm::dyn_cast<llvm::ConstantInt>(value)) {
    const uint64_t* words = constant->getValue().getRawData();
    return words[0] | (bits > 64 ? U128{words[1]} << 64 : 0);
  }
  auto [place, fresh] = values_.try_emplace(value, 0);
  if (!fresh) return place->second;
  U128 number = any(bits);
  return values_[value] = number;
}

/// Draws a number by xorshift64; half of the time, halves of words are at their edges.
U128 Evaluation::any(unsigned bits) {
  static constexpr uint32_t kEdges[] = {0, 1, 2, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
  auto next = [&] {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    return state_ ^= state_ << 17;
  };
  U128 number = 0;
  for (int half = 0; half < 4; ++half) {
    uint64_t random = next();
    auto part = static_cast<uint32_t>(random >> 32);
    if (random & 1) part = kEdges[(random >> 1) % std::size(kEdges)];
    number = number << 32 | part;
  }
  return number & mask(bits);
}

U128 Evaluation::evaluate(const llvm::Instruction& op, unsigned bits) {
  auto operand = [&](unsigned i) { return (*this)(op.getOperand(i)); };
  auto is_integer = [&](unsigned i) { return is_number(op.getOperand(i)->getType()); };
  auto width = [&](unsigned i) { return op.getOperand(i)->getType()->getIntegerBitWidth(); };
  switch (op.getOpcode()) {
    case llvm::Instruction::Add: return (operand(0) + operand(1)) & mask(bits);
    case llvm::Instruction::Sub: return (operand(0) - operand(1)) & mask(bits);
    case llvm::Instruction::Mul: return (operand(0) * operand(1)) & mask(bits);
    case llvm::Instruction::And: return operand(0) & operand(1);
    case llvm::Instruction::Or: return operand(0) | operand(1);
    case llvm::Instruction::Xor: return operand(0) ^ operand(1);
    case llvm::Instruction::Shl:
    case llvm::Instruction::LShr:
    case llvm::Instruction::AShr: {
      U128 count = operand(1);
      if (count >= bits) return any(bits);  // poison
      if (op.getOpcode() == llvm::Instruction::Shl) return operand(0) << count & mask(bits);
      if (op.getOpcode() == llvm::Instruction::LShr) return operand(0) >> count;
      return static_cast<U128>(with_sign(operand(0), bits) >> count) & mask(bits);
    }
    case llvm::Instruction::Trunc: return is_integer(0) ? operand(0) & mask(bits) : any(bits);
    case llvm::Instruction::ZExt: return operand(0);
    case llvm::Instruction::SExt: return static_cast<U128>(with_sign(operand(0), width(0))) & mask(bits);
    case llvm::Instruction::Select: return operand(0) ? operand(1) : operand(2);
    case llvm::Instruction::ICmp:
      if (!is_integer(0)) return any(bits);
      return compare(llvm::cast<llvm::ICmpInst>(op).getPredicate(), operand(0), operand(1), width(0));
    default: return any(bits);
  }
}

}  // namespace rotor::jit
