// philox: random numbers as a function of a counter.
//
// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011) scrambles a
// 128-bit counter under a 64-bit key by ten rounds of two 32 x 32 -> 64 bit multiplications. There
// is no state to keep and none to share: thread i encrypts the number i, and any thread count or
// order gives the same stream. key = seed, counter = (offset + i, stream).

struct Four {
    unsigned x, y, z, w;
};

__device__ Four philox(unsigned long long counter, unsigned long long stream,
                       unsigned long long seed) {
    Four c = {(unsigned)counter, (unsigned)(counter >> 32), (unsigned)stream,
              (unsigned)(stream >> 32)};
    unsigned k0 = (unsigned)seed, k1 = (unsigned)(seed >> 32);
    for (int round = 0; round < 10; ++round) {
        unsigned long long a = 0xD2511F53ull * c.x, b = 0xCD9E8D57ull * c.z;
        c = {(unsigned)(b >> 32) ^ c.y ^ k0, (unsigned)b, (unsigned)(a >> 32) ^ c.w ^ k1,
             (unsigned)a};
        k0 += 0x9E3779B9u;  // the golden ratio's fraction, times 2^32
        k1 += 0xBB67AE85u;  // that of the square root of 3
    }
    return c;
}

__device__ void write4(float* out, long long i, long long n, float a, float b, float c, float d) {
    if (i < n) out[i] = a;
    if (i + 1 < n) out[i + 1] = b;
    if (i + 2 < n) out[i + 2] = c;
    if (i + 3 < n) out[i + 3] = d;
}

// The 32-bit numbers themselves, four a thread.
extern "C" __global__ void philox_bits(unsigned* out, long long n, unsigned long long seed,
                                       unsigned long long stream, unsigned long long offset) {
    long long t = (long long)blockIdx.x * blockDim.x + threadIdx.x, i = 4 * t;
    if (i >= n) return;
    Four r = philox(offset + t, stream, seed);
    out[i] = r.x;
    if (i + 1 < n) out[i + 1] = r.y;
    if (i + 2 < n) out[i + 2] = r.z;
    if (i + 3 < n) out[i + 3] = r.w;
}

// Uniform on [0, 1): the top 24 bits, all that a float in [0.5, 1) can tell apart.
__device__ float uniform(unsigned bits) { return (bits >> 8) * (1.0f / 16777216.0f); }

extern "C" __global__ void philox_uniform(float* out, long long n, unsigned long long seed,
                                          unsigned long long stream, unsigned long long offset) {
    long long t = (long long)blockIdx.x * blockDim.x + threadIdx.x, i = 4 * t;
    if (i >= n) return;
    Four r = philox(offset + t, stream, seed);
    write4(out, i, n, uniform(r.x), uniform(r.y), uniform(r.z), uniform(r.w));
}

// Standard normal by Box and Muller: (u, v) uniform give sqrt(-2 ln u) * (cos, sin)(2 pi v), two
// numbers. u is taken as 1 - uniform, which is never 0. sincospif takes its angle in units of pi:
// cosf would have to reduce any angle, by a table in memory.
extern "C" __global__ void philox_normal(float* out, long long n, unsigned long long seed,
                                         unsigned long long stream, unsigned long long offset) {
    long long t = (long long)blockIdx.x * blockDim.x + threadIdx.x, i = 4 * t;
    if (i >= n) return;
    Four r = philox(offset + t, stream, seed);
    float radius0 = sqrtf(-2 * logf(1 - uniform(r.x))), cos0, sin0;
    float radius1 = sqrtf(-2 * logf(1 - uniform(r.z))), cos1, sin1;
    sincospif(2 * uniform(r.y), &sin0, &cos0);
    sincospif(2 * uniform(r.w), &sin1, &cos1);
    write4(out, i, n, radius0 * cos0, radius0 * sin0, radius1 * cos1, radius1 * sin1);
}
