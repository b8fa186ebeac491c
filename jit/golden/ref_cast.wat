;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1 --enable gc
;; To a final type by the object's own, to another by the entry of its depth; from any, what is no object reads as null.
(module
  (type $a (sub (struct (field i32))))
  (type $b (sub final $a (struct (field i32) (field i32))))
  (func $final (param (ref $a)) (result (ref $b)) (ref.cast (ref $b) (local.get 0)))
  (func $open (param anyref) (result i32) (ref.test (ref null $a) (local.get 0)))
  (func $kind (param eqref) (result i32) (ref.test (ref struct) (local.get 0))))
