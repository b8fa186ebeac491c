#include "jit/emit/batch.h"

#include "jit/passes/stored_words.h"
#include "wasm/local_declarations.h"
#include "wasm/reader.h"

namespace rotor::jit {

namespace {

/// The longest body of a product routine, in bytes: __multi3 has 150 to 250, depending on who compiled it.
constexpr uint64_t kMaxRoutineBytes = 400;
/// The most locals of a product routine, parameters not counted: a local declaration of two bytes may make thousands,
/// and each call of two bytes would make as many again. __multi3 has up to 12.
constexpr uint64_t kMaxRoutineLocals = 64;
/// The most bytes of bodies that are inlined into one function: so many times its own body, which the calls are part
/// of, plus this much. A routine called as often as possible, with two bytes a call, would make 200 times the body.
constexpr uint64_t kMaxInlinedTimes = 16;
constexpr uint64_t kMaxInlinedBytes = 4 << 10;
/// The least multiplications of a product routine: a product of 128 bits takes four, or three if its low word comes
/// from one of them.
constexpr unsigned kMinMultiplications = 3;

/// Passes the immediates of an instruction. Returns false if the instruction has no place in a product routine.
bool pass_immediates(wasm::ByteReader& reader, wasm::Opcode op) {
  using enum wasm::Opcode;
  uint32_t index;
  int32_t number32;
  int64_t number64;
  uint64_t offset;
  switch (op) {
    case LocalGet:
    case LocalSet:
    case LocalTee: return reader.u32(index);
    case I32Const: return reader.s32(number32);
    case I64Const: return reader.s64(number64);
    // Only memory 0 is accepted: for another one the first number has another bit set, which is refused.
    case I32Load:
    case I64Load:
    case I32Store:
    case I64Store: return reader.u32(index) && index < 0x40 && reader.u64(offset);
    case Nop:
    case Drop:
    case Select: return true;
    case I32DivS:
    case I32DivU:
    case I32RemS:
    case I32RemU:
    case I64DivS:
    case I64DivU:
    case I64RemS:
    case I64RemU: return false;
    case I32WrapI64:
    case I64ExtendI32S:
    case I64ExtendI32U: return true;
    default: return (op >= I32Eqz && op <= I64GeU) || (op >= I32Clz && op <= I64Rotr);
  }
}

/// Returns whether a body is short, straight-line integer code with several 64-bit multiplications in it and nothing
/// that calls, branches or traps but accesses to memory. The body may be invalid.
bool is_product_routine(std::span<const uint8_t> bytes, const wasm::FunctionBody& body) {
  if (body.end - body.begin > kMaxRoutineBytes) return false;
  wasm::ByteReader reader(bytes, body.begin, body.end);
  auto read_type = [&](uint8_t& type) { return reader.u8(type) && (type == 0x7f || type == 0x7e); };
  uint64_t locals = 0;
  if (!wasm::read_local_declarations<uint8_t>(reader, 0, read_type, [&](uint64_t total, uint8_t) { locals = total; }) ||
      locals > kMaxRoutineLocals)
    return false;
  uint32_t code;
  unsigned multiplications = 0;
  while (reader.opcode(code)) {
    auto op = static_cast<wasm::Opcode>(code);
    if (op == wasm::Opcode::End) return reader.at_end() && multiplications >= kMinMultiplications;
    if (!pass_immediates(reader, op)) return false;
    multiplications += op == wasm::Opcode::I64Mul;
  }
  return false;
}

}  // namespace

bool BatchEmitter::is_product_routine(uint32_t defined_func) {
  auto [known, fresh] = is_product_routine_.try_emplace(defined_func, false);
  if (fresh) known->second = jit::is_product_routine(bytes_, module_.bodies[defined_func]);
  return known->second;
}

bool BatchEmitter::inline_call(FunctionEmitter& caller, wasm::FuncIndex func, std::span<llvm::Value* const> args,
                               std::span<llvm::Value*> results) {
  uint32_t routine = raw(func) - module_.imported_funcs;
  if (!is_product_routine(routine)) return false;
  const wasm::FunctionBody& body = module_.bodies[routine];
  if (caller.defined_func() != inlined_into_) {
    inlined_into_ = caller.defined_func();
    inlined_bytes_ = 0;
  }
  const wasm::FunctionBody& into = module_.bodies[caller.defined_func()];
  if (inlined_bytes_ > (into.end - into.begin) * kMaxInlinedTimes + kMaxInlinedBytes) return false;
  inlined_bytes_ += body.end - body.begin;
  FunctionEmitter inlined(caller, args, results);
  mark_inlined(*caller.function());
  if (!inlined_decoder_.decode(func, inlined)) {
    // The body is invalid, which its own batch reports. The caller goes on with any values.
    inlining_failed_ = true;
    const FuncType& type = module_.func_type(func);
    for (size_t i = 0; i < results.size(); ++i)
      results[i] = llvm::Constant::getNullValue(caller.module().value_type(type.results[i]));
  }
  return true;
}

Result<std::unique_ptr<llvm::Module>> BatchEmitter::emit(const ModulePlan& plan, llvm::TargetMachine& target,
                                                         llvm::LLVMContext& context,
                                                         std::span<const BatchFunction> functions, bool inline_products,
                                                         uint32_t& bad) {
  ModuleEmitter module(plan, target, context);
  FunctionEmitter emitter(module, inline_products ? this : nullptr);
  FrameEmitter frame_emitter(module);
  inlining_failed_ = false;
  inlined_into_ = UINT32_MAX;
  for (const BatchFunction& function : functions) {
    wasm::FuncIndex func{function.defined_func + module_.imported_funcs};
    frame_emitter.set_operands(function.operands);
    auto ok = function.in_frame ? frame_decoder_.decode(func, frame_emitter) : decoder_.decode(func, emitter);
    if (!ok) {
      bad = function.defined_func;
      return std::unexpected(std::move(ok).error());
    }
  }
  if (inlining_failed_) return emit(plan, target, context, functions, false, bad);
  return std::move(module.llvm_module);
}

}  // namespace rotor::jit
