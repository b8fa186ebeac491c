// The modules of the tests of tiers and of the cache: small ones as text, and ones of any size that are made here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "wasm/testing/assemble.h"
#include "wasm/testing/module.h"

namespace rotor::runtime::test {

inline const std::vector<uint8_t> kTiers = wasm::test::assemble(R"(
(module $tiers
  (type $one (func (param i32) (result i32)))
  (import "env" "host" (func $host (param i32) (result i32)))
  (memory (export "mem") 1)
  (table $t (export "table") 8 funcref)
  (elem (table $t) (i32.const 0) func $square $peek $fib $host)
  (global $g (export "g") (mut i32) (i32.const 0))
  (func $square (export "square") (param i32) (result i32) (i32.mul (local.get 0) (local.get 0)))
  (func $peek (param i32) (result i32) (i32.load (local.get 0)))
  (func $fib (export "fib") (param i32) (result i32)
    (if (result i32) (i32.lt_u (local.get 0) (i32.const 2))
      (then (local.get 0))
      (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                     (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
  (func $sum (export "sum") (param i32) (result i64) (local $s i64)
    (loop $again
      (local.set $s (i64.add (i64.mul (local.get $s) (i64.const 3)) (i64.extend_i32_u (local.get 0))))
      (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (local.get $s))
  (func (export "indirect") (param $index i32) (param i32) (result i32)
    (call_indirect $t (type $one) (local.get 1) (local.get $index)))
  (func $outer (export "outer") (param $index i32) (param $x i32) (result i32)
    (i32.add (call $inner (local.get $index) (local.get $x)) (i32.const 1000)))
  (func $inner (param $index i32) (param $x i32) (result i32)
    (local $kept i32)
    (local.set $kept (call $square (local.get $x)))
    (i32.add (local.get $kept) (call_indirect $t (type $one) (local.get $x) (local.get $index))))
  (func (export "call_host") (param i32) (result i32) (call $host (call $square (local.get 0))))
  (func $divide (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "divide") (param i32 i32) (result i32)
    (i32.sub (call $divide (local.get 0) (local.get 1)) (i32.const 1)))
  (func (export "trunc") (param f64) (result i32) (i32.trunc_f64_s (local.get 0)))
  (func (export "two_traps") (param i32) (if (local.get 0) (then unreachable) (else unreachable)))
  (func $weigh
    (param i32 i64 f32 f64 i32 i64 i32 i64 i32 f64 f32 f64 f32 f64 f32 f64 f32 i64) (result f64 i64)
    (f64.add (f64.promote_f32 (local.get 2)) (f64.add (local.get 3) (f64.add (local.get 9)
      (f64.add (f64.promote_f32 (local.get 10)) (f64.add (local.get 11) (f64.add (f64.promote_f32 (local.get 12))
      (f64.add (local.get 13) (f64.add (f64.promote_f32 (local.get 14)) (f64.add (local.get 15)
      (f64.promote_f32 (local.get 16)))))))))))
    (i64.add (i64.extend_i32_u (local.get 0)) (i64.add (local.get 1) (i64.add (i64.extend_i32_u (local.get 4))
      (i64.add (local.get 5) (i64.add (i64.extend_i32_u (local.get 6)) (i64.add (local.get 7)
      (i64.add (i64.extend_i32_u (local.get 8)) (local.get 17)))))))))
  (func (export "weigh") (param i32) (result f64 i64)
    (call $weigh (i32.const 1) (i64.const 20) (f32.const 0.5) (f64.const 8) (i32.const 300) (i64.const 4000)
      (i32.const 50000) (i64.const 600000) (i32.const 7000000) (f64.const 64) (f32.const 512) (f64.const 4096)
      (f32.const 32768) (f64.const 262144) (f32.const 2097152) (f64.const 16777216) (f32.const 0.0625)
      (i64.extend_i32_u (local.get 0))))
  (func (export "six") (param i32) (result i32 i64 f32 f64 i32 i64) (call $six (local.get 0)))
  (func $six (param i32) (result i32 i64 f32 f64 i32 i64)
    (local.get 0) (i64.const 2) (f32.const 3.5) (f64.const 4.25) (i32.add (local.get 0) (i32.const 5)) (i64.const -6))
  (func (export "count") (result i32)
    (global.set $g (i32.add (global.get $g) (i32.const 1)))
    (global.get $g))
  (func $down (export "down") (param i32) (result i32)
    (if (result i32) (local.get 0)
      (then (i32.add (call $down (i32.sub (local.get 0) (i32.const 1))) (i32.const 1)))
      (else (call $peek (i32.const -1)))))
  (func $forever (export "forever") (param i32) (result i32)
    (i32.add (call $forever (i32.add (local.get 0) (i32.const 1))) (i32.const 1)))
)
)");

inline const std::vector<uint8_t> kReach = wasm::test::assemble(R"(
(module
  (table $t 2 funcref)
  (elem (table $t) (i32.const 0) func $by_table)
  (elem declare func $by_reference)
  (func (export "a") (param i32) (result i32)
    (if (local.get 0) (then (return (call $rarely (local.get 0)))))
    (call $b (local.get 0)))
  (func $b (param i32) (result i32) (call $c (i32.add (local.get 0) (i32.const 1))))
  (func $c (param i32) (result i32) (i32.add (local.get 0) (i32.const 2)))
  (func $rarely (param i32) (result i32) (call $behind (local.get 0)))
  (func $behind (param i32) (result i32) (i32.add (local.get 0) (i32.const 30)))
  (func $by_table (result i32) (i32.const 50))
  (func $by_reference (result i32) (i32.const 60))
  (func (export "d") (result i32) (i32.const 70))
  (func (export "e") (result i32) (call_indirect $t (result i32) (i32.const 0)))
  (func (export "reference") (result funcref) (ref.func $by_reference)))
)");

inline const std::vector<uint8_t> kTierImporter = wasm::test::assemble(R"(
(module
  (import "t" "square" (func $square (param i32) (result i32)))
  (import "t" "table" (table $t 8 funcref))
  (func (export "twice") (param i32) (result i32) (i32.add (call $square (local.get 0)) (call $square (local.get 0))))
  (func $cube (export "cube") (param i32) (result i32) (i32.mul (call $square (local.get 0)) (local.get 0)))
  (func (export "through") (param i32 i32) (result i32)
    (call_indirect $t (param i32) (result i32) (local.get 1) (local.get 0)))
  (elem (table $t) (i32.const 6) func $cube))
)");

inline const std::vector<uint8_t> kStartLoop = wasm::test::assemble(R"(
(module
  (global $g (export "g") (mut i32) (i32.const 0))
  (func $start (local i32)
    (loop $again
      (global.set $g (i32.add (global.get $g) (call $step (local.get 0))))
      (br_if $again (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 100)))))
  (func $step (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
  (func (export "get") (result i32) (global.get $g))
  (start $start))
)");

inline const std::vector<uint8_t> kOnlyImports = wasm::test::assemble(R"(
(module
  (import "env" "host" (func $host (param i32) (result i32)))
  (import "env" "memory" (memory 1))
  (export "host" (func $host))
  (export "memory" (memory 0)))
)");

inline wasm::test::Bytes const_i32(uint32_t value) {
  wasm::test::Bytes out{0x41};
  auto v = static_cast<int32_t>(value);
  for (bool more = true; more;) {
    auto byte = static_cast<uint8_t>(v & 0x7f);
    v >>= 7;
    more = v != (byte & 0x40 ? -1 : 0);
    out.push_back(static_cast<uint8_t>(byte | (more ? 0x80 : 0)));
  }
  return out;
}

/// A vector's items, whose number is known at the end.
struct Items {
  uint32_t count = 0;
  wasm::test::Bytes bytes;
  void add(const wasm::test::Bytes& item) {
    ++count;
    bytes.insert(bytes.end(), item.begin(), item.end());
  }
  wasm::test::Bytes section(uint8_t id) const {
    using namespace wasm::test;
    return wasm::test::section(id, leb(count) + bytes);
  }
};

/// `count` functions f<i> of type [i32] -> [i32], exported, in a table as well, and
///   (func (export "call") (param $index i32) (param $x i32) (result i32) (call_indirect (local.get $x) (local.get
///   $index)))
/// f<i>(x) = y * (2 i + salt) + i, where y is f<i / 2>(x) if i % 3 = 1, else x. `bulk` makes bodies longer, not slower.
inline std::vector<uint8_t> many_functions(uint32_t count, uint32_t bulk = 0, uint32_t salt = 1) {
  using namespace wasm::test;
  Items functions, exports, elements, bodies;
  for (uint32_t i = 0; i < count; ++i) {
    functions.add({0});
    exports.add(str("f" + std::to_string(i)) + Bytes{0} + leb(i));
    elements.add(leb(i));
    Bytes code = {0x20, 0x00};  // local.get 0
    if (bulk) {
      code = code + Bytes{0x45, 0x04, 0x40};  // i32.eqz, if
      for (uint32_t k = 0; k < bulk; ++k)     // local.get 0, k, i32.xor, local.set 0
        code = code + Bytes{0x20, 0x00} + const_i32(k) + Bytes{0x73, 0x21, 0x00};
      // What was done is undone: the value of an xor of 0 to bulk - 1.
      uint32_t all = 0;
      for (uint32_t k = 0; k < bulk; ++k) all ^= k;
      code = code + Bytes{0x20, 0x00} + const_i32(all) + Bytes{0x73, 0x21, 0x00, 0x0b, 0x20, 0x00};
    }
    if (i % 3 == 1) code = code + Bytes{0x10} + leb(i / 2);
    code = code + const_i32(2 * i + salt) + Bytes{0x6c} + const_i32(i) + Bytes{0x6a, 0x0b};
    bodies.add(body(code));
  }
  functions.add({1});
  exports.add(str("call") + Bytes{0} + leb(count));
  bodies.add(body({0x20, 0x01, 0x20, 0x00, 0x11, 0x00, 0x00, 0x0b}));
  return module({section(1, vec({func_type({kI32}, {kI32}), func_type({kI32, kI32}, {kI32})})), functions.section(3),
                 section(4, Bytes{1, kFuncRef, 0} + leb(count)), exports.section(7),
                 section(9, Bytes{1, 0, 0x41, 0, 0x0b} + leb(elements.count) + elements.bytes), bodies.section(10)});
}

inline uint32_t many_functions_result(uint32_t i, uint32_t x, uint32_t salt = 1) {
  return (i % 3 == 1 ? many_functions_result(i / 2, x, salt) : x) * (2 * i + salt) + i;
}

/// A table of `count` functions that nothing else calls; function i returns i, the odd ones through another function.
///   (func $down (export "down") (param $depth i32) (param $index i32) (result i32)
///     (if (result i32) (local.get $depth)
///       (then (i32.add (call $down (i32.sub (local.get $depth) (i32.const 1)) (local.get $index)) (i32.const 1)))
///       (else (call_indirect (result i32) (local.get $index)))))
inline std::vector<uint8_t> cold_at_depth(uint32_t count) {
  using namespace wasm::test;
  Items functions, elements, bodies;
  functions.add({1});
  bodies.add(body({0x20, 0x00, 0x04, kI32, 0x20, 0x00, 0x41, 0x01, 0x6b, 0x20, 0x01, 0x10,
                   0x00, 0x41, 0x01, 0x6a, 0x05, 0x20, 0x01, 0x11, 0x00, 0x00, 0x0b, 0x0b}));
  for (uint32_t i = 0; i < count; ++i) {
    functions.add({0});
    elements.add(leb(1 + i));
    bodies.add(body(i % 2 ? Bytes{0x10} + leb(1 + count + i / 2) + Bytes{0x0b} : const_i32(i) + Bytes{0x0b}));
  }
  for (uint32_t i = 1; i < count; i += 2) {
    functions.add({0});
    bodies.add(body(const_i32(i) + Bytes{0x0b}));
  }
  return module({section(1, vec({func_type({}, {kI32}), func_type({kI32, kI32}, {kI32})})), functions.section(3),
                 section(4, Bytes{1, kFuncRef, 0} + leb(count)), section(7, vec({str("down") + Bytes{0, 0}})),
                 section(9, Bytes{1, 0, 0x41, 0, 0x0b} + leb(elements.count) + elements.bytes), bodies.section(10)});
}

/// `count` functions of type [] -> [], of which those at `bad` do not validate: they return a number.
inline std::vector<uint8_t> bad_functions(uint32_t count, const std::vector<uint32_t>& bad) {
  using namespace wasm::test;
  Items functions, bodies;
  for (uint32_t i = 0; i < count; ++i) {
    functions.add({0});
    bool is_bad = false;
    for (uint32_t b : bad) is_bad |= b == i;
    bodies.add(body(is_bad ? const_i32(i) + Bytes{0x0b} : Bytes{0x01, 0x0b}));
  }
  return module({section(1, vec({func_type({}, {})})), functions.section(3), bodies.section(10)});
}

/// (func (export "big") (param i32) (result i32) (local i64 × locals) (i32.add (local.get 0) (i32.const 1)))
/// (func (export "small") (param i32) (result i32) (call 0 (local.get 0)))
inline std::vector<uint8_t> many_locals(uint32_t locals) {
  using namespace wasm::test;
  Bytes big = sized(Bytes{1} + leb(locals) + Bytes{kI64, 0x20, 0x00, 0x41, 0x01, 0x6a, 0x0b});
  return module({section(1, vec({func_type({kI32}, {kI32})})), section(3, vec({{0}, {0}})),
                 section(7, vec({str("big") + Bytes{0, 0}, str("small") + Bytes{0, 1}})),
                 section(10, vec({big, body({0x20, 0x00, 0x10, 0x00, 0x0b})}))});
}

/// Little wasm that is much code: `count` functions g<i> of type [] -> [i32], each of which has `calls` times 1,000
/// values of a function without parameters given to one without results, in 5 bytes, and returns i.
inline std::vector<uint8_t> much_code(uint32_t count, uint32_t calls) {
  using namespace wasm::test;
  constexpr uint32_t kValues = 1000;
  Items functions, exports, bodies;
  Bytes source;
  for (uint32_t i = 0; i < kValues; ++i) source = source + Bytes{0x42, 0x01};
  functions.add({0});
  bodies.add(body(source + Bytes{0x0b}));
  functions.add({1});
  bodies.add(body({0x0b}));
  for (uint32_t i = 0; i < count; ++i) {
    functions.add({2});
    exports.add(str("g" + std::to_string(i)) + Bytes{0} + leb(2 + i));
    Bytes code;
    for (uint32_t k = 0; k < calls; ++k) code = code + Bytes{0x10, 0x00, 0x10, 0x01, 0x01};
    bodies.add(body(code + const_i32(i) + Bytes{0x0b}));
  }
  Bytes values(kValues, kI64);
  return module({section(1, vec({func_type({}, values), func_type(values, {}), func_type({}, {kI32})})),
                 functions.section(3), exports.section(7), bodies.section(10)});
}

}  // namespace rotor::runtime::test
