// launch: 1 16 0 (blocks, threads, bytes of dynamic shared memory)
// cp.async returns before the copy has happened.
__device__ void copy16(float* to, const float* from) {
    unsigned target = __cvta_generic_to_shared(to);
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(target), "l"(from));
    asm volatile("cp.async.commit_group;");
}
extern "C" __global__ void right(float* y, const float* x, int n) {
    __shared__ __align__(16) float tile[64];
    copy16(tile + 4 * threadIdx.x, x + 4 * threadIdx.x);
    asm volatile("cp.async.wait_group 0;");
    __syncthreads();
    y[threadIdx.x] = tile[63 - threadIdx.x];
}
extern "C" __global__ void wrong(float* y, const float* x, int n) {
    __shared__ __align__(16) float tile[64];
    copy16(tile + 4 * threadIdx.x, x + 4 * threadIdx.x);
    asm volatile("cp.async.wait_group 0;");  // this thread's copies only
    y[threadIdx.x] = tile[63 - threadIdx.x]; // BUG: data race, uninitialised read
}
