// conv2d: the convolution of deep learning (a cross-correlation), forward.
//
//     y[n, o, oh, ow] = sum over c, kh, kw of  x[n, c, ih, iw] * w[o, c, kh, kw]
//     ih = oh * stride_h - pad_h + kh * dil_h        (x is 0 outside of its H x W pixels)
//     iw = ow * stride_w - pad_w + kw * dil_w
//
// With groups, output channel o sees only the Cg = C / groups input channels of its own group.
//
// Layouts. Channels are innermost, so that neighbouring threads find neighbouring channels in one
// 16-byte load:
//     x (N, H, W, C)     y (N, OH, OW, O)     w (KH, KW, Cg, O)
//
// Seen as a matrix product ("implicit GEMM"), which every kernel but the first does:
//     Y (M x O) = A (M x K) * B (K x O)      M = N * OH * OW pixels,   K = KH * KW * Cg
// Row m of A is the patch under output pixel m = (n, oh, ow), column k = (kh, kw, c) says which
// number of the patch, and B is w as it lies in memory. A is never stored: it is KH * KW times as
// big as x. A thread that wants A[m, k] computes where in x that is. With groups there is one such
// product for each group: blockIdx.y.
//
// The ladder (which one runs is decided in tinygen/cuda/convolution.py):
//     conv2d_naive        one thread an output, all from global memory    any shape, float64
//     conv2d_tile         + shared-memory tiles: each number is loaded 16 times less
//     conv2d_gemm_*       + 8 x 8 outputs a thread in registers, double buffer  the fp32 workhorse
//     conv2d_tf32_*       + tensor cores: 10-bit mantissas, asynchronous copies   opt-in
//     conv2d_one_in       one input channel: bound by writing y
//     conv2d_one_out      one output channel: a warp is one dot product
// What it shares with conv_transpose2d.cu and conv2d_weight.cu is in tile.cuh: read that at rung 3.

#include "tile.cuh"

// ---- 1. naive: one thread computes one output, a gather
//
// Consecutive threads have consecutive o: they read the same x (one broadcast) and consecutive w
// (coalesced). But every number comes from memory again for each use: 2 loads for 1 multiply-add.
// Where little is shared between outputs (depthwise: Cg = 1 and Og = 1) there is nothing better to
// be had, and this is the kernel that runs.

template <class T>
__device__ void naive(T* y, const T* x, const T* w, const Conv& s) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;  // (n, oh, ow, o), o fastest
    long long total = (long long)s.N * s.OH * s.OW * s.O;
    if (i >= total) return;
    int o = i % s.O, Cg = s.C / s.groups, group = o / (s.O / s.groups);
    long long m = i / s.O;
    int ow = m % s.OW, oh = m / s.OW % s.OH, n = m / s.OW / s.OH;
    T sum = 0;
    for (int kh = 0; kh < s.KH; ++kh) {
        int ih = oh * s.stride_h - s.pad_h + kh * s.dil_h;
        if (ih < 0 || ih >= s.H) continue;
        for (int kw = 0; kw < s.KW; ++kw) {
            int iw = ow * s.stride_w - s.pad_w + kw * s.dil_w;
            if (iw < 0 || iw >= s.W) continue;
            const T* xc = x + (((long long)n * s.H + ih) * s.W + iw) * s.C + group * Cg;
            const T* wc = w + (long long)(kh * s.KW + kw) * Cg * s.O + o;
            for (int c = 0; c < Cg; ++c) sum += xc[c] * wc[(long long)c * s.O];
        }
    }
    y[i] = sum;
}

extern "C" __global__ void conv2d_naive(float* y, const float* x, const float* w, Conv s) {
    naive(y, x, w, s);
}
extern "C" __global__ void conv2d_naive_double(double* y, const double* x, const double* w,
                                               Conv s) {
    naive(y, x, w, s);
}

// ---- 2. shared-memory tile: 16 x 16 threads compute 16 x 16 outputs together
//
// The block walks along k in slabs of 16. For each slab the 256 threads load 16 x 16 numbers of A
// and of B into shared memory, one each, and then every thread does 16 multiply-adds from there:
// each loaded number is used 16 times. The two barriers keep loading and using apart. Rows of As
// are padded to 17 floats: a column then crosses all 32 banks.

extern "C" __global__ void __launch_bounds__(256)
    conv2d_tile(float* y, const float* x, const float* w, Conv s) {
    __shared__ float As[16][17];  // [m][k]
    __shared__ float Bs[16][17];  // [k][o]
    int Cg = s.C / s.groups, Og = s.O / s.groups, group = blockIdx.y, K = s.KH * s.KW * Cg;
    int M = s.N * s.OH * s.OW, tiles_o = (Og + 15) / 16;
    int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
    int m = blockIdx.x / tiles_o * 16 + ty, o = blockIdx.x % tiles_o * 16 + tx;
    int ow = m % s.OW, oh = m / s.OW % s.OH, n = m / s.OW / s.OH;
    float sum = 0;
    for (int k0 = 0; k0 < K; k0 += 16) {
        int k = k0 + tx, c = k % Cg, kw = k / Cg % s.KW, kh = k / Cg / s.KW;
        int ih = oh * s.stride_h - s.pad_h + kh * s.dil_h;
        int iw = ow * s.stride_w - s.pad_w + kw * s.dil_w;
        bool inside = m < M && k < K && ih >= 0 && ih < s.H && iw >= 0 && iw < s.W;
        As[ty][tx] = inside ? x[(((long long)n * s.H + ih) * s.W + iw) * s.C + group * Cg + c] : 0;
        Bs[ty][tx] = k0 + ty < K && o < Og ? w[(long long)(k0 + ty) * s.O + group * Og + o] : 0;
        __syncthreads();
        for (int j = 0; j < 16; ++j) sum += As[ty][j] * Bs[j][tx];
        __syncthreads();
    }
    if (m < M && o < Og) y[(long long)m * s.O + group * Og + o] = sum;
}

// ---- 3. implicit GEMM with register tiles, the fp32 workhorse
//
// In the tile kernel a multiply-add costs two loads from shared memory, which can deliver a quarter
// of that. Here a thread owns 8 x 8 outputs: for each k it loads 8 + 8 numbers and does 64
// multiply-adds from registers (tile.cuh has load, put and multiply).
//
//   warp    64 x 32 outputs: 8 x 4 lanes of 8 x 8.
//   block   WM x WN warps, BM = 64 WM by BN = 32 WN outputs, walking along k in slabs of BK = 8.
//   As      [k][m]: transposed while storing, so that a lane's 4 rows are 4 neighbours. Padded by
//           4 floats, which spreads the stores over the banks and keeps rows on 16 bytes.
//   double  two slabs in shared memory: while slab i is used, slab i + 1 travels from global memory
//   buffer  to registers, and is stored into the other half afterwards. One barrier a slab: it says
//           "the next half is full" and "this half is free" at once.
//   VEC     numbers a load takes along the channels: 4 (16 bytes) when Cg and Og are multiples of
//           4, else 1.
//
// No division happens inside the loop: each thread always loads the same column of the slab, so it
// keeps (kh, kw, c) of that column and steps it by BK with carries.

// Column k = (kh, kw, c) of A, stepped without divisions.
struct Tap {
    int kh, kw, c, Cg, KW;
    __device__ Tap(int k, int Cg, int KW) : Cg(Cg), KW(KW) {
        c = k % Cg, kw = k / Cg % KW, kh = k / Cg / KW;
    }
    __device__ void step(int by) {
        for (c += by; c >= Cg; c -= Cg)
            if (++kw == KW) kw = 0, ++kh;
    }
};

// Where output pixel m finds its patch: the patch's corner, and the flat index of that corner in x,
// counted from image n0. A block meets at most BM images from its first one on, so 32 bits do for
// the count (convolution.py sees to it), while x + n0 * H * W * C takes 64.
struct Pixel {
    int ih, iw, at;
    __device__ void find(int m, int M, const Conv& s, int n0) {
        int ow = m % s.OW, oh = m / s.OW % s.OH, n = m / s.OW / s.OH;
        ih = oh * s.stride_h - s.pad_h, iw = ow * s.stride_w - s.pad_w;
        at = (((n - n0) * s.H + ih) * s.W + iw) * s.C;
        if (m >= M) ih = -(1 << 30);  // rows past the end lie outside of every image
    }
};

template <int WM, int WN, int VEC>
__device__ __forceinline__ void gemm(float* y, const float* x, const float* w, const Conv& s) {
    const int BM = 64 * WM, BN = 32 * WN, THREADS = 32 * WM * WN;
    const int A_LOADS = BM * BK / VEC / THREADS, B_LOADS = BN * BK / VEC / THREADS;
    __shared__ __align__(16) float As[2][BK][BM + 4];
    __shared__ __align__(16) float Bs[2][BK][BN + 4];
    int Cg = s.C / s.groups, Og = s.O / s.groups, group = blockIdx.y, K = s.KH * s.KW * Cg;
    int M = s.N * s.OH * s.OW, tiles_o = (Og + BN - 1) / BN;
    int m0 = blockIdx.x / tiles_o * BM, o0 = blockIdx.x % tiles_o * BN;

    // What this thread loads of A: column a_k of every slab, in the rows a_m, a_m + A_ROWS, ...
    const int A_ROWS = THREADS / (BK / VEC);
    int a_k = threadIdx.x % (BK / VEC) * VEC, a_m = threadIdx.x / (BK / VEC);
    int n0 = m0 / s.OW / s.OH;
    x += (long long)n0 * s.H * s.W * s.C + group * Cg;
    Tap tap(a_k, Cg, s.KW);
    Pixel pixel[A_LOADS];
#pragma unroll
    for (int i = 0; i < A_LOADS; ++i) pixel[i].find(m0 + a_m + i * A_ROWS, M, s, n0);
    // And of B: column b_o, in the rows b_k, b_k + B_ROWS, ...
    const int B_ROWS = THREADS / (BN / VEC);
    int b_o = threadIdx.x % (BN / VEC) * VEC, b_k = threadIdx.x / (BN / VEC);
    const float* b_from = w + (long long)b_k * s.O + group * Og + o0 + b_o;
    int b_rows = (o0 + b_o < Og ? K : 0) - b_k;  // how many of its rows exist

    float a_next[A_LOADS][VEC], b_next[B_LOADS][VEC];
    auto fetch = [&](int k0) {
        int dh = tap.kh * s.dil_h, dw = tap.kw * s.dil_w;
        int shift = (dh * s.W + dw) * s.C + tap.c;
#pragma unroll
        for (int i = 0; i < A_LOADS; ++i) {
            bool inside = tap.kh < s.KH && (unsigned)(pixel[i].ih + dh) < s.H &&
                          (unsigned)(pixel[i].iw + dw) < s.W;
            load<VEC>(a_next[i], x + pixel[i].at + shift, inside);
        }
#pragma unroll
        for (int i = 0; i < B_LOADS; ++i) {
            bool inside = k0 + i * B_ROWS < b_rows;
            load<VEC>(b_next[i], b_from, inside);
            b_from += B_ROWS * s.O;
        }
        tap.step(BK);
    };
    auto store = [&](int half) {
#pragma unroll
        for (int i = 0; i < A_LOADS; ++i)
#pragma unroll
            for (int v = 0; v < VEC; ++v) As[half][a_k + v][a_m + i * A_ROWS] = a_next[i][v];
#pragma unroll
        for (int i = 0; i < B_LOADS; ++i) put<VEC>(&Bs[half][b_k + i * B_ROWS][b_o], b_next[i]);
    };

    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int row = warp / WN * 64 + lane / 4 * 4, col = warp % WN * 32 + lane % 4 * 4;
    float* out = y + (long long)(m0 + row) * s.O + group * Og + o0 + col;
    int rows = M - m0 - row, cols = Og - o0 - col;  // how many of this thread's outputs exist
    float acc[8][8] = {};
    fetch(0);
    store(0);
    __syncthreads();
    int half = 0;
    for (int k0 = BK; k0 < K; k0 += BK, half ^= 1) {
        fetch(k0);
        multiply<2>(acc, As[half], Bs[half], row, col);
        store(half ^ 1);
        __syncthreads();
    }
    multiply<2>(acc, As[half], Bs[half], row, col);

#pragma unroll
    for (int i = 0; i < 8; ++i) {
        int m = i % 4 + i / 4 * 32;
        if (m >= rows) continue;
#pragma unroll
        for (int j = 0; j < 8; j += VEC) {
            int o = j % 4 + j / 4 * 16;
            if (o >= cols) continue;
            put<VEC>(out + (long long)m * s.O + o, &acc[i][j]);
        }
    }
}

// The sizes that are launched. Big tiles reuse more, small tiles fill the chip when there are few
// of them.
extern "C" __global__ void __launch_bounds__(256, 2)
    conv2d_gemm_128x128(float* y, const float* x, const float* w, Conv s) {
    gemm<2, 4, 4>(y, x, w, s);
}
extern "C" __global__ void __launch_bounds__(64, 6)
    conv2d_gemm_128x32(float* y, const float* x, const float* w, Conv s) {
    gemm<2, 1, 4>(y, x, w, s);
}
extern "C" __global__ void __launch_bounds__(64, 6)
    conv2d_gemm_64x64(float* y, const float* x, const float* w, Conv s) {
    gemm<1, 2, 4>(y, x, w, s);
}
extern "C" __global__ void __launch_bounds__(64, 6)
    conv2d_gemm_64x64_any(float* y, const float* x, const float* w, Conv s) {
    gemm<1, 2, 1>(y, x, w, s);
}

// ---- 4. tensor cores: the same product by mma.sync, in TF32
//
// One instruction multiplies a 16 x 8 by an 8 x 8 matrix for a whole warp (tile.cuh has mma and
// multiply_tf32). A warp owns 64 x 32 outputs again: 4 x 4 instructions for every 8 k.
//
// Numbers travel from global to shared memory by cp.async (copy16), 16 bytes at a time, past the
// registers: As is [m][k] now, as x lies. Three slabs of 16 k are under way at once. Rows are
// padded so that the 32 lanes of a load hit 32 different banks: lane (r, q), see mma, reads As at
// 20 r + q (rows of 20 floats) and Bs at 8 q + r (rows of BN + 8, BN a multiple of 32), modulo 32.
// Needs Cg and Og to be multiples of 4.

#if __CUDA_ARCH__ >= 800
template <int WM, int WN>
__device__ __forceinline__ void tf32_gemm(float* y, const float* x, const float* w, const Conv& s) {
    const int KT = 16, BM = 64 * WM, BN = 32 * WN, THREADS = 32 * WM * WN;
    __shared__ __align__(16) float As[3][BM][KT + 4];
    __shared__ __align__(16) float Bs[3][KT][BN + 8];
    int Cg = s.C / s.groups, Og = s.O / s.groups, group = blockIdx.y, K = s.KH * s.KW * Cg;
    int M = s.N * s.OH * s.OW, tiles_o = (Og + BN - 1) / BN;
    int m0 = blockIdx.x / tiles_o * BM, o0 = blockIdx.x % tiles_o * BN;

    const int A_ROWS = THREADS / (KT / 4), A_LOADS = BM / A_ROWS;
    int a_k = threadIdx.x % (KT / 4) * 4, a_m = threadIdx.x / (KT / 4);
    int n0 = m0 / s.OW / s.OH;
    x += (long long)n0 * s.H * s.W * s.C + group * Cg;
    Tap tap(a_k, Cg, s.KW);
    Pixel pixel[A_LOADS];
#pragma unroll
    for (int i = 0; i < A_LOADS; ++i) pixel[i].find(m0 + a_m + i * A_ROWS, M, s, n0);
    const int B_ROWS = THREADS / (BN / 4), B_LOADS = KT / B_ROWS;
    int b_o = threadIdx.x % (BN / 4) * 4, b_k = threadIdx.x / (BN / 4);
    const float* b_from = w + (long long)b_k * s.O + group * Og + o0 + b_o;
    int b_rows = (o0 + b_o < Og ? K : 0) - b_k;  // how many of its rows exist

    auto fetch = [&](int k0, int slab) {
        int dh = tap.kh * s.dil_h, dw = tap.kw * s.dil_w;
        int shift = (dh * s.W + dw) * s.C + tap.c;
#pragma unroll
        for (int i = 0; i < A_LOADS; ++i) {
            bool inside = tap.kh < s.KH && (unsigned)(pixel[i].ih + dh) < s.H &&
                          (unsigned)(pixel[i].iw + dw) < s.W;
            copy16(&As[slab][a_m + i * A_ROWS][a_k], x + (inside ? pixel[i].at + shift : 0),
                   inside);
        }
#pragma unroll
        for (int i = 0; i < B_LOADS; ++i) {
            bool inside = k0 + i * B_ROWS < b_rows;
            copy16(&Bs[slab][b_k + i * B_ROWS][b_o], inside ? b_from : w, inside);
            b_from += B_ROWS * s.O;
        }
        tap.step(KT);
    };

    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, r = lane / 4, q = lane % 4;
    int row = warp / WN * 64, col = warp % WN * 32;
    float acc[4][4][4] = {};
    fetch(0, 0);
    asm volatile("cp.async.commit_group;");
    fetch(KT, 1);
    asm volatile("cp.async.commit_group;");
    for (int k0 = 0, slab = 0; k0 < K; k0 += KT, slab = (slab + 1) % 3) {
        asm volatile("cp.async.wait_group 1;");  // this thread's part of the slab has arrived ...
        __syncthreads();  // ... everyone's has, and the slab before is no longer read
        fetch(k0 + 2 * KT, (slab + 2) % 3);
        asm volatile("cp.async.commit_group;");
        multiply_tf32<KT>(
            acc, [&](int m, int k) { return As[slab][row + m][k]; },
            [&](int k, int o) { return Bs[slab][k][col + o]; });
    }

#pragma unroll
    for (int i = 0; i < 8; ++i) {  // 8 rows a lane: 4 instructions high, 2 rows in each
        int m = m0 + row + i / 2 * 16 + i % 2 * 8 + r;
        if (m >= M) continue;
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            int o = o0 + col + 8 * j + 2 * q;
            if (o >= Og) continue;
            float2 pair = make_float2(acc[i / 2][j][i % 2 * 2], acc[i / 2][j][i % 2 * 2 + 1]);
            *reinterpret_cast<float2*>(y + (long long)m * s.O + group * Og + o) = pair;
        }
    }
}
#else
template <int WM, int WN>
__device__ void tf32_gemm(float*, const float*, const float*, const Conv&) {
    __trap();  // before sm_80 there is no such instruction; convolution.py does not come here
}
#endif

extern "C" __global__ void __launch_bounds__(128, 4)
    conv2d_tf32_128x64(float* y, const float* x, const float* w, Conv s) {
    tf32_gemm<2, 2>(y, x, w, s);
}
extern "C" __global__ void __launch_bounds__(64, 6)
    conv2d_tf32_128x32(float* y, const float* x, const float* w, Conv s) {
    tf32_gemm<2, 1>(y, x, w, s);
}
extern "C" __global__ void __launch_bounds__(64, 6)
    conv2d_tf32_64x64(float* y, const float* x, const float* w, Conv s) {
    tf32_gemm<1, 2>(y, x, w, s);
}

// ---- 5. one input channel: memory-bound
//
// K is KH * KW, 9 or 16: there is nothing to tile, the time goes into writing y. A thread makes 4
// channels of 4 neighbouring pixels: 16-byte stores, and each 16 bytes of w from the L1 cache serve
// 16 multiply-adds. The x of a pixel is the same for all lanes that share it: a broadcast.
// Needs C = 1 and O to be a multiple of 4.

extern "C" __global__ void __launch_bounds__(256)
    conv2d_one_in(float* y, const float* x, const float* w, Conv s) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    int o = i % (s.O / 4) * 4, M = s.N * s.OH * s.OW;
    long long m0 = i / (s.O / 4) * 4;
    if (m0 >= M) return;
    int n0 = m0 / s.OW / s.OH;
    x += (long long)n0 * s.H * s.W;
    Pixel pixel[4];
    float4 sum[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
        pixel[j].find(m0 + j, M, s, n0);
        sum[j] = make_float4(0, 0, 0, 0);
    }
    for (int kh = 0; kh < s.KH; ++kh)
        for (int kw = 0; kw < s.KW; ++kw) {
            int dh = kh * s.dil_h, dw = kw * s.dil_w;
            float4 b = *reinterpret_cast<const float4*>(w + (kh * s.KW + kw) * s.O + o);
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                bool inside =
                    (unsigned)(pixel[j].ih + dh) < s.H && (unsigned)(pixel[j].iw + dw) < s.W;
                float a = inside ? x[pixel[j].at + dh * s.W + dw] : 0;
                sum[j].x += a * b.x, sum[j].y += a * b.y, sum[j].z += a * b.z, sum[j].w += a * b.w;
            }
        }
#pragma unroll
    for (int j = 0; j < 4; ++j)
        if (m0 + j < M) *reinterpret_cast<float4*>(y + (m0 + j) * s.O + o) = sum[j];
}

// ---- 6. one output channel: a warp is one dot product of length K
//
// A GEMM tile would be one column wide. Instead the 32 lanes share one output: lane l takes columns
// 4 l, 4 l + 128, ... of its row of A and adds them up, then five shuffles add the lanes. w has no
// o axis left and is one run of K numbers. Needs O = 1 and C to be a multiple of 4.

extern "C" __global__ void __launch_bounds__(256)
    conv2d_one_out(float* y, const float* x, const float* w, Conv s) {
    int M = s.N * s.OH * s.OW, m = blockIdx.x * 8 + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (m >= M) return;
    int n0 = m / s.OW / s.OH;
    x += (long long)n0 * s.H * s.W * s.C;
    Pixel pixel;
    pixel.find(m, M, s, n0);
    float sum = 0;
    Tap tap(4 * lane, s.C, s.KW);
    for (int k = 4 * lane; k < s.KH * s.KW * s.C; k += 128, tap.step(128)) {
        int dh = tap.kh * s.dil_h, dw = tap.kw * s.dil_w;
        if ((unsigned)(pixel.ih + dh) >= s.H || (unsigned)(pixel.iw + dw) >= s.W) continue;
        float4 a = *reinterpret_cast<const float4*>(x + pixel.at + (dh * s.W + dw) * s.C + tap.c);
        float4 b = *reinterpret_cast<const float4*>(w + k);
        sum += a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
    }
    for (int d = 16; d > 0; d /= 2) sum += __shfl_xor_sync(0xffffffff, sum, d);
    if (lane == 0) y[m] = sum;
}
