// The body decoder: one loop over the instructions of a function, with a dispatch generated from opcodes.def, that
// types the stack (validate_body.h) and tells a sink (body_sink.h) what it read.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "rotor/config.h"
#include "wasm/body_reader.h"
#include "wasm/body_sink.h"
#include "wasm/decode_exceptions.h"
#include "wasm/decode_gc.h"
#include "wasm/features.h"
#include "wasm/limits.h"
#include "wasm/module.h"
#include "wasm/signature.h"
#include "wasm/validate_body.h"

namespace rotor::wasm {

/// Decodes and validates bodies of one module, one after another.
template <class Sink>
class BodyDecoder : private ExceptionDecoder<BodyDecoder<Sink>, typename Sink::Control>,
                    private GcDecoder<BodyDecoder<Sink>> {
 public:
  using Value = typename Sink::Value;
  using Control = typename Sink::Control;

  /// Module and bytes must outlive the decoder.
  BodyDecoder(const Module& module, std::span<const uint8_t> bytes, const Features& features)
      : module_(module), reader_(module, bytes, features), state_(module, reader_, locals_) {}
  BodyDecoder(const BodyDecoder&) = delete;
  BodyDecoder& operator=(const BodyDecoder&) = delete;

  /// Decodes one body. `func` is of the function index space (imports first) and defined in the module.
  Result<void> decode(FuncIndex func, Sink& sink) {
    assert(!module_.is_imported(func) && raw(func) - module_.imported_funcs < module_.bodies.size());
    sink_ = &sink;
    if (!function(func)) [[unlikely]]
      return std::unexpected(reader_.take_error());
    return {};
  }

  /// Returns one bit per Feature that the bodies decoded so far use.
  uint32_t used_features() const { return reader_.used(); }
  /// Returns whether the bodies decoded so far have instructions whose results may depend on the processor's
  /// floating-point control. All SIMD arithmetic is taken for that.
  bool uses_floats() const { return uses_floats_; }

 private:
  template <Opcode op>
  using Is = IsOpcode<op>;
  friend class ExceptionDecoder<BodyDecoder, Control>;
  friend class GcDecoder<BodyDecoder>;
  using ExceptionDecoder<BodyDecoder, Control>::on;
  using GcDecoder<BodyDecoder>::on;

  bool function(FuncIndex func) {
    const FunctionBody& body = module_.bodies[raw(func) - module_.imported_funcs];
    type_ = &module_.func_type(func);
    reader_.seek(body.begin);
    reader_.set_end(body.end);
    state_.reset();
    state_.set_offset(body.begin);
    locals_.types = type_->params;
    if (!reader_.locals(locals_.types)) return false;
    locals_.begin_function(type_->params.size());
    BlockSignature signature{.results_data = type_->results.data(),
                             .results_count = static_cast<uint32_t>(type_->results.size())};
    if (!state_.push_frame(FrameKind::function, signature)) return false;
    sink_->function_begin(state_.frame().control, func, *type_, locals_.types);
    while (state_.depth() != 0) {
      if (!instruction()) return false;
    }
    if (!reader_.at_end()) return reader_.fail(Message::section_size_mismatch, reader_.offset());
    sink_->function_end();
    return true;
  }

  bool instruction() {
    uint64_t offset = reader_.offset();
    state_.set_offset(offset);
    reader_.set_instr_offset(offset);
    uint32_t code = 0;
    if (!reader_.opcode(code)) return false;
    opcode_ = static_cast<Opcode>(code);
    if (live()) sink_->at(offset, state_.size(), opcode_);
    switch (opcode_) {
#define ROTOR_CASE_ON(code, Name, text, immediate, signature, feature) \
  case Opcode::Name: return reader_.template use<Feature::feature>() && on(Is<Opcode::Name>());
#define ROTOR_CASE(handler, Op, Name, signature, feature, ...) \
  case Opcode::Name:                                           \
    return reader_.template use<Feature::feature>() &&         \
           handler<parse_signature(#signature)>(Op::Name __VA_OPT__(, ) __VA_ARGS__);
#define ROTOR_OP_CONTROL ROTOR_CASE_ON
#define ROTOR_OP_PARAMETRIC ROTOR_CASE_ON
#define ROTOR_OP_VARIABLE ROTOR_CASE_ON
#define ROTOR_OP_REFERENCE ROTOR_CASE_ON
#define ROTOR_OP_TABLE ROTOR_CASE_ON
#define ROTOR_OP_MEMORY ROTOR_CASE_ON
#define ROTOR_OP_CONST ROTOR_CASE_ON
#define ROTOR_OP_NUMERIC(code, Name, text, immediate, signature, feature) \
  ROTOR_CASE(numeric, NumericOp, Name, signature, feature)
#define ROTOR_OP_LOAD(code, Name, text, immediate, signature, feature) \
  ROTOR_CASE(load, LoadOp, Name, signature, feature, natural_align_log2(#immediate))
#define ROTOR_OP_STORE(code, Name, text, immediate, signature, feature) \
  ROTOR_CASE(store, StoreOp, Name, signature, feature, natural_align_log2(#immediate))
#define ROTOR_OP_ATOMIC_WAIT(code, Name, text, immediate, signature, feature) \
  ROTOR_CASE(atomic_wait_notify, AtomicWaitOp, Name, signature, feature, natural_align_log2(#immediate))
#define ROTOR_OP_ATOMIC_LOAD(code, Name, text, immediate, signature, feature) \
  ROTOR_CASE(atomic_load, AtomicLoadOp, Name, signature, feature, natural_align_log2(#immediate))
#define ROTOR_OP_ATOMIC_STORE(code, Name, text, immediate, signature, feature) \
  ROTOR_CASE(atomic_store, AtomicStoreOp, Name, signature, feature, natural_align_log2(#immediate))
#define ROTOR_OP_ATOMIC_RMW(code, Name, text, immediate, signature, feature) \
  ROTOR_CASE(atomic_rmw, AtomicRmwOp, Name, signature, feature, natural_align_log2(#immediate))
#define ROTOR_OP_ATOMIC_CMPXCHG(code, Name, text, immediate, signature, feature) \
  ROTOR_CASE(atomic_cmpxchg, AtomicCmpxchgOp, Name, signature, feature, natural_align_log2(#immediate))
#define ROTOR_OP_TAIL_CALL ROTOR_CASE_ON
#define ROTOR_OP_FUNCTION_REF ROTOR_CASE_ON
#define ROTOR_OP_WIDE ROTOR_CASE_ON
#define ROTOR_OP_EXCEPTION ROTOR_CASE_ON
#define ROTOR_OP_GC ROTOR_CASE_ON
#define ROTOR_OP_SIMD_CONST ROTOR_CASE_ON
#define ROTOR_OP_SIMD_SHUFFLE ROTOR_CASE_ON
#define ROTOR_OP_SIMD_LOAD(code, Name, text, immediate, signature, feature) \
  ROTOR_CASE(simd_load, SimdLoadOp, Name, signature, feature, natural_align_log2(#immediate))
#define ROTOR_OP_SIMD_STORE(code, Name, text, immediate, signature, feature) \
  ROTOR_CASE(simd_store, SimdStoreOp, Name, signature, feature, natural_align_log2(#immediate))
#define ROTOR_OP_SIMD_LOAD_LANE(code, Name, text, immediate, signature, feature)                       \
  ROTOR_CASE(simd_load_lane, SimdLoadLaneOp, Name, signature, feature, natural_align_log2(#immediate), \
             lanes_of(#immediate))
#define ROTOR_OP_SIMD_STORE_LANE(code, Name, text, immediate, signature, feature)                        \
  ROTOR_CASE(simd_store_lane, SimdStoreLaneOp, Name, signature, feature, natural_align_log2(#immediate), \
             lanes_of(#immediate))
#define ROTOR_OP_SIMD_LANE(code, Name, text, immediate, signature, feature) \
  ROTOR_CASE(simd_lane, SimdLaneOp, Name, signature, feature, lanes_of(#immediate))
#define ROTOR_OP_SIMD_NUMERIC(code, Name, text, immediate, signature, feature) \
  ROTOR_CASE(simd_numeric, SimdNumericOp, Name, signature, feature)
#include "wasm/opcodes.def"
#undef ROTOR_CASE_ON
#undef ROTOR_CASE
    }
    return reader_.fail_opcode(offset, code);
  }

  bool live() const { return state_.live(); }
  bool all_match(std::span<const ValType> actual, std::span<const ValType> wanted) const {
    return std::ranges::equal(actual, wanted, [this](ValType a, ValType b) { return matches(module_, a, b); });
  }

  /// Replaces the topmost `operands` by one result.
  bool replace(uint32_t operands, ValType type, Value value) {
    state_.drop(operands);
    state_.push(type, value);
    return true;
  }
  bool finish(uint32_t operands) {
    state_.drop(operands);
    return true;
  }
  bool require_one(ValType type) { return state_.require({&type, 1}); }
  ValType index_type(MemoryIndex memory) const { return wasm::index_type(module_.memories[raw(memory)]); }
  ValType index_type(TableIndex table) const { return wasm::index_type(module_.tables[raw(table)].type); }
  /// Requires the operands of an access; `signature` is that for a 32-bit memory.
  template <OpcodeSignature signature>
  bool require_access(const MemArg& mem) {
    if (!module_.memories[raw(mem.memory)].is64) [[likely]]
      return state_.require(kParams<signature>);
    constexpr auto kParams64 = [] {
      auto params = kParams<signature>;
      params[0] = ValType::i64;
      return params;
    }();
    return state_.require(kParams64);
  }
  /// Require the operands of bulk instructions: destination, source, size. The size of a copy has the smaller of the
  /// two index types.
  bool require_init(ValType index) { return state_.require(std::array{index, ValType::i32, ValType::i32}); }
  bool require_copy(ValType dst, ValType src) {
    return state_.require(std::array{dst, src, dst == ValType::i64 ? src : dst});
  }

  // Plain instructions, by group.

  /// Reports an instruction whose operands were already required: `event(operands)` returns its result, if it has one.
  template <OpcodeSignature signature, class Event>
  bool apply(Event event) {
    constexpr uint32_t count = signature.params_count;
    if constexpr (signature.result == 0) {
      if (live()) event(state_.window(count));
      return finish(count);
    } else {
      Value result = live() ? event(state_.window(count)) : Value{};
      return replace(count, kResult<signature>, result);
    }
  }
  /// Reads and requires what a memory access takes and reports the access through `event(mem, operands)`, like apply.
  template <OpcodeSignature signature, class Event>
  bool access(uint32_t natural, bool exact, Event event) {
    MemArg mem;
    if (!reader_.mem_arg(natural, exact, mem) || !require_access<signature>(mem)) return false;
    return apply<signature>([&](auto v) { return event(mem, v); });
  }
  /// Does the same for an access to one lane, through `event(mem, lane, operands)`.
  template <OpcodeSignature signature, class Event>
  bool access_lane(uint32_t natural, uint8_t lanes, Event event) {
    MemArg mem;
    uint8_t lane = 0;
    if (!reader_.mem_arg(natural, false, mem) || !reader_.lane_index(lanes, lane)) return false;
    if (!require_access<signature>(mem)) return false;
    return apply<signature>([&](auto v) { return event(mem, lane, v); });
  }

  template <OpcodeSignature signature>
  bool numeric(NumericOp op) {
    if constexpr (has_float(signature)) uses_floats_ = true;
    if (!state_.require(kParams<signature>)) return false;
    return apply<signature>([&](auto v) { return sink_->numeric(op, v); });
  }
  template <OpcodeSignature signature>
  bool load(LoadOp op, uint32_t natural) {
    return access<signature>(natural, false, [&](auto& mem, auto v) { return sink_->load(op, mem, v[0]); });
  }
  template <OpcodeSignature signature>
  bool store(StoreOp op, uint32_t natural) {
    return access<signature>(natural, false, [&](auto& mem, auto v) { sink_->store(op, mem, v[0], v[1]); });
  }
  template <OpcodeSignature signature>
  bool atomic_load(AtomicLoadOp op, uint32_t natural) {
    return access<signature>(natural, true, [&](auto& mem, auto v) { return sink_->atomic_load(op, mem, v[0]); });
  }
  template <OpcodeSignature signature>
  bool atomic_store(AtomicStoreOp op, uint32_t natural) {
    return access<signature>(natural, true, [&](auto& mem, auto v) { sink_->atomic_store(op, mem, v[0], v[1]); });
  }
  template <OpcodeSignature signature>
  bool atomic_rmw(AtomicRmwOp op, uint32_t natural) {
    return access<signature>(natural, true, [&](auto& mem, auto v) { return sink_->atomic_rmw(op, mem, v[0], v[1]); });
  }
  template <OpcodeSignature signature>
  bool atomic_cmpxchg(AtomicCmpxchgOp op, uint32_t natural) {
    return access<signature>(natural, true,
                             [&](auto& mem, auto v) { return sink_->atomic_cmpxchg(op, mem, v[0], v[1], v[2]); });
  }
  template <OpcodeSignature signature>
  bool atomic_wait_notify(AtomicWaitOp op, uint32_t natural) {
    if constexpr (signature.params_count == 0) {  // atomic.fence: its immediate is a reserved byte
      if (!reader_.zero_byte()) return false;
      if (live()) sink_->atomic_fence();
      return true;
    } else {
      return access<signature>(natural, true, [&](auto& mem, auto v) { return sink_->atomic_wait_notify(op, mem, v); });
    }
  }

  // SIMD.
  template <OpcodeSignature signature>
  bool simd_load(SimdLoadOp op, uint32_t natural) {
    return access<signature>(natural, false, [&](auto& mem, auto v) { return sink_->simd_load(op, mem, v[0]); });
  }
  template <OpcodeSignature signature>
  bool simd_store(SimdStoreOp op, uint32_t natural) {
    return access<signature>(natural, false, [&](auto& mem, auto v) { sink_->simd_store(op, mem, v[0], v[1]); });
  }
  template <OpcodeSignature signature>
  bool simd_load_lane(SimdLoadLaneOp op, uint32_t natural, uint8_t lanes) {
    return access_lane<signature>(natural, lanes, [&](auto& mem, uint8_t lane, auto v) {
      return sink_->simd_load_lane(op, mem, lane, v[0], v[1]);
    });
  }
  template <OpcodeSignature signature>
  bool simd_store_lane(SimdStoreLaneOp op, uint32_t natural, uint8_t lanes) {
    return access_lane<signature>(
        natural, lanes, [&](auto& mem, uint8_t lane, auto v) { sink_->simd_store_lane(op, mem, lane, v[0], v[1]); });
  }
  template <OpcodeSignature signature>
  bool simd_lane(SimdLaneOp op, uint8_t lanes) {
    uint8_t lane = 0;
    if (!reader_.lane_index(lanes, lane) || !state_.require(kParams<signature>)) return false;
    return apply<signature>([&](auto v) { return sink_->simd_lane(op, lane, v); });
  }
  template <OpcodeSignature signature>
  bool simd_numeric(SimdNumericOp op) {
    uses_floats_ = true;
    if (!state_.require(kParams<signature>)) return false;
    return apply<signature>([&](auto v) { return sink_->simd_numeric(op, v); });
  }
  bool on(Is<Opcode::V128Const>) {
    V128 value;
    if (!reader_.v128(value)) return false;
    state_.push(ValType::v128, live() ? sink_->simd_constant(value) : Value{});
    return true;
  }
  bool on(Is<Opcode::I8x16Shuffle>) {
    std::array<uint8_t, 16> lanes;
    if (!reader_.shuffle_lanes(lanes) || !state_.require(std::array{ValType::v128, ValType::v128})) return false;
    auto operands = state_.window(2);
    return replace(2, ValType::v128, live() ? sink_->simd_shuffle(lanes, operands[0], operands[1]) : Value{});
  }

  // Structured control.
  bool on(Is<Opcode::Unreachable>) {
    if (live()) sink_->unreachable();
    state_.set_unreachable();
    return true;
  }
  bool on(Is<Opcode::Nop>) { return true; }
  bool on(Is<Opcode::Block>) {
    BlockSignature type;
    if (!reader_.block_type(type) || !state_.require(type.params()) || !state_.push_frame(FrameKind::block, type)) {
      return false;
    }
    if (live()) sink_->block(state_.frame().control, type, state_.window(type.params_count));
    return true;
  }
  bool on(Is<Opcode::Loop>) {
    BlockSignature type;
    if (!reader_.block_type(type) || !state_.require(type.params()) || !state_.push_frame(FrameKind::loop, type)) {
      return false;
    }
    if (live()) sink_->loop(state_.frame().control, type, state_.window(type.params_count));
    return true;
  }
  bool on(Is<Opcode::If>) {
    BlockSignature type;
    if (!reader_.block_type(type) || !require_one(ValType::i32)) return false;
    Value condition = state_.top();
    state_.drop(1);
    if (!state_.require(type.params()) || !state_.push_frame(FrameKind::if_, type)) return false;
    if (live()) sink_->if_(state_.frame().control, type, condition, state_.window(type.params_count));
    return true;
  }
  bool on(Is<Opcode::Else>) {
    auto& frame = state_.frame();
    if (frame.kind != FrameKind::if_) return reader_.fail(Message::misplaced_else, state_.offset());
    return begin_arm(FrameKind::else_, frame.type.params(), [this](auto&... args) { sink_->else_(args...); });
  }
  bool on(Is<Opcode::End>) {
    auto& frame = state_.frame();
    if (!state_.check_block_end()) return false;
    if (frame.kind == FrameKind::if_ && !all_match(frame.type.params(), frame.type.results())) {
      return reader_.fail_detail(Message::type_mismatch, state_.offset(),
                                 "an if without else must have the same parameters and results");
    }
    return end_block([this](auto&... args) { sink_->end(args...); });
  }
  /// Ends the current part of a block, and begins the next one, of this kind, with operands of these types. If the
  /// block is live, calls `event(control, reachable, results, operands)`; see EmptySink::else_.
  template <class Event>
  bool begin_arm(FrameKind kind, std::span<const ValType> types, Event event) {
    if (!state_.check_block_end()) return false;
    auto& frame = state_.frame();
    // The next part's operands are put above this one's results, which then go.
    uint32_t count = frame.type.results_count, params = static_cast<uint32_t>(types.size());
    if (!state_.push_types(types)) return false;
    if (frame.live_on_entry) {
      bool reachable = live();
      if (!reachable) sink_->at(state_.offset(), state_.size(), opcode_);
      auto results = state_.window(count + params).first(count), operands = state_.window(params);
      event(frame.control, reachable, results, operands);
    }
    state_.drop_below(params, count);
    state_.begin_arm(kind);
    return true;
  }
  /// Ends a block, whose end was checked. If it is live, calls `event(control, reachable, fallthrough, results)`; see
  /// EmptySink::end.
  template <class Event>
  bool end_block(Event event) {
    auto& frame = state_.frame();
    const BlockSignature& type = frame.type;
    uint32_t fallthrough = type.results_count;
    uint32_t results = frame.kind == FrameKind::function ? 0 : fallthrough;
    if (results != 0 && !state_.push_types(type.results())) return false;
    if (frame.live_on_entry) {
      bool reachable = live();
      if (!reachable) sink_->at(state_.offset(), state_.size(), opcode_);
      auto passed = state_.window(fallthrough + results).first(fallthrough), taken = state_.window(results);
      event(frame.control, reachable, passed, taken);
      bool has_other_path = frame.kind == FrameKind::if_ || (frame.kind != FrameKind::loop && frame.branched);
      state_.set_live(live() || has_other_path);
    }
    state_.drop_below(results, fallthrough);
    state_.pop_frame();
    return true;
  }

  // Branches and calls.
  using FrameType = Frame<Control>;

  /// Reads a label and returns its frame; nullptr after an error.
  FrameType* label() {
    uint64_t start = reader_.offset();
    uint32_t index = 0;
    if (!reader_.u32(index)) return nullptr;
    if (index >= state_.depth()) [[unlikely]] {
      reader_.fail_index(Message::unknown_label, start, index);
      return nullptr;
    }
    return &state_.label(index);
  }
  bool on(Is<Opcode::Br>) {
    FrameType* target = label();
    if (!target || !state_.require(target->label_types())) return false;
    if (live()) {
      target->branched = true;
      sink_->br(target->control, state_.window(target->label_types().size()));
    }
    state_.set_unreachable();
    return true;
  }
  bool on(Is<Opcode::BrIf>) {
    FrameType* target = label();
    if (!target || !require_one(ValType::i32)) return false;
    Value condition = state_.top();
    state_.drop(1);
    if (!state_.require(target->label_types())) return false;
    if (live()) {
      target->branched = true;
      sink_->br_if(target->control, condition, state_.window(target->label_types().size()));
    }
    return true;
  }
  bool on(Is<Opcode::BrTable>) {
    uint64_t start = reader_.offset();
    uint32_t count = 0;
    if (!reader_.count(count)) return false;
    if (count > kMaxBrTableTargets)
      return reader_.fail_limit(Message::limit_br_table, start, count, kMaxBrTableTargets);
    if (!require_one(ValType::i32)) return false;
    Value index = state_.top();
    state_.drop(1);
    targets_.clear();
    uint32_t arity = 0, number = state_.next_br_table();
    for (uint32_t i = 0; i <= count; ++i) {
      FrameType* target = label();
      if (!target) return false;
      uint32_t target_arity = static_cast<uint32_t>(target->label_types().size());
      if (i == 0) arity = target_arity;
      if (arity != target_arity) {
        return reader_.fail_detail(Message::type_mismatch, state_.offset(),
                                   "labels differ in their number of operands");
      }
      if (target->seen_by != number && !state_.check(target->label_types())) return false;
      target->seen_by = number;
      if (live()) {
        target->branched = true;
        targets_.push_back(&target->control);
      }
    }
    if (live()) sink_->br_table(index, targets_, state_.window(arity));
    state_.set_unreachable();
    return true;
  }
  bool on(Is<Opcode::Return>) {
    if (!state_.require(type_->results)) return false;
    if (live()) sink_->return_(state_.window(static_cast<uint32_t>(type_->results.size())));
    state_.set_unreachable();
    return true;
  }
  /// Checks the arguments, makes room for the results above them, calls `emit(args, results)` if the code is live, and
  /// drops the arguments.
  template <class Emit>
  bool call(const FuncType& type, Emit&& emit) {
    if (!state_.require(type.params) || !state_.push_types(type.results)) return false;
    uint32_t params = static_cast<uint32_t>(type.params.size()), results = static_cast<uint32_t>(type.results.size());
    if (live()) emit(state_.window(params + results).first(params), state_.window(results));
    state_.drop_below(results, params);
    return true;
  }
  bool on(Is<Opcode::Call>) {
    FuncIndex func{};
    if (!reader_.func_index(func)) return false;
    const FuncType& type = module_.func_type(func);
    return call(type,
                [&](std::span<const Value> args, std::span<Value> results) { sink_->call(func, type, args, results); });
  }
  /// Reads the type and the table of a call_indirect, and takes its operand, the index, off the stack.
  bool indirect_callee(TypeIndex& type_index, TableIndex& table, Value& index) {
    if (!reader_.func_type_index(type_index) || !reader_.table_index(table)) return false;
    ValType element = table_type(table);
    if (!matches(module_, element, ValType::funcref)) return fail_element(element, ValType::funcref);
    if (!require_one(index_type(table))) return false;
    index = state_.top();
    state_.drop(1);
    return true;
  }
  bool on(Is<Opcode::CallIndirect>) {
    TypeIndex type_index{};
    TableIndex table{};
    Value index{};
    if (!indirect_callee(type_index, table, index)) return false;
    const FuncType& type = module_.func_type(type_index);
    return call(type, [&](std::span<const Value> args, std::span<Value> results) {
      sink_->call_indirect(table, type_index, type, index, args, results);
    });
  }

  /// Checks that a tail call's results are the function's, and its arguments; calls `emit(args)` if the code is live,
  /// and makes the rest of the block unreachable.
  template <class Emit>
  bool tail_call(const FuncType& type, Emit&& emit) {
    if (!all_match(type.results, type_->results)) {
      return reader_.fail_detail(Message::type_mismatch, state_.offset(),
                                 "the callee's results are not the function's");
    }
    if (!state_.require(type.params)) return false;
    if (live()) emit(state_.window(static_cast<uint32_t>(type.params.size())));
    state_.set_unreachable();
    return true;
  }
  bool on(Is<Opcode::ReturnCall>) {
    FuncIndex func{};
    if (!reader_.func_index(func)) return false;
    const FuncType& type = module_.func_type(func);
    return tail_call(type, [&](std::span<const Value> args) { sink_->return_call(func, type, args); });
  }
  bool on(Is<Opcode::ReturnCallIndirect>) {
    TypeIndex type_index{};
    TableIndex table{};
    Value index{};
    if (!indirect_callee(type_index, table, index)) return false;
    const FuncType& type = module_.func_type(type_index);
    return tail_call(
        type, [&](std::span<const Value> args) { sink_->return_call_indirect(table, type_index, type, index, args); });
  }
  /// Takes the operand of a call_ref off the stack: `ref` gets its value, `operand` its type, which may be non-null.
  bool callee(TypeIndex& type_index, ValType& operand, Value& ref) {
    if (!reader_.func_type_index(type_index)) return false;
    ValType wanted = module_.ref_type(type_index).nullable_form();
    operand = state_.has_operand() ? state_.top_type() : wanted;
    if (!require_one(wanted)) return false;
    ref = state_.top();
    state_.drop(1);
    return true;
  }
  bool on(Is<Opcode::CallRef>) {
    TypeIndex type_index{};
    ValType operand;
    Value ref{};
    if (!callee(type_index, operand, ref)) return false;
    const FuncType& type = module_.func_type(type_index);
    return call(type, [&](std::span<const Value> args, std::span<Value> results) {
      sink_->call_ref(type, operand, ref, args, results);
    });
  }
  bool on(Is<Opcode::ReturnCallRef>) {
    TypeIndex type_index{};
    ValType operand;
    Value ref{};
    if (!callee(type_index, operand, ref)) return false;
    const FuncType& type = module_.func_type(type_index);
    return tail_call(type, [&](std::span<const Value> args) { sink_->return_call_ref(type, operand, ref, args); });
  }

  /// Requires a reference of any type on top of the stack; unreachable code provides one of the bottom type.
  bool require_ref(ValType& type) {
    if (!state_.require_any(type)) return false;
    if (type.is_bottom()) type = ValType::ref(HeapType::Abstract::bottom, /*nullable=*/false);
    if (type.is_ref()) return true;
    return reader_.fail_stack(state_.offset(), std::array{ValType::funcref}, std::array{type});
  }
  bool on(Is<Opcode::RefAsNonNull>) {
    ValType type;
    if (!require_ref(type)) return false;
    return replace(1, type.non_null(), live() ? sink_->ref_as_non_null(type, state_.top()) : Value{});
  }
  bool on(Is<Opcode::BrOnNull>) {
    FrameType* target = label();
    ValType type;
    if (!target || !require_ref(type)) return false;
    Value ref = state_.top();
    state_.drop(1);
    if (!state_.require(target->label_types())) return false;
    if (live()) {
      target->branched = true;
      sink_->br_on_null(target->control, type, ref, state_.window(target->label_types().size()));
    }
    state_.push(type.non_null(), ref);
    return true;
  }
  bool on(Is<Opcode::BrOnNonNull>) {
    FrameType* target = label();
    ValType type;
    if (!target || !require_ref(type)) return false;
    auto wanted = target->label_types();
    if (wanted.empty() || !wanted.back().is_ref()) {
      return reader_.fail_detail(Message::type_mismatch, state_.offset(), "the label takes no reference");
    }
    // Only the branch passes the reference on, typed as non-null.
    replace(1, type.non_null(), state_.top());
    if (!state_.require(wanted)) return false;
    if (live()) {
      target->branched = true;
      sink_->br_on_non_null(target->control, type, state_.top(), state_.window(wanted.size()));
    }
    return finish(1);
  }

  // Parametric, variables, references.
  bool on(Is<Opcode::Drop>) {
    ValType type;
    return state_.require_any(type) && finish(1);
  }
  bool on(Is<Opcode::Select>) {
    if (!require_one(ValType::i32)) return false;
    Value condition = state_.top();
    state_.drop(1);
    ValType second, first;
    if (!state_.require_any(second)) return false;
    Value if_false = state_.top();
    state_.drop(1);
    if (!state_.require_any(first)) return false;
    ValType type = first.is_bottom() ? second : first;
    bool same = first == second || first.is_bottom() || second.is_bottom();
    if (!same || type.is_ref()) {
      return reader_.fail_stack(state_.offset(), std::array{ValType::i32, ValType::i32}, std::array{first, second});
    }
    return replace(1, type, live() ? sink_->select(type, condition, state_.top(), if_false) : Value{});
  }
  bool on(Is<Opcode::SelectT>) {
    ValType type;
    if (!reader_.select_type(type) || !state_.require(std::array{type, type, ValType::i32})) return false;
    auto operands = state_.window(3);
    return replace(3, type, live() ? sink_->select(type, operands[2], operands[0], operands[1]) : Value{});
  }
  bool local_index(LocalIndex& out) {
    uint64_t start = reader_.offset();
    uint32_t index = 0;
    if (!reader_.u32(index)) return false;
    if (index >= locals_.types.size()) [[unlikely]]
      return reader_.fail_index(Message::unknown_local, start, index);
    out = LocalIndex(index);
    return true;
  }
  bool on(Is<Opcode::LocalGet>) {
    LocalIndex index{};
    if (!local_index(index)) return false;
    ValType type = locals_.types[raw(index)];
    if (!type.is_defaultable() && !locals_.is_initialized(index)) [[unlikely]]
      return reader_.fail_index(Message::uninitialized_local, state_.offset(), raw(index));
    state_.push(type, live() ? sink_->local_get(index, type) : Value{});
    return true;
  }
  bool on(Is<Opcode::LocalSet>) {
    LocalIndex index{};
    return local_index(index) && set_local(index) && finish(1);
  }
  bool on(Is<Opcode::LocalTee>) {
    LocalIndex index{};
    return local_index(index) && set_local(index);
  }
  bool set_local(LocalIndex index) {
    ValType type = locals_.types[raw(index)];
    if (!require_one(type)) return false;
    if (!type.is_defaultable()) locals_.initialize(index);
    if (live()) sink_->local_set(index, type, state_.top());
    return true;
  }
  bool on(Is<Opcode::GlobalGet>) {
    GlobalIndex index{};
    if (!reader_.global_index(index)) return false;
    const GlobalType& type = module_.globals[raw(index)].type;
    state_.push(type.value, live() ? sink_->global_get(index, type) : Value{});
    return true;
  }
  bool on(Is<Opcode::GlobalSet>) {
    GlobalIndex index{};
    if (!reader_.global_index(index)) return false;
    const GlobalType& type = module_.globals[raw(index)].type;
    if (!type.is_mutable) return reader_.fail(Message::immutable_global, state_.offset());
    if (!require_one(type.value)) return false;
    if (live()) sink_->global_set(index, type, state_.top());
    return finish(1);
  }
  bool on(Is<Opcode::RefNull>) {
    ValType type;
    if (!reader_.ref_null_type(type)) return false;
    state_.push(type, live() ? sink_->ref_null(type) : Value{});
    return true;
  }
  bool on(Is<Opcode::RefIsNull>) {
    ValType type;
    if (!state_.require_any(type)) return false;
    if (!type.is_ref() && !type.is_bottom()) {
      return reader_.fail_stack(state_.offset(), std::array{ValType::funcref}, std::array{type});
    }
    return replace(1, ValType::i32, live() ? sink_->ref_is_null(type, state_.top()) : Value{});
  }
  bool on(Is<Opcode::RefFunc>) {
    FuncIndex func{};
    if (!reader_.func_index(func)) return false;
    if (!module_.declared_funcs[raw(func)]) return reader_.fail(Message::undeclared_function, state_.offset());
    state_.push(module_.ref_type(module_.funcs[raw(func)]), live() ? sink_->ref_func(func) : Value{});
    return true;
  }

  // Constants.
  bool constant(ValType type, uint64_t bits) {
    state_.push(type, live() ? sink_->constant(type, bits) : Value{});
    return true;
  }
  bool on(Is<Opcode::I32Const>) {
    int32_t value = 0;
    return reader_.s32(value) && constant(ValType::i32, static_cast<uint32_t>(value));
  }
  bool on(Is<Opcode::I64Const>) {
    int64_t value = 0;
    return reader_.s64(value) && constant(ValType::i64, static_cast<uint64_t>(value));
  }
  bool on(Is<Opcode::F32Const>) {
    uint32_t bits = 0;
    return reader_.f32_bits(bits) && constant(ValType::f32, bits);
  }
  bool on(Is<Opcode::F64Const>) {
    uint64_t bits = 0;
    return reader_.f64_bits(bits) && constant(ValType::f64, bits);
  }

  // 128-bit integers, as pairs of i64 with the low half first.
  bool wide(WideOp op, uint32_t operands) {
    constexpr std::array kWide{ValType::i64, ValType::i64, ValType::i64, ValType::i64};
    std::array<Value, 2> results{};
    if (!state_.require(std::span(kWide).first(operands))) return false;
    if (live()) sink_->wide(op, state_.window(operands), results);
    state_.drop(operands);
    for (const Value& result : results) state_.push(ValType::i64, result);
    return true;
  }
  bool on(Is<Opcode::I64Add128>) { return wide(WideOp::I64Add128, 4); }
  bool on(Is<Opcode::I64Sub128>) { return wide(WideOp::I64Sub128, 4); }
  bool on(Is<Opcode::I64MulWideS>) { return wide(WideOp::I64MulWideS, 2); }
  bool on(Is<Opcode::I64MulWideU>) { return wide(WideOp::I64MulWideU, 2); }

  // Memory.
  bool on(Is<Opcode::MemorySize>) {
    MemoryIndex memory{};
    if (!reader_.memory_index(memory)) return false;
    state_.push(index_type(memory), live() ? sink_->memory_size(memory) : Value{});
    return true;
  }
  bool on(Is<Opcode::MemoryGrow>) {
    MemoryIndex memory{};
    if (!reader_.memory_index(memory) || !require_one(index_type(memory))) return false;
    return replace(1, index_type(memory), live() ? sink_->memory_grow(memory, state_.top()) : Value{});
  }
  bool on(Is<Opcode::MemoryInit>) {
    DataIndex segment{};
    MemoryIndex memory{};
    if (!reader_.data_index(segment) || !reader_.memory_index(memory) || !reader_.known(segment)) return false;
    if (!require_init(index_type(memory))) return false;
    auto args = state_.window(3);
    if (live()) sink_->memory_init(memory, segment, args[0], args[1], args[2]);
    return finish(3);
  }
  bool on(Is<Opcode::DataDrop>) {
    DataIndex segment{};
    if (!reader_.data_index(segment) || !reader_.known(segment)) return false;
    if (live()) sink_->data_drop(segment);
    return true;
  }
  bool on(Is<Opcode::MemoryCopy>) {
    MemoryIndex dst{}, src{};
    if (!reader_.memory_index(dst) || !reader_.memory_index(src)) return false;
    if (!require_copy(index_type(dst), index_type(src))) return false;
    auto args = state_.window(3);
    if (live()) sink_->memory_copy(dst, src, args[0], args[1], args[2]);
    return finish(3);
  }
  bool on(Is<Opcode::MemoryFill>) {
    MemoryIndex memory{};
    if (!reader_.memory_index(memory)) return false;
    if (!state_.require(std::array{index_type(memory), ValType::i32, index_type(memory)})) return false;
    auto args = state_.window(3);
    if (live()) sink_->memory_fill(memory, args[0], args[1], args[2]);
    return finish(3);
  }

  // Tables.
  ValType table_type(TableIndex table) const { return module_.tables[raw(table)].type.element; }
  bool fail_element(ValType actual, ValType wanted) {
    return reader_.fail_detail(Message::type_mismatch, state_.offset(),
                               "elements are " + to_string(actual) + ", not " + to_string(wanted));
  }
  bool on(Is<Opcode::TableGet>) {
    TableIndex table{};
    if (!reader_.table_index(table) || !require_one(index_type(table))) return false;
    ValType type = table_type(table);
    return replace(1, type, live() ? sink_->table_get(table, type, state_.top()) : Value{});
  }
  bool on(Is<Opcode::TableSet>) {
    TableIndex table{};
    if (!reader_.table_index(table)) return false;
    ValType type = table_type(table);
    if (!state_.require(std::array{index_type(table), type})) return false;
    auto args = state_.window(2);
    if (live()) sink_->table_set(table, type, args[0], args[1]);
    return finish(2);
  }
  bool on(Is<Opcode::TableInit>) {
    ElemIndex segment{};
    TableIndex table{};
    if (!reader_.elem_index(segment) || !reader_.table_index(table) || !reader_.known(segment)) return false;
    ValType type = module_.elements[raw(segment)].type;
    if (!matches(module_, type, table_type(table))) return fail_element(type, table_type(table));
    if (!require_init(index_type(table))) return false;
    auto args = state_.window(3);
    if (live()) sink_->table_init(table, segment, args[0], args[1], args[2]);
    return finish(3);
  }
  bool on(Is<Opcode::ElemDrop>) {
    ElemIndex segment{};
    if (!reader_.elem_index(segment) || !reader_.known(segment)) return false;
    if (live()) sink_->elem_drop(segment);
    return true;
  }
  bool on(Is<Opcode::TableCopy>) {
    TableIndex dst{}, src{};
    if (!reader_.table_index(dst) || !reader_.table_index(src)) return false;
    if (!matches(module_, table_type(src), table_type(dst))) return fail_element(table_type(src), table_type(dst));
    if (!require_copy(index_type(dst), index_type(src))) return false;
    auto args = state_.window(3);
    if (live()) sink_->table_copy(dst, src, args[0], args[1], args[2]);
    return finish(3);
  }
  bool on(Is<Opcode::TableGrow>) {
    TableIndex table{};
    if (!reader_.table_index(table)) return false;
    ValType type = table_type(table);
    if (!state_.require(std::array{type, index_type(table)})) return false;
    auto args = state_.window(2);
    return replace(2, index_type(table), live() ? sink_->table_grow(table, type, args[0], args[1]) : Value{});
  }
  bool on(Is<Opcode::TableSize>) {
    TableIndex table{};
    if (!reader_.table_index(table)) return false;
    state_.push(index_type(table), live() ? sink_->table_size(table) : Value{});
    return true;
  }
  bool on(Is<Opcode::TableFill>) {
    TableIndex table{};
    if (!reader_.table_index(table)) return false;
    ValType type = table_type(table);
    if (!state_.require(std::array{index_type(table), type, index_type(table)})) return false;
    auto args = state_.window(3);
    if (live()) sink_->table_fill(table, type, args[0], args[1], args[2]);
    return finish(3);
  }

  const Module& module_;
  BodyReader reader_;
  BodyState<Value, Control> state_;
  Sink* sink_ = nullptr;
  const FuncType* type_ = nullptr;
  Locals locals_;
  std::vector<Control*> targets_;
  bool uses_floats_ = false;
  Opcode opcode_ = Opcode::Nop;  ///< of the instruction at hand
};

}  // namespace rotor::wasm
