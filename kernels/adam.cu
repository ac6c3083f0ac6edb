// adam: one step of Adam or AdamW.
//
//     m <- b1 m + (1 - b1) g,  v <- b2 v + (1 - b2) g^2,  p <- p - lr mhat / (sqrt(vhat) + eps)
//     mhat = m / (1 - b1^t),  vhat = v / (1 - b2^t)
//
// weight_decay: Adam adds weight_decay * p to the gradient (decoupled = 0), AdamW shrinks p by the
// factor 1 - lr * weight_decay (decoupled = 1). rest1 = 1 - b1, correction1 = 1 - b1^t and their
// kin come from the host, where they are computed in double precision (in floats 1 - 0.999 is off
// by 5e-5): t is the step, from 1.
//
// 1. adam: one parameter, flat. Written with array operations the step is a dozen passes over
//    memory. Fused it reads 4 numbers and writes 3 for each element, once: 28 bytes, and nothing
//    else counts.
// 2. adam_many: up to 64 parameters in one launch. A network has many small ones (a bias of 64
//    numbers), and for those the launch is the cost: 5 us, however little there is to do. Which
//    parameters comes by value, as a table of pointers among the kernel's arguments (of which 4096
//    bytes are allowed): nothing is copied together, nothing is uploaded.

struct Step {
    float lr, beta1, rest1, beta2, rest2, eps, weight_decay, correction1, correction2;
    int decoupled;
};

__device__ void update(float& p, float& m, float& v, float g, const Step& s) {
    float pi = p;
    if (s.decoupled)
        pi -= s.lr * s.weight_decay * pi;
    else
        g += s.weight_decay * pi;
    float mi = s.beta1 * m + s.rest1 * g;
    float vi = s.beta2 * v + s.rest2 * g * g;
    m = mi;
    v = vi;
    p = pi - s.lr * (mi / s.correction1) / (sqrtf(vi / s.correction2) + s.eps);
}

extern "C" __global__ void adam(float* p, float* m, float* v, const float* g, long long n, Step s) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) update(p[i], m[i], v[i], g[i], s);
}

// first[t] is the block at which parameter t begins; each block does 4 * 256 elements of one. The
// search for t reads the same words in every thread of the grid: they are in the constant cache.
struct Tensors {
    float* p[64];
    float* m[64];
    float* v[64];
    const float* g[64];
    long long n[64];
    unsigned first[65];
};

extern "C" __global__ void __launch_bounds__(256) adam_many(Tensors all, Step s) {
    int t = 0;
    while (blockIdx.x >= all.first[t + 1]) ++t;
    long long i = (long long)(blockIdx.x - all.first[t]) * 1024 + threadIdx.x;
    for (int j = 0; j < 4; ++j, i += 256)
        if (i < all.n[t]) update(all.p[t][i], all.m[t][i], all.v[t][i], all.g[t][i], s);
}
