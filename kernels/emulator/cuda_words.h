// The CUDA words in C++: what an unedited .cu file needs to be compiled for the host and run there,
// one fiber a thread.
//
// tinygen puts this header in front of the kernel's text. runtime.cpp switches the fibers and, in
// check mode, watches every access. Two things that no macro can express are rewritten before
// compiling, line for line:
//   extern __shared__ T name[];               ->  T* name = (T*)emu_dynamic_shared();
//   asm volatile("mma.sync... {%0}, {%1};" : ..) ->  ptx_mma_sync...(d, a);  operands in its order
#pragma once
#include <climits>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <type_traits>

#define EMU_OUTSIDE \
    __attribute__((noinline, no_sanitize("thread")))  // not watched: part of the "hardware"
#define EMU_HERE __builtin_return_address(0)

enum EmuAccess { EMU_READ, EMU_WRITE, EMU_ATOMIC };
struct EmuIndex {
    unsigned x, y, z;
};
extern "C" {
EmuIndex emu_thread_index() __attribute__((const));
EmuIndex emu_block_index() __attribute__((const));
EmuIndex emu_block_dim() __attribute__((const));
EmuIndex emu_grid_dim() __attribute__((const));
void* emu_dynamic_shared() __attribute__((const));
void emu_barrier(const char* place);
void emu_access(const void* address, unsigned bytes, int kind, void* pc);
// Each lane of the mask hands in `bytes` bytes; the answer holds lane l's at [l * 64].
const char* emu_warp_exchange(unsigned mask, const void* value, unsigned bytes, void* pc);
void emu_copy_async(void* to, const void* from, unsigned bytes, unsigned read_bytes, void* pc);
uint64_t emu_to_shared(const void* p);
void* emu_from_shared(uint64_t address);
void emu_copy_commit();
void emu_copy_wait(unsigned pending);
}

// ---- threads and memory spaces

#define threadIdx emu_thread_index()
#define blockIdx emu_block_index()
#define blockDim emu_block_dim()
#define gridDim emu_grid_dim()
#define EMU_TEXT_(x) #x
#define EMU_TEXT(x) EMU_TEXT_(x)
#define __syncthreads() emu_barrier(__FILE__ ":" EMU_TEXT(__LINE__))
static const int warpSize = 32;

#define __CUDA_ARCH__ 900
#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define EMU_JOIN_(a, b) a##b
#define EMU_JOIN(a, b) EMU_JOIN_(a, b)
// thread_local, so that the linker gathers the shared arrays of all functions (templates too) in
// one segment, each behind a gap: an index past the end of one array then falls into a gap, not
// into the next array.
#define __shared__                                                                       \
    static thread_local __attribute__((used)) char EMU_JOIN(emu_gap_, __COUNTER__)[128]; \
    static thread_local

// ---- vectors: one access of 8 or 16 bytes, aligned to its size

#ifdef EMU_CHECK
#define EMU_WHOLE(V, copy)                                \
    EMU_OUTSIDE V(const V& v) {                           \
        emu_access(&v, sizeof(V), EMU_READ, EMU_HERE);    \
        emu_access(this, sizeof(V), EMU_WRITE, EMU_HERE); \
        copy;                                             \
    }                                                     \
    EMU_OUTSIDE V& operator=(const V& v) {                \
        emu_access(&v, sizeof(V), EMU_READ, EMU_HERE);    \
        emu_access(this, sizeof(V), EMU_WRITE, EMU_HERE); \
        copy;                                             \
        return *this;                                     \
    }
#else
#define EMU_WHOLE(V, copy) \
    V(const V&) = default; \
    V& operator=(const V&) = default;
#endif
#define EMU_VECTORS(T, N)                                                    \
    struct alignas(2 * sizeof(T)) N##2 {                                     \
        T x, y;                                                              \
        N##2() = default;                                                    \
        N##2(T a, T b) : x(a), y(b) {}                                       \
        EMU_WHOLE(N##2, (x = v.x, y = v.y))                                  \
    };                                                                       \
    struct N##3 { T x, y, z; };                                              \
    struct alignas(sizeof(T) == 8 ? 16 : 4 * sizeof(T)) N##4 {               \
        T x, y, z, w;                                                        \
        N##4() = default;                                                    \
        N##4(T a, T b, T c, T d) : x(a), y(b), z(c), w(d) {}                 \
        EMU_WHOLE(N##4, (x = v.x, y = v.y, z = v.z, w = v.w))                \
    };                                                                       \
    static inline N##2 make_##N##2(T a, T b) { return N##2(a, b); }          \
    static inline N##3 make_##N##3(T a, T b, T c) { return N##3 {a, b, c}; } \
    static inline N##4 make_##N##4(T a, T b, T c, T d) { return N##4(a, b, c, d); }
EMU_VECTORS(float, float)
EMU_VECTORS(int, int)
EMU_VECTORS(unsigned, uint)
EMU_VECTORS(double, double)
EMU_VECTORS(long long, longlong)
#undef EMU_VECTORS

// ---- arithmetic that CUDA has and C++ has not, or names otherwise

template <class A, class B>
static inline auto min(A a, B b) {
    return b < a ? b : a;
}
template <class A, class B>
static inline auto max(A a, B b) {
    return a < b ? b : a;
}
static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline double rsqrt(double x) { return 1.0 / sqrt(x); }
#define __expf(x) expf(x)  // names that glibc keeps for itself
#define __logf(x) logf(x)
#define __sinf(x) sinf(x)
#define __cosf(x) cosf(x)
#define __powf(x, y) powf(x, y)
static inline float __fdividef(float x, float y) { return x / y; }
static inline float __frcp_rn(float x) { return 1.0f / x; }
static inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
static inline void sincospif(float x, float* s, float* c) {
    *s = float(sin(M_PI * x)), *c = float(cos(M_PI * x));
}
static inline unsigned __umulhi(unsigned a, unsigned b) {
    return unsigned((uint64_t(a) * b) >> 32);
}
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
static inline int __ffs(int x) { return __builtin_ffs(x); }
template <class To, class From>
static inline To emu_bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "same size");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}
static inline unsigned __float_as_uint(float x) { return emu_bits<unsigned>(x); }
static inline int __float_as_int(float x) { return emu_bits<int>(x); }
static inline float __uint_as_float(unsigned x) { return emu_bits<float>(x); }
static inline float __int_as_float(int x) { return emu_bits<float>(x); }
static inline int __float2int_rn(float x) { return int(nearbyintf(x)); }
static inline int __float2int_rd(float x) { return int(floorf(x)); }
template <class T>
static inline T __ldg(const T* p) {
    return *p;
}
static inline size_t __cvta_generic_to_shared(const void* p) { return emu_to_shared(p); }
#define __threadfence() ((void)0)  // one thread runs at a time: memory is always in order
#define __threadfence_block() ((void)0)

// ---- atomics: one uninterrupted step, which the race check exempts

#define EMU_ATOMIC_OP(name, T, updated)                 \
    EMU_OUTSIDE static T name(T* p, T v) {              \
        emu_access(p, sizeof(T), EMU_ATOMIC, EMU_HERE); \
        T old = *p;                                     \
        *p = updated;                                   \
        return old;                                     \
    }
#define EMU_ATOMICS(T)                             \
    EMU_ATOMIC_OP(atomicAdd, T, old + v)           \
    EMU_ATOMIC_OP(atomicExch, T, v)                \
    EMU_ATOMIC_OP(atomicMax, T, old < v ? v : old) \
    EMU_ATOMIC_OP(atomicMin, T, v < old ? v : old)
EMU_ATOMICS(float)
EMU_ATOMICS(double)
EMU_ATOMICS(int)
EMU_ATOMICS(unsigned)
EMU_ATOMICS(unsigned long long)
#undef EMU_ATOMICS
#undef EMU_ATOMIC_OP
template <class T>
EMU_OUTSIDE static T atomicCAS(T* p, T expected, T v) {
    emu_access(p, sizeof(T), EMU_ATOMIC, EMU_HERE);
    T old = *p;
    if (old == expected) *p = v;
    return old;
}

// ---- warps: 32 consecutive threads of a block

static inline int emu_lane() {
    EmuIndex t = threadIdx, d = blockDim;
    return (t.x + d.x * (t.y + d.y * t.z)) % 32;
}
template <class T>
EMU_OUTSIDE static T emu_shuffle(unsigned mask, T v, int from, int width, bool inside, void* pc) {
    const char* all = emu_warp_exchange(mask, &v, sizeof v, pc);
    int lane = emu_lane(), first = lane / width * width;
    int source = inside && from >= first && from < first + width ? from : lane;
    T out;
    memcpy(&out, all + 64 * source, sizeof out);
    return out;
}
template <class T>
EMU_OUTSIDE static T __shfl_sync(unsigned mask, T v, int from, int width = 32) {
    int first = emu_lane() / width * width;
    return emu_shuffle(mask, v, first + (from & (width - 1)), width, true, EMU_HERE);
}
template <class T>
EMU_OUTSIDE static T __shfl_up_sync(unsigned mask, T v, unsigned d, int width = 32) {
    return emu_shuffle(mask, v, emu_lane() - int(d), width, true, EMU_HERE);
}
template <class T>
EMU_OUTSIDE static T __shfl_down_sync(unsigned mask, T v, unsigned d, int width = 32) {
    return emu_shuffle(mask, v, emu_lane() + int(d), width, true, EMU_HERE);
}
template <class T>
EMU_OUTSIDE static T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32) {
    return emu_shuffle(mask, v, emu_lane() ^ bits, width, true, EMU_HERE);
}
EMU_OUTSIDE static unsigned __ballot_sync(unsigned mask, int vote) {
    int one = vote != 0;
    const char* all = emu_warp_exchange(mask, &one, sizeof one, EMU_HERE);
    unsigned out = 0;
    for (int lane = 0; lane < 32; ++lane) {
        memcpy(&one, all + 64 * lane, sizeof one);
        if (mask >> lane & 1 && one == 1) out |= 1u << lane;
    }
    return out;
}
static inline int __any_sync(unsigned mask, int vote) { return __ballot_sync(mask, vote) != 0; }
static inline int __all_sync(unsigned mask, int vote) { return __ballot_sync(mask, !vote) == 0; }
EMU_OUTSIDE static void __syncwarp(unsigned mask = 0xffffffffu) {
    emu_warp_exchange(mask, "", 1, EMU_HERE);
}

// ---- inline PTX: one function an instruction, named by it

EMU_OUTSIDE static void ptx_cvt_rna_tf32_f32(
    unsigned& d, float a) {  // round to 10 mantissa bits, ties away from zero
    unsigned bits = __float_as_uint(a);
    d = (bits & 0x7f800000u) == 0x7f800000u ? bits : (bits + 0x1000u) & 0xffffe000u;
}

// D = A B + C of one warp, 16x8 = 16x8 * 8x8. With group = lane / 4 and quad = lane % 4 a lane
// holds
//   A: (group, quad) (group+8, quad) (group, quad+4) (group+8, quad+4)
//   B: (quad, group) (quad+4, group)
//   C, D: (group, 2 quad) (group, 2 quad + 1) (group+8, 2 quad) (group+8, 2 quad + 1)
EMU_OUTSIDE static float emu_tf32(const char* all, int lane, int i) {
    unsigned bits;
    memcpy(&bits, all + 64 * lane + 4 * i, 4);
    return __uint_as_float(bits & 0xffffe000u);  // the tensor core does not see the low 13 bits
}
EMU_OUTSIDE static void ptx_mma_sync_aligned_m16n8k8_row_col_f32_tf32_tf32_f32(
    float& d0, float& d1, float& d2, float& d3, unsigned a0, unsigned a1, unsigned a2, unsigned a3,
    unsigned b0, unsigned b1, float c0, float c1, float c2, float c3) {
    unsigned mine[6] = {a0, a1, a2, a3, b0, b1};
    const char* all = emu_warp_exchange(0xffffffffu, mine, sizeof mine, EMU_HERE);
    int group = emu_lane() / 4, quad = emu_lane() % 4;
    float d[4] = {c0, c1, c2, c3};
    for (int k = 0; k < 8; ++k)
        for (int i = 0; i < 4; ++i) {
            float a = emu_tf32(all, group * 4 + k % 4, k / 4 * 2 + i / 2);
            float b = emu_tf32(all, (2 * quad + i % 2) * 4 + k % 4, 4 + k / 4);
            d[i] += a * b;
        }
    d0 = d[0], d1 = d[1], d2 = d[2], d3 = d[3];
}

// The last operand is how many bytes are read; the rest of the 16 is filled with zeros.
EMU_OUTSIDE static void ptx_cp_async_cg_shared_global(size_t to, const void* from, int bytes,
                                                      int read_bytes = 16) {
    emu_copy_async(emu_from_shared(to), from, bytes, read_bytes, EMU_HERE);
}
EMU_OUTSIDE static void ptx_cp_async_ca_shared_global(size_t to, const void* from, int bytes,
                                                      int read_bytes = -1) {
    emu_copy_async(emu_from_shared(to), from, bytes, read_bytes < 0 ? bytes : read_bytes, EMU_HERE);
}
static inline void ptx_cp_async_commit_group() { emu_copy_commit(); }
static inline void ptx_cp_async_wait_group(int pending) { emu_copy_wait(pending); }
static inline void ptx_cp_async_wait_all() { emu_copy_wait(0); }
