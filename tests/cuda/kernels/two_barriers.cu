// launch: 1 64 0 (blocks, threads, bytes of dynamic shared memory)
// Both sides of the if have a barrier, but not the same one.
extern "C" __global__ void right(float* y, const float* x, int n) {
    __syncthreads();
    y[threadIdx.x] = threadIdx.x % 2 ? x[threadIdx.x] : -x[threadIdx.x];
}
extern "C" __global__ void wrong(float* y, const float* x, int n) {
    if (threadIdx.x % 2) {
        __syncthreads();             // BUG: divergent barrier
        y[threadIdx.x] = x[threadIdx.x];
    } else {
        __syncthreads();             // BUG: divergent barrier
        y[threadIdx.x] = -x[threadIdx.x];
    }
}
