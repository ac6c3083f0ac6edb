// launch: 1 64 0 (blocks, threads, bytes of dynamic shared memory)
// Half of the threads wait for the other half, which never comes.
extern "C" __global__ void right(float* y, const float* x, int n) {
    __shared__ float tile[32];
    int i = threadIdx.x;
    if (i < 32) tile[i] = x[i];
    __syncthreads();
    y[i] = tile[i % 32];
}
extern "C" __global__ void wrong(float* y, const float* x, int n) {
    __shared__ float tile[32];
    int i = threadIdx.x;
    if (i < 32) {
        tile[i] = x[i];
        __syncthreads();             // BUG: divergent barrier
        y[i] = tile[31 - i];
    }
}
