// adam: one step of Adam or AdamW over a flat buffer: a parameter, or all of a model's in a row.
//
//     m <- b1 m + (1 - b1) g,  v <- b2 v + (1 - b2) g^2,  p <- p - lr mhat / (sqrt(vhat) + eps)
//     mhat = m / (1 - b1^t),  vhat = v / (1 - b2^t)
//
// Written with array operations this is a dozen passes over memory. Fused it reads 4 numbers and
// writes 3 for each parameter, once: 28 bytes, and nothing else counts.
//
// weight_decay: Adam adds weight_decay * p to the gradient (decoupled = 0), AdamW shrinks p by the
// factor 1 - lr * weight_decay (decoupled = 1). correction1 = 1 - b1^t and correction2 = 1 - b2^t
// come from the host, where they are computed in double precision: t is the step, from 1.
//
// tinygen.optim.Adam launches it once a parameter tensor, on a GPU; over a flat buffer it is one
// launch a model.

extern "C" __global__ void adam(float* p, float* m, float* v, const float* g, long long n, float lr,
                                float beta1, float beta2, float eps, float weight_decay,
                                int decoupled, float correction1, float correction2) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    float pi = p[i], gi = g[i];
    if (decoupled)
        pi -= lr * weight_decay * pi;
    else
        gi += weight_decay * pi;
    float mi = beta1 * m[i] + (1 - beta1) * gi;
    float vi = beta2 * v[i] + (1 - beta2) * gi * gi;
    m[i] = mi;
    v[i] = vi;
    p[i] = pi - lr * (mi / correction1) / (sqrtf(vi / correction2) + eps);
}
