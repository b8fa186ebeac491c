;; The opcode behind a prefix byte is an unsigned LEB128 of 32 bits: longer than need be is allowed, longer than five bytes
;; or with bits above the 32nd is malformed.

;; i32.trunc_sat_f32_s is 0xfc 0x00; here in five bytes.
(module binary
  "\00asm\01\00\00\00"
  "\01\06\01\60\01\7d\01\7f"              ;; (func (param f32) (result i32))
  "\03\02\01\00"
  "\07\05\01\01f\00\00"
  "\0a\0c\01\0a\00\20\00\fc\80\80\80\80\00\0b"
)
(assert_return (invoke "f" (f32.const 3.9)) (i32.const 3))
(assert_return (invoke "f" (f32.const nan)) (i32.const 0))

;; memory.fill is 0xfc 0x0b; in two bytes.
(module binary
  "\00asm\01\00\00\00"
  "\01\05\01\60\00\01\7f"
  "\03\02\01\00"
  "\05\03\01\00\01"
  "\07\05\01\01f\00\00"
  "\0a\13\01\11\00\41\00\41\07\41\01\fc\8b\00\00\41\00\2d\00\00\0b"
)
(assert_return (invoke "f") (i32.const 7))

;; Six bytes.
(assert_malformed
  (module binary
    "\00asm\01\00\00\00"
    "\01\06\01\60\01\7d\01\7f"
    "\03\02\01\00"
    "\0a\0d\01\0b\00\20\00\fc\80\80\80\80\80\00\0b"
  )
  "integer representation too long"
)
;; A 33rd bit.
(assert_malformed
  (module binary
    "\00asm\01\00\00\00"
    "\01\06\01\60\01\7d\01\7f"
    "\03\02\01\00"
    "\0a\0c\01\0a\00\20\00\fc\80\80\80\80\10\0b"
  )
  "integer too large"
)
;; An atomic's, of six bytes.
(assert_malformed
  (module binary
    "\00asm\01\00\00\00"
    "\01\04\01\60\00\00"
    "\03\02\01\00"
    "\0a\0c\01\0a\00\fe\83\80\80\80\80\00\00\0b"
  )
  "integer representation too long"
)
;; No instruction, though its low byte is one: 0x100 + 0x0b.
(assert_malformed
  (module binary
    "\00asm\01\00\00\00"
    "\01\04\01\60\00\00"
    "\03\02\01\00"
    "\0a\0e\01\0c\00\41\00\41\00\41\00\fc\8b\02\00\0b"
  )
  "illegal opcode"
)
