// channel_norm: batch, group, instance and layer normalisation, forward and backward.
//
//     z = (x - mean) rstd,    y = w z + b,    rstd = 1 / sqrt(var + eps)
//     dx = rstd (w u - mean(w u) - z mean(w u z))      for the gradient u of y
//     dw = sum of u z over all but the channels
//
// The means are over a group: C / G channels in a row, and all P pixels of one of B pictures.
//
// Layouts: x, y, u, dx are (B, P, C), the channels innermost. mean, rstd are (B, G); w, b, dw (C,).
// Group norm of N images is B = N, P = H W. Batch norm takes the whole batch as one picture, B = 1,
// P = N H W, with as many groups as channels. Instance norm is G = C, layer norm of vectors P = 1.
//
// Nothing here computes much; what counts is how often the memory is read. As array operations a
// group norm and its gradient are about thirty passes; here it is five (x; x, y; u, x; u, x, dx).
//
// A sum over millions of pixels is done in two steps, in an order that depends on the sizes alone,
// so that the result has the same bits in every run:
//     1. each block sums its chunk of pixels for 32 channels and writes one row of partial results,
//     2. one block a group adds the rows up.
// An atomicAdd would save the second launch, and add in another order each time.
//
// A block is 32 x 8 threads: x along the channels, so that a warp reads 128 bytes in a row, and y
// along the pixels. Fewer than 32 channels leave lanes idle.

struct Norm {
    long long P, chunk;  // pixels of a picture, and how many of them a block takes
    int C, G, chunks;    // chunks = ceil(P / chunk)
};

const int LANES = 32, ROWS = 8;
const int AT_ONCE = 8;       // pixels that a thread holds in registers
const int THREADS = 256;

// This block's picture b, pixels first .. last - 1 and row of partial results; this thread's
// channel. Lanes past the last channel get no pixels, and still wait at the barriers.
struct Place {
    long long b, part, first, last;
    int c;
};

__device__ Place my_place(const Norm& s) {
    unsigned tiles = (s.C + LANES - 1) / LANES;
    Place at;
    at.part = blockIdx.x / tiles;
    at.c = blockIdx.x % tiles * LANES + threadIdx.x;
    at.b = at.part / s.chunks;
    at.first = at.part % s.chunks * s.chunk;
    at.last = at.c < s.C ? min(at.first + s.chunk, s.P) : at.first;
    return at;
}

__device__ long long index_of(const Norm& s, const Place& at, long long pixel) {
    return (at.b * s.P + pixel) * s.C + at.c;
}

__device__ long long group_of(const Norm& s, const Place& at) {
    return at.b * s.G + min(at.c, s.C - 1) / (s.C / s.G);
}

// ---- mean and variance. E[x^2] - E[x]^2 loses all digits when the mean is large beside the
// deviation; so every part keeps (n, mean, m2 = sum of squares about its own mean), and two parts
// are merged by Chan, Golub and LeVeque's formula (1979).

struct Moments {
    float n, mean, m2;
};

__device__ Moments merged(Moments a, Moments b) {
    float n = a.n + b.n;
    if (n == 0.0f) return a;
    float apart = b.mean - a.mean, share = b.n / n;
    Moments both = {n, a.mean + apart * share, a.m2 + b.m2 + apart * apart * a.n * share};
    return both;
}

// Step 1: (mean, m2) of each chunk and channel, (B chunks, C). AT_ONCE pixels are loaded before
// any is used: as many reads are under way, and the division is paid once for all of them.
extern "C" __global__ void __launch_bounds__(256)
moments_part(float* part_mean, float* part_m2, const float* x, Norm s) {
    __shared__ float n[ROWS][LANES], mean[ROWS][LANES], m2[ROWS][LANES];
    const Place at = my_place(s);
    const int lane = threadIdx.x, row = threadIdx.y;
    Moments mine = {0.0f, 0.0f, 0.0f};
    for (long long p = at.first + row; p < at.last; p += ROWS * AT_ONCE) {
        float v[AT_ONCE];
        Moments few = {0.0f, 0.0f, 0.0f};
#pragma unroll
        for (int j = 0; j < AT_ONCE; ++j) {
            bool inside = p + j * ROWS < at.last;
            v[j] = inside ? x[index_of(s, at, p + j * ROWS)] : 0.0f;
            few.n += inside;
            few.mean += v[j];
        }
        few.mean /= few.n;
#pragma unroll
        for (int j = 0; j < AT_ONCE; ++j)
            if (p + j * ROWS < at.last) few.m2 += (v[j] - few.mean) * (v[j] - few.mean);
        mine = merged(mine, few);
    }
    n[row][lane] = mine.n, mean[row][lane] = mine.mean, m2[row][lane] = mine.m2;
    for (int half = ROWS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (row >= half) continue;
        Moments other = {n[row + half][lane], mean[row + half][lane], m2[row + half][lane]};
        mine = merged(mine, other);
        n[row][lane] = mine.n, mean[row][lane] = mine.mean, m2[row][lane] = mine.m2;
    }
    if (row > 0 || at.c >= s.C) return;
    part_mean[at.part * s.C + at.c] = mine.mean;
    part_m2[at.part * s.C + at.c] = mine.m2;
}

// Step 2: one block a group merges its chunks and channels; the variance is the biased one.
extern "C" __global__ void __launch_bounds__(256)
moments(float* mean, float* var, float* rstd, const float* part_mean, const float* part_m2,
        float eps, Norm s) {
    __shared__ float n[THREADS], means[THREADS], m2[THREADS];
    const int t = threadIdx.x, wide = s.C / s.G;
    const int b = blockIdx.x / s.G, c0 = blockIdx.x % s.G * wide;
    Moments mine = {0.0f, 0.0f, 0.0f};
    for (int k = t; k < s.chunks * wide; k += THREADS) {
        int chunk = k / wide;
        long long from = ((long long)b * s.chunks + chunk) * s.C + c0 + k % wide;
        float pixels = min(s.chunk, s.P - chunk * s.chunk);
        Moments part = {pixels, part_mean[from], part_m2[from]};
        mine = merged(mine, part);
    }
    n[t] = mine.n, means[t] = mine.mean, m2[t] = mine.m2;
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (t >= half) continue;
        Moments other = {n[t + half], means[t + half], m2[t + half]};
        mine = merged(mine, other);
        n[t] = mine.n, means[t] = mine.mean, m2[t] = mine.m2;
    }
    if (t > 0) return;
    mean[blockIdx.x] = mine.mean;
    var[blockIdx.x] = mine.m2 / mine.n;
    rstd[blockIdx.x] = 1.0f / sqrtf(mine.m2 / mine.n + eps);
}

// ---- y = w z + b: a thread keeps its channel's numbers and goes down its pixels, so nothing is
// divided to find them. weight and bias may be null.
extern "C" __global__ void __launch_bounds__(256)
channel_norm(float* y, const float* x, const float* mean, const float* rstd, const float* weight,
             const float* bias, Norm s) {
    const Place at = my_place(s);
    if (at.c >= s.C) return;
    const float m = mean[group_of(s, at)], shift = bias ? bias[at.c] : 0.0f;
    const float scale = rstd[group_of(s, at)] * (weight ? weight[at.c] : 1.0f);
    for (long long p = at.first + threadIdx.y; p < at.last; p += ROWS)
        y[index_of(s, at, p)] = (x[index_of(s, at, p)] - m) * scale + shift;
}

// ---- backward. Step 1: the sums of u and of u z, for each chunk and channel.
extern "C" __global__ void __launch_bounds__(256)
products_part(float* part_u, float* part_uz, const float* u, const float* x, const float* mean,
              const float* rstd, Norm s) {
    __shared__ float sum_u[ROWS][LANES], sum_uz[ROWS][LANES];
    const Place at = my_place(s);
    const int lane = threadIdx.x, row = threadIdx.y;
    const float m = mean[group_of(s, at)], r = rstd[group_of(s, at)];
    float of_u = 0.0f, of_uz = 0.0f;
#pragma unroll 4
    for (long long p = at.first + row; p < at.last; p += ROWS) {
        float up = u[index_of(s, at, p)];
        of_u += up;
        of_uz += up * ((x[index_of(s, at, p)] - m) * r);
    }
    sum_u[row][lane] = of_u, sum_uz[row][lane] = of_uz;
    for (int half = ROWS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (row >= half) continue;
        sum_u[row][lane] += sum_u[row + half][lane];
        sum_uz[row][lane] += sum_uz[row + half][lane];
    }
    if (row > 0 || at.c >= s.C) return;
    part_u[at.part * s.C + at.c] = sum_u[0][lane];
    part_uz[at.part * s.C + at.c] = sum_uz[0][lane];
}

// The same for u alone: a convolution's gradient for its bias. sums are (B, chunks, C), so that a
// second launch, with the chunks as its pixels, ends it; few pixels are one chunk, and one launch.
extern "C" __global__ void __launch_bounds__(256)
channel_sums(float* sums, const float* u, Norm s) {
    __shared__ float sum[ROWS][LANES];
    const Place at = my_place(s);
    const int lane = threadIdx.x, row = threadIdx.y;
    float mine = 0.0f;
#pragma unroll 8
    for (long long p = at.first + row; p < at.last; p += ROWS) mine += u[index_of(s, at, p)];
    sum[row][lane] = mine;
    for (int half = ROWS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (row < half) sum[row][lane] += sum[row + half][lane];
    }
    if (row == 0 && at.c < s.C) sums[at.part * s.C + at.c] = sum[0][lane];
}

// Step 2: one block a group adds up `part` (B chunks, C), weighted by the channel (weight may be
// null): sum (B, G). dw is the same with each channel a group of one, and all of the rows in one B.
extern "C" __global__ void __launch_bounds__(256)
add_groups(float* sum, const float* part, const float* weight, Norm s) {
    __shared__ float sums[THREADS];
    const int t = threadIdx.x, wide = s.C / s.G;
    const int b = blockIdx.x / s.G, c0 = blockIdx.x % s.G * wide;
    float mine = 0.0f;
    for (int k = t; k < s.chunks * wide; k += THREADS) {
        int c = c0 + k % wide;
        float p = part[((long long)b * s.chunks + k / wide) * s.C + c];
        mine += weight ? weight[c] * p : p;
    }
    sums[t] = mine;
    for (int half = THREADS / 2; half > 0; half /= 2) {
        __syncthreads();
        if (t < half) sums[t] += sums[t + half];
    }
    if (t == 0) sum[blockIdx.x] = sums[0];
}

// dx = rstd (w u - mean(w u) - z mean(w u z)), from the two sums of each group.
extern "C" __global__ void __launch_bounds__(256)
channel_norm_back(float* dx, const float* u, const float* x, const float* mean, const float* rstd,
                  const float* weight, const float* sum_u, const float* sum_uz, Norm s) {
    const Place at = my_place(s);
    if (at.c >= s.C) return;
    const long long g = group_of(s, at);
    const float count = (float)s.P * (s.C / s.G), w = weight ? weight[at.c] : 1.0f;
    const float m = mean[g], r = rstd[g], mean_u = sum_u[g] / count, mean_uz = sum_uz[g] / count;
    for (long long p = at.first + threadIdx.y; p < at.last; p += ROWS) {
        float z = (x[index_of(s, at, p)] - m) * r;
        dx[index_of(s, at, p)] = r * (w * u[index_of(s, at, p)] - mean_u - z * mean_uz);
    }
}
