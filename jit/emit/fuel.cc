// Paying for what is executed (Config::fuel): each straight-line segment takes what it costs off the group's account
// before it runs. The account lies in memory, where a trap or an exception finds it right whatever ends the segment;
// what it costs to keep it in a register instead is that every way out would have to write it back.
#include "code/abi.h"
#include "jit/emit/function.h"

namespace rotor::jit {

using Value = FunctionEmitter::Value;

void FunctionEmitter::begin_metering(uint64_t declared_locals) {
  segments_.function_begin(declared_locals);
  segment_price_ = nullptr;
}

void FunctionEmitter::meter(wasm::Opcode op) {
  using Begin = wasm::FuelSegments::Begin;
  const Begin begin = segments_.begins_at(op);
  if (begin != Begin::none) {
    end_segment();
    // What the segment costs is known at its end. A constant as operand here, which is then replaced.
    Value left = take_fuel(int64(1));
    segment_price_ = llvm::cast<llvm::Instruction>(left);
    if (begin == Begin::checked) trap_if(b_.CreateICmpSLT(left, int64(0)), TrapKind::out_of_fuel);
  }
  segments_.count(op);
}

void FunctionEmitter::end_segment() {
  const uint64_t units = segments_.take_units();
  if (segment_price_) segment_price_->setOperand(1, int64(units));
  segment_price_ = nullptr;
}

/// Takes units off the account. Returns what is left, which may be less than nothing.
Value FunctionEmitter::take_fuel(Value units) {
  // LLVM may hoist this load out of a loop without calls: groups merge in calls only.
  Value activation = b_.CreateLoad(module_.ptr, context_address(offsetof(code::Context, activation)));
  Value account = b_.CreateConstGEP1_32(module_.i8, activation, offsetof(code::Activation, fuel));
  // Volatile, as all stores whose effect can be seen after a trap.
  Value left = b_.CreateSub(b_.CreateLoad(module_.i64, account, /*isVolatile=*/true), units);
  b_.CreateStore(left, account, /*isVolatile=*/true);
  return left;
}

void FunctionEmitter::pay_for(Value count) {
  if (!plan_.metered) return;
  Value units = index64(count);
  if (units == count) {  // it has 64 bits, of which the account has not room for all
    Value most = int64((uint64_t{1} << 62) - 1);
    units = b_.CreateSelect(b_.CreateICmpUGT(units, most), most, units);
  }
  trap_if(b_.CreateICmpSLT(take_fuel(units), int64(0)), TrapKind::out_of_fuel);
}

void FunctionEmitter::pay_for_growth(Value delta, Value old_size) {
  if (!plan_.metered) return;
  // What was refused took no time.
  Value refused = b_.CreateICmpEQ(old_size, int64(~uint64_t{0}));
  pay_for(b_.CreateSelect(refused, int64(0), index64(delta)));
}

}  // namespace rotor::jit
