// launch: 1 16 0 (blocks, threads, bytes of dynamic shared memory)
// A 16-byte load of numbers 1 .. 4, 5 .. 8, ...: right values on a CPU, an error on a GPU.
extern "C" __global__ void right(float* y, const float* x, int n) {
    int i = 4 * threadIdx.x;
    *reinterpret_cast<float4*>(y + i) = *reinterpret_cast<const float4*>(x + i);
}
extern "C" __global__ void wrong(float* y, const float* x, int n) {
    int i = 4 * threadIdx.x;
    float4 v = *reinterpret_cast<const float4*>(x + i + 1);  // BUG: misaligned
    *reinterpret_cast<float4*>(y + i) = v;
}
