// launch: 1 48 0 (blocks, threads, bytes of dynamic shared memory) A reduction that is right only
// for a power of two of threads (llm.c PR 439): with 48 it reads numbers 48 .. 63.
extern "C" __global__ void right(float* y, const float* x, int n) {
    __shared__ float tile[48];
    int i = threadIdx.x;
    tile[i] = x[i];
    __syncthreads();
    for (int d = 32; d > 0; d /= 2) {
        if (i < d && i + d < 48) tile[i] += tile[i + d];
        __syncthreads();
    }
    if (i == 0) y[0] = tile[0];
}
extern "C" __global__ void wrong(float* y, const float* x, int n) {
    __shared__ float tile[48];
    int i = threadIdx.x;
    tile[i] = x[i];
    __syncthreads();
    for (int d = 32; d > 0; d /= 2) {
        if (i < d) tile[i] += tile[i + d];  // BUG: out of bounds
        __syncthreads();
    }
    if (i == 0) y[0] = tile[0];
}
