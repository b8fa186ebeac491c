;;; ARGS: compile in.wasm --emit llvm-ir --cpu baseline --opt 1 --enable gc
;; The next cell of the size class, or a call where the run is used up; then the fields.
(module
  (type $t (struct (field i8) (field f64) (field (ref null any))))
  (func $make (param i32 f64 anyref) (result (ref $t)) (struct.new $t (local.get 0) (local.get 1) (local.get 2))))
