// launch: 1 64 0 (blocks, threads, bytes of dynamic shared memory)
// A shuffle names all 32 lanes, and half of them do not come.
extern "C" __global__ void right(float* y, const float* x, int n) {
    float v = x[threadIdx.x], other = __shfl_xor_sync(0xffffffff, v, 1);
    y[threadIdx.x] = threadIdx.x % 2 ? v + other : v;
}
extern "C" __global__ void wrong(float* y, const float* x, int n) {
    float v = x[threadIdx.x];
    if (threadIdx.x % 2) v += __shfl_xor_sync(0xffffffff, v, 1);  // BUG: divergent warp
    y[threadIdx.x] = v;
}
