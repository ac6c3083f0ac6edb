// launch: 2 64 0 (blocks, threads, bytes of dynamic shared memory)
// A three-point average: the neighbours of the first and last number do not exist.
extern "C" __global__ void right(float* y, const float* x, int n) {
    int i = blockIdx.x * 64 + threadIdx.x;
    float left = i > 0 ? x[i - 1] : 0, right = i + 1 < n ? x[i + 1] : 0;
    y[i] = (left + x[i] + right) / 3;
}
extern "C" __global__ void wrong(float* y, const float* x, int n) {
    int i = blockIdx.x * 64 + threadIdx.x;
    float left = x[i - 1];           // BUG: out of bounds
    float right = i + 1 < n ? x[i + 1] : 0;
    y[i] = (left + x[i] + right) / 3;
}
