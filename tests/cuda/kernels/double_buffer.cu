// launch: 1 64 0 (blocks, threads, bytes of dynamic shared memory) Two halves of shared memory take
// turns; the barrier at the end of a turn says that the half is free again.
extern "C" __global__ void right(float* y, const float* x, int n) {
    __shared__ float tile[2][64];
    float sum = 0;
    tile[0][threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    for (int turn = 0; turn < 4; ++turn) {
        tile[(turn + 1) % 2][threadIdx.x] = x[(threadIdx.x + turn) % 128];
        sum += tile[turn % 2][63 - threadIdx.x];
        __syncthreads();
    }
    y[threadIdx.x] = sum;
}
extern "C" __global__ void wrong(float* y, const float* x, int n) {
    __shared__ float tile[2][64];
    float sum = 0;
    tile[0][threadIdx.x] = x[threadIdx.x];
    tile[1][threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    for (int turn = 0; turn < 4; ++turn) {
        sum += tile[turn % 2][63 - threadIdx.x];                             // BUG: data race
        tile[(turn + 1) % 2][threadIdx.x] = x[(threadIdx.x + turn) % 128];   // BUG: data race
    }
    y[threadIdx.x] = sum;
}
