// launch: 1 64 256 (blocks, threads, bytes of dynamic shared memory)
// 64 floats of dynamic shared memory; the padded index wants 66.
extern "C" __global__ void right(float* y, const float* x, int n) {
    extern __shared__ float tile[];
    tile[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = tile[63 - threadIdx.x];
}
extern "C" __global__ void wrong(float* y, const float* x, int n) {
    extern __shared__ float tile[];
    int at = threadIdx.x + threadIdx.x / 32;
    tile[at] = x[threadIdx.x];       // BUG: out of bounds
    __syncthreads();
    y[threadIdx.x] = tile[at];
}
