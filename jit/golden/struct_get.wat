;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1 --enable gc
;; Null is asked for; a packed field is extended, and a reference of 32 bits, too; a function is found by its number.
(module
  (type $f (func))
  (type $t (struct (field i16) (field (ref null any)) (field (ref null $f))))
  (func $packed (param (ref null $t)) (result i32) (struct.get_s $t 0 (local.get 0)))
  (func $reference (param (ref $t)) (result anyref) (struct.get $t 1 (local.get 0)))
  (func $function (param (ref $t)) (result (ref null $f)) (struct.get $t 2 (local.get 0))))
