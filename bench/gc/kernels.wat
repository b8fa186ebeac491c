;; What a garbage-collected guest does most. Each kernel takes how much of it, and returns what it computed.
(module
  (type $tree (struct (field $left (ref null $tree)) (field $right (ref null $tree))))
  (type $node (struct (field $value i32) (field $next (mut (ref null $node)))))
  (type $ints (array (mut i32)))
  (type $refs (array (mut (ref null $node))))
  (type $shape (sub (struct (field $side f64))))
  (type $square (sub $shape (struct (field $side f64))))
  (type $circle (sub $shape (struct (field $side f64))))
  (type $shapes (array (mut (ref null $shape))))

  ;; Makes a tree of a depth, and counts its nodes.
  (func $make (param $depth i32) (result (ref $tree))
    (if (result (ref $tree)) (local.get $depth)
      (then (struct.new $tree (call $make (i32.sub (local.get $depth) (i32.const 1)))
                              (call $make (i32.sub (local.get $depth) (i32.const 1)))))
      (else (struct.new $tree (ref.null $tree) (ref.null $tree)))))
  (func $count (param $tree (ref $tree)) (result i32)
    (block $leaf
      (return (i32.add (i32.const 1) (i32.add
        (call $count (br_on_null $leaf (struct.get $tree $left (local.get $tree))))
        (call $count (br_on_null $leaf (struct.get $tree $right (local.get $tree))))))))
    (i32.const 1))
  ;; Binary trees: a long-lived one, and many of smaller depths.
  (func (export "trees") (param $depth i32) (result i32)
    (local $kept (ref $tree)) (local $d i32) (local $turns i32) (local $sum i32)
    (local.set $kept (call $make (local.get $depth)))
    (local.set $d (i32.const 4))
    (loop $depths
      (local.set $turns (i32.shl (i32.const 1) (i32.sub (i32.add (local.get $depth) (i32.const 4)) (local.get $d))))
      (loop $again
        (local.set $sum (i32.add (local.get $sum) (call $count (call $make (local.get $d)))))
        (br_if $again (local.tee $turns (i32.sub (local.get $turns) (i32.const 1)))))
      (br_if $depths (i32.le_u (local.tee $d (i32.add (local.get $d) (i32.const 4))) (local.get $depth))))
    (i32.add (local.get $sum) (call $count (local.get $kept))))

  ;; Makes lists of 1,000 nodes, turns each around and sums it.
  (func (export "lists") (param $n i32) (result i32)
    (local $list (ref null $node)) (local $turned (ref null $node)) (local $next (ref null $node)) (local $i i32)
    (local $sum i32)
    (loop $again
      (local.set $list (ref.null $node))
      (local.set $i (i32.const 1000))
      (loop $build
        (local.set $list (struct.new $node (local.get $i) (local.get $list)))
        (br_if $build (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
      (local.set $turned (ref.null $node))
      (block $end
        (loop $turn
          (br_if $end (ref.is_null (local.get $list)))
          (local.set $next (struct.get $node $next (local.get $list)))
          (struct.set $node $next (local.get $list) (local.get $turned))
          (local.set $turned (local.get $list))
          (local.set $list (local.get $next))
          (br $turn)))
      (block $summed
        (loop $add
          (br_if $summed (ref.is_null (local.get $turned)))
          (local.set $sum (i32.add (local.get $sum) (struct.get $node $value (local.get $turned))))
          (local.set $turned (struct.get $node $next (local.get $turned)))
          (br $add)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))

  ;; Sums and scales an array of 10,000 numbers.
  (func (export "elements") (param $n i32) (result i32) (local $ints (ref $ints)) (local $i i32) (local $sum i32)
    (local.set $ints (array.new $ints (i32.const 3) (i32.const 10000)))
    (loop $again
      (local.set $i (i32.const 0))
      (loop $each
        (local.set $sum (i32.add (local.get $sum) (array.get $ints (local.get $ints) (local.get $i))))
        (array.set $ints (local.get $ints) (local.get $i) (i32.xor (local.get $sum) (local.get $i)))
        (br_if $each (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10000))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))

  ;; Copies 10,000 references within an array and to another one.
  (func (export "copies") (param $n i32) (result i32) (local $a (ref $refs)) (local $b (ref $refs))
    (local.set $a (array.new $refs (struct.new $node (i32.const 1) (ref.null $node)) (i32.const 10000)))
    (local.set $b (array.new_default $refs (i32.const 10000)))
    (loop $again
      (array.copy $refs $refs (local.get $a) (i32.const 1) (local.get $a) (i32.const 0) (i32.const 9999))
      (array.copy $refs $refs (local.get $b) (i32.const 0) (local.get $a) (i32.const 0) (i32.const 10000))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (struct.get $node $value (array.get $refs (local.get $b) (i32.const 9999))))

  ;; Small arrays that nobody keeps.
  (func (export "arrays") (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum) (array.len (array.new_default $ints (i32.and (local.get $n) (i32.const 31))))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))

  ;; Casts down, by turns to one type or the other.
  (func (export "casts") (param $n i32) (result i32)
    (local $shapes (ref $shapes)) (local $shape (ref null $shape)) (local $i i32) (local $sum f64)
    (local.set $shapes (array.new_default $shapes (i32.const 100)))
    (loop $fill
      (array.set $shapes (local.get $shapes) (local.get $i)
        (if (result (ref $shape)) (i32.rem_u (local.get $i) (i32.const 3))
          (then (struct.new $square (f64.const 2))) (else (struct.new $circle (f64.const 1)))))
      (br_if $fill (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100))))
    (loop $again
      (local.set $i (i32.const 0))
      (loop $each
        (local.set $shape (array.get $shapes (local.get $shapes) (local.get $i)))
        (local.set $sum (f64.add (local.get $sum)
          (if (result f64) (ref.test (ref $square) (local.get $shape))
            (then (struct.get $square $side (ref.cast (ref $square) (local.get $shape))))
            (else (f64.mul (f64.const 3.14) (struct.get $circle $side (ref.cast (ref $circle) (local.get $shape))))))))
        (br_if $each (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.trunc_f64_s (local.get $sum)))

  ;; Calls, each with a reference that lives across the other.
  (func $fib (param $n i32) (param $kept (ref $node)) (result i32)
    (if (result i32) (i32.lt_u (local.get $n) (i32.const 2))
      (then (struct.get $node $value (local.get $kept)))
      (else (i32.add (call $fib (i32.sub (local.get $n) (i32.const 1)) (local.get $kept))
                     (call $fib (i32.sub (local.get $n) (i32.const 2)) (local.get $kept))))))
  (func (export "calls") (param $n i32) (result i32)
    (call $fib (local.get $n) (struct.new $node (i32.const 1) (ref.null $node)))))
