;; Casts between float32 and the smaller floats with 128-bit vectors, on the memory of a Go program.
;; The arithmetic is that of statedict/internal/convert (minifloat.narrow and its neighbours), with masks for branches.
;; Pointers are byte addresses; n counts elements and is a multiple of 16, not 0. simd.js connects the two programs.
(module
  (import "go" "mem" (memory 1))

  ;; narrow: float32 to a type of 16 bits (float16) or 8 bits, given by numbers:
  ;; $bits of its mantissa cut off; $bias: half a step less one, less the difference of the exponents' biases; $magic: the
  ;; number that shifts a subnormal's last place to float32's; $normal: the smallest normal number; $limit: the largest
  ;; magnitude that does not overflow; $over: the code of those that do; $nan: what NaN sets beside it; $one_zero: all ones in
  ;; a type without minus zero; $sign: where the sign bit moves down to.
  (func (export "narrow")
    (param $dst i32) (param $src i32) (param $n i32) (param $wide i32)
    (param $bits i32) (param $bias i32) (param $magic i32) (param $normal i32) (param $limit i32)
    (param $over i32) (param $nan i32) (param $one_zero i32) (param $sign i32)
    (local $vbias v128) (local $vmagic v128) (local $vnormal v128) (local $vlimit v128)
    (local $vover v128) (local $vnan v128) (local $vone_zero v128)
    (local $x v128) (local $mag v128) (local $code v128)
    (local.set $vbias (i32x4.splat (local.get $bias)))
    (local.set $vmagic (i32x4.splat (local.get $magic)))
    (local.set $vnormal (i32x4.splat (local.get $normal)))
    (local.set $vlimit (i32x4.splat (local.get $limit)))
    (local.set $vover (i32x4.splat (local.get $over)))
    (local.set $vnan (i32x4.splat (local.get $nan)))
    (local.set $vone_zero (i32x4.splat (local.get $one_zero)))
    (loop $next
      (local.set $x (v128.load (local.get $src)))
      (local.set $mag (v128.and (local.get $x) (v128.const i32x4 0x7fffffff 0x7fffffff 0x7fffffff 0x7fffffff)))
      (local.set $code
        (v128.bitselect
          ;; subnormal: the float adder rounds
          (i32x4.sub (f32x4.add (local.get $mag) (local.get $vmagic)) (local.get $vmagic))
          ;; normal: half a step less one, and the last bit that is kept, carry when round-to-even goes up
          (i32x4.shr_u
            (i32x4.add
              (i32x4.add (local.get $mag) (local.get $vbias))
              (v128.and (i32x4.shr_u (local.get $mag) (local.get $bits)) (v128.const i32x4 1 1 1 1)))
            (local.get $bits))
          (i32x4.lt_s (local.get $mag) (local.get $vnormal))))
      (local.set $code
        (v128.or
          (v128.bitselect (local.get $vover) (local.get $code) (i32x4.gt_s (local.get $mag) (local.get $vlimit)))
          (v128.and (local.get $vnan)
            (i32x4.gt_s (local.get $mag) (v128.const i32x4 0x7f800000 0x7f800000 0x7f800000 0x7f800000)))))
      (local.set $code
        (v128.or (local.get $code)
          (i32x4.shr_u
            (v128.andnot
              (v128.and (local.get $x) (v128.const i32x4 0x80000000 0x80000000 0x80000000 0x80000000))
              (v128.and (local.get $vone_zero) (i32x4.eq (local.get $code) (v128.const i32x4 0 0 0 0))))
            (local.get $sign))))
      (local.set $code (i16x8.narrow_i32x4_u (local.get $code) (local.get $code)))
      (if (local.get $wide)
        (then
          (v128.store64_lane 0 (local.get $dst) (local.get $code))
          (local.set $dst (i32.add (local.get $dst) (i32.const 8))))
        (else
          (v128.store32_lane 0 (local.get $dst) (i8x16.narrow_i16x8_u (local.get $code) (local.get $code)))
          (local.set $dst (i32.add (local.get $dst) (i32.const 4)))))
      (local.set $src (i32.add (local.get $src) (i32.const 16)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 4))))))

  ;; bfloat16: float32 to bfloat16; $nan is the code for NaN.
  (func (export "bfloat16") (param $dst i32) (param $src i32) (param $n i32) (param $nan i32)
    (local $vnan v128) (local $x v128) (local $y v128)
    (local.set $vnan (i32x4.splat (local.get $nan)))
    (loop $next
      (local.set $x (v128.load (local.get $src)))
      (local.set $y (v128.load offset=16 (local.get $src)))
      (v128.store (local.get $dst)
        (i16x8.narrow_i32x4_u
          (v128.bitselect
            (i32x4.shr_u
              (i32x4.add
                (i32x4.add (local.get $x) (v128.const i32x4 0x7fff 0x7fff 0x7fff 0x7fff))
                (v128.and (i32x4.shr_u (local.get $x) (i32.const 16)) (v128.const i32x4 1 1 1 1)))
              (i32.const 16))
            (local.get $vnan)
            (f32x4.eq (local.get $x) (local.get $x)))
          (v128.bitselect
            (i32x4.shr_u
              (i32x4.add
                (i32x4.add (local.get $y) (v128.const i32x4 0x7fff 0x7fff 0x7fff 0x7fff))
                (v128.and (i32x4.shr_u (local.get $y) (i32.const 16)) (v128.const i32x4 1 1 1 1)))
              (i32.const 16))
            (local.get $vnan)
            (f32x4.eq (local.get $y) (local.get $y)))))
      (local.set $src (i32.add (local.get $src) (i32.const 32)))
      (local.set $dst (i32.add (local.get $dst) (i32.const 16)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 8))))))

  ;; from_bfloat16: bfloat16 to float32.
  (func (export "from_bfloat16") (param $dst i32) (param $src i32) (param $n i32)
    (local $x v128)
    (loop $next
      (local.set $x (v128.load (local.get $src)))
      (v128.store (local.get $dst) (i32x4.shl (i32x4.extend_low_i16x8_u (local.get $x)) (i32.const 16)))
      (v128.store offset=16 (local.get $dst) (i32x4.shl (i32x4.extend_high_i16x8_u (local.get $x)) (i32.const 16)))
      (local.set $src (i32.add (local.get $src) (i32.const 16)))
      (local.set $dst (i32.add (local.get $dst) (i32.const 32)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 8))))))

  ;; from_float16: float16 to float32. A multiplication by 2**112 moves the exponent and makes subnormals normal;
  ;; infinity and NaN get float32's exponent, and NaN its quiet bit.
  (func (export "from_float16") (param $dst i32) (param $src i32) (param $n i32)
    (local $x v128) (local $mag v128)
    (loop $next
      (local.set $x (v128.load16x4_u (local.get $src)))
      (local.set $mag (i32x4.shl (v128.and (local.get $x) (v128.const i32x4 0x7fff 0x7fff 0x7fff 0x7fff)) (i32.const 13)))
      (v128.store (local.get $dst)
        (v128.or
          (v128.or
            (i32x4.shl (v128.and (local.get $x) (v128.const i32x4 0x8000 0x8000 0x8000 0x8000)) (i32.const 16))
            (f32x4.mul (local.get $mag) (v128.const i32x4 0x77800000 0x77800000 0x77800000 0x77800000)))
          (v128.or
            (v128.and
              (i32x4.ge_s (local.get $mag) (v128.const i32x4 0x0f800000 0x0f800000 0x0f800000 0x0f800000))
              (v128.const i32x4 0x7f800000 0x7f800000 0x7f800000 0x7f800000))
            (v128.and
              (i32x4.gt_s (local.get $mag) (v128.const i32x4 0x0f800000 0x0f800000 0x0f800000 0x0f800000))
              (v128.const i32x4 0x00400000 0x00400000 0x00400000 0x00400000)))))
      (local.set $src (i32.add (local.get $src) (i32.const 8)))
      (local.set $dst (i32.add (local.get $dst) (i32.const 16)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 4))))))

  ;; count: what a cast lost, x being the source and y the result, both as float32. Adds to five sums of four lanes each at
  ;; $sums: overflowed, flushed, rounded, NaN, NaN whose payload is lost.
  (func (export "count") (param $xs i32) (param $ys i32) (param $n i32) (param $sums i32)
    (local $x v128) (local $y v128) (local $nan v128) (local $done v128) (local $m v128)
    (local $over v128) (local $flush v128) (local $round v128) (local $nans v128) (local $lost v128)
    (local.set $over (v128.load offset=0 (local.get $sums)))
    (local.set $flush (v128.load offset=16 (local.get $sums)))
    (local.set $round (v128.load offset=32 (local.get $sums)))
    (local.set $nans (v128.load offset=48 (local.get $sums)))
    (local.set $lost (v128.load offset=64 (local.get $sums)))
    (loop $next
      (local.set $x (v128.load (local.get $xs)))
      (local.set $y (v128.load (local.get $ys)))
      (local.set $nan (f32x4.ne (local.get $x) (local.get $x)))
      (local.set $nans (i32x4.sub (local.get $nans) (local.get $nan)))
      (local.set $m (v128.and (local.get $x) (v128.const i32x4 0x3fffff 0x3fffff 0x3fffff 0x3fffff)))
      (local.set $lost
        (i32x4.sub (local.get $lost)
          (v128.andnot (local.get $nan)
            (v128.or
              (i32x4.eq (local.get $m) (v128.const i32x4 0 0 0 0))
              (i32x4.eq (local.get $m) (v128.and (local.get $y) (v128.const i32x4 0x3fffff 0x3fffff 0x3fffff 0x3fffff)))))))
      (local.set $done (v128.or (local.get $nan) (f32x4.eq (local.get $x) (local.get $y))))
      (local.set $y (v128.and (local.get $y) (v128.const i32x4 0x7fffffff 0x7fffffff 0x7fffffff 0x7fffffff)))
      (local.set $m
        (v128.andnot
          (v128.or
            (i32x4.ge_s (local.get $y) (v128.const i32x4 0x7f800000 0x7f800000 0x7f800000 0x7f800000))
            (i32x4.eq
              (v128.and (local.get $x) (v128.const i32x4 0x7fffffff 0x7fffffff 0x7fffffff 0x7fffffff))
              (v128.const i32x4 0x7f800000 0x7f800000 0x7f800000 0x7f800000)))
          (local.get $done)))
      (local.set $over (i32x4.sub (local.get $over) (local.get $m)))
      (local.set $done (v128.or (local.get $done) (local.get $m)))
      (local.set $m (v128.andnot (i32x4.eq (local.get $y) (v128.const i32x4 0 0 0 0)) (local.get $done)))
      (local.set $flush (i32x4.sub (local.get $flush) (local.get $m)))
      (local.set $round (i32x4.sub (local.get $round) (v128.not (v128.or (local.get $done) (local.get $m)))))
      (local.set $xs (i32.add (local.get $xs) (i32.const 16)))
      (local.set $ys (i32.add (local.get $ys) (i32.const 16)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 4)))))
    (v128.store offset=0 (local.get $sums) (local.get $over))
    (v128.store offset=16 (local.get $sums) (local.get $flush))
    (v128.store offset=32 (local.get $sums) (local.get $round))
    (v128.store offset=48 (local.get $sums) (local.get $nans))
    (v128.store offset=64 (local.get $sums) (local.get $lost))))
