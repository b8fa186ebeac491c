#include "wasm/decode_body.h"

#include <gtest/gtest.h>

#include "wasm/decode_module.h"
#include "wasm/testing/module.h"

namespace rotor::wasm {
namespace {

using namespace test;

/// Writes each event as a line; values are numbered as they are made.
struct TraceSink {
  using Value = int;
  struct Control {
    std::string name = "?";
  };
  std::string trace;
  int next = 1;
  int blocks = 0;

  void line(const std::string& text) { trace += text + "\n"; }
  static std::string list(std::span<const Value> values) {
    std::string text = "(";
    for (size_t i = 0; i < values.size(); ++i) text += (i ? " v" : "v") + std::to_string(values[i]);
    return text + ")";
  }
  static std::string v(Value value) { return "v" + std::to_string(value); }
  Value define(const std::string& text) {
    line(v(next) + " = " + text);
    return next++;
  }
  void define(const std::string& text, std::span<Value> out) {
    for (Value& value : out) value = next++;
    line(text + (out.empty() ? "" : " -> " + list(out)));
  }
  std::string start(Control& control, const char* kind) { return control.name = kind + std::to_string(++blocks); }

  void function_begin(Control& frame, FuncIndex, const FuncType&, std::span<const ValType> locals) {
    frame.name = "function";
    line("begin locals " + std::to_string(locals.size()));
  }
  void function_end() { line("function_end"); }
  void at(uint64_t, uint32_t, Opcode) {}
  void block(Control& c, const BlockSignature&, std::span<const Value> params) {
    line(start(c, "block") + list(params));
  }
  void loop(Control& c, const BlockSignature&, std::span<Value> params) {
    std::string text = start(c, "loop") + list(params);
    define(text, params);
  }
  void if_(Control& c, const BlockSignature&, Value condition, std::span<const Value> params) {
    line(start(c, "if") + " " + v(condition) + " " + list(params));
  }
  void else_(Control& c, bool reachable, std::span<const Value> results, std::span<Value> params) {
    define("else " + c.name + (reachable ? " " + list(results) : " unreachable"), params);
  }
  void end(Control& c, bool reachable, std::span<const Value> fallthrough, std::span<Value> results) {
    define("end " + c.name + (reachable ? " " + list(fallthrough) : " unreachable"), results);
  }
  void br(Control& c, std::span<const Value> args) { line("br " + c.name + " " + list(args)); }
  void br_if(Control& c, Value condition, std::span<const Value> args) {
    line("br_if " + c.name + " " + v(condition) + " " + list(args));
  }
  void br_table(Value index, std::span<Control* const> targets, std::span<const Value> args) {
    std::string text = "br_table " + v(index);
    for (Control* c : targets) text += " " + c->name;
    line(text + " " + list(args));
  }
  void return_(std::span<const Value> args) { line("return " + list(args)); }
  void unreachable() { line("unreachable"); }
  void try_table(Control& c, const BlockSignature&, std::span<const Value> params,
                 std::span<const Catch<Control>> catches) {
    std::string text = start(c, "try") + list(params);
    for (const Catch<Control>& clause : catches)
      text += (clause.type ? " catch " + std::to_string(raw(clause.tag)) : std::string(" catch_all")) +
              (clause.takes_ref ? "_ref " : " ") + clause.target->name;
    line(text);
  }
  void throw_(TagIndex tag, const FuncType&, std::span<const Value> args) {
    line("throw " + std::to_string(raw(tag)) + " " + list(args));
  }
  void throw_ref(ValType type, Value ref) { line("throw_ref " + to_string(type) + " " + v(ref)); }
  void try_(Control& c, const BlockSignature&, std::span<const Value> params) { line(start(c, "try") + list(params)); }
  void catch_(Control& c, bool reachable, std::span<const Value> results, TagIndex tag, const FuncType* type,
              std::span<Value> carried) {
    define((type ? "catch " + std::to_string(raw(tag)) : std::string("catch_all")) + " " + c.name +
               (reachable ? " " + list(results) : " unreachable"),
           carried);
  }
  void delegate(Control& c, Control* handler, bool reachable, std::span<const Value> fallthrough,
                std::span<Value> results) {
    define("delegate " + c.name + " to " + (handler ? handler->name : "callers") +
               (reachable ? " " + list(fallthrough) : " unreachable"),
           results);
  }
  void rethrow(Control& c) { line("rethrow " + c.name); }
  void call(FuncIndex func, const FuncType&, std::span<const Value> args, std::span<Value> results) {
    define("call " + std::to_string(raw(func)) + " " + list(args), results);
  }
  void call_indirect(TableIndex table, TypeIndex, const FuncType&, Value index, std::span<const Value> args,
                     std::span<Value> results) {
    define("call_indirect " + std::to_string(raw(table)) + " " + v(index) + " " + list(args), results);
  }
  void call_ref(const FuncType&, ValType ref_type, Value ref, std::span<const Value> args, std::span<Value> results) {
    define("call_ref " + to_string(ref_type) + " " + v(ref) + " " + list(args), results);
  }
  void return_call(FuncIndex func, const FuncType&, std::span<const Value> args) {
    line("return_call " + std::to_string(raw(func)) + " " + list(args));
  }
  void return_call_indirect(TableIndex table, TypeIndex, const FuncType&, Value index, std::span<const Value> args) {
    line("return_call_indirect " + std::to_string(raw(table)) + " " + v(index) + " " + list(args));
  }
  void return_call_ref(const FuncType&, ValType ref_type, Value ref, std::span<const Value> args) {
    line("return_call_ref " + to_string(ref_type) + " " + v(ref) + " " + list(args));
  }
  void br_on_null(Control& c, ValType type, Value ref, std::span<const Value> args) {
    line("br_on_null " + c.name + " " + to_string(type) + " " + v(ref) + " " + list(args));
  }
  void br_on_non_null(Control& c, ValType type, Value ref, std::span<const Value> args) {
    line("br_on_non_null " + c.name + " " + to_string(type) + " " + v(ref) + " " + list(args));
  }
  Value ref_as_non_null(ValType type, Value ref) { return define("ref.as_non_null " + to_string(type) + " " + v(ref)); }
  Value select(ValType type, Value condition, Value a, Value b) {
    return define("select " + to_string(type) + " " + v(condition) + " " + v(a) + " " + v(b));
  }
  Value local_get(LocalIndex index, ValType type) { return define("local.get " + std::to_string(raw(index))); }
  void local_set(LocalIndex index, ValType, Value value) {
    line("local.set " + std::to_string(raw(index)) + " " + v(value));
  }
  Value constant(ValType type, uint64_t bits) { return define(to_string(type) + " " + std::to_string(bits)); }
  Value numeric(auto op, std::span<const Value> operands) { return define(opcode_text(op) + list(operands)); }
  void wide(auto op, std::span<const Value> operands, std::span<Value> results) {
    define(opcode_text(op) + list(operands), results);
  }
  Value load(auto op, const MemArg& mem, Value address) {
    return define(opcode_text(op) + std::string(" ") + std::to_string(mem.offset) + " " + v(address));
  }
  void store(auto op, const MemArg& mem, Value address, Value value) {
    line(opcode_text(op) + std::string(" ") + v(address) + " " + v(value));
  }
  Value atomic_cmpxchg(auto op, const MemArg&, Value address, Value expected, Value replacement) {
    return define(opcode_text(op) + list(std::array{address, expected, replacement}));
  }
  Value atomic_wait_notify(auto op, const MemArg&, std::span<const Value> operands) {
    return define(opcode_text(op) + list(operands));
  }
  void atomic_fence() { line("atomic.fence"); }
  Value simd_constant(const V128& value) { return define("v128 " + to_string(value)); }
  Value simd_load(auto op, const MemArg& mem, Value address) { return load(op, mem, address); }
  void simd_store(auto op, const MemArg& mem, Value address, Value value) { store(op, mem, address, value); }
  static std::string with_lane(auto op, const std::string& lane) { return opcode_text(op) + (" " + lane + " "); }
  Value simd_load_lane(auto op, const MemArg& mem, uint8_t lane, Value address, Value vector) {
    std::string lanes = std::to_string(mem.offset) + " " + std::to_string(lane);
    return define(with_lane(op, lanes) + list(std::array{address, vector}));
  }
  void simd_store_lane(auto op, const MemArg&, uint8_t lane, Value address, Value vector) {
    line(with_lane(op, std::to_string(lane)) + list(std::array{address, vector}));
  }
  Value simd_shuffle(const std::array<uint8_t, 16>& lanes, Value a, Value b) {
    return define(with_lane(Opcode::I8x16Shuffle, std::to_string(lanes[15])) + list(std::array{a, b}));
  }
  Value simd_lane(auto op, uint8_t lane, std::span<const Value> operands) {
    return define(with_lane(op, std::to_string(lane)) + list(operands));
  }
  Value simd_numeric(auto op, std::span<const Value> operands) { return numeric(op, operands); }

  // Operands as they come.
  template <class... Values>
  void effect(const char* name, Values... values) {
    line(name + list(std::array<Value, sizeof...(values)>{values...}));
  }
  template <class... Values>
  Value result(const char* name, Values... values) {
    return define(name + list(std::array<Value, sizeof...(values)>{values...}));
  }
  Value global_get(GlobalIndex, const GlobalType&) { return result("global.get"); }
  void global_set(GlobalIndex, const GlobalType&, Value value) { effect("global.set", value); }
  Value ref_null(ValType) { return result("ref.null"); }
  Value ref_is_null(ValType, Value ref) { return result("ref.is_null", ref); }
  Value ref_func(FuncIndex) { return result("ref.func"); }
  Value memory_size(MemoryIndex) { return result("memory.size"); }
  Value memory_grow(MemoryIndex, Value delta) { return result("memory.grow", delta); }
  void memory_init(MemoryIndex, DataIndex, Value dst, Value src, Value size) { effect("memory.init", dst, src, size); }
  void data_drop(DataIndex) { effect("data.drop"); }
  void memory_copy(MemoryIndex, MemoryIndex, Value dst, Value src, Value size) {
    effect("memory.copy", dst, src, size);
  }
  void memory_fill(MemoryIndex, Value dst, Value byte, Value size) { effect("memory.fill", dst, byte, size); }
  Value table_get(TableIndex, ValType, Value index) { return result("table.get", index); }
  void table_set(TableIndex, ValType, Value index, Value value) { effect("table.set", index, value); }
  Value table_size(TableIndex) { return result("table.size"); }
  Value table_grow(TableIndex, ValType, Value init, Value delta) { return result("table.grow", init, delta); }
  void table_fill(TableIndex, ValType, Value index, Value value, Value size) {
    effect("table.fill", index, value, size);
  }
  void table_init(TableIndex, ElemIndex, Value dst, Value src, Value size) { effect("table.init", dst, src, size); }
  void elem_drop(ElemIndex) { effect("elem.drop"); }
  void table_copy(TableIndex, TableIndex, Value dst, Value src, Value size) { effect("table.copy", dst, src, size); }
  Value atomic_load(auto op, const MemArg&, Value address) { return result(opcode_text(op), address); }
  void atomic_store(auto op, const MemArg&, Value address, Value value) { effect(opcode_text(op), address, value); }
  Value atomic_rmw(auto op, const MemArg&, Value address, Value value) {
    return result(opcode_text(op), address, value);
  }

  // Structures, arrays and casts: what they are of, and what the reference is known to be.
  static std::string of(TypeIndex type, ValType known = {}) {
    return " " + std::to_string(raw(type)) + (known.is_bottom() ? "" : " " + to_string(known)) + " ";
  }
  static std::string known(ValType type) { return " " + to_string(type) + " "; }
  Value struct_new(TypeIndex type, const StructType&, std::span<const Value> fields) {
    return define("struct.new" + of(type) + list(fields));
  }
  Value struct_new_default(TypeIndex type, const StructType&) { return define("struct.new_default" + of(type) + "()"); }
  Value struct_get(TypeIndex type, const StructType&, uint32_t field, bool is_signed, ValType ref_type, Value ref) {
    return define("struct.get " + std::to_string(field) + (is_signed ? " signed" : "") + of(type, ref_type) + v(ref));
  }
  void struct_set(TypeIndex type, const StructType&, uint32_t field, ValType ref_type, Value ref, Value value) {
    line("struct.set " + std::to_string(field) + of(type, ref_type) + list(std::array{ref, value}));
  }
  Value array_new(TypeIndex type, const ArrayType&, Value init, Value length) {
    return define("array.new" + of(type) + list(std::array{init, length}));
  }
  Value array_new_default(TypeIndex type, const ArrayType&, Value length) {
    return define("array.new_default" + of(type) + v(length));
  }
  Value array_new_fixed(TypeIndex type, const ArrayType&, std::span<const Value> elements) {
    return define("array.new_fixed" + of(type) + list(elements));
  }
  Value array_new_data(TypeIndex, DataIndex, Value offset, Value length) {
    return result("array.new_data", offset, length);
  }
  Value array_new_elem(TypeIndex, ElemIndex, Value offset, Value length) {
    return result("array.new_elem", offset, length);
  }
  Value array_get(const ArrayType&, bool is_signed, ValType ref_type, Value ref, Value index) {
    return define((is_signed ? "array.get signed" : "array.get") + known(ref_type) + list(std::array{ref, index}));
  }
  void array_set(const ArrayType&, ValType ref_type, Value ref, Value index, Value value) {
    line("array.set" + known(ref_type) + list(std::array{ref, index, value}));
  }
  Value array_len(ValType ref_type, Value ref) { return define("array.len" + known(ref_type) + v(ref)); }
  void array_fill(const ArrayType&, ValType, Value ref, Value index, Value value, Value size) {
    effect("array.fill", ref, index, value, size);
  }
  void array_copy(const ArrayType&, Value to, Value to_index, Value from, Value from_index, Value size) {
    effect("array.copy", to, to_index, from, from_index, size);
  }
  void array_init_data(const ArrayType&, DataIndex, Value ref, Value index, Value offset, Value size) {
    effect("array.init_data", ref, index, offset, size);
  }
  void array_init_elem(const ArrayType&, ElemIndex, Value ref, Value index, Value offset, Value size) {
    effect("array.init_elem", ref, index, offset, size);
  }
  Value ref_eq(Value a, Value b) { return result("ref.eq", a, b); }
  Value ref_i31(Value number) { return result("ref.i31", number); }
  Value i31_get(bool is_signed, ValType ref_type, Value ref) {
    return define((is_signed ? "i31.get signed" : "i31.get") + known(ref_type) + v(ref));
  }
  Value ref_test(ValType from, ValType to, Value ref) {
    return define("ref.test" + known(from) + "->" + known(to) + v(ref));
  }
  Value ref_cast(ValType from, ValType to, Value ref) {
    return define("ref.cast" + known(from) + "->" + known(to) + v(ref));
  }
  void br_on_cast(Control& c, ValType from, ValType to, std::span<const Value> args) {
    line("br_on_cast " + c.name + known(from) + "->" + known(to) + list(args));
  }
  void br_on_cast_fail(Control& c, ValType from, ValType to, std::span<const Value> args) {
    line("br_on_cast_fail " + c.name + known(from) + "->" + known(to) + list(args));
  }
  Value any_convert_extern(Value ref) { return result("any.convert_extern", ref); }
  Value extern_convert_any(Value ref) { return result("extern.convert_any", ref); }
};

// Types: 0 [] -> [], 1 [i32] -> [i32], 2 [i32 i64] -> [i64 i32], 3 [] -> [i32 i32], 4 [i32] -> []
// Functions: 0 the body, 1 of type 2. Tag 0 of type 4. A memory, a funcref table 0, an externref table 1, a mutable and
// an immutable i32 global, one declared function (1), no data count.
Bytes with_body(uint8_t type, const Bytes& locals, const Bytes& code) {
  return module({section(1, vec({func_type({}, {}), func_type({kI32}, {kI32}), func_type({kI32, kI64}, {kI64, kI32}),
                                 func_type({}, {kI32, kI32}), func_type({kI32}, {})})),
                 section(3, vec({{type}, {2}})), section(4, vec({{kFuncRef, 0, 1}, {kExternRef, 0, 1}})),
                 section(5, vec({{0, 1}})), section(13, vec({{0, 4}})),
                 section(6, vec({{kI32, 1, 0x41, 0, 0x0b}, {kI32, 0, 0x41, 0, 0x0b}})), section(9, vec({{3, 0, 1, 1}})),
                 section(10, vec({sized(locals + code), body({0x00, 0x0b})}))});
}

std::string trace(uint8_t type, const Bytes& code, const Bytes& locals = {0}, const Features& features = {}) {
  Bytes bytes = with_body(type, locals, code);
  auto module = decode_module(bytes, {});
  if (!module) return "module: " + module.error().message;
  BodyDecoder<TraceSink> decoder(*module, bytes, features);
  TraceSink sink;
  if (auto result = decoder.decode(FuncIndex{0}, sink); !result) return result.error().message;
  return sink.trace;
}

/// The error of a body, with its offset relative to the code behind the local declarations.
std::string error(uint8_t type, const Bytes& code, Features features = {}) {
  Bytes bytes = with_body(type, {0}, code);
  auto module = decode_module(bytes, {});
  if (!module) return "module: " + module.error().message;
  auto valid = validate_bodies(*module, bytes, features);
  if (valid) return "valid";
  EXPECT_NE(valid.error().kind, ErrorKind::internal);
  return std::to_string(*valid.error().offset - module->bodies[0].begin - 1) + ": " + valid.error().message;
}

constexpr uint8_t kEnd = 0x0b, kElse = 0x05, kEmpty = 0x40;

TEST(BodyDecoder, StraightLine) {
  EXPECT_EQ(trace(1, {0x20, 0, 0x41, 5, 0x6a, 0x22, 1, kEnd}, {1, 1, kI32}),
            "begin locals 2\n"
            "v1 = local.get 0\n"
            "v2 = i32 5\n"
            "v3 = i32.add(v1 v2)\n"
            "local.set 1 v3\n"
            "end function (v3)\n"
            "function_end\n");
}

TEST(BodyDecoder, IfElseWithParameters) {
  // local.get 0; local.get 0; if (type 1) (drop; i32.const 1) else end
  EXPECT_EQ(trace(1, {0x20, 0, 0x20, 0, 0x04, 1, 0x1a, 0x41, 1, kElse, kEnd, kEnd}),
            "begin locals 1\n"
            "v1 = local.get 0\n"
            "v2 = local.get 0\n"
            "if1 v2 (v1)\n"
            "v3 = i32 1\n"
            "else if1 (v3) -> (v4)\n"
            "end if1 (v4) -> (v5)\n"
            "end function (v5)\n"
            "function_end\n");
}

TEST(BodyDecoder, LoopAndBranches) {
  // loop (type 1): br_if 0 with the parameter; then br_table to both labels
  EXPECT_EQ(trace(1, {0x20, 0, 0x03, 1, 0x20, 0, 0x0d, 0, 0x41, 9, 0x0e, 1, 0, 1, kEnd, kEnd}),
            "begin locals 1\n"
            "v1 = local.get 0\n"
            "loop1(v1) -> (v2)\n"
            "v3 = local.get 0\n"
            "br_if loop1 v3 (v2)\n"
            "v4 = i32 9\n"
            "br_table v4 loop1 function (v2)\n"
            "end loop1 unreachable -> (v5)\n"
            "end function unreachable\n"
            "function_end\n");
}

TEST(BodyDecoder, DeadCodeIsSilentUntilItsBlockEnds) {
  // block (block (br 1; nested dead: block i32.const 1 drop end) unreachable-dead) i32.const 2 drop
  EXPECT_EQ(trace(0, {0x02, kEmpty, 0x02, kEmpty, 0x0c, 1,    0x02, kEmpty, 0x41, 1,   0x1a,
                      kEnd, kEnd,   0x41, 3,      0x1a, kEnd, 0x41, 2,      0x1a, kEnd}),
            "begin locals 0\n"
            "block1()\n"
            "block2()\n"
            "br block1 ()\n"
            "end block2 unreachable\n"  // nothing reaches its end, so the i32.const 3 behind it is silent
            "end block1 unreachable\n"  // but a branch went here
            "v1 = i32 2\n"
            "end function ()\n"
            "function_end\n");
}

TEST(BodyDecoder, DeadElseArmKeepsTheOther) {
  // if (unreachable) else i32.const 1 drop end: the code behind is live
  EXPECT_EQ(trace(4, {0x20, 0, 0x04, kEmpty, 0x00, kElse, 0x41, 1, 0x1a, kEnd, kEnd}),
            "begin locals 1\n"
            "v1 = local.get 0\n"
            "if1 v1 ()\n"
            "unreachable\n"
            "else if1 unreachable\n"
            "v2 = i32 1\n"
            "end if1 ()\n"
            "end function ()\n"
            "function_end\n");
}

TEST(BodyDecoder, BothArmsDead) {
  EXPECT_EQ(trace(4, {0x20, 0, 0x04, kEmpty, 0x00, kElse, 0x0f, kEnd, 0x41, 1, 0x1a, kEnd}),
            "begin locals 1\n"
            "v1 = local.get 0\n"
            "if1 v1 ()\n"
            "unreachable\n"
            "else if1 unreachable\n"
            "return ()\n"
            "end if1 unreachable\n"
            "end function unreachable\n"
            "function_end\n");
}

TEST(BodyDecoder, CallsReplaceArgumentsByResults) {
  EXPECT_EQ(trace(0, {0x41, 1, 0x42, 2, 0x10, 1, 0x41, 0, 0x11, 4, 0, 0x1a, kEnd}),
            "begin locals 0\n"
            "v1 = i32 1\n"
            "v2 = i64 2\n"
            "call 1 (v1 v2) -> (v3 v4)\n"
            "v5 = i32 0\n"
            "call_indirect 0 v5 (v4)\n"
            "end function ()\n"
            "function_end\n");
}

TEST(BodyDecoder, MemoryAndSelect) {
  EXPECT_EQ(trace(0, {0x41, 0, 0x41, 8, 0x2d, 0, 0x90, 0x01, 0x41, 3, 0x41, 1, 0x1b, 0x3a, 0, 0, kEnd}),
            "begin locals 0\n"
            "v1 = i32 0\n"
            "v2 = i32 8\n"
            "v3 = i32.load8_u 144 v2\n"
            "v4 = i32 3\n"
            "v5 = i32 1\n"
            "v6 = select i32 v5 v3 v4\n"
            "i32.store8 v1 v6\n"
            "end function ()\n"
            "function_end\n");
}

TEST(BodyDecoder, TablesAndReferences) {
  EXPECT_EQ(trace(0, {0x41, 0,    0xd2, 1,    0x26, 0, 0xd0, kExternRef, 0x41, 2, 0xfc, 0x0f, 1, 0x41,
                      3,    0x25, 0,    0xd1, 0x41, 4, 0xfc, 0x0e,       0,    0, 0xfc, 0x0d, 0, kEnd}),
            "begin locals 0\n"
            "v1 = i32 0\n"
            "v2 = ref.func()\n"
            "table.set(v1 v2)\n"
            "v3 = ref.null()\n"
            "v4 = i32 2\n"
            "v5 = table.grow(v3 v4)\n"
            "v6 = i32 3\n"
            "v7 = table.get(v6)\n"
            "v8 = ref.is_null(v7)\n"
            "v9 = i32 4\n"
            "table.copy(v5 v8 v9)\n"
            "elem.drop()\n"
            "end function ()\n"
            "function_end\n");
}

TEST(BodyDecoder, Atomics) {
  EXPECT_EQ(trace(0, {0xfe, 0x03, 0,    0x41, 0,    0x42, 1,    0x42, 2, 0xfe, 0x49, 3,
                      0,    0x1a, 0x41, 0,    0x41, 1,    0xfe, 0,    2, 0,    0x1a, kEnd}),
            "begin locals 0\n"
            "atomic.fence\n"
            "v1 = i32 0\n"
            "v2 = i64 1\n"
            "v3 = i64 2\n"
            "v4 = i64.atomic.rmw.cmpxchg(v1 v2 v3)\n"
            "v5 = i32 0\n"
            "v6 = i32 1\n"
            "v7 = memory.atomic.notify(v5 v6)\n"
            "end function ()\n"
            "function_end\n");
  EXPECT_EQ(error(0, {0x41, 0, 0xfe, 0x10, 1, 0, 0x1a, kEnd}), "2: atomic alignment must be natural");
  EXPECT_EQ(error(0, {0xfe, 0x03, 1, kEnd}), "2: zero byte expected");
  EXPECT_EQ(error(0, {0xfe, 0x03, 0, kEnd}, {.threads = false, .extended_const = true}),
            "0: unsupported feature: threads");
}

TEST(BodyDecoder, TypeErrors) {
  EXPECT_EQ(error(0, {0x6a, kEnd}), "0: type mismatch: instruction requires [i32 i32] but stack has []");
  EXPECT_EQ(error(0, {0x41, 0, 0x42, 0, 0x6a, kEnd}),
            "4: type mismatch: instruction requires [i32 i32] but stack has [i32 i64]");
  EXPECT_EQ(error(0, {0x41, 0, kEnd}), "2: type mismatch: 1 values too many on the stack at the end of a block");
  EXPECT_EQ(error(1, {kEnd}), "0: type mismatch: instruction requires [i32] but stack has []");
  EXPECT_EQ(error(0, {0x41, 0, 0x04, 1, kEnd, kEnd}), "2: type mismatch: instruction requires [i32] but stack has []");
  EXPECT_EQ(error(0, {0x41, 0, 0x04, 3, kEnd, kEnd}),
            "4: type mismatch: instruction requires [i32 i32] but stack has []");
  EXPECT_EQ(error(0, {0x41, 0, 0x04, 3, 0x00, kEnd, kEnd}),
            "5: type mismatch: an if without else must have the same parameters and results");
  EXPECT_EQ(error(0, {0x02, kI32, 0x02, kEmpty, 0x41, 0, 0x41, 0, 0x0e, 1, 0, 1, kEnd, 0x41, 0, kEnd, 0x1a, kEnd}),
            "8: type mismatch: labels differ in their number of operands");
  EXPECT_EQ(error(0, {0xd0, kFuncRef, 0xd0, kFuncRef, 0x41, 0, 0x1b, 0x1a, kEnd}),
            "6: type mismatch: instruction requires [i32 i32] but stack has [funcref funcref]");
  EXPECT_EQ(error(0, {0x41, 0, 0xd1, 0x1a, kEnd}),
            "2: type mismatch: instruction requires [funcref] but stack has [i32]");
  // A block sees none of the operands below it.
  EXPECT_EQ(error(0, {0x41, 0, 0x02, kEmpty, 0x1a, kEnd, 0x1a, kEnd}),
            "4: type mismatch: instruction requires [] but stack has []");
  EXPECT_EQ(error(0, {0x41, 0, 0x11, 0, 1, kEnd}), "2: type mismatch: elements are externref, not funcref");
  EXPECT_EQ(error(0, {0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 0x0e, 0, 1, kEnd}),
            "6: type mismatch: elements are externref, not funcref");
}

TEST(BodyDecoder, UnreachableCodeIsTyped) {
  EXPECT_EQ(error(1, {0x00, kEnd}), "valid");
  EXPECT_EQ(error(1, {0x00, 0x6a, kEnd}), "valid");
  EXPECT_EQ(error(1, {0x00, 0x42, 0, 0x6a, kEnd}),
            "3: type mismatch: instruction requires [i32 i32] but stack has [i64]");
  EXPECT_EQ(error(0, {0x00, 0x41, 0, kEnd}), "3: type mismatch: 1 values too many on the stack at the end of a block");
  EXPECT_EQ(error(0, {0x00, 0x1b, 0xd1, 0x1a, kEnd}), "valid");  // select of unknown types is an unknown type
  EXPECT_EQ(error(0, {0x00, 0x41, 0, 0x41, 0, 0x1b, 0xd1, 0x1a, kEnd}),
            "6: type mismatch: instruction requires [funcref] but stack has [i32]");
  // Labels of different types, wanted of the same unknown operand.
  EXPECT_EQ(error(0, {0x02, kI64, 0x02, kI32, 0x00, 0x0e, 1, 0, 1, kEnd, 0x00, kEnd, 0x1a, kEnd}), "valid");
  EXPECT_EQ(error(0, {0x02, kI64, 0x02, kI32, 0x00, 0x41, 0, 0x41, 0, 0x0e, 1, 0, 1, kEnd, 0x00, kEnd, 0x1a, kEnd}),
            "9: type mismatch: instruction requires [i64] but stack has [i32]");
  // br_if gives the label's types to what follows it.
  EXPECT_EQ(error(0, {0x02, kI32, 0x00, 0x0d, 0, 0xd1, 0x1a, 0x00, kEnd, 0x1a, kEnd}),
            "5: type mismatch: instruction requires [funcref] but stack has [i32]");
  // A dead block is typed as usual.
  EXPECT_EQ(error(0, {0x00, 0x02, kEmpty, 0x1a, kEnd, kEnd}),
            "3: type mismatch: instruction requires [] but stack has []");
}

TEST(BodyDecoder, UnknownIndices) {
  EXPECT_EQ(error(0, {0x20, 0, kEnd}), "1: unknown local 0");
  EXPECT_EQ(error(0, {0x23, 2, kEnd}), "1: unknown global 2");
  EXPECT_EQ(error(0, {0x0c, 1, kEnd}), "1: unknown label 1");
  EXPECT_EQ(error(0, {0x10, 2, kEnd}), "1: unknown function 2");
  EXPECT_EQ(error(0, {0x11, 9, 0, kEnd}), "1: unknown type 9");
  EXPECT_EQ(error(0, {0x11, 0, 2, kEnd}), "2: unknown table 2");
  EXPECT_EQ(error(0, {0x02, 9, kEnd, kEnd}), "1: unknown type 9");
  EXPECT_EQ(error(0, {0x3f, 1, kEnd}), "1: unknown memory 1");
  EXPECT_EQ(error(0, {0x41, 0, 0x28, 0x42, 1, 0, kEnd}), "2: unknown memory 1");
  EXPECT_EQ(error(0, {0xfc, 0x0d, 3, kEnd}), "0: unknown elem segment 3");
  EXPECT_EQ(error(0, {0xfc, 0x09, 0, kEnd}), "0: data count section required");
  EXPECT_EQ(error(0, {0xd2, 0, 0x1a, kEnd}), "0: undeclared function reference");
  EXPECT_EQ(error(0, {0xd2, 1, 0x1a, kEnd}), "valid");
  EXPECT_EQ(error(0, {0x41, 0, 0x24, 1, kEnd}), "2: immutable global");
}

TEST(BodyDecoder, Immediates) {
  EXPECT_EQ(error(0, {0x41, 0, 0x28, 3, 0, 0x1a, kEnd}), "2: alignment must not be larger than natural");
  EXPECT_EQ(error(0, {0x41, 0, 0x28, 0x80, 0x01, 0, 0x1a, kEnd}), "3: malformed memop flags");
  EXPECT_EQ(error(0, {0x41, 0, 0x28, 2, 0x80, 0x80, 0x80, 0x80, 0x10, 0x1a, kEnd}), "2: offset out of range");
  EXPECT_EQ(error(0, {0x41, 0, 0x41, 0, 0x41, 0, 0x1c, 0, 0x1a, kEnd}), "7: invalid result arity");
  EXPECT_EQ(error(0, {0x41, 0, 0x41, 0, 0x41, 0, 0x1c, 1, kI32, 0x1a, kEnd}), "valid");
  EXPECT_EQ(error(0, {0x02, 0x7f - 0x20, kEnd, kEnd}), "1: malformed value type");
  EXPECT_EQ(error(0, {0x02, 0xff, 0x7f, kEnd, kEnd}), "1: malformed block type");
}

TEST(BodyDecoder, Framing) {
  EXPECT_EQ(error(0, {0x01}), "1: unexpected end of section or function");
  EXPECT_EQ(error(0, {kEnd, 0x01}), "1: section size mismatch");
  EXPECT_EQ(error(0, {kElse, kEnd}), "0: misplaced ELSE opcode");
  EXPECT_EQ(error(0, {0xff, kEnd}), "0: illegal opcode ff");
  EXPECT_EQ(error(0, {0xfc, 0x40, kEnd}), "0: illegal opcode fc40");
  EXPECT_EQ(error(0, {0xfb, 0x1f, kEnd}), "0: illegal opcode fb1f");
}

TEST(BodyDecoder, UnsupportedInstructionsNameTheirFeature) {
  Features without;
  without.tail_call = without.function_references = false;
  EXPECT_EQ(error(0, {0x12, 0, kEnd}, without), "0: unsupported feature: tail-call");
  EXPECT_EQ(error(0, {0x14, 0, kEnd}, without), "0: unsupported feature: function-references");
  EXPECT_EQ(error(0, {0xd4, kEnd}, without), "0: unsupported feature: function-references");
  EXPECT_EQ(error(0, {0xd0, 0, kEnd}, without), "1: unsupported feature: function-references");
  EXPECT_EQ(error(0, {0x02, 0x63, 0, kEnd, kEnd}, without), "1: unsupported feature: function-references");
  Features no_exceptions;
  no_exceptions.exceptions = false;
  EXPECT_EQ(error(0, {0x08, 0, kEnd}, no_exceptions), "0: unsupported feature: exceptions");
  EXPECT_EQ(error(0, {0x1f, 0x40, 0, kEnd, kEnd}, no_exceptions), "0: unsupported feature: exceptions");
  EXPECT_EQ(error(0, {0xd0, 0x69, 0x1a, kEnd}, no_exceptions), "1: unsupported feature: exceptions");
  for (uint8_t legacy : {0x06, 0x07, 0x09, 0x18, 0x19})
    EXPECT_EQ(error(0, {legacy, 0, kEnd, kEnd}), "0: unsupported feature: legacy-exceptions");
  EXPECT_EQ(error(0, {0xfb, 0, 0, kEnd}), "0: unsupported feature: gc");
  EXPECT_EQ(error(0, {0xfc, 0x13, kEnd}), "0: unsupported feature: wide-arithmetic");
  Features none{.simd = false, .relaxed_simd = false};
  EXPECT_EQ(error(0, {0xfd, 12, kEnd}, none), "0: unsupported feature: simd");
  EXPECT_EQ(error(0, {0xfd, 0x80, 0x02, kEnd}, none), "0: unsupported feature: relaxed-simd");
  EXPECT_EQ(error(0, {0x02, kV128, kEnd, kEnd}, none), "1: unsupported feature: simd");
  EXPECT_EQ(error(0, {0x41, 0, 0x41, 0, 0x41, 0, 0x1c, 1, kV128, kEnd}, none), "8: unsupported feature: simd");
}

TEST(BodyDecoder, Simd) {
  const Bytes constant = Bytes{0xfd, 12} + Bytes(16, 1);
  const Bytes address = {0x41, 0};
  Bytes lanes(16, 31);
  Bytes code = address + Bytes{0xfd, 0, 4, 2} +                               // v128.load offset=2
               address + constant + Bytes{0xfd, 0x55, 1, 3, 7} +              // v128.load16_lane offset=3 7
               Bytes{0xfd, 13} + lanes + Bytes{0xfd, 0x16, 15, 0xfd, 0x10} +  // shuffle, extract, splat
               constant + constant + Bytes{0xfd, 0x85, 0x02, 0x1a} +          // f32x4.relaxed_madd, drop
               address + constant + Bytes{0xfd, 0x5b, 3, 0, 1} +              // v128.store64_lane 1
               address + constant + Bytes{0xfd, 11, 0, 0} + Bytes{kEnd};      // v128.store
  EXPECT_EQ(trace(0, code), R"(begin locals 0
v1 = i32 0
v2 = v128.load 2 v1
v3 = i32 0
v4 = v128 i32x4 0x01010101 0x01010101 0x01010101 0x01010101
v5 = v128.load16_lane 3 7 (v3 v4)
v6 = i8x16.shuffle 31 (v2 v5)
v7 = i8x16.extract_lane_u 15 (v6)
v8 = i16x8.splat(v7)
v9 = v128 i32x4 0x01010101 0x01010101 0x01010101 0x01010101
v10 = v128 i32x4 0x01010101 0x01010101 0x01010101 0x01010101
v11 = f32x4.relaxed_madd(v8 v9 v10)
v12 = i32 0
v13 = v128 i32x4 0x01010101 0x01010101 0x01010101 0x01010101
v128.store64_lane 1 (v12 v13)
v14 = i32 0
v15 = v128 i32x4 0x01010101 0x01010101 0x01010101 0x01010101
v128.store v14 v15
end function ()
function_end
)");
}

TEST(BodyDecoder, SimdErrors) {
  const Bytes constant = Bytes{0xfd, 12} + Bytes(16, 0);
  // Lanes: one past the last.
  for (auto [op, lanes] :
       {std::pair<uint8_t, uint8_t>{0x15, 16}, {0x18, 8}, {0x1b, 4}, {0x1d, 2}, {0x1f, 4}, {0x21, 2}}) {
    EXPECT_EQ(error(0, constant + Bytes{0xfd, op, lanes, 0x1a, kEnd}), "18: invalid lane index");
    EXPECT_EQ(error(0, constant + Bytes{0xfd, op, static_cast<uint8_t>(lanes - 1), 0x1a, kEnd}), "valid");
  }
  Bytes lanes(16, 0);
  lanes[15] = 32;
  EXPECT_EQ(error(0, constant + constant + Bytes{0xfd, 13} + lanes + Bytes{0x1a, kEnd}), "36: invalid lane index");
  EXPECT_EQ(error(0, Bytes{0x41, 0} + constant + Bytes{0xfd, 0x54, 0, 0, 16, 0x1a, kEnd}), "20: invalid lane index");
  // Alignments: those of the width, not of the vector.
  EXPECT_EQ(error(0, {0x41, 0, 0xfd, 0, 5, 0, 0x1a, kEnd}), "2: alignment must not be larger than natural");
  EXPECT_EQ(error(0, {0x41, 0, 0xfd, 1, 4, 0, 0x1a, kEnd}), "2: alignment must not be larger than natural");
  EXPECT_EQ(error(0, {0x41, 0, 0xfd, 7, 1, 0, 0x1a, kEnd}), "2: alignment must not be larger than natural");
  // Types and ends.
  EXPECT_EQ(error(0, constant + Bytes{0xfd, 0x6e, kEnd}),
            "18: type mismatch: instruction requires [v128 v128] but stack has [v128]");
  EXPECT_EQ(error(0, {0x41, 0, 0xfd, 0x4d, kEnd}), "2: type mismatch: instruction requires [v128] but stack has [i32]");
  EXPECT_EQ(error(0, Bytes{0xfd, 12} + Bytes(15, 0)), "17: unexpected end of section or function");
  EXPECT_EQ(error(0, {0xfd, 0x9a, 0x01, kEnd}), "0: illegal opcode fd9a");
  EXPECT_EQ(error(0, {0xfd, 0x94, 0x02, kEnd}), "0: illegal opcode 0fd114");
}

TEST(BodyDecoder, TailCalls) {
  // local.get 0; if (return_call 0 of type 1) end; table 0's function
  EXPECT_EQ(trace(1, {0x20, 0, 0x04, kEmpty, 0x20, 0, 0x12, 0, kEnd, 0x20, 0, 0x41, 3, 0x13, 1, 0, kEnd}),
            "begin locals 1\n"
            "v1 = local.get 0\n"
            "if1 v1 ()\n"
            "v2 = local.get 0\n"
            "return_call 0 (v2)\n"
            "end if1 unreachable\n"
            "v3 = local.get 0\n"
            "v4 = i32 3\n"
            "return_call_indirect 0 v4 (v3)\n"
            "end function unreachable\n"
            "function_end\n");
  EXPECT_EQ(trace(1, {0x20, 0, 0xd0, 1, 0x15, 1, kEnd}),
            "begin locals 1\n"
            "v1 = local.get 0\n"
            "v2 = ref.null()\n"
            "return_call_ref (ref null 1) v2 (v1)\n"
            "end function unreachable\n"
            "function_end\n");
  EXPECT_EQ(error(0, {0x41, 0, 0x42, 0, 0x12, 1, kEnd}),
            "4: type mismatch: the callee's results are not the function's");
  EXPECT_EQ(error(4, {0x12, 0, kEnd}), "0: type mismatch: instruction requires [i32] but stack has []");
  EXPECT_EQ(error(0, {0x12, 2, kEnd}), "1: unknown function 2");
  EXPECT_EQ(error(0, {0x41, 0, 0x13, 0, 1, kEnd}), "2: type mismatch: elements are externref, not funcref");
}

TEST(BodyDecoder, Exceptions) {
  // block (result i32) (try_table (result i32) (catch 0 0) (catch_all 1) (throw 0 (i32.const 5))) end
  EXPECT_EQ(trace(0, {0x02, kI32, 0x1f, kI32, 2, 0, 0, 0, 2, 1, 0x41, 5, 0x08, 0, kEnd, kEnd, 0x1a, kEnd}),
            "begin locals 0\n"
            "block1()\n"
            "try2() catch 0 block1 catch_all function\n"
            "v1 = i32 5\n"
            "throw 0 (v1)\n"
            "end try2 unreachable -> (v2)\n"
            "end block1 unreachable -> (v3)\n"
            "end function ()\n"
            "function_end\n");
  // Labels are those around the try_table, whose own is no target of its clauses; dead ones cause no event.
  EXPECT_EQ(trace(0, {0x02, 0x69, 0x1f, kEmpty, 1, 3, 0, kEnd, 0x00, kEnd, 0x0a, 0x1f, kEmpty, 1, 2, 0, kEnd, kEnd}),
            "begin locals 0\n"
            "block1()\n"
            "try2() catch_all_ref block1\n"
            "end try2 ()\n"
            "unreachable\n"
            "end block1 unreachable -> (v1)\n"
            "throw_ref exnref v1\n"
            "end function unreachable\n"
            "function_end\n");
  EXPECT_EQ(error(0, {0x08, 1, kEnd}), "1: unknown tag 1");
  EXPECT_EQ(error(0, {0x08, 0, kEnd}), "0: type mismatch: instruction requires [i32] but stack has []");
  EXPECT_EQ(error(0, {0x41, 0, 0x0a, kEnd}), "2: type mismatch: instruction requires [exnref] but stack has [i32]");
  EXPECT_EQ(error(0, {0x1f, kEmpty, 1, 0, 0, 0, kEnd, kEnd}),
            "3: type mismatch: the label takes other operands than the clause passes");
  EXPECT_EQ(error(0, {0x1f, kEmpty, 1, 4, 0, kEnd, kEnd}), "3: malformed catch clause");
  EXPECT_EQ(error(0, {0x1f, kEmpty, 1, 2, 1, kEnd, kEnd}), "4: unknown label 1");
  EXPECT_EQ(error(0, {0x1f, kEmpty, 1, 0, 9, 0, kEnd, kEnd}), "4: unknown tag 9");
}

TEST(BodyDecoder, LegacyExceptions) {
  Features features;
  features.legacy_exceptions = true;
  // try (result i32) (i32.const 5) (throw 0) catch 0 catch_all (rethrow 0) end drop
  EXPECT_EQ(trace(0, {0x06, kI32, 0x41, 5, 0x08, 0, 0x07, 0, 0x19, 0x09, 0, kEnd, 0x1a, kEnd}, {0}, features),
            "begin locals 0\n"
            "try1()\n"
            "v1 = i32 5\n"
            "throw 0 (v1)\n"
            "catch 0 try1 unreachable -> (v2)\n"
            "catch_all try1 (v2)\n"
            "rethrow try1\n"
            "end try1 unreachable -> (v3)\n"
            "end function ()\n"
            "function_end\n");
  // A delegate's label is one outside of its block; where that is a clause's or no try's, the next try is meant.
  // try (try (block (try delegate 0)) catch_all (try delegate 0) end) catch_all (try delegate 0) end (try delegate 0)
  EXPECT_EQ(trace(0, {0x06, kEmpty, 0x06, kEmpty, 0x02, kEmpty, 0x06, kEmpty, 0x18, 0,    kEnd,   0x19, 0x06, kEmpty,
                      0x18, 0,      kEnd, 0x19,   0x06, kEmpty, 0x18, 0,      kEnd, 0x06, kEmpty, 0x18, 0,    kEnd},
                  {0}, features),
            "begin locals 0\n"
            "try1()\n"
            "try2()\n"
            "block3()\n"
            "try4()\n"
            "delegate try4 to try2 ()\n"
            "end block3 ()\n"
            "catch_all try2 ()\n"
            "try5()\n"
            "delegate try5 to try1 ()\n"
            "end try2 ()\n"
            "catch_all try1 ()\n"
            "try6()\n"
            "delegate try6 to callers ()\n"
            "end try1 ()\n"
            "try7()\n"
            "delegate try7 to callers ()\n"
            "end function ()\n"
            "function_end\n");
  // Where a try is dead its clauses are; where only its clauses are reached, so is what follows.
  EXPECT_EQ(trace(0, {0x06, kEmpty, 0x00, 0x19, kEnd, 0x00, 0x06, kEmpty, 0x19, 0x09, 0, kEnd, kEnd}, {0}, features),
            "begin locals 0\n"
            "try1()\n"
            "unreachable\n"
            "catch_all try1 unreachable\n"
            "end try1 ()\n"
            "unreachable\n"
            "end function unreachable\n"
            "function_end\n");
  EXPECT_EQ(error(0, {0x06, kEmpty, 0x09, 0, kEnd, kEnd}, features), "3: invalid rethrow label");
  EXPECT_EQ(error(0, {0x06, kEmpty, 0x18, 1, kEnd}, features), "3: unknown label 1");
  EXPECT_EQ(error(0, {0x06, kEmpty, 0x18, 0xff, 0xff, 0xff, 0xff, 0x0f, kEnd}, features),
            "3: unknown label 4294967295");
  EXPECT_EQ(error(0, {0x07, 0, kEnd}, features), "0: misplaced CATCH opcode");
  EXPECT_EQ(error(0, {0x06, kEmpty, 0x19, 0x07, 0, kEnd, kEnd}, features), "3: misplaced CATCH opcode");
  EXPECT_EQ(error(0, {0x02, kEmpty, 0x19, kEnd, kEnd}, features), "2: misplaced CATCH_ALL opcode");
  EXPECT_EQ(error(0, {0x06, kEmpty, 0x07, 0, 0x1a, 0x18, 0, kEnd}, features), "5: misplaced DELEGATE opcode");
  EXPECT_EQ(error(0, {0x06, kEmpty, 0x07, 1, kEnd, kEnd}, features), "3: unknown tag 1");
  EXPECT_EQ(error(0, {0x06, kI32, 0x19, kEnd, 0x1a, kEnd}, features),
            "2: type mismatch: instruction requires [i32] but stack has []");
}

TEST(BodyDecoder, FunctionReferences) {
  // ref.func 1 is of its type, without null: no check is asked for.
  EXPECT_EQ(trace(0, {0x41, 1, 0x42, 2, 0xd2, 1, 0x14, 2, 0x1a, 0x1a, kEnd}),
            "begin locals 0\n"
            "v1 = i32 1\n"
            "v2 = i64 2\n"
            "v3 = ref.func()\n"
            "call_ref (ref 2) v3 (v1 v2) -> (v4 v5)\n"
            "end function ()\n"
            "function_end\n");
  // block (br_on_null 0; drop) (block (result (ref 0)) (br_on_non_null 0; ...))
  EXPECT_EQ(trace(0, {0x02, kEmpty, 0xd0, 0, 0xd5, 0, 0x1a, kEnd, 0x02, 0x64, 0,
                      0xd0, 0,      0xd6, 0, 0xd0, 0, 0xd4, kEnd, 0x1a, kEnd}),
            "begin locals 0\n"
            "block1()\n"
            "v1 = ref.null()\n"
            "br_on_null block1 (ref null 0) v1 ()\n"
            "end block1 ()\n"
            "block2()\n"
            "v2 = ref.null()\n"
            "br_on_non_null block2 (ref null 0) v2 (v2)\n"
            "v3 = ref.null()\n"
            "v4 = ref.as_non_null (ref null 0) v3\n"
            "end block2 (v4) -> (v5)\n"
            "end function ()\n"
            "function_end\n");
  EXPECT_EQ(error(0, {0xd0, 0, 0x14, 4, kEnd}),
            "2: type mismatch: instruction requires [(ref null 4)] but stack has [(ref null 0)]");
  EXPECT_EQ(error(0, {0x41, 0, 0xd4, 0x1a, kEnd}),
            "2: type mismatch: instruction requires [funcref] but stack has [i32]");
  EXPECT_EQ(error(0, {0xd0, 0, 0xd6, 0, kEnd}), "2: type mismatch: the label takes no reference");
  EXPECT_EQ(error(0, {0xd0, 9, 0x1a, kEnd}), "1: unknown type 9");
  // Unreachable code provides a reference of any type, but no number.
  EXPECT_EQ(error(0, {0x00, 0xd4, 0x14, 0, kEnd}), "valid");
  EXPECT_EQ(error(0, {0x00, 0xd4, 0x45, 0x1a, kEnd}),
            "2: type mismatch: instruction requires [i32] but stack has [(ref bot)]");
}

TEST(BodyDecoder, GarbageCollection) {
  // Types: 0 [] -> [], 1 a structure of a mutable i32 and an i8, 2 an array of mutable i32.
  auto trace = [](const Bytes& code) {
    Bytes bytes = module({section(1, vec({func_type({}, {}), {0x5f, 2, kI32, 1, 0x78, 0}, {0x5e, kI32, 1}})),
                          section(3, vec({{0}})), section(10, vec({sized(Bytes{0} + code)}))});
    Features features;
    features.gc = true;
    auto module = decode_module(bytes, {.features = features});
    if (!module) return module.error().message;
    BodyDecoder<TraceSink> decoder(*module, bytes, features);
    TraceSink sink;
    if (auto result = decoder.decode(FuncIndex{0}, sink); !result) return result.error().message;
    return sink.trace;
  };
  // Of what a reference is known to be, the sink is told more than the instruction says.
  EXPECT_EQ(trace({0x41, 5, 0x41, 6, 0xfb, 0, 1, 0xfb, 3, 1, 1, 0x1a, 0xd0, 1, 0xfb, 2, 1, 0, 0x1a, 0x0b}),
            "begin locals 0\nv1 = i32 5\nv2 = i32 6\nv3 = struct.new 1 (v1 v2)\n"
            "v4 = struct.get 1 signed 1 (ref 1) v3\nv5 = ref.null()\nv6 = struct.get 0 1 (ref null 1) v5\n"
            "end function ()\nfunction_end\n");
  EXPECT_EQ(trace({0x41, 3, 0xfb, 7, 2,    0xfb, 15,   0x1a, 0x41, 1,  0x41, 2,
                   0xfb, 8, 2,    2, 0x41, 0,    0x41, 9,    0xfb, 14, 2,    0x0b}),
            "begin locals 0\nv1 = i32 3\nv2 = array.new_default 2 v1\nv3 = array.len (ref 2) v2\nv4 = i32 1\n"
            "v5 = i32 2\nv6 = array.new_fixed 2 (v4 v5)\nv7 = i32 0\nv8 = i32 9\narray.set (ref 2) (v6 v7 v8)\n"
            "end function ()\nfunction_end\n");
  // block (result (ref i31)): what fails is what is left of the type.
  EXPECT_EQ(trace({0x02, 0x64, 0x6c, 0x41, 7,    0xfb, 28,   0xfb, 24, 1,    0,   0x6e,
                   0x6c, 0xfb, 20,   1,    0x1a, 0x00, 0x0b, 0xfb, 29, 0x1a, 0x0b}),
            "begin locals 0\nblock1()\nv1 = i32 7\nv2 = ref.i31(v1)\n"
            "br_on_cast block1 (ref i31) -> (ref i31) (v2)\nv3 = ref.test anyref -> (ref 1) v2\nunreachable\n"
            "end block1 unreachable -> (v4)\nv5 = i31.get signed (ref i31) v4\nend function ()\nfunction_end\n");
}

TEST(BodyDecoder, LocalsWithoutDefaultAreSetBeforeTheyAreRead) {
  Bytes local = {1, 1, 0x64, 2};
  EXPECT_EQ(trace(0, {0x20, 0, 0x1a, kEnd}, local), "uninitialized local 0");
  EXPECT_EQ(trace(0, {0xd2, 1, 0x21, 0, 0x20, 0, 0x1a, kEnd}, local),
            "begin locals 1\n"
            "v1 = ref.func()\n"
            "local.set 0 v1\n"
            "v2 = local.get 0\n"
            "end function ()\n"
            "function_end\n");
  // What a block sets is set in the block.
  EXPECT_EQ(trace(0, {0x02, kEmpty, 0xd2, 1, 0x21, 0, kEnd, 0x20, 0, 0x1a, kEnd}, local), "uninitialized local 0");
}

TEST(BodyDecoder, FewBytesCannotTakeMuchMemory) {
  // 1,000 results a call, thousands of calls.
  Bytes types = section(1, vec({func_type({}, {}), func_type({}, Bytes(1000, kI32))}));
  Bytes calls;
  for (int i = 0; i < 2000; ++i) calls = calls + Bytes{0x10, 1};
  Bytes bytes =
      module({types, section(3, vec({{0}, {1}})), section(10, vec({body(calls + Bytes{0, kEnd}), body({0, kEnd})}))});
  auto module = decode_module(bytes, {});
  ASSERT_TRUE(module.has_value());
  auto valid = validate_bodies(*module, bytes, {});
  ASSERT_FALSE(valid.has_value());
  EXPECT_EQ(valid.error().message, "too many operands on the stack: 1001000, the limit is 1000000");
  EXPECT_EQ(valid.error().kind, ErrorKind::limit);
}

TEST(BodyDecoder, NestingIsLimited) {
  Bytes blocks;
  for (uint32_t i = 0; i < kMaxNesting; ++i) blocks.insert(blocks.end(), {0x02, kEmpty});
  EXPECT_EQ(error(0, blocks),
            std::to_string(2 * (kMaxNesting - 1)) + ": blocks nested too deeply: 100001, the limit is 100000");
}

TEST(BodyDecoder, CollectsFeatures) {
  Bytes bytes = with_body(0, {0}, {0xfe, 3, 0, 0x41, 0, 0xc0, 0x1a, kEnd});
  auto module = decode_module(bytes, {});
  ASSERT_TRUE(module.has_value());
  EXPECT_EQ(features_of_bodies(*module, bytes, {}),
            feature_bit(Feature::mvp) | feature_bit(Feature::threads) | feature_bit(Feature::sign_extension));
}

TEST(BodyDecoder, IsUsableAfterAnError) {
  Bytes bytes = with_body(0, {0}, {0x6a, kEnd});
  auto module = decode_module(bytes, {});
  ASSERT_TRUE(module.has_value());
  Features features;
  BodyDecoder<EmptySink> decoder(*module, bytes, features);
  EmptySink sink;
  EXPECT_FALSE(decoder.decode(FuncIndex{0}, sink).has_value());
  EXPECT_TRUE(decoder.decode(FuncIndex{1}, sink).has_value());
  EXPECT_FALSE(decoder.decode(FuncIndex{0}, sink).has_value());
}

}  // namespace
}  // namespace rotor::wasm
