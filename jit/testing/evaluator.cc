#include "jit/testing/evaluator.h"

#include <utility>

#include "llvm/ADT/DenseMap.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/InstrTypes.h"
#include "llvm/IR/Instructions.h"
#include "llvm/IR/Operator.h"
#include "llvm/Support/raw_ostream.h"

namespace rotor::jit {

using llvm::Instruction;
using Word = Evaluator::Word;
using Signed = __int128;

namespace {

std::string text_of(const llvm::Value& value) {
  std::string text;
  llvm::raw_string_ostream(text) << value;
  return text;
}

std::unexpected<Error> unknown(const llvm::Value& value) {
  return fail(ErrorKind::unsupported, "the evaluator does not know " + text_of(value));
}

Word mask_of(unsigned width) { return width == 128 ? ~Word{0} : (Word{1} << width) - 1; }
Signed signed_of(Word x, unsigned width) {
  Word sign = Word{1} << (width - 1);
  return static_cast<Signed>((x ^ sign) - sign);
}

/// A result, and whether it is poison for the reasons that the instruction gives.
struct Outcome {
  Word value = 0;
  bool poison = false;
};

/// Addition, subtraction and multiplication, in more bits than they have.
Outcome arithmetic(const Instruction& at, unsigned width, Word x, Word y) {
  Word value;
  Signed wide;
  Signed sx = signed_of(x, width), sy = signed_of(y, width);
  bool wraps, wraps_signed;
  switch (at.getOpcode()) {
    case Instruction::Add:
      wraps = __builtin_add_overflow(x, y, &value);
      wraps_signed = __builtin_add_overflow(sx, sy, &wide);
      break;
    case Instruction::Sub:
      wraps = __builtin_sub_overflow(x, y, &value);
      wraps_signed = __builtin_sub_overflow(sx, sy, &wide);
      break;
    default:
      wraps = __builtin_mul_overflow(x, y, &value);
      wraps_signed = __builtin_mul_overflow(sx, sy, &wide);
      break;
  }
  wraps |= value > mask_of(width);
  value &= mask_of(width);
  wraps_signed |= wide != signed_of(value, width);
  return {value, (at.hasNoUnsignedWrap() && wraps) || (at.hasNoSignedWrap() && wraps_signed)};
}

Outcome shift(const Instruction& at, unsigned width, Word x, Word y) {
  if (y >= width) return {0, true};
  auto bits = static_cast<unsigned>(y);
  if (at.getOpcode() == Instruction::Shl) {
    Word value = x << bits & mask_of(width);
    bool wraps = value >> bits != x, wraps_signed = signed_of(value, width) >> bits != signed_of(x, width);
    return {value, (at.hasNoUnsignedWrap() && wraps) || (at.hasNoSignedWrap() && wraps_signed)};
  }
  Word value =
      at.getOpcode() == Instruction::LShr ? x >> bits : static_cast<Word>(signed_of(x, width) >> bits) & mask_of(width);
  return {value, at.isExact() && (x & ~(~Word{0} << bits))};
}

Outcome convert(const Instruction& at, unsigned from, unsigned to, Word x) {
  switch (at.getOpcode()) {
    case Instruction::ZExt: return {x, at.hasNonNeg() && signed_of(x, from) < 0};
    case Instruction::SExt: return {static_cast<Word>(signed_of(x, from)) & mask_of(to), false};
    default: {
      Word value = x & mask_of(to);
      bool wraps = value != x, wraps_signed = signed_of(value, to) != signed_of(x, from);
      return {value, (at.hasNoUnsignedWrap() && wraps) || (at.hasNoSignedWrap() && wraps_signed)};
    }
  }
}

Outcome compare(const llvm::ICmpInst& at, unsigned width, Word x, Word y) {
  Signed sx = signed_of(x, width), sy = signed_of(y, width);
  bool poison = at.hasSameSign() && (sx < 0) != (sy < 0);
  switch (at.getPredicate()) {
    case llvm::ICmpInst::ICMP_EQ: return {x == y, poison};
    case llvm::ICmpInst::ICMP_NE: return {x != y, poison};
    case llvm::ICmpInst::ICMP_UGT: return {x > y, poison};
    case llvm::ICmpInst::ICMP_UGE: return {x >= y, poison};
    case llvm::ICmpInst::ICMP_ULT: return {x < y, poison};
    case llvm::ICmpInst::ICMP_ULE: return {x <= y, poison};
    case llvm::ICmpInst::ICMP_SGT: return {sx > sy, poison};
    case llvm::ICmpInst::ICMP_SGE: return {sx >= sy, poison};
    case llvm::ICmpInst::ICMP_SLT: return {sx < sy, poison};
    case llvm::ICmpInst::ICMP_SLE: return {sx <= sy, poison};
    default: return {0, true};
  }
}

bool is_known(unsigned opcode) {
  switch (opcode) {
    case Instruction::Add:
    case Instruction::Sub:
    case Instruction::Mul:
    case Instruction::And:
    case Instruction::Or:
    case Instruction::Xor:
    case Instruction::Shl:
    case Instruction::LShr:
    case Instruction::AShr:
    case Instruction::ZExt:
    case Instruction::SExt:
    case Instruction::Trunc:
    case Instruction::ICmp:
    case Instruction::Select: return true;
    default: return false;
  }
}

/// The width of an integer that the evaluator can hold, or 0.
unsigned width_of(const llvm::Value& value) {
  auto* type = llvm::dyn_cast<llvm::IntegerType>(value.getType());
  return type && type->getBitWidth() <= 128 ? type->getBitWidth() : 0;
}

}  // namespace

/// Of a function's values into slots.
class Translation {
 public:
  Translation(const llvm::Function& function, Evaluator& to) : function_(function), to_(to) {}

  Result<void> run() {
    for (const llvm::Argument& argument : function_.args()) {
      unsigned width = width_of(argument);
      if (!width) return unknown(argument);
      to_.argument_widths_.push_back(width);
      (void)fresh(argument);
    }
    for (const llvm::BasicBlock& block : function_) {
      blocks_[&block] = static_cast<uint32_t>(blocks_.size());
      for (const Instruction& op : block)
        if (width_of(op)) (void)fresh(op);
    }
    for (const llvm::BasicBlock& block : function_) ROTOR_CHECK(translate(block));
    return {};
  }

 private:
  Evaluator::Slot fresh(const llvm::Value& value) {
    auto slot = static_cast<Evaluator::Slot>(to_.slots_.size());
    to_.slots_.push_back(0);
    return slots_[&value] = slot;
  }

  Result<Evaluator::Slot> slot(const llvm::Value& value) {
    if (auto known = slots_.find(&value); known != slots_.end()) return known->second;
    auto* constant = llvm::dyn_cast<llvm::ConstantInt>(&value);
    if (!constant || !width_of(value)) return unknown(value);
    llvm::APInt bits = constant->getValue().zext(128);
    Evaluator::Slot slot = fresh(value);
    to_.slots_[slot] = Word{bits.extractBitsAsZExtValue(64, 64)} << 64 | bits.extractBitsAsZExtValue(64, 0);
    return slot;
  }

  Result<void> translate(const llvm::BasicBlock& block) {
    Evaluator::Block made;
    for (const Instruction& op : block) {
      if (llvm::isa<llvm::PHINode>(op) || op.isTerminator()) continue;
      if (llvm::isa<llvm::InsertValueInst>(op)) continue;  // seen from `ret`
      if (!is_known(op.getOpcode()) || !width_of(op)) return unknown(op);
      Evaluator::Step step{&op, op.getOpcode(), width_of(*op.getOperand(0)), width_of(op), slots_[&op], {}};
      for (unsigned i = 0; i < op.getNumOperands(); ++i) {
        ROTOR_TRY(step.operands[i], slot(*op.getOperand(i)));
      }
      made.steps.push_back(step);
    }
    const Instruction& end = *block.getTerminator();
    if (auto* ret = llvm::dyn_cast<llvm::ReturnInst>(&end)) {
      if (ret->getReturnValue()) ROTOR_CHECK(results(*ret->getReturnValue(), made.results));
    } else if (end.getOpcode() == Instruction::Br) {
      if (end.getNumSuccessors() == 2) {
        ROTOR_TRY(made.condition, slot(*end.getOperand(0)));
      }
      for (const llvm::BasicBlock* successor : llvm::successors(&end)) ROTOR_CHECK(edge(block, *successor, made));
    } else {
      return unknown(end);
    }
    to_.blocks_.push_back(std::move(made));
    return {};
  }

  Result<void> edge(const llvm::BasicBlock& from, const llvm::BasicBlock& to, Evaluator::Block& made) {
    Evaluator::Edge edge;
    edge.block = blocks_[&to];
    for (const llvm::PHINode& phi : to.phis()) {
      if (!width_of(phi)) return unknown(phi);
      ROTOR_TRY(Evaluator::Slot value, slot(*phi.getIncomingValueForBlock(&from)));
      edge.phis.emplace_back(slots_[&phi], value);
    }
    made.edges.push_back(std::move(edge));
    return {};
  }

  Result<void> results(const llvm::Value& returned, std::vector<Evaluator::Slot>& made) {
    auto* type = llvm::dyn_cast<llvm::StructType>(returned.getType());
    if (!type) {
      ROTOR_TRY(Evaluator::Slot one, slot(returned));
      made.push_back(one);
      return {};
    }
    made.assign(type->getNumElements(), Evaluator::kNone);
    const llvm::Value* value = &returned;
    while (auto* insert = llvm::dyn_cast<llvm::InsertValueInst>(value)) {
      if (insert->getNumIndices() != 1) return unknown(*insert);
      Evaluator::Slot& field = made[*insert->idx_begin()];
      if (field == Evaluator::kNone) {
        ROTOR_TRY(field, slot(*insert->getInsertedValueOperand()));
      }
      value = insert->getAggregateOperand();
    }
    // What no insertion gave is of the aggregate that the first one went into.
    auto* base = llvm::dyn_cast<llvm::Constant>(value);
    for (unsigned i = 0; i < made.size(); ++i) {
      if (made[i] != Evaluator::kNone) continue;
      const llvm::Value* field = base ? base->getAggregateElement(i) : nullptr;
      if (!field) return unknown(returned);
      ROTOR_TRY(made[i], slot(*field));
    }
    return {};
  }

  const llvm::Function& function_;
  Evaluator& to_;
  llvm::DenseMap<const llvm::Value*, Evaluator::Slot> slots_;
  llvm::DenseMap<const llvm::BasicBlock*, uint32_t> blocks_;
};

Result<Evaluator> Evaluator::create(const llvm::Function& function) {
  Evaluator evaluator;
  ROTOR_CHECK(Translation(function, evaluator).run());
  return evaluator;
}

Result<void> Evaluator::step(const Step& step) {
  const Word x = slots_[step.operands[0]], y = slots_[step.operands[1]];
  Outcome outcome;
  switch (step.opcode) {
    case Instruction::Add:
    case Instruction::Sub:
    case Instruction::Mul: outcome = arithmetic(*step.at, step.width, x, y); break;
    case Instruction::And: outcome.value = x & y; break;
    case Instruction::Or: {
      auto* flagged = llvm::dyn_cast<llvm::PossiblyDisjointInst>(step.at);
      outcome = {x | y, flagged && flagged->isDisjoint() && (x & y)};
      break;
    }
    case Instruction::Xor: outcome.value = x ^ y; break;
    case Instruction::Shl:
    case Instruction::LShr:
    case Instruction::AShr: outcome = shift(*step.at, step.width, x, y); break;
    case Instruction::ICmp: outcome = compare(*llvm::cast<llvm::ICmpInst>(step.at), step.width, x, y); break;
    case Instruction::Select: outcome.value = x ? y : slots_[step.operands[2]]; break;
    default: outcome = convert(*step.at, step.width, step.result_width, x); break;
  }
  if (outcome.poison) return fail(ErrorKind::invalid, "poison: " + text_of(*step.at));
  slots_[step.result] = outcome.value;
  return {};
}

/// All at once: a phi may be another's operand.
void Evaluator::follow(const Edge& edge) {
  scratch_.clear();
  for (auto [to, from] : edge.phis) scratch_.push_back(slots_[from]);
  for (size_t i = 0; i < edge.phis.size(); ++i) slots_[edge.phis[i].first] = scratch_[i];
}

Result<std::span<const Word>> Evaluator::run(std::span<const Word> arguments) {
  constexpr size_t kMaxBlocks = 100'000;
  if (arguments.size() != argument_widths_.size())
    return fail(ErrorKind::invalid_argument, "the function takes another number of arguments");
  for (size_t i = 0; i < arguments.size(); ++i) slots_[i] = arguments[i] & mask_of(argument_widths_[i]);
  const Block* block = &blocks_[0];
  for (size_t entered = 0; entered < kMaxBlocks; ++entered) {
    for (const Step& each : block->steps) ROTOR_CHECK(step(each));
    if (block->edges.empty()) {
      scratch_.clear();
      for (Slot slot : block->results) scratch_.push_back(slots_[slot]);
      return scratch_;
    }
    const Edge& edge = block->edges[block->condition != kNone && !slots_[block->condition]];
    follow(edge);
    block = &blocks_[edge.block];
  }
  return fail(ErrorKind::limit, "the function goes on for too long");
}

}  // namespace rotor::jit
