;; A NUL in a name is a character like any other: names that differ behind it are different names.
(module $m
  (func (export "a") (result i32) (i32.const 1))
  (func (export "a\00") (result i32) (i32.const 2))
  (func (export "a\00b") (result i32) (i32.const 3))
  (func (export "\00") (result i32) (i32.const 4))
  (func (export "") (result i32) (i32.const 5))
)
(assert_return (invoke "a") (i32.const 1))
(assert_return (invoke "a\00") (i32.const 2))
(assert_return (invoke "a\00b") (i32.const 3))
(assert_return (invoke "\00") (i32.const 4))
(assert_return (invoke "") (i32.const 5))

;; In imports, of the module and of the item.
(register "m" $m)
(register "m\00" $m)
(module
  (import "m" "a\00b" (func $three (result i32)))
  (import "m\00" "\00" (func $four (result i32)))
  (func (export "sum") (result i32) (i32.add (call $three) (call $four)))
)
(assert_return (invoke "sum") (i32.const 7))
(assert_unlinkable (module (import "m" "a\00c" (func))) "unknown import")
(assert_unlinkable (module (import "m\00\00" "a" (func))) "unknown import")

;; Two equal ones are still a duplicate.
(assert_invalid
  (module (func) (export "x\00y" (func 0)) (export "x\00y" (func 0)))
  "duplicate export name"
)
