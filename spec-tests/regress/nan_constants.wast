;; Constants that are ±0 or ±1 only once literals were reinterpreted or converted, or in locals that were never set: to an
;; optimiser x * 1, x / 1, x - 0 and x + -0 are x, to wasm they are x made quiet: with its payload, or the canonical NaN
;; where the profile is deterministic.
(module
  (func (export "mul") (param i32) (result i32)
    (i32.reinterpret_f32 (f32.mul (f32.reinterpret_i32 (local.get 0)) (f32.reinterpret_i32 (i32.const 0x3f800000)))))
  (func (export "add") (param i64) (result i64)
    (i64.reinterpret_f64 (f64.add (f64.reinterpret_i64 (local.get 0)) (f64.reinterpret_i64 (i64.const 0x8000000000000000)))))
  (func (export "sub") (param i64) (result i64)
    (i64.reinterpret_f64 (f64.sub (f64.reinterpret_i64 (local.get 0)) (f64.convert_i32_s (i32.const 0)))))
  (func (export "div") (param i64) (result i64)
    (i64.reinterpret_f64 (f64.div (f64.reinterpret_i64 (local.get 0)) (f64.convert_i32_s (i32.const 1)))))
  (func (export "div_local") (param i64) (result i64) (local f64)
    (local.set 1 (f64.promote_f32 (f32.convert_i32_s (i32.const 1))))
    (i64.reinterpret_f64 (f64.div (f64.reinterpret_i64 (local.get 0)) (local.get 1))))
  (func (export "zero_local") (param i64) (result i64) (local f64)
    (i64.reinterpret_f64 (f64.sub (f64.reinterpret_i64 (local.get 0)) (local.get 1))))
)
(assert_return (invoke "mul" (i32.const 0x7fa00000)) (either (i32.const 0x7fe00000) (i32.const 0x7fc00000)))
(assert_return (invoke "add" (i64.const 0x7ff4000000000000)) (either (i64.const 0x7ffc000000000000) (i64.const 0x7ff8000000000000)))
(assert_return (invoke "sub" (i64.const 0x7ff4000000000000)) (either (i64.const 0x7ffc000000000000) (i64.const 0x7ff8000000000000)))
(assert_return (invoke "div" (i64.const 0x7ff4000000000000)) (either (i64.const 0x7ffc000000000000) (i64.const 0x7ff8000000000000)))
(assert_return (invoke "div_local" (i64.const 0x7ff4000000000000)) (either (i64.const 0x7ffc000000000000) (i64.const 0x7ff8000000000000)))
(assert_return (invoke "zero_local" (i64.const 0x7ff4000000000000)) (either (i64.const 0x7ffc000000000000) (i64.const 0x7ff8000000000000)))
