// launch: 1 64 0 (blocks, threads, bytes of dynamic shared memory)
// Tree sum without a barrier between the levels.
extern "C" __global__ void right(float* y, const float* x, int n) {
    __shared__ float tile[64];
    int i = threadIdx.x;
    tile[i] = x[i];
    __syncthreads();
    for (int d = 32; d > 0; d /= 2) {
        if (i < d) tile[i] += tile[i + d];
        __syncthreads();
    }
    if (i == 0) y[0] = tile[0];
}
extern "C" __global__ void wrong(float* y, const float* x, int n) {
    __shared__ float tile[64];
    int i = threadIdx.x;
    tile[i] = x[i];
    __syncthreads();
    for (int d = 32; d > 0; d /= 2)
        if (i < d) tile[i] += tile[i + d];  // BUG: data race
    if (i == 0) y[0] = tile[0];             // BUG: data race
}
