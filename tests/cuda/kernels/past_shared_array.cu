// launch: 1 64 0 (blocks, threads, bytes of dynamic shared memory)
// Each thread adds its right neighbour; the last one reads past the tile, where another array lies.
extern "C" __global__ void right(float* y, const float* x, int n) {
    __shared__ float tile[65];
    __shared__ float other[64];
    int i = threadIdx.x;
    tile[i] = x[i], other[i] = 1;
    if (i == 0) tile[64] = 0;
    __syncthreads();
    y[i] = tile[i] + tile[i + 1] + other[63 - i];
}
extern "C" __global__ void wrong(float* y, const float* x, int n) {
    __shared__ float tile[64];
    __shared__ float other[64];
    int i = threadIdx.x;
    tile[i] = x[i], other[i] = 1;
    __syncthreads();
    float next = tile[i + 1];        // BUG: out of bounds
    y[i] = tile[i] + next + other[63 - i];
}
