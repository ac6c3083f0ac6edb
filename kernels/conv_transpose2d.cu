// conv_transpose2d: the transposed convolution, which is also conv2d's derivative with respect to
// its input.
//
// conv2d sends input pixel ih to output pixel oh whenever ih = oh * stride - pad + kh * dil. Read
// backwards, with x the smaller side and y the bigger one, every x[n, c, ih, iw] adds x * w to the
// pixels
//
//     oh = ih * stride_h - pad_h + kh * dil_h,    ow = iw * stride_w - pad_w + kw * dil_w
//
// Adding from many threads needs atomics, whose order, and so whose rounding, changes from run to
// run. All kernels here gather instead: a thread owns an output and asks which (ih, kh) reach it:
//
//     y[n, o, oh, ow] = sum over c, kh, kw of  x[n, c, ih, iw] * w[c, o, kh, kw]
//     ih = (oh + pad_h - kh * dil_h) / stride_h     where that is a whole number in 0 .. H - 1
//
// With groups, output channel o sees only the Cg = C / groups input channels of its own group.
//
// Layouts, channels innermost (Og = O / groups):
//     x (N, H, W, C)     y (N, OH, OW, O)     w (KH, KW, C, Og)
//
// Phases. "A whole number" leaves 1 tap in stride * stride, and which ones depends only on (oh +
// pad) mod stride. So the outputs fall into stride_h * stride_w phases, and within one phase all
// outputs have the same taps and neighbours have neighbouring inputs: each phase is an ordinary,
// dense, stride-1 convolution with a part of w. A 4x4 stride-2 transposed convolution is four 2x2
// convolutions; no zero is ever multiplied. Each phase is then an implicit GEMM as in conv2d.cu,
// which explains the tiles, and blockIdx.z says which phase.
//
// The ladder (which one runs is decided in tinygen/cuda/convolution.py):
//     conv_transpose2d_naive     one thread an output, tests every tap         any shape, float64
//     conv_transpose2d_tile      phases, shared-memory tiles                     any shape
//     conv_transpose2d_gemm_*    + 8 x 8 outputs a thread, double buffer         the fp32 workhorse
//     conv_transpose2d_tf32_*    + tensor cores                                  opt-in
//     conv_transpose2d_one_out   one output channel: a warp is one dot product

#include "tile.cuh"

// ---- 1. naive: one thread computes one output, asking of every tap whether it reaches it

template <class T>
__device__ void naive(T* y, const T* x, const T* w, const Conv& s) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;  // (n, oh, ow, o), o fastest
    long long total = (long long)s.N * s.OH * s.OW * s.O;
    if (i >= total) return;
    int o = i % s.O, Cg = s.C / s.groups, Og = s.O / s.groups, group = o / Og;
    long long m = i / s.O;
    int ow = m % s.OW, oh = m / s.OW % s.OH, n = m / s.OW / s.OH;
    T sum = 0;
    for (int kh = 0; kh < s.KH; ++kh) {
        int th = oh + s.pad_h - kh * s.dil_h, ih = th / s.stride_h;
        if (th < 0 || th % s.stride_h || ih >= s.H) continue;
        for (int kw = 0; kw < s.KW; ++kw) {
            int tw = ow + s.pad_w - kw * s.dil_w, iw = tw / s.stride_w;
            if (tw < 0 || tw % s.stride_w || iw >= s.W) continue;
            const T* xc = x + (((long long)n * s.H + ih) * s.W + iw) * s.C + group * Cg;
            const T* wc = w + ((long long)(kh * s.KW + kw) * s.C + group * Cg) * Og + o % Og;
            for (int c = 0; c < Cg; ++c) sum += xc[c] * wc[(long long)c * Og];
        }
    }
    y[i] = sum;
}

extern "C" __global__ void conv_transpose2d_naive(float* y, const float* x, const float* w,
                                                  Conv s) {
    naive(y, x, w, s);
}
extern "C" __global__ void conv_transpose2d_naive_double(double* y, const double* x,
                                                         const double* w, Conv s) {
    naive(y, x, w, s);
}

// ---- phases
//
// One axis of one phase r = (oh + pad) mod stride. Its outputs are oh = first + stride * q for q =
// 0 .. count - 1. Tap kh reaches them if kh * dil has the same remainder r; if any does, then the
// taps are kh = k0 + k_step * j for j = 0 .. taps - 1. Output q finds under tap j the input i0 + q
// - i_step * j.

struct Phase {
    int first, count, k0, k_step, taps, i0, i_step;
    __device__ Phase(int r, int stride, int pad, int dil, int K, int out) {
        first = (r - pad % stride + stride) % stride;
        count = first < out ? (out - first + stride - 1) / stride : 0;
        for (k_step = 1; k_step * dil % stride != 0;) ++k_step;
        for (k0 = 0; k0 < k_step && k0 * dil % stride != r;) ++k0;
        taps = k0 < k_step ? (K - k0 + k_step - 1) / k_step : 0;
        i0 = taps ? (first + pad - k0 * dil) / stride : 0;
        i_step = k_step * dil / stride;
    }
};

// Both axes of the phase blockIdx.z.
struct Phases {
    Phase h, w;
    __device__ Phases(int z, const Conv& s)
        : h(z / s.stride_w, s.stride_h, s.pad_h, s.dil_h, s.KH, s.OH),
          w(z % s.stride_w, s.stride_w, s.pad_w, s.dil_w, s.KW, s.OW) {
        if (!h.taps || !w.taps) h.taps = w.taps = 0;  // not reached by any tap: zeros
    }
};

// Column k = (jh, jw, c) of the phase's patch matrix, stepped without divisions.
struct Tap {
    int jh, jw, c, Cg, taps_w;
    __device__ Tap(int k, int Cg, int taps_w) : Cg(Cg), taps_w(taps_w) {
        c = k % Cg, jw = taps_w ? k / Cg % taps_w : 0, jh = taps_w ? k / Cg / taps_w : 0;
    }
    __device__ void step(int by) {
        for (c += by; c >= Cg; c -= Cg)
            if (++jw >= taps_w) jw = 0, ++jh;
    }
    // Where w keeps this column's numbers: its row among the KH * KW * C.
    __device__ int row(const Phases& p, const Conv& s) const {
        return ((p.h.k0 + jh * p.h.k_step) * s.KW + p.w.k0 + jw * p.w.k_step) * s.C + c;
    }
};

// Row m = (n, qh, qw) of the phase: the input pixel under its tap (0, 0), counted from image n0,
// and the output pixel.
struct Pixel {
    int ih, iw, at;
    __device__ void find(int m, int M, const Phases& p, const Conv& s, int n0) {
        int qw = m % p.w.count, qh = m / p.w.count % p.h.count, n = m / p.w.count / p.h.count;
        ih = p.h.i0 + qh, iw = p.w.i0 + qw;
        at = (((n - n0) * s.H + ih) * s.W + iw) * s.C;
        if (m >= M) ih = -(1 << 30);  // rows past the end lie outside of every image
    }
    static __device__ long long out(int m, const Phases& p, const Conv& s) {
        int qw = m % p.w.count, qh = m / p.w.count % p.h.count, n = m / p.w.count / p.h.count;
        return (((long long)n * s.OH + p.h.first + s.stride_h * qh) * s.OW + p.w.first +
                s.stride_w * qw) *
               s.O;
    }
};

// ---- 2. shared-memory tile: 16 x 16 threads compute 16 x 16 outputs of one phase together

extern "C" __global__ void __launch_bounds__(256)
    conv_transpose2d_tile(float* y, const float* x, const float* w, Conv s) {
    __shared__ float As[16][17];  // [m][k]
    __shared__ float Bs[16][17];  // [k][o]
    int Cg = s.C / s.groups, Og = s.O / s.groups, group = blockIdx.y, tiles_o = (Og + 15) / 16;
    Phases p(blockIdx.z, s);
    int M = s.N * p.h.count * p.w.count, K = p.h.taps * p.w.taps * Cg;
    int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
    int m0 = blockIdx.x / tiles_o * 16, m = m0 + ty, o = blockIdx.x % tiles_o * 16 + tx;
    if (m0 >= M) return;  // the whole block: this phase has fewer rows than the biggest
    int qw = m % p.w.count, qh = m / p.w.count % p.h.count, n = m / p.w.count / p.h.count;
    float sum = 0;
    for (int k0 = 0; k0 < K; k0 += 16) {
        Tap a(k0 + tx, Cg, p.w.taps), b(k0 + ty, Cg, p.w.taps);
        int ih = p.h.i0 + qh - a.jh * p.h.i_step, iw = p.w.i0 + qw - a.jw * p.w.i_step;
        bool inside = m < M && k0 + tx < K && ih >= 0 && ih < s.H && iw >= 0 && iw < s.W;
        As[ty][tx] =
            inside ? x[(((long long)n * s.H + ih) * s.W + iw) * s.C + group * Cg + a.c] : 0;
        Bs[ty][tx] = k0 + ty < K && o < Og ? w[(b.row(p, s) + group * Cg) * Og + o] : 0;
        __syncthreads();
        for (int j = 0; j < 16; ++j) sum += As[ty][j] * Bs[j][tx];
        __syncthreads();
    }
    if (m < M && o < Og) y[Pixel::out(m, p, s) + group * Og + o] = sum;
}

// ---- 3. implicit GEMM with register tiles, the fp32 workhorse
//
// As in conv2d.cu: warps of 64 x 32 outputs, 8 x 8 a lane, slabs of BK columns, two slabs in shared
// memory. Three things differ: the taps walk backwards through x (- jh * i_step); B's rows are the
// phase's taps out of all of w's, so B has a Tap of its own; and a row's outputs lie stride pixels
// apart in y.

template <int WM, int WN, int VEC>
__device__ __forceinline__ void gemm(float* y, const float* x, const float* w, const Conv& s) {
    const int BM = 64 * WM, BN = 32 * WN, THREADS = 32 * WM * WN;
    const int A_LOADS = BM * BK / VEC / THREADS, B_LOADS = BN * BK / VEC / THREADS;
    __shared__ __align__(16) float As[2][BK][BM + 4];
    __shared__ __align__(16) float Bs[2][BK][BN + 4];
    int Cg = s.C / s.groups, Og = s.O / s.groups, group = blockIdx.y, tiles_o = (Og + BN - 1) / BN;
    int m0 = blockIdx.x / tiles_o * BM, o0 = blockIdx.x % tiles_o * BN;
    Phases p(blockIdx.z, s);
    int M = s.N * p.h.count * p.w.count, K = p.h.taps * p.w.taps * Cg;
    if (m0 >= M) return;  // the whole block: this phase has fewer rows than the biggest

    const int A_ROWS = THREADS / (BK / VEC);
    int a_k = threadIdx.x % (BK / VEC) * VEC, a_m = threadIdx.x / (BK / VEC);
    int n0 = m0 / p.w.count / p.h.count;
    x += (long long)n0 * s.H * s.W * s.C + group * Cg;
    Tap a_tap(a_k, Cg, p.w.taps);
    Pixel pixel[A_LOADS];
#pragma unroll
    for (int i = 0; i < A_LOADS; ++i) pixel[i].find(m0 + a_m + i * A_ROWS, M, p, s, n0);
    // B_LOADS steps of B_ROWS make BK: one Tap, stepped after each load, is always where the next
    // load is.
    const int B_ROWS = THREADS / (BN / VEC);
    int b_o = threadIdx.x % (BN / VEC) * VEC, b_k = threadIdx.x / (BN / VEC);
    Tap b_tap(b_k, Cg, p.w.taps);
    const float* b_from = w + group * Cg * Og + o0 + b_o;
    int b_rows = (o0 + b_o < Og ? K : 0) - b_k;  // how many of its rows exist

    float a_next[A_LOADS][VEC], b_next[B_LOADS][VEC];
    auto fetch = [&](int k0) {
        int dh = a_tap.jh * p.h.i_step, dw = a_tap.jw * p.w.i_step,
            shift = a_tap.c - (dh * s.W + dw) * s.C;
#pragma unroll
        for (int i = 0; i < A_LOADS; ++i) {
            bool inside = a_tap.jh < p.h.taps && (unsigned)(pixel[i].ih - dh) < s.H &&
                          (unsigned)(pixel[i].iw - dw) < s.W;
            load<VEC>(a_next[i], x + pixel[i].at + shift, inside);
        }
        a_tap.step(BK);
#pragma unroll
        for (int i = 0; i < B_LOADS; ++i) {
            load<VEC>(b_next[i], b_from + b_tap.row(p, s) * Og, k0 + i * B_ROWS < b_rows);
            b_tap.step(B_ROWS);
        }
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
    float acc[8][8] = {};
    fetch(0);  // a phase without taps has K = 0: nothing is inside, and zeros are written
    store(0);
    __syncthreads();
    int half = 0;
    for (int k0 = BK; k0 < K; k0 += BK, half ^= 1) {
        fetch(k0);
        multiply<1>(acc, As[half], Bs[half], row, col);
        store(half ^ 1);
        __syncthreads();
    }
    multiply<1>(acc, As[half], Bs[half], row, col);

#pragma unroll
    for (int i = 0; i < 8; ++i) {
        int m = m0 + row + i % 4 + i / 4 * 32;
        if (m >= M) continue;
        float* out = y + Pixel::out(m, p, s) + group * Og;
#pragma unroll
        for (int j = 0; j < 8; j += VEC) {
            int o = o0 + col + j % 4 + j / 4 * 16;
            if (o >= Og) continue;
            put<VEC>(out + o, &acc[i][j]);
        }
    }
}

extern "C" __global__ void __launch_bounds__(256, 2)
    conv_transpose2d_gemm_128x128(float* y, const float* x, const float* w, Conv s) {
    gemm<2, 4, 4>(y, x, w, s);
}
extern "C" __global__ void __launch_bounds__(64, 6)
    conv_transpose2d_gemm_128x32(float* y, const float* x, const float* w, Conv s) {
    gemm<2, 1, 4>(y, x, w, s);
}
extern "C" __global__ void __launch_bounds__(64, 6)
    conv_transpose2d_gemm_64x64(float* y, const float* x, const float* w, Conv s) {
    gemm<1, 2, 4>(y, x, w, s);
}
extern "C" __global__ void __launch_bounds__(64, 5)
    conv_transpose2d_gemm_64x64_any(float* y, const float* x, const float* w, Conv s) {
    gemm<1, 2, 1>(y, x, w, s);
}

// ---- 4. tensor cores: the same product by mma.sync in TF32, as in conv2d.cu. Needs Cg and Og to
// be multiples of 4.

#if __CUDA_ARCH__ >= 800
template <int WM, int WN>
__device__ __forceinline__ void tf32_gemm(float* y, const float* x, const float* w, const Conv& s) {
    const int KT = 16, BM = 64 * WM, BN = 32 * WN, THREADS = 32 * WM * WN;
    __shared__ __align__(16) float As[3][BM][KT + 4];
    __shared__ __align__(16) float Bs[3][KT][BN + 8];
    int Cg = s.C / s.groups, Og = s.O / s.groups, group = blockIdx.y, tiles_o = (Og + BN - 1) / BN;
    int m0 = blockIdx.x / tiles_o * BM, o0 = blockIdx.x % tiles_o * BN;
    Phases p(blockIdx.z, s);
    int M = s.N * p.h.count * p.w.count, K = p.h.taps * p.w.taps * Cg;
    if (m0 >= M) return;  // the whole block

    const int A_ROWS = THREADS / (KT / 4), A_LOADS = BM / A_ROWS;
    int a_k = threadIdx.x % (KT / 4) * 4, a_m = threadIdx.x / (KT / 4);
    int n0 = m0 / p.w.count / p.h.count;
    x += (long long)n0 * s.H * s.W * s.C + group * Cg;
    Tap a_tap(a_k, Cg, p.w.taps);
    Pixel pixel[A_LOADS];
#pragma unroll
    for (int i = 0; i < A_LOADS; ++i) pixel[i].find(m0 + a_m + i * A_ROWS, M, p, s, n0);
    const int B_ROWS = THREADS / (BN / 4), B_LOADS = KT / B_ROWS;
    int b_o = threadIdx.x % (BN / 4) * 4, b_k = threadIdx.x / (BN / 4);
    Tap b_tap(b_k, Cg, p.w.taps);
    const float* b_from = w + group * Cg * Og + o0 + b_o;
    int b_rows = (o0 + b_o < Og ? K : 0) - b_k;

    auto fetch = [&](int k0, int slab) {
        int dh = a_tap.jh * p.h.i_step, dw = a_tap.jw * p.w.i_step,
            shift = a_tap.c - (dh * s.W + dw) * s.C;
#pragma unroll
        for (int i = 0; i < A_LOADS; ++i) {
            bool inside = a_tap.jh < p.h.taps && (unsigned)(pixel[i].ih - dh) < s.H &&
                          (unsigned)(pixel[i].iw - dw) < s.W;
            copy16(&As[slab][a_m + i * A_ROWS][a_k], inside ? x + pixel[i].at + shift : x, inside);
        }
        a_tap.step(KT);
#pragma unroll
        for (int i = 0; i < B_LOADS; ++i) {
            bool inside = k0 + i * B_ROWS < b_rows;
            copy16(&Bs[slab][b_k + i * B_ROWS][b_o], inside ? b_from + b_tap.row(p, s) * Og : w,
                   inside);
            b_tap.step(B_ROWS);
        }
    };

    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, r = lane / 4, q = lane % 4;
    int row = warp / WN * 64, col = warp % WN * 32;
    float acc[4][4][4] = {};
    fetch(0, 0);
    asm volatile("cp.async.commit_group;");
    fetch(KT, 1);
    asm volatile("cp.async.commit_group;");
    for (int k0 = 0, slab = 0; k0 < K; k0 += KT, slab = (slab + 1) % 3) {
        asm volatile("cp.async.wait_group 1;");
        __syncthreads();
        fetch(k0 + 2 * KT, (slab + 2) % 3);
        asm volatile("cp.async.commit_group;");
        multiply_tf32<KT>(
            acc, [&](int m, int k) { return As[slab][row + m][k]; },
            [&](int k, int o) { return Bs[slab][k][col + o]; });
    }

#pragma unroll
    for (int i = 0; i < 8; ++i) {
        int m = m0 + row + i / 2 * 16 + i % 2 * 8 + r;
        if (m >= M) continue;
        float* out = y + Pixel::out(m, p, s) + group * Og;
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            int o = o0 + col + 8 * j + 2 * q;
            if (o >= Og) continue;
            float2 pair = make_float2(acc[i / 2][j][i % 2 * 2], acc[i / 2][j][i % 2 * 2 + 1]);
            *reinterpret_cast<float2*>(out + o) = pair;
        }
    }
}
#else
template <int WM, int WN>
__device__ void tf32_gemm(float*, const float*, const float*, const Conv&) {
    __trap();  // before sm_80 there is no such instruction; convolution.py does not come here
}
#endif

extern "C" __global__ void __launch_bounds__(128, 3)
    conv_transpose2d_tf32_128x64(float* y, const float* x, const float* w, Conv s) {
    tf32_gemm<2, 2>(y, x, w, s);
}
extern "C" __global__ void __launch_bounds__(64, 5)
    conv_transpose2d_tf32_128x32(float* y, const float* x, const float* w, Conv s) {
    tf32_gemm<2, 1>(y, x, w, s);
}
extern "C" __global__ void __launch_bounds__(64, 6)
    conv_transpose2d_tf32_64x64(float* y, const float* x, const float* w, Conv s) {
    tf32_gemm<1, 2>(y, x, w, s);
}

// ---- 5. one output channel: a warp is one dot product over its phase's taps and all channels
//
// Lane l takes channels 4 l, 4 l + 128, ... of the row, five shuffles add the lanes. With Og = 1 w
// is one run of numbers for each tap. Needs O = 1 and C to be a multiple of 4.

extern "C" __global__ void __launch_bounds__(256)
    conv_transpose2d_one_out(float* y, const float* x, const float* w, Conv s) {
    Phases p(blockIdx.z, s);
    int M = s.N * p.h.count * p.w.count, K = p.h.taps * p.w.taps * s.C;
    int m = blockIdx.x * 8 + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (m >= M) return;
    int n0 = m / p.w.count / p.h.count;
    x += (long long)n0 * s.H * s.W * s.C;
    Pixel pixel;
    pixel.find(m, M, p, s, n0);
    float sum = 0;
    Tap tap(4 * lane, s.C, p.w.taps);
    for (int k = 4 * lane; k < K; k += 128, tap.step(128)) {
        int dh = tap.jh * p.h.i_step, dw = tap.jw * p.w.i_step;
        if ((unsigned)(pixel.ih - dh) >= s.H || (unsigned)(pixel.iw - dw) >= s.W) continue;
        float4 a = *reinterpret_cast<const float4*>(x + pixel.at + tap.c - (dh * s.W + dw) * s.C);
        float4 b = *reinterpret_cast<const float4*>(w + tap.row(p, s));
        sum += a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
    }
    for (int d = 16; d > 0; d /= 2) sum += __shfl_xor_sync(0xffffffff, sum, d);
    if (lane == 0) y[Pixel::out(m, p, s)] = sum;
}
