;; An atomic access that is both unaligned and out of bounds. Which of the two traps it is differs among engines: here it
;; is the alignment's, in Wasmtime the bounds'. That nothing was accessed does not differ.
(module
  (memory 1 1 shared)
  (func (export "notify") (param i32) (result i32)
    (memory.atomic.notify offset=0xffffffff (local.get 0) (i32.const 0)))
  (func (export "load") (param i32) (result i32) (i32.atomic.load (local.get 0)))
  (func (export "store") (param i32) (i32.atomic.store (local.get 0) (i32.const -1)))
  (func (export "tail") (result i32) (i32.load (i32.const 65532)))
)
(assert_trap (invoke "notify" (i32.const 3)) "unaligned atomic")
(assert_trap (invoke "load" (i32.const 65537)) "unaligned atomic")
(assert_trap (invoke "store" (i32.const 65534)) "unaligned atomic")
(assert_trap (invoke "load" (i32.const 65536)) "out of bounds memory access")
(assert_return (invoke "tail") (i32.const 0))
