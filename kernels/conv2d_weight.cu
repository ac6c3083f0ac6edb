// conv2d_weight: conv2d's derivative with respect to its weight.
//
//     dw[o, c, kh, kw] = sum over n, oh, ow of  x[n, c, ih, iw] * g[n, o, oh, ow]
//     ih = oh * stride_h - pad_h + kh * dil_h,    iw = ow * stride_w - pad_w + kw * dil_w
//
// With groups, output channel o meets only the Cg = C / groups input channels of its own group.
//
// Layouts:  x (N, H, W, C)     g (N, OH, OW, O)     dw (O, Cg, KH, KW), as PyTorch keeps weights
//
// As a matrix product, for each group:
//     D (K x Og) = A^T (K x P) * G (P x Og),    P = N * OH * OW pixels,   K = KH * KW * Cg
// Column p of A^T is the patch under output pixel p, with rows k = (kh, kw, c), as in conv2d.cu.
//
// The answer is small and the sum long. 64 -> 128 channels at 3x3 are 9 x 2 tiles of 64 x 64, each
// a sum over 25,000 pixels (batch 128, 14 x 14), on a chip that runs hundreds of blocks at once. So
// the pixels are split: blockIdx.z takes `chunk` of them and writes its part of the sum to
//
//     partial (splits, groups, K, Og)
//
// and a second kernel adds the parts. Both stages add in an order that is fixed by the shapes: the
// answer has the same bits in every run. One atomicAdd instead of `partial` would be shorter, and
// its order, so its rounding, up to chance.
//
// The ladder (which one runs is decided in tinygen/cuda/convolution.py):
//     conv2d_weight_naive      one thread a weight, no split                 any shape, and float64
//     conv2d_weight_tile       split, shared-memory tiles                    any shape
//     conv2d_weight_gemm_*     + 8 x 8 outputs a thread, double buffer       the fp32 workhorse
//     conv2d_weight_tf32_*     + tensor cores                                opt-in
//     conv2d_weight_one_in_*   one input channel: a filter's taps in registers, bound by reading g
//     conv2d_weight_reduce     the second stage

#include "tile.cuh"

// ---- 1. naive: one thread computes one weight's gradient
//
// Few threads with much to do each, and neighbours (kw, kw + 1, ...) read neighbouring pixels, C
// floats apart.

template <class T>
__device__ void naive(T* dw, const T* x, const T* g, const Conv& s) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;  // (o, c, kh, kw), kw fastest
    int Cg = s.C / s.groups;
    if (i >= (long long)s.O * Cg * s.KH * s.KW) return;
    int kw = i % s.KW, kh = i / s.KW % s.KH, c = i / s.KW / s.KH % Cg, o = i / s.KW / s.KH / Cg;
    int channel = o / (s.O / s.groups) * Cg + c;
    T sum = 0;
    for (int n = 0; n < s.N; ++n)
        for (int oh = 0; oh < s.OH; ++oh) {
            int ih = oh * s.stride_h - s.pad_h + kh * s.dil_h;
            if (ih < 0 || ih >= s.H) continue;
            for (int ow = 0; ow < s.OW; ++ow) {
                int iw = ow * s.stride_w - s.pad_w + kw * s.dil_w;
                if (iw < 0 || iw >= s.W) continue;
                sum += x[(((long long)n * s.H + ih) * s.W + iw) * s.C + channel] *
                       g[(((long long)n * s.OH + oh) * s.OW + ow) * s.O + o];
            }
        }
    dw[i] = sum;
}

extern "C" __global__ void conv2d_weight_naive(float* dw, const float* x, const float* g, Conv s) {
    naive(dw, x, g, s);
}
extern "C" __global__ void conv2d_weight_naive_double(double* dw, const double* x, const double* g,
                                                      Conv s) {
    naive(dw, x, g, s);
}

// ---- 2. shared-memory tile: 16 x 16 threads compute 16 x 16 numbers of D over one chunk of pixels

extern "C" __global__ void __launch_bounds__(256)
    conv2d_weight_tile(float* partial, const float* x, const float* g, Conv s, int chunk) {
    __shared__ float As[16][17];  // [p][k]
    __shared__ float Bs[16][17];  // [p][o]
    int Cg = s.C / s.groups, Og = s.O / s.groups, group = blockIdx.y, K = s.KH * s.KW * Cg,
        tiles_o = (Og + 15) / 16;
    int tx = threadIdx.x % 16, ty = threadIdx.x / 16;
    int k0 = blockIdx.x / tiles_o * 16, o0 = blockIdx.x % tiles_o * 16;
    int begin = blockIdx.z * chunk, end = min(begin + chunk, s.N * s.OH * s.OW);
    int k = k0 + tx, c = k % Cg, kw = k / Cg % s.KW, kh = k / Cg / s.KW;
    float sum = 0;
    for (int p0 = begin; p0 < end; p0 += 16) {
        int p = p0 + ty, ow = p % s.OW, oh = p / s.OW % s.OH, n = p / s.OW / s.OH;
        int ih = oh * s.stride_h - s.pad_h + kh * s.dil_h,
            iw = ow * s.stride_w - s.pad_w + kw * s.dil_w;
        bool inside = p < end && k < K && ih >= 0 && ih < s.H && iw >= 0 && iw < s.W;
        As[ty][tx] = inside ? x[(((long long)n * s.H + ih) * s.W + iw) * s.C + group * Cg + c] : 0;
        Bs[ty][tx] = p < end && o0 + tx < Og ? g[(long long)p * s.O + group * Og + o0 + tx] : 0;
        __syncthreads();
        for (int j = 0; j < 16; ++j) sum += As[j][ty] * Bs[j][tx];
        __syncthreads();
    }
    if (k0 + ty < K && o0 + tx < Og)
        partial[(((long long)blockIdx.z * s.groups + group) * K + k0 + ty) * Og + o0 + tx] = sum;
}

// ---- 3. register tiles, the fp32 workhorse
//
// As in conv2d.cu: warps of 64 x 32 numbers, 8 x 8 a lane, slabs of BK in shared memory, two of
// them. Here the slab's long side is that of memory already: x and g both have their channels
// innermost, and no tile is transposed. A thread keeps its column k = (kh, kw, c) for good and
// walks over the pixels.

// Output pixel p = (n, oh, ow), stepped without divisions.
struct Place {
    int n, oh, ow;
    __device__ Place(int p, const Conv& s)
        : n(p / s.OW / s.OH), oh(p / s.OW % s.OH), ow(p % s.OW) {}
    __device__ void step(int by, const Conv& s) {
        for (ow += by; ow >= s.OW; ow -= s.OW)
            if (++oh == s.OH) oh = 0, ++n;
    }
};

// What a thread reads of x: for the pixel at `place`, the number under its own tap.
struct Column {
    int dh, dw, c;  // dh is out of reach when the column is past the end
    __device__ Column(int k, int K, int Cg, const Conv& s) {
        c = k % Cg, dw = k / Cg % s.KW * s.dil_w - s.pad_w;
        dh = k < K ? k / Cg / s.KW * s.dil_h - s.pad_h : -(1 << 30);
    }
    __device__ bool find(long long* at, const Place& p, const Conv& s) const {
        int ih = p.oh * s.stride_h + dh, iw = p.ow * s.stride_w + dw;
        *at = ((long long)(p.n * s.H + ih) * s.W + iw) * s.C + c;
        return (unsigned)ih < s.H && (unsigned)iw < s.W;
    }
};

template <int WM, int WN, int VEC>
__device__ __forceinline__ void gemm(float* partial, const float* x, const float* g, const Conv& s,
                                     int chunk) {
    const int BM = 64 * WM, BN = 32 * WN, THREADS = 32 * WM * WN;
    __shared__ __align__(16) float As[2][BK][BM + 4];  // [p][k]
    __shared__ __align__(16) float Bs[2][BK][BN + 4];  // [p][o]
    int Cg = s.C / s.groups, Og = s.O / s.groups, group = blockIdx.y, K = s.KH * s.KW * Cg;
    int tiles_o = (Og + BN - 1) / BN, k0 = blockIdx.x / tiles_o * BM,
        o0 = blockIdx.x % tiles_o * BN;
    int begin = blockIdx.z * chunk, end = min(begin + chunk, s.N * s.OH * s.OW);

    // A_LOADS steps of A_ROWS make BK: a Place stepped after each load is always where the next
    // load is.
    const int A_ROWS = THREADS / (BM / VEC), A_LOADS = BK / A_ROWS;
    int a_k = threadIdx.x % (BM / VEC) * VEC, a_p = threadIdx.x / (BM / VEC);
    Place place(begin + a_p, s);
    Column column(k0 + a_k, K, Cg, s);
    x += group * Cg;
    const int B_ROWS = THREADS / (BN / VEC), B_LOADS = BK / B_ROWS;
    int b_o = threadIdx.x % (BN / VEC) * VEC, b_p = threadIdx.x / (BN / VEC);
    const float* b_from = g + (long long)(begin + b_p) * s.O + group * Og + o0 + b_o;
    int a_end = end - a_p, b_end = o0 + b_o < Og ? end - b_p : begin;

    float a_next[A_LOADS][VEC], b_next[B_LOADS][VEC];
    auto fetch = [&](int p0) {
#pragma unroll
        for (int i = 0; i < A_LOADS; ++i) {
            long long at;
            bool inside = column.find(&at, place, s) && p0 + i * A_ROWS < a_end;
            load<VEC>(a_next[i], x + at, inside);
            place.step(A_ROWS, s);
        }
#pragma unroll
        for (int i = 0; i < B_LOADS; ++i) {
            load<VEC>(b_next[i], b_from, p0 + i * B_ROWS < b_end);
            b_from += B_ROWS * s.O;
        }
    };
    auto store = [&](int half) {
#pragma unroll
        for (int i = 0; i < A_LOADS; ++i) put<VEC>(&As[half][a_p + i * A_ROWS][a_k], a_next[i]);
#pragma unroll
        for (int i = 0; i < B_LOADS; ++i) put<VEC>(&Bs[half][b_p + i * B_ROWS][b_o], b_next[i]);
    };

    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    int row = warp / WN * 64 + lane / 4 * 4, col = warp % WN * 32 + lane % 4 * 4;
    float* out =
        partial + (((long long)blockIdx.z * s.groups + group) * K + k0 + row) * Og + o0 + col;
    int rows = K - k0 - row, cols = Og - o0 - col;  // how many of this thread's numbers exist
    float acc[8][8] = {};
    fetch(begin);
    store(0);
    __syncthreads();
    int half = 0;
    for (int p0 = begin + BK; p0 < end; p0 += BK, half ^= 1) {
        fetch(p0);
        multiply<1>(acc, As[half], Bs[half], row, col);
        store(half ^ 1);
        __syncthreads();
    }
    multiply<1>(acc, As[half], Bs[half], row, col);

#pragma unroll
    for (int i = 0; i < 8; ++i) {
        int m = i % 4 + i / 4 * 32;
        if (m >= rows) continue;
#pragma unroll
        for (int j = 0; j < 8; j += VEC) {
            int o = j % 4 + j / 4 * 16;
            if (o >= cols) continue;
            put<VEC>(out + (long long)m * Og + o, &acc[i][j]);
        }
    }
}

extern "C" __global__ void __launch_bounds__(256, 2)
    conv2d_weight_gemm_128x128(float* partial, const float* x, const float* g, Conv s, int chunk) {
    gemm<2, 4, 4>(partial, x, g, s, chunk);
}
extern "C" __global__ void __launch_bounds__(64, 6)
    conv2d_weight_gemm_128x32(float* partial, const float* x, const float* g, Conv s, int chunk) {
    gemm<2, 1, 4>(partial, x, g, s, chunk);
}
extern "C" __global__ void __launch_bounds__(64, 6)
    conv2d_weight_gemm_64x64(float* partial, const float* x, const float* g, Conv s, int chunk) {
    gemm<1, 2, 4>(partial, x, g, s, chunk);
}
extern "C" __global__ void __launch_bounds__(64, 5)
    conv2d_weight_gemm_64x64_any(float* partial, const float* x, const float* g, Conv s,
                                 int chunk) {
    gemm<1, 2, 1>(partial, x, g, s, chunk);
}

// ---- 4. tensor cores: the same product by mma.sync in TF32, as in conv2d.cu. Needs Cg and Og to
// be multiples of 4.
//
// As is [p][k] here, as x lies; rows of BM + 8 floats put the fragment loads 8 q + r on 32 banks.

#if __CUDA_ARCH__ >= 800
template <int WM, int WN>
__device__ __forceinline__ void tf32_gemm(float* partial, const float* x, const float* g,
                                          const Conv& s, int chunk) {
    const int KT = 16, BM = 64 * WM, BN = 32 * WN, THREADS = 32 * WM * WN;
    __shared__ __align__(16) float As[3][KT][BM + 8];
    __shared__ __align__(16) float Bs[3][KT][BN + 8];
    int Cg = s.C / s.groups, Og = s.O / s.groups, group = blockIdx.y, K = s.KH * s.KW * Cg;
    int tiles_o = (Og + BN - 1) / BN, k0 = blockIdx.x / tiles_o * BM,
        o0 = blockIdx.x % tiles_o * BN;
    int begin = blockIdx.z * chunk, end = min(begin + chunk, s.N * s.OH * s.OW);

    const int A_ROWS = THREADS / (BM / 4), A_LOADS = KT / A_ROWS;
    int a_k = threadIdx.x % (BM / 4) * 4, a_p = threadIdx.x / (BM / 4);
    Place place(begin + a_p, s);
    Column column(k0 + a_k, K, Cg, s);
    x += group * Cg;
    const int B_ROWS = THREADS / (BN / 4), B_LOADS = KT / B_ROWS;
    int b_o = threadIdx.x % (BN / 4) * 4, b_p = threadIdx.x / (BN / 4);
    const float* b_from = g + (long long)(begin + b_p) * s.O + group * Og + o0 + b_o;
    int a_end = end - a_p, b_end = o0 + b_o < Og ? end - b_p : begin;

    auto fetch = [&](int p0, int slab) {
#pragma unroll
        for (int i = 0; i < A_LOADS; ++i) {
            long long at;
            bool inside = column.find(&at, place, s) && p0 + i * A_ROWS < a_end;
            copy16(&As[slab][a_p + i * A_ROWS][a_k], inside ? x + at : x - group * Cg, inside);
            place.step(A_ROWS, s);
        }
#pragma unroll
        for (int i = 0; i < B_LOADS; ++i) {
            bool inside = p0 + i * B_ROWS < b_end;
            copy16(&Bs[slab][b_p + i * B_ROWS][b_o], inside ? b_from : g, inside);
            b_from += B_ROWS * s.O;
        }
    };

    int lane = threadIdx.x % 32, warp = threadIdx.x / 32, r = lane / 4, q = lane % 4;
    int row = warp / WN * 64, col = warp % WN * 32;
    float acc[4][4][4] = {};
    fetch(begin, 0);
    asm volatile("cp.async.commit_group;");
    fetch(begin + KT, 1);
    asm volatile("cp.async.commit_group;");
    for (int p0 = begin, slab = 0; p0 < end; p0 += KT, slab = (slab + 1) % 3) {
        asm volatile("cp.async.wait_group 1;");
        __syncthreads();
        fetch(p0 + 2 * KT, (slab + 2) % 3);
        asm volatile("cp.async.commit_group;");
        multiply_tf32<KT>(
            acc, [&](int m, int k) { return As[slab][k][row + m]; },
            [&](int k, int o) { return Bs[slab][k][col + o]; });
    }

#pragma unroll
    for (int i = 0; i < 8; ++i) {
        int k = k0 + row + i / 2 * 16 + i % 2 * 8 + r;
        if (k >= K) continue;
        float* out = partial + (((long long)blockIdx.z * s.groups + group) * K + k) * Og;
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
__device__ void tf32_gemm(float*, const float*, const float*, const Conv&, int) {
    __trap();  // before sm_80 there is no such instruction; convolution.py does not come here
}
#endif

extern "C" __global__ void __launch_bounds__(128, 3)
    conv2d_weight_tf32_128x64(float* partial, const float* x, const float* g, Conv s, int chunk) {
    tf32_gemm<2, 2>(partial, x, g, s, chunk);
}
extern "C" __global__ void __launch_bounds__(64, 5)
    conv2d_weight_tf32_64x64(float* partial, const float* x, const float* g, Conv s, int chunk) {
    tf32_gemm<1, 2>(partial, x, g, s, chunk);
}

// ---- 5. one input channel: D has KH * KW = 9 or 16 rows, a GEMM tile would be nearly empty
//
// The time goes into reading g, once. A thread owns 4 output channels and keeps the sums of all
// taps for them in registers; 16 x 16 threads take 64 channels of 16 pixels at a time: g is read by
// 16-byte loads, x is a broadcast. At the end the 16 pixel rows add up through shared memory, in
// order. KH and KW are known to the compiler: acc must be indexed by constants to live in
// registers. Needs C = 1 and O to be a multiple of 4.

template <int KH, int KW>
__device__ __forceinline__ void one_in(float* partial, const float* x, const float* g,
                                       const Conv& s, int chunk) {
    __shared__ __align__(16) float4 sums[16][16];
    int column = threadIdx.x % 16, row = threadIdx.x / 16, o = blockIdx.x * 64 + column * 4;
    int begin = blockIdx.z * chunk, end = min(begin + chunk, s.N * s.OH * s.OW);
    float4 acc[KH * KW];
#pragma unroll
    for (int t = 0; t < KH * KW; ++t) acc[t] = make_float4(0, 0, 0, 0);
    Place place(begin + row, s);
    for (int p = begin + row; p < end && o < s.O; p += 16, place.step(16, s)) {
        float4 b = *reinterpret_cast<const float4*>(g + (long long)p * s.O + o);
        int ih = place.oh * s.stride_h - s.pad_h, iw = place.ow * s.stride_w - s.pad_w;
        const float* corner = x + ((long long)(place.n * s.H + ih) * s.W + iw);
#pragma unroll
        for (int t = 0; t < KH * KW; ++t) {
            int dh = t / KW * s.dil_h, dw = t % KW * s.dil_w;
            float a =
                (unsigned)(ih + dh) < s.H && (unsigned)(iw + dw) < s.W ? corner[dh * s.W + dw] : 0;
            acc[t].x += a * b.x, acc[t].y += a * b.y, acc[t].z += a * b.z, acc[t].w += a * b.w;
        }
    }
#pragma unroll
    for (int t = 0; t < KH * KW; ++t) {
        sums[row][column] = acc[t];
        __syncthreads();
        if (row == 0 && o < s.O) {
            float4 total = sums[0][column];
            for (int i = 1; i < 16; ++i) {
                float4 v = sums[i][column];
                total.x += v.x, total.y += v.y, total.z += v.z, total.w += v.w;
            }
            *reinterpret_cast<float4*>(partial + ((long long)blockIdx.z * KH * KW + t) * s.O + o) =
                total;
        }
        __syncthreads();
    }
}

extern "C" __global__ void __launch_bounds__(256)
    conv2d_weight_one_in_3x3(float* partial, const float* x, const float* g, Conv s, int chunk) {
    one_in<3, 3>(partial, x, g, s, chunk);
}
extern "C" __global__ void __launch_bounds__(256)
    conv2d_weight_one_in_4x4(float* partial, const float* x, const float* g, Conv s, int chunk) {
    one_in<4, 4>(partial, x, g, s, chunk);
}

// ---- the second stage: dw = the sum of the parts, in order
//
// 32 neighbouring numbers a block (coalesced reads); 8 warps each add every eighth part, and then
// the 8 sums are added. Here D's (kh, kw, c, o) becomes dw's (o, c, kh, kw).

extern "C" __global__ void __launch_bounds__(256)
    conv2d_weight_reduce(float* dw, const float* partial, Conv s, int splits) {
    __shared__ float sums[8][32];
    int Cg = s.C / s.groups, Og = s.O / s.groups, K = s.KH * s.KW * Cg, lane = threadIdx.x % 32,
        warp = threadIdx.x / 32;
    long long size = (long long)s.groups * K * Og,
              i = (long long)blockIdx.x * 32 + lane;  // (group, kh, kw, c, o)
    float sum = 0;
    for (int part = warp; part < splits && i < size; part += 8) sum += partial[part * size + i];
    sums[warp][lane] = sum;
    __syncthreads();
    if (warp > 0 || i >= size) return;
    for (int j = 1; j < 8; ++j) sum += sums[j][lane];
    int o = i % Og, k = i / Og % K, group = i / Og / K, c = k % Cg, tap = k / Cg;
    dw[((long long)(group * Og + o) * Cg + c) * s.KH * s.KW + tap] = sum;
}
