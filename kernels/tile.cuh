// What conv2d.cu, conv_transpose2d.cu and conv2d_weight.cu share.
//
// Each is a matrix product, Y[m, o] = sum over k of A[m, k] * B[k, o], whose A is never stored:
// which number of x stands at A[m, k] is for each file to say. The rest is the same. A block walks
// along k; slab by slab it brings a few columns of A and rows of B from global into shared memory
// and adds their product to its outputs, 64 x 32 to each warp:
//
//     load, put        1 or 4 numbers from memory into registers, and from there on
//     multiply         the product of one slab in fp32
//     copy16           4 numbers from global into shared memory, past the registers
//     multiply_tf32    the product of one slab by tensor cores

#pragma once

// The sizes of a convolution, in the order in which tinygen/cuda/convolution.py hands them over.
struct Conv {
    int N, C, H, W, O, OH, OW, KH, KW, stride_h, stride_w, pad_h, pad_w, dil_h, dil_w, groups;
};

// ---- fp32

const int BK = 8;  // k's in one slab

// VEC numbers that lie side by side, 4 (16 bytes at once) or 1. Outside of its array a thread may
// form an address but must not read there: it takes zeros.
template <int VEC>
__device__ __forceinline__ void load(float (&to)[VEC], const float* from, bool inside) {
    if (VEC == 4) {
        float4 v = inside ? *reinterpret_cast<const float4*>(from) : make_float4(0, 0, 0, 0);
        to[0] = v.x, to[1 % VEC] = v.y, to[2 % VEC] = v.z, to[3 % VEC] = v.w;
    } else {
        to[0] = inside ? *from : 0;
    }
}

template <int VEC>
__device__ __forceinline__ void put(float* to, const float* from) {
    if (VEC == 4)
        *reinterpret_cast<float4*>(to) = make_float4(from[0], from[1], from[2], from[3]);
    else
        *to = from[0];
}

// acc += the product of one slab, As [k][m] by Bs [k][o].
//
// A warp's 64 x 32 outputs are 8 x 4 lanes of 8 x 8. A lane's rows are two runs of 4, from `row`
// and from row + 32 on, its columns two runs of 4, from `col` and from col + 16 on: every load is
// 16 bytes, and the lanes of a warp cover the banks without conflict. For each k a lane loads 8 + 8
// numbers and does 64 multiply-adds. UNROLL is how many k's the compiler writes out in a row: more
// would not leave room for two blocks on a multiprocessor.
template <int UNROLL, int M, int O>
__device__ __forceinline__ void multiply(float (&acc)[8][8], const float (&As)[BK][M],
                                         const float (&Bs)[BK][O], int row, int col) {
#pragma unroll UNROLL
    for (int k = 0; k < BK; ++k) {
        float4 a0 = *reinterpret_cast<const float4*>(&As[k][row]),
               a1 = *reinterpret_cast<const float4*>(&As[k][row + 32]);
        float4 b0 = *reinterpret_cast<const float4*>(&Bs[k][col]),
               b1 = *reinterpret_cast<const float4*>(&Bs[k][col + 16]);
        float a[8] = {a0.x, a0.y, a0.z, a0.w, a1.x, a1.y, a1.z, a1.w};
        float b[8] = {b0.x, b0.y, b0.z, b0.w, b1.x, b1.y, b1.z, b1.w};
#pragma unroll
        for (int i = 0; i < 8; ++i)
#pragma unroll
            for (int j = 0; j < 8; ++j) acc[i][j] += a[i] * b[j];
    }
}

// ---- tensor cores, from sm_80 on
//
// mma.sync multiplies a 16 x 8 by an 8 x 8 matrix for a whole warp in one instruction. Its inputs
// are TF32: the sign and exponent of a float and 10 bits of its mantissa, so a product is off by up
// to 2^-10 of itself; sums stay fp32.

// Sends 16 bytes on their way to shared memory; whoever needs them waits. "Outside" costs nothing:
// cp.async reads 0 of the 16 bytes and writes zeros.
__device__ __forceinline__ void copy16(float* to, const float* from, bool inside) {
    unsigned target = __cvta_generic_to_shared(to);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(target), "l"(from),
                 "r"(inside ? 16 : 0));
}

__device__ __forceinline__ unsigned tf32(float x) {
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
}

// d += a * b for one warp. With r = lane / 4 and q = lane % 4 a lane holds
//     a: (r, q) (r + 8, q) (r, q + 4) (r + 8, q + 4)     b: (q, r) (q + 4, r)
//     d: (r, 2q) (r, 2q + 1) (r + 8, 2q) (r + 8, 2q + 1)
__device__ __forceinline__ void mma(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, {%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// acc += the product of one slab of KT k's, by 4 x 4 instructions for every 8 of them: acc[i][j] is
// the lane's part of the 16 x 8 outputs from (16 i, 8 j) on. a_at(m, k) and b_at(k, o) read the
// slab, with m and o counted from the warp's first row and column.
template <int KT, class A, class B>
__device__ __forceinline__ void multiply_tf32(float (&acc)[4][4][4], A a_at, B b_at) {
    int lane = threadIdx.x % 32, r = lane / 4, q = lane % 4;
#pragma unroll
    for (int k = 0; k < KT; k += 8) {
        unsigned a[4][4], b[4][2];
#pragma unroll
        for (int i = 0; i < 4; ++i)
#pragma unroll
            for (int v = 0; v < 4; ++v)
                a[i][v] = tf32(a_at(16 * i + r + v % 2 * 8, k + q + v / 2 * 4));
#pragma unroll
        for (int j = 0; j < 4; ++j)
#pragma unroll
            for (int v = 0; v < 2; ++v) b[j][v] = tf32(b_at(k + q + v * 4, 8 * j + r));
#pragma unroll
        for (int i = 0; i < 4; ++i)
#pragma unroll
            for (int j = 0; j < 4; ++j) mma(acc[i][j], a[i], b[j]);
    }
}
