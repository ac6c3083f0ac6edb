// launch: 1 64 0 (blocks, threads, bytes of dynamic shared memory)
// A histogram in shared memory: += from many threads loses counts.
extern "C" __global__ void right(float* y, const float* x, int n) {
    __shared__ int bins[4];
    int i = threadIdx.x;
    if (i < 4) bins[i] = 0;
    __syncthreads();
    atomicAdd(&bins[i % 4], 1);
    __syncthreads();
    if (i < 4) y[i] = bins[i];
}
extern "C" __global__ void wrong(float* y, const float* x, int n) {
    __shared__ int bins[4];
    int i = threadIdx.x;
    if (i < 4) bins[i] = 0;
    __syncthreads();
    bins[i % 4] += 1;                // BUG: data race
    __syncthreads();
    if (i < 4) y[i] = bins[i];
}
