;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1 --enable gc
;; Null has no elements, so the bound's compare is all; the reference is kept alive up to the address.
(module
  (type $t (array (mut i64)))
  (func $get (param (ref null $t) i32) (result i64) (array.get $t (local.get 0) (local.get 1))))
