#include "jit/cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "code/abi.h"

namespace rotor::jit {

using wasm::BlockSignature;

namespace {
/// The bytes that are added to every body's own, for short bodies.
constexpr uint64_t kBytesGiven = 32;
/// The bytes of memory that a function takes however short it is.
constexpr uint64_t kFunctionBytes = 64 << 10;

// The most of what LLVM's optimising code generator takes more than linear time over; a function with more is compiled
// as with --opt 0. The largest function of kimchi has 193 local declarations and 39 KB.
constexpr uint32_t kMaxLoopDepth = 100;    ///< 4,000 take 22 s, and 50,000 overflow any stack
constexpr uint32_t kMaxUsedLocals = 1000;  ///< 4,000 that are live across a call take 15 s
constexpr uint64_t kMaxLivePerByte = 64;   ///< Cost::live
constexpr uint64_t kMaxBlocks = 16'000;    ///< 64,000 take over 20 s
constexpr uint64_t kMaxBodyBytes = 512 << 10;

/// The largest static offset without a check: an access with a larger one checks its end (jit/emit/memory.cc).
constexpr uint64_t kGuardedOffset = code::kGuardBytes - code::kMaxAccessBytes;
}  // namespace

/// Counts a body. The weights are what the emitters make at most, within a few instructions; what matters is that
/// nothing which a body can repeat in a few bytes is missed.
class CostCounter::Sink : public wasm::EmptySink {
 public:
  struct Control : EmptySink::Control {
    uint32_t frame = 0;
  };
  Sink(const wasm::Module& module, const code::CodeSettings& settings)
      : module_(module), checks_(code::memory_checks(module, settings.slab_memories)) {}

  Cost cost;

  void function_begin(Control& control, wasm::FuncIndex, const FuncType& type, std::span<const ValType> locals) {
    type_ = &type;
    stack_words_ = code::ArgumentPlaces::stack_words(type);
    time_ = 0;
    frames_.clear();
    last_set_.assign(locals.size(), 0);
    loops_ = 0;
    tries_.clear();
    cost.locals = static_cast<uint32_t>(locals.size());
    cost.used_locals = static_cast<uint32_t>(type.params.size());
    push(control, false);
    add(kPrologue + 2 * uint64_t{cost.locals}, 3);
  }
  void at(uint64_t, uint32_t operands) {
    height_ = operands;
    cost.operands = std::max(cost.operands, operands);
  }

  void block(Control& control, const BlockSignature&, std::span<const Value>) { push(control, false); }
  void loop(Control& control, const BlockSignature&, std::span<Value> params) {
    push(control, true);
    cost.loop_depth = std::max(cost.loop_depth, ++loops_);
    cost.phi_entries += params.size();
    add(1 + kLoopHead, 3);
    cross();
  }
  void if_(Control& control, const BlockSignature&, Value, std::span<const Value> params) {
    push(control, false);
    ++frames_.back().joins;
    frames_.back().lacks_else = true;
    cost.phi_entries += params.size();  // kept for the else
    add(2, 2);
    cross();
  }
  void else_(Control&, bool reachable, std::span<const Value> results, std::span<Value>) {
    if (reachable) join(frames_.back(), results.size());
    frames_.back().lacks_else = false;
    add(1, 1);
    cross();
  }
  void end(Control& control, bool reachable, std::span<const Value> fallthrough, std::span<Value> results) {
    Frame frame = frames_.back();
    cost.operands = std::max(cost.operands, height_ + static_cast<uint32_t>(results.size()));
    if (reachable && !frame.is_loop) cost.phi_entries += fallthrough.size();
    if (frame.lacks_else) cost.phi_entries += results.size();
    // There is at most one phi for each local that was set in the block: at a loop's head, or where the block's end is
    // reached in several ways.
    uint64_t joined = frame.joins + 1;
    if (frame.is_loop || joined > 1) cost.phi_entries += frame.sets * joined;
    if (frame.is_loop) --loops_;
    end_try(frame);
    frames_.pop_back();
    if (!frames_.empty()) frames_.back().sets += frame.sets;
    if (control.frame == 0) ret();
    add(1, 1);
    cross();
  }
  void br(Control& target, std::span<const Value> args) {
    join(frames_[target.frame], args.size());
    add(1, 0);
  }
  void br_if(Control& target, Value, std::span<const Value> args) {
    join(frames_[target.frame], args.size());
    add(2, 1);
    cross();
  }
  void br_table(Value, std::span<Control* const> targets, std::span<const Value> args) {
    for (Control* target : targets) join(frames_[target->frame], args.size());
    add(2 + targets.size(), 1);
  }
  void br_on_null(Control& target, ValType, Value, std::span<const Value> args) { br_if(target, {}, args); }
  void br_on_non_null(Control& target, ValType, Value, std::span<const Value> args) { br_if(target, {}, args); }
  void return_(std::span<const Value>) { ret(); }
  void unreachable() { add(2, 0); }
  void try_table(Control& control, const wasm::BlockSignature&, std::span<const Value>,
                 std::span<const wasm::Catch<Control>> catches) {
    push_try(control);
    for (const wasm::Catch<Control>& clause : catches) {
      const size_t taken = (clause.type ? clause.type->params.size() : 0) + clause.takes_ref;
      join(frames_[clause.target->frame], taken);
      add(12 + 3 * taken, 2);
    }
    cross();
  }
  void throw_(wasm::TagIndex, const FuncType&, std::span<const Value> args) {
    add(6 + 2 * args.size(), 2);
    invoke();
  }
  void throw_ref(ValType, Value) {
    add(10, 4);
    invoke();
  }
  void try_(Control& control, const wasm::BlockSignature&, std::span<const Value>) {
    push_try(control);
    cross();
  }
  void catch_(Control&, bool reachable, std::span<const Value> results, wasm::TagIndex, const FuncType*,
              std::span<Value> carried) {
    end_try(frames_.back());
    if (reachable) join(frames_.back(), results.size());
    add(14 + 3 * carried.size(), 3);
    cross();
  }
  void delegate(Control& control, Control*, bool reachable, std::span<const Value> fallthrough,
                std::span<Value> results) {
    end(control, reachable, fallthrough, results);
  }
  void rethrow(Control&) {
    add(16, 4);
    invoke();
  }

  void call(wasm::FuncIndex func, const FuncType&, std::span<const Value> args, std::span<Value> results) {
    call(module_.is_imported(func) ? 6 : 3, 0, args.size(), results);
  }
  void call_indirect(wasm::TableIndex, wasm::TypeIndex, const FuncType&, Value, std::span<const Value> args,
                     std::span<Value> results) {
    call(24, 6, args.size(), results);
  }
  void call_ref(const FuncType&, ValType, Value, std::span<const Value> args, std::span<Value> results) {
    call(10, 2, args.size(), results);
  }
  void return_call(wasm::FuncIndex, const FuncType&, std::span<const Value> args) { tail_call(args.size()); }
  void return_call_indirect(wasm::TableIndex, wasm::TypeIndex, const FuncType&, Value, std::span<const Value> args) {
    tail_call(2 * args.size() + 24);
  }
  void return_call_ref(const FuncType&, ValType, Value, std::span<const Value> args) {
    tail_call(2 * args.size() + 10);
  }

  Value select(ValType, Value, Value, Value) { return one(2); }
  Value local_get(wasm::LocalIndex, ValType) { return one(1); }
  void local_set(wasm::LocalIndex index, ValType, Value) {
    add(1, 0);
    uint32_t& last = last_set_[raw(index)];
    if (last == 0 && raw(index) >= type_->params.size()) ++cost.used_locals;
    // A local counts once in each frame: it is taken back from the innermost frame that has counted it before.
    ++frames_.back().sets;
    if (last != 0) {
      auto after = std::ranges::upper_bound(frames_, last, {}, &Frame::begin);
      --(after - 1)->sets;
    }
    last = ++time_;
  }
  Value global_get(wasm::GlobalIndex, const GlobalType&) { return one(3); }
  void global_set(wasm::GlobalIndex, const GlobalType&, Value) { add(3, 0); }
  Value ref_is_null(ValType, Value) { return one(2); }
  Value ref_func(wasm::FuncIndex) { return one(2); }
  Value ref_as_non_null(ValType, Value) { return trapping(1, 1); }

  Value constant(ValType, uint64_t) { return one(1); }
  Value numeric(wasm::NumericOp op, std::span<const Value>) {
    using enum wasm::NumericOp;
    if ((op >= I32DivS && op <= I32RemU) || (op >= I64DivS && op <= I64RemU)) return trapping(5, 2);
    if (op >= I32TruncF32S && op <= I64TruncF64U) return trapping(6, 2);
    return one(op == F32Min || op == F32Max || op == F64Min || op == F64Max ? 14 : 3);
  }
  void wide(wasm::WideOp, std::span<const Value>, std::span<Value>) { add(14, 1); }

  Value load(wasm::LoadOp, const wasm::MemArg& mem, Value) { return access(mem); }
  void store(wasm::StoreOp, const wasm::MemArg& mem, Value, Value) { access(mem); }
  Value memory_size(wasm::MemoryIndex) { return one(5); }
  Value memory_grow(wasm::MemoryIndex, Value) { return one(5); }
  void memory_init(wasm::MemoryIndex, wasm::DataIndex, Value, Value, Value) { trapping(8, 1); }
  void data_drop(wasm::DataIndex) { add(4, 0); }
  void memory_copy(wasm::MemoryIndex, wasm::MemoryIndex, Value, Value, Value) { trapping(8, 1); }
  void memory_fill(wasm::MemoryIndex, Value, Value, Value) { trapping(8, 1); }
  Value table_get(wasm::TableIndex, ValType, Value) { return trapping(10, 1); }
  void table_set(wasm::TableIndex, ValType, Value, Value) { trapping(10, 1); }
  Value table_size(wasm::TableIndex) { return one(5); }
  Value table_grow(wasm::TableIndex, ValType, Value, Value) { return one(6); }
  void table_fill(wasm::TableIndex, ValType, Value, Value, Value) { trapping(8, 1); }
  void table_init(wasm::TableIndex, wasm::ElemIndex, Value, Value, Value) { trapping(8, 1); }
  void elem_drop(wasm::ElemIndex) { add(4, 0); }
  void table_copy(wasm::TableIndex, wasm::TableIndex, Value, Value, Value) { trapping(8, 1); }

  Value struct_new(wasm::TypeIndex, const wasm::StructType&, std::span<const Value> fields) {
    add(kAllocation + 4 * fields.size(), 3);
    return {};
  }
  Value struct_new_default(wasm::TypeIndex, const wasm::StructType&) {
    add(kAllocation, 3);
    return {};
  }
  Value struct_get(wasm::TypeIndex, const wasm::StructType&, uint32_t, bool, ValType, Value) { return trapping(6, 1); }
  void struct_set(wasm::TypeIndex, const wasm::StructType&, uint32_t, ValType, Value, Value) { trapping(6, 1); }
  Value array_new(wasm::TypeIndex, const wasm::ArrayType&, Value, Value) {
    add(kArrayAllocation + 10, 4);
    return {};
  }
  Value array_new_default(wasm::TypeIndex, const wasm::ArrayType&, Value) {
    add(kArrayAllocation, 4);
    return {};
  }
  Value array_new_fixed(wasm::TypeIndex, const wasm::ArrayType&, std::span<const Value> elements) {
    add(kAllocation + 4 + 4 * elements.size(), 3);
    return {};
  }
  Value array_new_data(wasm::TypeIndex, wasm::DataIndex, Value, Value) { return trapping(10, 1); }
  Value array_new_elem(wasm::TypeIndex, wasm::ElemIndex, Value, Value) { return trapping(10, 1); }
  Value array_get(const wasm::ArrayType&, bool, ValType, Value, Value) { return trapping(14, 2); }
  void array_set(const wasm::ArrayType&, ValType, Value, Value, Value) { trapping(14, 2); }
  Value array_len(ValType, Value) { return trapping(6, 1); }
  void array_fill(const wasm::ArrayType&, ValType, Value, Value, Value, Value) { trapping(24, 2); }
  void array_copy(const wasm::ArrayType&, Value, Value, Value, Value, Value) { trapping(32, 4); }
  void array_init_data(const wasm::ArrayType&, wasm::DataIndex, Value, Value, Value, Value) { trapping(24, 3); }
  void array_init_elem(const wasm::ArrayType&, wasm::ElemIndex, Value, Value, Value, Value) { trapping(24, 3); }
  Value ref_eq(Value, Value) { return one(2); }
  Value ref_i31(Value) { return one(3); }
  Value i31_get(bool, ValType, Value) { return trapping(4, 1); }
  Value ref_test(ValType, ValType, Value) {
    add(kCast, 2);
    return {};
  }
  Value ref_cast(ValType, ValType, Value) { return add(kCast, 2), trapping(1, 1); }
  void br_on_cast(Control& target, ValType, ValType, std::span<const Value> args) {
    add(kCast, 2);
    br_if(target, {}, args);
  }
  void br_on_cast_fail(Control& target, ValType, ValType, std::span<const Value> args) {
    add(kCast, 2);
    br_if(target, {}, args);
  }
  Value any_convert_extern(Value) { return one(5); }
  Value extern_convert_any(Value) { return one(5); }

  Value atomic_load(wasm::AtomicLoadOp, const wasm::MemArg& mem, Value) { return atomic(mem); }
  void atomic_store(wasm::AtomicStoreOp, const wasm::MemArg& mem, Value, Value) { atomic(mem); }
  Value atomic_rmw(wasm::AtomicRmwOp, const wasm::MemArg& mem, Value, Value) { return atomic(mem); }
  Value atomic_cmpxchg(wasm::AtomicCmpxchgOp, const wasm::MemArg& mem, Value, Value, Value) { return atomic(mem); }
  Value atomic_wait_notify(wasm::AtomicWaitOp, const wasm::MemArg& mem, std::span<const Value>) { return atomic(mem); }
  void atomic_fence() { add(1, 0); }

  Value simd_constant(const V128&) { return one(1); }
  Value simd_load(wasm::SimdLoadOp, const wasm::MemArg& mem, Value) { return one(4), access(mem); }
  void simd_store(wasm::SimdStoreOp, const wasm::MemArg& mem, Value, Value) { access(mem); }
  Value simd_load_lane(wasm::SimdLoadLaneOp, const wasm::MemArg& mem, uint8_t, Value, Value) {
    return one(4), access(mem);
  }
  void simd_store_lane(wasm::SimdStoreLaneOp, const wasm::MemArg& mem, uint8_t, Value, Value) { one(4), access(mem); }
  Value simd_shuffle(const std::array<uint8_t, 16>&, Value, Value) { return one(6); }
  Value simd_lane(wasm::SimdLaneOp, uint8_t, std::span<const Value>) { return one(4); }
  Value simd_numeric(wasm::SimdNumericOp, std::span<const Value>) { return one(kSimd); }

 private:
  static constexpr uint32_t kPrologue = 14, kLoopHead = 4, kTrap = 4, kSimd = 10, kAllocation = 22,
                            kArrayAllocation = 40, kCast = 20;

  /// An open block, with what decides how many phis its label or end gets.
  struct Frame {
    uint32_t begin;  ///< time_ when it was opened, plus 1
    bool is_loop;
    bool lacks_else = false;  ///< an `if`, so far
    bool is_try = false;
    uint64_t sets;   ///< locals that are set in it, each once; modulo 2^64 until its blocks are closed
    uint64_t joins;  ///< branches to its label, and of a try calls that may go to its clauses
  };

  void push(Control& control, bool is_loop) {
    control.frame = static_cast<uint32_t>(frames_.size());
    frames_.push_back({.begin = time_ + 1, .is_loop = is_loop, .sets = 0, .joins = 0});
  }
  void push_try(Control& control) {
    push(control, false);
    frames_.back().is_try = true;
    tries_.push_back(control.frame);
    add(12, 4);
  }
  /// Counts what may throw: where its exceptions are caught, it is one more way there.
  void invoke() {
    if (!tries_.empty()) ++frames_[tries_.back()].joins;
  }
  /// Ends what is thrown in a frame being caught by it.
  void end_try(Frame& frame) {
    if (std::exchange(frame.is_try, false)) tries_.pop_back();
  }
  void join(Frame& frame, size_t args) {
    ++frame.joins;
    cost.phi_entries += args;
  }
  void add(uint64_t instructions, uint64_t blocks) {
    cost.instructions += instructions;
    cost.blocks += blocks;
  }
  Value one(uint32_t instructions) {
    add(instructions, 0);
    return {};
  }
  Value trapping(uint32_t instructions, uint32_t traps) {
    add(instructions + kTrap * traps, 2 * traps);
    return {};
  }
  Value access(const wasm::MemArg& mem) {
    const bool guarded = checks_[raw(mem.memory)] == code::MemoryCheck::guard;
    return guarded && mem.offset <= kGuardedOffset ? one(6) : trapping(10, 2);
  }
  Value atomic(const wasm::MemArg& mem) { return trapping(8, 3), access(mem); }
  /// Counts the end of a block, or a call: what is on the stack lives across it.
  void cross() { cost.live += height_; }
  void ret() { add(12 + 2 * type_->results.size(), 4); }
  void call(uint32_t instructions, uint32_t blocks, size_t args, std::span<Value> results) {
    add(instructions + args + results.size() * 3, blocks + (tries_.empty() ? 0 : 2));
    invoke();
    cost.operands = std::max(cost.operands, height_ + static_cast<uint32_t>(results.size()));
    ++cost.calls;
    cross();
  }
  /// Counts a tail call: it passes on as many stack words as the function itself has, once for code of the same context
  /// and once for other code.
  void tail_call(size_t args) { add(36 + 3 * args + 2 * uint64_t{stack_words_}, 9); }

  const wasm::Module& module_;
  const std::vector<code::MemoryCheck> checks_;
  const FuncType* type_ = nullptr;
  uint32_t stack_words_ = 0;  ///< of its parameters
  std::vector<Frame> frames_;
  std::vector<uint32_t> last_set_;  ///< of each local: when; 0: never
  uint32_t time_ = 0;
  uint32_t height_ = 0;
  uint32_t loops_ = 0;
  std::vector<uint32_t> tries_;  ///< the frames whose exceptions are caught by them, around what is counted
};

CostCounter::CostCounter(const wasm::Module& module, std::span<const uint8_t> bytes, const code::CodeSettings& settings)
    : module_(module),
      sink_(std::make_unique<Sink>(module, settings)),
      decoder_(std::make_unique<wasm::BodyDecoder<Sink>>(module, bytes, settings.features)) {}
CostCounter::~CostCounter() = default;

bool CostCounter::uses_floats() const { return decoder_->uses_floats(); }
uint32_t CostCounter::used_features() const { return decoder_->used_features(); }

Cost CostCounter::count(uint32_t defined_func) {
  const wasm::FunctionBody& body = module_.bodies[defined_func];
  sink_->cost = {.body_bytes = body.end - body.begin};
  (void)decoder_->decode(wasm::FuncIndex{defined_func + module_.imported_funcs}, *sink_);
  return sink_->cost;
}

// Returns upper bounds of what bench/compile_cost.cc measures.
Estimate estimate(const Cost& cost, Form form) {
  const uint64_t steps = cost.instructions + cost.phi_entries;
  const uint64_t fast_bytes = 400 * steps + 2000 * cost.blocks + 3000 * uint64_t{cost.calls};
  switch (form) {
    case Form::optimised: return {kFunctionBytes + 3 * fast_bytes, 100 + 25 * steps};
    case Form::fast: return {kFunctionBytes + fast_bytes, 50 + 10 * steps};
    case Form::frame: break;
  }
  return {kFunctionBytes + std::min(3 * fast_bytes, 8192 * cost.body_bytes), 50 + 100 * cost.body_bytes};
}

namespace {

/// Returns whether the terms that grow faster than the steps are within what the body's bytes allow.
bool may_be_optimised(const Cost& cost) {
  return cost.loop_depth <= kMaxLoopDepth && cost.used_locals <= kMaxUsedLocals && cost.blocks <= kMaxBlocks &&
         cost.body_bytes <= kMaxBodyBytes && cost.live <= kMaxLivePerByte * (cost.body_bytes + kBytesGiven);
}

}  // namespace

Result<Form> form_of(const Cost& cost, OptLevel opt, const code::CompileOptions& options, uint32_t func) {
  const uint64_t allowed = (cost.body_bytes + kBytesGiven) * options.settings.steps_per_byte;
  const bool few_steps = cost.instructions + cost.phi_entries <= allowed;
  Estimate last{};
  for (Form form : {Form::optimised, Form::fast, Form::frame}) {
    if (form == Form::optimised && (opt == OptLevel::o0 || !may_be_optimised(cost))) continue;
    if (form != Form::frame && !few_steps) continue;
    last = estimate(cost, form);
    bool in_time = options.settings.deadline_ms == 0 || last.cpu_us / 1000 <= options.settings.deadline_ms;
    if (in_time && last.memory_bytes <= options.memory->limit_bytes()) return form;
  }
  if (last.memory_bytes > options.memory->limit_bytes())
    return fail(ErrorKind::limit,
                fmt::format("compiling function {}, of {} bytes, may take {} bytes, over compile_memory_bytes of {}",
                            func, cost.body_bytes, last.memory_bytes, options.memory->limit_bytes()));
  return fail(ErrorKind::limit,
              fmt::format("compiling function {}, of {} bytes, may take {} ms, over compile_deadline_ms of {}", func,
                          cost.body_bytes, last.cpu_us / 1000, options.settings.deadline_ms));
}

}  // namespace rotor::jit
