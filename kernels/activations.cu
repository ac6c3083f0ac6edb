// activations: what costs several array operations, each as one pass over the memory.
//
//     sigmoid    y = s(x) = 1 / (1 + e^-x)             sigmoid_grad   v h (1 - h),  h = s(x)
//     softplus   y = log(1 + e^x)                      tanh_grad      v (1 - h^2),  h = tanh(x)
//     silu       y = x s(x)                            silu_grad      v s (1 + x (1 - s)),  s = s(x)
//     leaky      y = x where t > 0, else slope x       gate           y = x where t > 0, else 0
//
// Written with array operations, SiLU is four passes: negate, exp, add, divide. Each reads and
// writes all of the memory (8 bytes an element) for one or two instructions, so the time is the
// memory's: 32 bytes an element, in four launches. Fused it is 8 bytes and one launch; the gradient
// goes from nine passes to one.
//
// All arrays are flat, of n floats, in one order. Element i belongs to thread i, so neighbouring
// threads touch neighbouring addresses (a warp reads 128 bytes in a row), nobody waits for anybody
// and the result is the same in every run. i needs 64 bits: 2^31 floats are only 8 GB.
//
// e^-x overflows to infinity for x < -88, which is right: 1 / (1 + inf) = 0.

__device__ long long my_element() {
    return (long long)blockIdx.x * blockDim.x + threadIdx.x;
}

__device__ float logistic(float x) {
    return 1.0f / (1.0f + expf(-x));
}

extern "C" __global__ void sigmoid(float* y, const float* x, long long n) {
    long long i = my_element();
    if (i < n) y[i] = logistic(x[i]);
}

extern "C" __global__ void sigmoid_grad(float* y, const float* v, const float* h, long long n) {
    long long i = my_element();
    if (i < n) y[i] = v[i] * h[i] * (1.0f - h[i]);
}

extern "C" __global__ void tanh_grad(float* y, const float* v, const float* h, long long n) {
    long long i = my_element();
    if (i < n) y[i] = v[i] * (1.0f - h[i] * h[i]);
}

// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|): the exponential is at most 1 and cannot overflow.
extern "C" __global__ void softplus(float* y, const float* x, long long n) {
    long long i = my_element();
    if (i < n) y[i] = fmaxf(x[i], 0.0f) + log1pf(expf(-fabsf(x[i])));
}

extern "C" __global__ void silu(float* y, const float* x, long long n) {
    long long i = my_element();
    if (i < n) y[i] = x[i] / (1.0f + expf(-x[i]));
}

// s is computed again from x: an expf costs less than reading s back from memory would.
extern "C" __global__ void silu_grad(float* y, const float* v, const float* x, long long n) {
    long long i = my_element();
    if (i >= n) return;
    float s = logistic(x[i]);
    y[i] = v[i] * s * (1.0f + x[i] * (1.0f - s));
}

// t is x itself on the way forward; on the way back x is the gradient, and t tells the side.
extern "C" __global__ void leaky(float* y, const float* x, const float* t, long long n,
                                 float slope) {
    long long i = my_element();
    if (i < n) y[i] = t[i] > 0.0f ? x[i] : slope * x[i];
}

extern "C" __global__ void gate(float* y, const float* x, const float* t, long long n) {
    long long i = my_element();
    if (i < n) y[i] = t[i] > 0.0f ? x[i] : 0.0f;
}
