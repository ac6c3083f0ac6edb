// launch: 4 32 0 (blocks, threads, bytes of dynamic shared memory) A sum over blocks: one thread a
// block adds its part. Values come out right here, and wrong on a GPU.
extern "C" __global__ void right(float* y, const float* x, int n) {
    float v = x[blockIdx.x * 32 + threadIdx.x];
    for (int d = 16; d > 0; d /= 2) v += __shfl_down_sync(0xffffffff, v, d);
    if (threadIdx.x == 0) atomicAdd(y, v);
}
extern "C" __global__ void wrong(float* y, const float* x, int n) {
    float v = x[blockIdx.x * 32 + threadIdx.x];
    for (int d = 16; d > 0; d /= 2) v += __shfl_down_sync(0xffffffff, v, d);
    if (threadIdx.x == 0) y[0] += v; // BUG: data race
}
