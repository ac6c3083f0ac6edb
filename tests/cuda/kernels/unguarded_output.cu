// launch: 3 64 0 (blocks, threads, bytes of dynamic shared memory)
// n = 128 numbers on 3 x 64 threads: the last block has nothing to write.
extern "C" __global__ void right(float* y, const float* x, int n) {
    int i = blockIdx.x * 64 + threadIdx.x;
    if (i < n) y[i] = 2 * x[i];
}
extern "C" __global__ void wrong(float* y, const float* x, int n) {
    int i = blockIdx.x * 64 + threadIdx.x;
    float v = i < n ? x[i] : 0;
    y[i] = 2 * v;                    // BUG: out of bounds
}
