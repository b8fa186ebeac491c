;; Exceptions of before 3.0 (legacy-exceptions): what an exception carries when it is thrown again, clauses that come
;; after the code that throws, labels of delegate, and try beside try_table.

(module $tags
  (tag $e (export "e"))
  (tag $i (export "i") (param i32))
  (func (export "throw_e") (throw $e))
  (func (export "throw_i") (param i32) (throw $i (local.get 0)))
  ;; Throws and catches: what was on its way before has to be elsewhere.
  (func (export "quiet") (param i32) (result i32)
    (try (result i32) (do (throw $i (i32.mul (local.get 0) (i32.const -1)))) (catch $i))
  )
)
(register "tags")

(module
  (import "tags" "e" (tag $e))
  (import "tags" "i" (tag $i (param i32)))
  (import "tags" "i" (tag $same (param i32)))
  (import "tags" "throw_e" (func $throw_e))
  (import "tags" "throw_i" (func $throw_i (param i32)))
  (import "tags" "quiet" (func $quiet (param i32) (result i32)))
  (tag $own (param i32 i64 f32 f64 v128 externref i32 i64 f32 f64))
  (global $seen (export "seen") (mut i32) (i32.const 0))

  ;; An exception that is thrown again carries what it did, whatever the clause threw and caught meanwhile.
  (func (export "again") (param i32) (result i32)
    (try (result i32)
      (do
        (try (result i32)
          (do (call $throw_i (local.get 0)) (unreachable))
          (catch $i
            (global.set $seen (call $quiet))
            (rethrow 0))))
      (catch $same))
  )
  (func (export "again_to_host") (param i32)
    (try (do (call $throw_i (local.get 0))) (catch_all (drop (call $quiet (i32.const 1))) (rethrow 0)))
  )
  ;; Of two that are at hand, each can be thrown again; a clause in a clause has both.
  (func (export "either") (param $outer i32) (result i32)
    (try (result i32)
      (do
        (try (result i32)
          (do (call $throw_i (i32.const 1)) (unreachable))
          (catch $i
            (drop)
            (try
              (do (call $throw_i (i32.const 2)))
              (catch_all
                (if (local.get $outer) (then (rethrow 2)) (else (rethrow 1)))))
            (unreachable))))
      (catch $i))
  )
  ;; Each turn of a loop in a clause may throw it; it is the same one.
  (func (export "turns") (param $n i32) (result i32)
    (local $sum i32)
    (try
      (do (call $throw_i (i32.const 7)))
      (catch $i
        (drop)
        (loop $l
          (try
            (do (rethrow 2))
            (catch $same (local.set $sum (i32.add (local.get $sum)))))
          (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))
    (local.get $sum)
  )
  ;; What a clause has is kept while thousands of others are collected.
  (func (export "kept") (param $n i32) (result i32)
    (try (result i32)
      (do
        (try
          (do (call $throw_i (i32.const 7)))
          (catch $i
            (drop)
            (loop $l
              (try
                (do (try (do (call $throw_i (local.get $n))) (catch_all (rethrow 0))))
                (catch_all))
              (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (rethrow 0)))
        (unreachable))
      (catch $i))
  )
  (func $throw_own (param i32 i64 f32 f64 v128 externref)
    (throw $own (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)
      (i32.const 10) (i64.const 11) (f32.const 12) (f64.const 13))
  )
  (func (export "all_types") (param i32 i64 f32 f64 v128 externref)
        (result i32 i64 f32 f64 v128 externref i32 i64 f32 f64)
    (try (result i32 i64 f32 f64 v128 externref i32 i64 f32 f64)
      (do
        (try
          (do (call $throw_own (local.get 0) (local.get 1) (local.get 2) (local.get 3) (local.get 4) (local.get 5)))
          (catch_all (rethrow 0)))
        (unreachable))
      (catch $own))
  )

  ;; Parameters and results of the block; the clause has what the exception carries and nothing else.
  (func (export "params") (param i32) (result i32 i32)
    (i32.const 100)
    (local.get 0)
    (try (param i32) (result i32)
      (do (if (param i32) (result i32) (local.get 0) (then) (else (call $throw_i) (i32.const 5))))
      (catch $i (i32.add (i32.const 1000))))
  )
  (func (export "branch_out") (param i32) (result i32)
    (try $t (result i32)
      (do (br_if $t (i32.const 1) (local.get 0)) (drop) (call $throw_e) (i32.const 2))
      (catch $e (br $t (i32.const 3)))
      (catch_all (i32.const 4)))
  )
  ;; A local that is set before the throw has that value in the clause.
  (func (export "set_before") (result i32)
    (local $l i32)
    (try
      (do
        (local.set $l (i32.const 1))
        (call $throw_e)
        (local.set $l (i32.const 2)))
      (catch_all))
    (local.get $l)
  )
  ;; The first clause that takes it does.
  (func (export "first") (param i32) (result i32)
    (try (result i32)
      (do (if (local.get 0) (then (call $throw_i (i32.const 8))) (else (call $throw_e))) (unreachable))
      (catch $same (drop) (i32.const 1))
      (catch $i (drop) (i32.const 2))
      (catch_all (i32.const 3)))
  )
  ;; What no clause of a try takes goes on to those around it, in one function and with nothing there at all.
  (func (export "passed_on") (result i32)
    (try (result i32)
      (do
        (try (do (try (do (call $throw_i (i32.const 1))))) (catch $e))
        (unreachable))
      (catch $i (i32.add (i32.const 10))))
  )
  ;; The clauses are not known yet when it is thrown: they take it all the same, before those outside do.
  (func (export "before_a_table") (result i32)
    (block $outer (result i32)
      (try_table (result i32) (catch $i $outer)
        (try (result i32)
          (do (throw $i (i32.const 1)))
          (catch $i (i32.add (i32.const 10))))))
  )
  ;; Clauses are outside of what they catch.
  (func (export "thrown_in_clause") (result i32)
    (try (result i32)
      (do
        (try (result i32)
          (do (call $throw_e) (unreachable))
          (catch $e (call $throw_i (i32.const 1)) (unreachable))
          (catch $i (drop) (i32.const 2))
          (catch_all (i32.const 3))))
      (catch $i (i32.add (i32.const 20))))
  )

  ;; delegate: its label is one outside the try.
  (func (export "delegate_past") (result i32)
    (try $far (result i32)
      (do
        (try (result i32)
          (do (try (do (call $throw_i (i32.const 1))) (delegate $far)) (unreachable))
          (catch $i (i32.add (i32.const 10)))))
      (catch $i (i32.add (i32.const 20))))
  )
  (func (export "delegate_to_block") (result i32)
    (try (result i32)
      (do
        (block $b
          (block (try (do (call $throw_i (i32.const 1))) (delegate $b))))
        (unreachable))
      (catch $i (i32.add (i32.const 10))))
  )
  ;; A clause's label is that of a try whose body is over: the next one outside is meant.
  (func (export "delegate_from_clause") (result i32)
    (try (result i32)
      (do
        (try $over
          (do (call $throw_e))
          (catch_all
            (try (do (call $throw_i (i32.const 1))) (delegate $over))))
        (unreachable))
      (catch $i (i32.add (i32.const 10))))
  )
  (func (export "delegate_out")
    (try
      (do (try (do (try (do (call $throw_e)) (delegate 2))) (catch_all)))
      (catch_all))
  )
  (func (export "delegate_to_try_table") (result i32)
    (block $caught (result i32)
      (try_table $t (catch $i $caught)
        (try
          (do (try (do (call $throw_i (i32.const 1))) (delegate $t)))
          (catch_all)))
      (i32.const 99))
  )
  (func (export "delegate_what_is_left") (result i32)
    (try (result i32) (do (i32.const 1) (try (param i32) (result i32) (do) (delegate 0))) (catch_all (i32.const 2)))
  )

  ;; Both kinds of exceptions are one.
  (func $legacy (param i32) (try (do (call $throw_i (local.get 0))) (catch $i (drop) (rethrow 0))))
  (func (export "legacy_to_table") (param i32) (result i32)
    (local $x exnref)
    (block $h (result i32 exnref)
      (try_table (catch_ref $i $h) (call $legacy (local.get 0)))
      (unreachable))
    (local.set $x)
    (drop)
    (try (result i32) (do (throw_ref (local.get $x))) (catch $i (i32.add (i32.const 1))))
  )

  ;; Traps pass, and so does what comes behind a tail call.
  (func (export "trap") (try (do (unreachable)) (catch_all)))
  (func $deep (export "overflow") (try (do (call $deep)) (catch_all)))
  (func (export "tail_call") (try (do (return_call $throw_e)) (catch_all)))

  ;; Nothing can be thrown, nothing can be reached.
  (func (export "nothing_thrown") (result i32)
    (try (result i32) (do (i32.const 1)) (catch $i) (catch_all (i32.const 2)))
  )
  (func (export "dead") (result i32)
    (return (i32.const 1))
    (try (result i32)
      (do (try (do (call $throw_e)) (delegate 0)) (i32.const 2))
      (catch $i (try (do (rethrow 1)) (catch_all)))
      (catch_all (rethrow 0)))
  )
  (func (export "no_clause") (try (do (call $throw_e))))
)
(assert_return (invoke "again" (i32.const 5)) (i32.const 5))
(assert_return (get "seen") (i32.const -5))
(assert_exception (invoke "again_to_host" (i32.const 5)))
(assert_return (invoke "either" (i32.const 0)) (i32.const 2))
(assert_return (invoke "either" (i32.const 1)) (i32.const 1))
(assert_return (invoke "turns" (i32.const 3)) (i32.const 21))
(assert_return (invoke "kept" (i32.const 5000)) (i32.const 7))
(assert_return
  (invoke "all_types" (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4) (v128.const i64x2 5 6) (ref.extern 7))
  (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4) (v128.const i64x2 5 6) (ref.extern 7)
  (i32.const 10) (i64.const 11) (f32.const 12) (f64.const 13))
(assert_return (invoke "params" (i32.const 3)) (i32.const 100) (i32.const 3))
(assert_return (invoke "params" (i32.const 0)) (i32.const 100) (i32.const 1000))
(assert_return (invoke "branch_out" (i32.const 1)) (i32.const 1))
(assert_return (invoke "branch_out" (i32.const 0)) (i32.const 3))
(assert_return (invoke "set_before") (i32.const 1))
(assert_return (invoke "first" (i32.const 1)) (i32.const 1))
(assert_return (invoke "first" (i32.const 0)) (i32.const 3))
(assert_return (invoke "passed_on") (i32.const 11))
(assert_return (invoke "before_a_table") (i32.const 11))
(assert_return (invoke "thrown_in_clause") (i32.const 21))
(assert_return (invoke "delegate_past") (i32.const 21))
(assert_return (invoke "delegate_to_block") (i32.const 11))
(assert_return (invoke "delegate_from_clause") (i32.const 11))
(assert_exception (invoke "delegate_out"))
(assert_return (invoke "delegate_to_try_table") (i32.const 1))
(assert_return (invoke "delegate_what_is_left") (i32.const 1))
(assert_return (invoke "legacy_to_table" (i32.const 6)) (i32.const 7))
(assert_trap (invoke "trap") "unreachable")
(assert_exhaustion (invoke "overflow") "call stack exhausted")
(assert_exception (invoke "tail_call"))
(assert_return (invoke "nothing_thrown") (i32.const 1))
(assert_return (invoke "dead") (i32.const 1))
(assert_exception (invoke "no_clause"))

;; An import may be an own tag under another name, and two tags of one type are not the same.
(module
  (import "tags" "throw_i" (func $throw_i (param i32)))
  (tag $other (param i32))
  (func (export "other") (result i32)
    (try (result i32) (do (call $throw_i (i32.const 1)) (unreachable)) (catch $other) (catch_all (i32.const 2)))
  )
)
(assert_return (invoke "other") (i32.const 2))

;; A local without a default that was set in the body has no value in a clause, nor after the block.
(assert_invalid
  (module
    (func $f)
    (elem declare func $f)
    (func (local $l (ref func)) (try (do (local.set $l (ref.func $f))) (catch_all (drop (local.get $l))))))
  "uninitialized local")
(assert_invalid (module (func (try (do (rethrow 0)) (catch_all)))) "invalid rethrow label")
(assert_invalid (module (func (block (try (do) (catch_all (rethrow 1)))))) "invalid rethrow label")
(assert_invalid (module (func (rethrow 1))) "unknown label")
(assert_invalid (module (func (try (do (i32.const 1)) (catch_all)))) "type mismatch")
(assert_invalid (module (func (try (do (i32.const 1)) (delegate 0)))) "type mismatch")
(assert_invalid (module (func (try (param i32) (do (drop)) (catch_all)))) "type mismatch")
(assert_invalid (module (func (try (do (block (try (do) (delegate 4))))))) "unknown label")
(assert_invalid (module (func (try (do) (catch 0)))) "unknown tag")
(assert_malformed (module quote "(func (try (catch_all)))") "unexpected token")
(assert_malformed (module quote "(tag) (func try catch_all catch 0 end)") "unexpected token")
(assert_malformed (module quote "(func try catch_all delegate 0)") "unexpected token")
(assert_malformed (module quote "(func block catch_all end)") "unexpected token")
(assert_malformed (module quote "(func try $a catch_all $b end)") "mismatching label")
;; The binary has what the text can't say: parts in the wrong order.
(assert_malformed
  (module binary "\00asm\01\00\00\00\01\04\01\60\00\00\03\02\01\00\0a\0a\01\08\00\06\40\19\19\0b\0b\0b")
  "misplaced CATCH_ALL opcode")
(assert_malformed
  (module binary "\00asm\01\00\00\00\01\04\01\60\00\00\03\02\01\00\0d\03\01\00\00\0a\09\01\07\00\02\40\07\00\0b\0b")
  "misplaced CATCH opcode")
(assert_malformed
  (module binary "\00asm\01\00\00\00\01\04\01\60\00\00\03\02\01\00\0a\09\01\07\00\06\40\19\18\00\0b")
  "misplaced DELEGATE opcode")
