(func (param i32) (result f64)
  v128.const i32x4 1 -2 0x3 4_0 i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 31 v128.load8_lane 0 offset=1 align=1 3
  call_indirect 0 (param i32) (result i32) select (result i32) memory.copy memory.init 1 0 table.init 0
  ref.test (ref null i31) br_on_cast 0 anyref (ref 0) struct.get 0 1 array.new_fixed 0 3 f32.const nan:0x1 f32.const -inf
  f64.const 0x1.8p-1074 i64.atomic.rmw.add offset=0 loop $x end $x return_call_ref 0 (; (; ;) ;) ;; end
  $"quoted\20id")
