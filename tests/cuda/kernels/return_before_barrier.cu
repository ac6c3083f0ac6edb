// launch: 2 96 0 (blocks, threads, bytes of dynamic shared memory)
// The usual guard, if (i >= n) return, in a kernel with a barrier.
extern "C" __global__ void right(float* y, const float* x, int n) {
    __shared__ float tile[96];
    int i = blockIdx.x * 96 + threadIdx.x;
    tile[threadIdx.x] = i < n ? x[i] : 0;
    __syncthreads();
    if (i < n) y[i] = tile[95 - threadIdx.x];
}
extern "C" __global__ void wrong(float* y, const float* x, int n) {
    __shared__ float tile[96];
    int i = blockIdx.x * 96 + threadIdx.x;
    if (i >= n) return;
    tile[threadIdx.x] = x[i];
    __syncthreads();                 // BUG: divergent barrier
    y[i] = tile[threadIdx.x];
}
