// launch: 2 64 0 (blocks, threads, bytes of dynamic shared memory) Reverses 64 numbers through
// shared memory. Without the barrier a thread reads what its partner may not have written.
extern "C" __global__ void right(float* y, const float* x, int n) {
    __shared__ float tile[64];
    int i = threadIdx.x, at = blockIdx.x * 64;
    tile[i] = x[at + i];
    __syncthreads();
    y[at + i] = tile[63 - i];
}
extern "C" __global__ void wrong(float* y, const float* x, int n) {
    __shared__ float tile[64];
    int i = threadIdx.x, at = blockIdx.x * 64;
    tile[i] = x[at + i];             // BUG: data race
    y[at + i] = tile[63 - i];        // BUG: data race, uninitialised read
}
