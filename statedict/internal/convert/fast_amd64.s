#include "textflag.h"

// All loops take 16 elements at a time; n is a multiple of 16 and not 0.

// func cpuFeatures() (ecx1, ebx7, xcr0 uint32)
TEXT ·cpuFeatures(SB), NOSPLIT, $0-12
	MOVL $1, AX
	XORL CX, CX
	CPUID
	MOVL CX, ecx1+0(FP)
	MOVL $0, ebx7+4(FP)
	MOVL $0, xcr0+8(FP)
	TESTL $(1<<27), CX // OSXSAVE: XGETBV exists
	JZ done
	XORL CX, CX
	XGETBV
	MOVL AX, xcr0+8(FP)
	XORL AX, AX
	CPUID
	CMPL AX, $7
	JLT done
	MOVL $7, AX
	XORL CX, CX
	CPUID
	MOVL BX, ebx7+4(FP)
done:
	RET

// func float16AVX2(dst, src *byte, n int)
// NaN becomes its sign and 0x7fc00000 first, which VCVTPS2PH turns into 0x7e00.
TEXT ·float16AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	VPCMPEQD Y15, Y15, Y15
	VPSLLD $31, Y15, Y14 // sign
	VPSRLD $23, Y15, Y13
	VPSLLD $22, Y13, Y13 // 0x7fc00000
loop:
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VCMPPS $3, Y0, Y0, Y2
	VCMPPS $3, Y1, Y1, Y3
	VPAND Y14, Y0, Y4
	VPAND Y14, Y1, Y5
	VPOR Y13, Y4, Y4
	VPOR Y13, Y5, Y5
	VBLENDVPS Y2, Y4, Y0, Y0
	VBLENDVPS Y3, Y5, Y1, Y1
	VCVTPS2PH $0, Y0, (DI)
	VCVTPS2PH $0, Y1, 16(DI)
	ADDQ $64, SI
	ADDQ $32, DI
	SUBQ $16, CX
	JNZ loop
	VZEROUPPER
	RET

// func bfloat16AVX2(dst, src *byte, n int, nan uint32)
TEXT ·bfloat16AVX2(SB), NOSPLIT, $0-28
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	MOVL nan+24(FP), AX
	VMOVD AX, X15
	VPBROADCASTD X15, Y15
	VPCMPEQD Y14, Y14, Y14
	VPSRLD $31, Y14, Y13 // 1
	VPSRLD $17, Y14, Y14 // 0x7fff
loop:
	VMOVUPS (SI), Y0
	VMOVUPS 32(SI), Y1
	VCMPPS $3, Y0, Y0, Y4
	VCMPPS $3, Y1, Y1, Y5
	VPSRLD $16, Y0, Y2
	VPSRLD $16, Y1, Y3
	VPAND Y13, Y2, Y2
	VPAND Y13, Y3, Y3
	VPADDD Y14, Y0, Y0
	VPADDD Y14, Y1, Y1
	VPADDD Y2, Y0, Y0
	VPADDD Y3, Y1, Y1
	VPSRLD $16, Y0, Y0
	VPSRLD $16, Y1, Y1
	VPBLENDVB Y4, Y15, Y0, Y0
	VPBLENDVB Y5, Y15, Y1, Y1
	VPACKUSDW Y1, Y0, Y0
	VPERMQ $0xD8, Y0, Y0
	VMOVDQU Y0, (DI)
	ADDQ $64, SI
	ADDQ $32, DI
	SUBQ $16, CX
	JNZ loop
	VZEROUPPER
	RET

// func fromFloat16AVX2(dst, src *byte, n int)
TEXT ·fromFloat16AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
loop:
	VCVTPH2PS (SI), Y0
	VCVTPH2PS 16(SI), Y1
	VMOVUPS Y0, (DI)
	VMOVUPS Y1, 32(DI)
	ADDQ $32, SI
	ADDQ $64, DI
	SUBQ $16, CX
	JNZ loop
	VZEROUPPER
	RET

// func fromBFloat16AVX2(dst, src *byte, n int)
TEXT ·fromBFloat16AVX2(SB), NOSPLIT, $0-24
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
loop:
	VPMOVZXWD (SI), Y0
	VPMOVZXWD 16(SI), Y1
	VPSLLD $16, Y0, Y0
	VPSLLD $16, Y1, Y1
	VMOVDQU Y0, (DI)
	VMOVDQU Y1, 32(DI)
	ADDQ $32, SI
	ADDQ $64, DI
	SUBQ $16, CX
	JNZ loop
	VZEROUPPER
	RET

// NARROW rounds the eight float32 of in to codes: minifloat.narrow without its branches. Constants as loaded below.
#define NARROW(in, out) \
	VPAND Y15, in, Y1 \
	VPSRLD X5, Y1, Y2        \
	VPAND Y14, Y2, Y2 \
	VPADDD Y2, Y1, Y2        \
	VPADDD Y13, Y2, Y2 \
	VPSRLD X5, Y2, Y2 \
	VADDPS Y12, Y1, Y3       \
	VPSUBD Y12, Y3, Y3 \
	VPCMPGTD Y1, Y11, Y4     \
	VPBLENDVB Y4, Y3, Y2, Y2 \
	VPCMPGTD Y10, Y1, Y4 \
	VPBLENDVB Y4, Y9, Y2, Y2 \
	VPCMPGTD Y8, Y1, Y4 \
	VPBLENDVB Y4, Y7, Y2, Y2 \
	VPXOR Y4, Y4, Y4         \
	VPCMPEQD Y4, Y2, Y4      \
	VPAND Y6, Y4, Y4 \
	VPANDN in, Y4, Y3        \
	VPSRLD $31, Y3, Y3       \
	VPSLLD $7, Y3, Y3        \
	VPOR Y3, Y2, out

// func float8AVX2(dst, src *byte, n int, c *narrowConstants)
TEXT ·float8AVX2(SB), NOSPLIT, $32-32
	MOVQ dst+0(FP), DI
	MOVQ src+8(FP), SI
	MOVQ n+16(FP), CX
	MOVQ c+24(FP), DX
	VPCMPEQD Y14, Y14, Y14
	VPSRLD $1, Y14, Y15  // 0x7fffffff
	VPSRLD $31, Y14, Y14 // 1
	VPBROADCASTD 0(DX), Y13
	VPBROADCASTD 4(DX), Y12
	VPBROADCASTD 8(DX), Y11
	VPBROADCASTD 12(DX), Y10
	VPBROADCASTD 16(DX), Y9
	VPBROADCASTD 20(DX), Y8
	VPBROADCASTD 24(DX), Y7
	VPBROADCASTD 28(DX), Y6
	VMOVD 32(DX), X5
loop:
	VMOVDQU (SI), Y0
	NARROW(Y0, Y0)
	VMOVDQU Y0, tmp-32(SP)
	VMOVDQU 32(SI), Y0
	NARROW(Y0, Y0)
	VMOVDQU tmp-32(SP), Y1
	VPACKUSDW Y0, Y1, Y0
	VPERMQ $0xD8, Y0, Y0
	VEXTRACTI128 $1, Y0, X1
	VPACKUSWB X1, X0, X0
	VMOVDQU X0, (DI)
	ADDQ $64, SI
	ADDQ $16, DI
	SUBQ $16, CX
	JNZ loop
	VZEROUPPER
	RET

// func countAVX2(x, y *byte, n int, sums *[5][8]uint32)
// Adds to sums, in lanes: overflowed, flushed, rounded, NaN, lost NaN.
TEXT ·countAVX2(SB), NOSPLIT, $0-32
	MOVQ x+0(FP), SI
	MOVQ y+8(FP), DI
	MOVQ n+16(FP), CX
	MOVQ sums+24(FP), DX
	VPCMPEQD Y15, Y15, Y15
	VPSRLD $1, Y15, Y14  // 0x7fffffff
	VPSRLD $10, Y15, Y13 // 0x3fffff, a payload
	VPSRLD $24, Y15, Y12
	VPSLLD $23, Y12, Y12 // infinity
	VPADDD Y15, Y12, Y11 // infinity less one
	VPXOR Y10, Y10, Y10
	VMOVDQU 0(DX), Y5
	VMOVDQU 32(DX), Y6
	VMOVDQU 64(DX), Y7
	VMOVDQU 96(DX), Y8
	VMOVDQU 128(DX), Y9
loop:
	VMOVDQU (SI), Y0
	VMOVDQU (DI), Y1
	VCMPPS $3, Y0, Y0, Y2 // NaN
	VPSUBD Y2, Y8, Y8
	VPAND Y13, Y0, Y3
	VPAND Y13, Y1, Y4
	VPCMPEQD Y3, Y4, Y4   // same payload
	VPCMPEQD Y10, Y3, Y3  // no payload
	VPOR Y3, Y4, Y4
	VPANDN Y2, Y4, Y4
	VPSUBD Y4, Y9, Y9
	VCMPPS $0, Y0, Y1, Y3 // equal
	VPOR Y2, Y3, Y2       // done with
	VPAND Y14, Y0, Y3
	VPCMPEQD Y12, Y3, Y3
	VPAND Y14, Y1, Y1
	VPCMPGTD Y11, Y1, Y4
	VPOR Y3, Y4, Y3
	VPANDN Y3, Y2, Y3     // overflowed
	VPSUBD Y3, Y5, Y5
	VPOR Y3, Y2, Y2
	VPCMPEQD Y10, Y1, Y4
	VPANDN Y4, Y2, Y4     // flushed
	VPSUBD Y4, Y6, Y6
	VPOR Y4, Y2, Y2
	VPANDN Y15, Y2, Y2    // rounded
	VPSUBD Y2, Y7, Y7
	ADDQ $32, SI
	ADDQ $32, DI
	SUBQ $8, CX
	JNZ loop
	VMOVDQU Y5, 0(DX)
	VMOVDQU Y6, 32(DX)
	VMOVDQU Y7, 64(DX)
	VMOVDQU Y8, 96(DX)
	VMOVDQU Y9, 128(DX)
	VZEROUPPER
	RET
