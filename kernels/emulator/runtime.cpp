// Runs the blocks of a launch one after another, and the threads of a block as fibers: each runs
// until it reaches a barrier, a warp operation or its end. In check mode the kernel is compiled
// with -fsanitize=thread but not linked with that sanitizer's library: the calls it puts before
// every load and store arrive at the end of this file.
#include <link.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

namespace {

typedef uint32_t u32;
typedef uint64_t u64;

struct Index {
    u32 x, y, z;
};

// ---- what Python is told when a check fails (mirrored in tinygen/cuda/emulator.py)

enum Failure {
    OK,
    OUT_OF_BOUNDS,
    MISALIGNED,
    UNINITIALISED,
    RACE,
    DIVERGENT_BARRIER,
    DIVERGENT_WARP,
    OUT_OF_MEMORY
};
struct Report {
    int failure, access, other_access;
    u32 bytes, region, same_block;
    u64 address, offset, pc, other_pc;
    const char *place, *other_place;  // "file:line" of the barriers that threads wait at
    Index block, thread, other_block, other_thread;
};

// ---- memory that a kernel may touch

// Who touched a word: which block, which thread of it, how many barriers that block (and that warp)
// had passed.
struct Mark {
    u32 block, barriers, pc;
    uint16_t thread, warp_syncs;
};
struct Word {
    Mark writer, reader, earlier_reader;
    bool writer_atomic;
};
struct Region {
    uintptr_t start;
    u64 bytes;
    Word* words;
    u32 shared;
};
struct Span {
    u64 start, bytes;
};

std::vector<Region> regions;
Region* last_region;
std::vector<unsigned char>
    shared_object;  // for each byte of static shared memory: which array, 0 for the gaps
const unsigned char GUARD =
    255;  // the compiler's own "is initialised" byte beside an array of vectors
int word_shift = 2;

// ---- fibers

enum State { READY, AT_BARRIER, AT_WARP, DONE };
struct Copy {
    void* to;
    const void* from;
    u32 bytes, read_bytes, group;
    void* pc;
};
struct Fiber {
    void* stack_pointer;
    uintptr_t stack;
    Index index;
    State state;
    const char* place;
    u32 thread, mask, exchanges, warp_syncs, group;
    void* pc;
    std::vector<Copy> copies;
};
const size_t STACK = 128 << 10;

Fiber* current;
std::vector<Fiber> fibers;
std::vector<char>
    exchange;  // for each warp two buffers (odd and even operations) of 32 slots of 64 bytes
void* scheduler_stack_pointer;
char* stacks;
size_t stacks_count;
void (*entry)(void**);
void** arguments;
Index grid, block, block_index;
u32 block_id, barriers;
char* dynamic_shared;
Report* report;
uintptr_t image_start, image_bytes;
thread_local char tls_anchor;

#if defined(__x86_64__) && !defined(EMU_UCONTEXT)
extern "C" void emu_switch(void** save, void* load);
asm(R"(
.text
.hidden emu_switch
.globl emu_switch
.type emu_switch, @function
emu_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size emu_switch, .-emu_switch
)");
void to_scheduler(Fiber* f) { emu_switch(&f->stack_pointer, scheduler_stack_pointer); }
void to_fiber(Fiber* f) { emu_switch(&scheduler_stack_pointer, f->stack_pointer); }
void prepare(Fiber* f, void (*start)()) {
    void** top = reinterpret_cast<void**>(f->stack + STACK) - 2;
    *top = reinterpret_cast<void*>(
        start);  // where emu_switch's ret goes, the stack then 8 off 16 as after a call
    f->stack_pointer = top - 6;
}
#else
#include <ucontext.h>
std::vector<ucontext_t> contexts;
ucontext_t scheduler_context;
void to_scheduler(Fiber* f) { swapcontext(&contexts[f->thread], &scheduler_context); }
void to_fiber(Fiber* f) { swapcontext(&scheduler_context, &contexts[f->thread]); }
void prepare(Fiber* f, void (*start)()) {
    contexts.resize(fibers.size());
    ucontext_t* c = &contexts[f->thread];
    getcontext(c);
    c->uc_stack.ss_sp = reinterpret_cast<void*>(f->stack);
    c->uc_stack.ss_size = STACK;
    c->uc_link = &scheduler_context;
    makecontext(c, start, 0);
}
#endif

void thread_main() {
    entry(arguments);
    current->state = DONE;
    to_scheduler(current);
}

Index block_of(u32 id) {
    u32 linear =
        id - (block_id - (block_index.x + grid.x * (block_index.y + grid.y * block_index.z)));
    return {linear % grid.x, linear / grid.x % grid.y, linear / grid.x / grid.y};
}

void describe(Failure failure, const Fiber* f, void* pc) {
    report->failure = failure;
    report->block = block_index;
    report->thread = f->index;
    report->pc = u64(pc) - image_start;
    report->place = f->place;
}

[[maybe_unused]] void fail(Failure failure, uintptr_t address, u32 bytes, int access, void* pc) {
    describe(failure, current, pc);
    report->address = address;
    report->bytes = bytes;
    report->access = access;
    to_scheduler(current);  // for good: the bad access is never made
}

// ---- the checks, before an access

#ifdef EMU_CHECK
enum Access { READ, WRITE, ATOMIC };

// True when nothing orders the access marked `m` before the one made now.
bool unordered(const Mark& m, const Region& r) {
    if (!m.block) return false;
    if (m.block != block_id)
        return !r.shared;  // blocks run in any order; shared memory dies with its block
    if (m.thread == current->thread || m.barriers != barriers) return false;
    return m.thread / 32 != current->thread / 32 || m.warp_syncs == uint16_t(current->warp_syncs);
}

void fail_race(const Mark& m, int other_access, uintptr_t a, u32 bytes, int access, void* pc) {
    report->other_pc = m.pc;
    report->same_block = m.block == block_id;
    report->other_block = block_of(m.block);
    report->other_thread = fibers[m.thread].index;
    report->other_access = other_access;
    fail(RACE, a, bytes, access, pc);
}

Region* region_of(uintptr_t a) {
    if (last_region && a - last_region->start < last_region->bytes) return last_region;
    for (Region& r : regions)
        if (a - r.start < r.bytes) return last_region = &r;
    return nullptr;
}

void check(uintptr_t a, u32 bytes, int access, void* pc, bool must_align) {
    Fiber* f = current;
    if (!f || a - f->stack < STACK) return;  // its own local memory
    Region* r = region_of(a);
    if (!r) {
        if (a - image_start < image_bytes) return;  // constants, __device__ variables
        report->region = ~0u;
        return fail(OUT_OF_BOUNDS, a, bytes, access, pc);
    }
    u64 offset = a - r->start;
    report->region = u32(r - regions.data());
    report->offset = offset;
    if (bytes > r->bytes - offset) return fail(OUT_OF_BOUNDS, a, bytes, access, pc);
    if (r->shared == 1) {
        unsigned char object = shared_object[offset];
        if (object == GUARD) return;
        if (!object || shared_object[offset + bytes - 1] != object)
            return fail(OUT_OF_BOUNDS, a, bytes, access, pc);
    }
    if (must_align && a % bytes) return fail(MISALIGNED, a, bytes, access, pc);
    Mark now = {block_id, barriers, u32(u64(pc) - image_start), uint16_t(f->thread),
                uint16_t(f->warp_syncs)};
    for (u64 i = offset >> word_shift; i <= (offset + bytes - 1) >> word_shift; ++i) {
        Word& w = r->words[i];
        if (unordered(w.writer, *r) && !(access == ATOMIC && w.writer_atomic))
            return fail_race(w.writer, WRITE, a, bytes, access, pc);
        if (access != WRITE && r->shared && w.writer.block != block_id)
            return fail(UNINITIALISED, a, bytes, access, pc);
        if (access == READ) {
            if (w.reader.thread != now.thread || w.reader.block != now.block)
                w.earlier_reader = w.reader;
            w.reader = now;
            continue;
        }
        if (unordered(w.reader, *r)) return fail_race(w.reader, READ, a, bytes, access, pc);
        if (unordered(w.earlier_reader, *r))
            return fail_race(w.earlier_reader, READ, a, bytes, access, pc);
        w.writer = now;
        w.writer_atomic = access == ATOMIC;
    }
}
#endif

// ---- scheduling

struct Random {  // xorshift64*
    u64 s;
    u32 below(u32 n) {
        s ^= s >> 12, s ^= s << 25, s ^= s >> 27;
        return u32((s * 2685821657736338717ull) >> 33) % n;
    }
    void shuffle(std::vector<u32>& v) {
        for (size_t i = v.size(); i > 1; --i) std::swap(v[i - 1], v[below(u32(i))]);
    }
};

bool release_warp(u32 warp, u32 threads) {
    bool any = false;
    for (u32 t = warp * 32; t < threads && t < warp * 32 + 32; ++t) {
        if (fibers[t].state != AT_WARP) continue;
        u32 mask = fibers[t].mask;
        bool all = true;
        for (u32 u = warp * 32; u < threads && u < warp * 32 + 32; ++u)
            if (mask >> (u % 32) & 1)
                all = all && fibers[u].state == AT_WARP && fibers[u].mask == mask;
        if (!all) continue;
        for (u32 u = warp * 32; u < threads && u < warp * 32 + 32; ++u)
            if (mask >> (u % 32) & 1) fibers[u].state = READY, fibers[u].warp_syncs++;
        any = true;
    }
    return any;
}

// Runs every thread as far as the next block-wide barrier. False when a check failed.
bool run_to_barrier(std::vector<u32>& warps, u32 threads, Random* random) {
    std::vector<u32> lanes(32);
    for (u32 l = 0; l < 32; ++l) lanes[l] = l;
    if (random) random->shuffle(warps);
    for (u32 warp : warps) {
        do {
            if (random) random->shuffle(lanes);
            for (u32 l : lanes) {
                u32 t = warp * 32 + l;
                if (t >= threads || fibers[t].state != READY) continue;
                current = &fibers[t];
                to_fiber(current);
                current = nullptr;
                if (report->failure) return false;
            }
        } while (release_warp(warp, threads));
    }
    return true;
}

// Every thread has stopped: at one and the same barrier, or all have returned. Anything else is a
// divergence.
bool release_block(u32 threads, bool* done) {
    Fiber* first = nullptr;
    for (u32 t = 0; t < threads; ++t) {
        Fiber& f = fibers[t];
        if (f.state == AT_WARP) return describe(DIVERGENT_WARP, &f, f.pc), false;
        if (f.state == AT_BARRIER && !first) first = &f;
    }
    *done = !first;
    for (u32 t = 0; first && t < threads; ++t) {
        Fiber& f = fibers[t];
        bool same = f.place == first->place || !strcmp(f.place, first->place);
        if (f.state == AT_BARRIER && same) continue;
        describe(DIVERGENT_BARRIER, first, nullptr);
        report->other_thread = f.index;
        report->other_place = f.state == DONE ? nullptr : f.place;
        return false;
    }
    for (u32 t = 0; first && t < threads; ++t) fibers[t].state = READY;
    ++barriers;
    return true;
}

bool run_block(u32 threads, Random* random) {
    barriers = 1;
    for (u32 t = 0; t < threads; ++t) {
        Fiber& f = fibers[t];
        f.state = READY, f.place = "", f.exchanges = f.warp_syncs = f.group = 0;
        f.copies.clear();
        f.thread = t;
        f.stack = uintptr_t(stacks) + STACK * t;
        f.index = {t % block.x, t / block.x % block.y, t / block.x / block.y};
        prepare(&f, thread_main);
    }
    std::vector<u32> warps((threads + 31) / 32);
    for (u32 w = 0; w < warps.size(); ++w) warps[w] = w;
    for (bool done = false; !done;)
        if (!run_to_barrier(warps, threads, random) || !release_block(threads, &done)) return false;
    return true;
}

int find_image(dl_phdr_info* info, size_t, void* out) {
    uintptr_t here = uintptr_t(&find_image), end = 0;
    bool inside = false;
    Span* tls = static_cast<Span*>(out);
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const ElfW(Phdr) & h = info->dlpi_phdr[i];
        uintptr_t start = info->dlpi_addr + h.p_vaddr;
        if (h.p_type == PT_TLS) *tls = {u64(info->dlpi_tls_data), h.p_memsz};
        if (h.p_type != PT_LOAD) continue;
        inside = inside || here - start < h.p_memsz;
        end = start + h.p_memsz > end ? start + h.p_memsz : end;
    }
    if (!inside) return *tls = {0, 0}, 0;
    image_start = info->dlpi_addr;
    image_bytes = end - image_start;
    return 1;
}

bool prepare_stacks(u32 threads) {
    fibers.resize(threads);
    exchange.assign((threads + 31) / 32 * 2 * 32 * 64, 0);
    if (threads <= stacks_count) return true;
    if (stacks) munmap(stacks, stacks_count * STACK);
    void* p = mmap(nullptr, threads * STACK, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    stacks = p == MAP_FAILED ? nullptr : static_cast<char*>(p);
    stacks_count = stacks ? threads : 0;
    return stacks;
}

}  // namespace

extern "C" {

Index emu_thread_index() { return current->index; }
Index emu_block_index() { return block_index; }
Index emu_block_dim() { return block; }
Index emu_grid_dim() { return grid; }
void* emu_dynamic_shared() { return dynamic_shared; }

void emu_barrier(const char* place) {
    current->state = AT_BARRIER;
    current->place = place;
    to_scheduler(current);
}

const char* emu_warp_exchange(u32 mask, const void* value, u32 bytes, void* pc) {
    Fiber* f = current;
    char* slots = exchange.data() + (f->thread / 32 * 2 + f->exchanges++ % 2) * 32 * 64;
    memcpy(slots + f->thread % 32 * 64, value, bytes);
    f->state = AT_WARP;
    f->mask = mask;
    f->pc = pc;
    to_scheduler(f);
    return slots;
}

void emu_access(const void* address, u32 bytes, int kind, void* pc) {
#ifdef EMU_CHECK
    check(uintptr_t(address), bytes, kind, pc, true);
#else
    (void)address, (void)bytes, (void)kind, (void)pc;
#endif
}

// The bytes arrive when the thread waits for them, as late as the hardware may deliver them; the
// target counts as written from the start, as early as it may.
void emu_copy_async(void* to, const void* from, u32 bytes, u32 read_bytes, void* pc) {
    if (read_bytes) emu_access(from, read_bytes, 0, pc);
    emu_access(to, bytes, 1, pc);
    current->copies.push_back({to, from, bytes, read_bytes, current->group, pc});
}

// Addresses of shared memory have 32 bits, as on a GPU: static arrays from 0 on, dynamic ones from
// 2^30 on.
u64 emu_to_shared(const void* p) {
    u64 in_static = uintptr_t(p) - regions[0].start;
    return in_static < regions[0].bytes ? in_static : (1u << 30) + uintptr_t(p) - regions[1].start;
}
void* emu_from_shared(u64 a) {
    u64 p = a < 1u << 30 ? regions[0].start + a : regions[1].start + a - (1u << 30);
    return reinterpret_cast<void*>(p);
}

void emu_copy_commit() { ++current->group; }

void emu_copy_wait(u32 pending) {
    std::vector<Copy>& copies = current->copies;
    size_t kept = 0;
    for (size_t i = 0; i < copies.size(); ++i) {
        const Copy c = copies[i];
        if (c.group + pending >= current->group) {
            copies[kept++] = c;
            continue;
        }
        emu_access(c.to, c.bytes, 1, c.pc);
        memcpy(c.to, c.from, c.read_bytes);
        memset(static_cast<char*>(c.to) + c.read_bytes, 0, c.bytes - c.read_bytes);
    }
    copies.resize(kept);
}

// The thread-local segment: where it lies in this process, so that Python can say which array sits
// where.
u64 emu_shared_bytes() {
    Span tls = {0, 0};
    *const_cast<volatile char*>(&tls_anchor) = 1;
    dl_iterate_phdr(find_image, &tls);
    return tls.bytes;
}

int emu_run(void (*kernel)(void**), void** args, const u32* grid_size, const u32* block_size,
            u32 dynamic_bytes, const Span* spans, int n_spans, const unsigned char* objects,
            u64 seed, int shift, Report* out) {
    grid = {grid_size[0], grid_size[1], grid_size[2]};
    block = {block_size[0], block_size[1], block_size[2]};
    entry = kernel, arguments = args, report = out, word_shift = shift, current = nullptr,
    last_region = nullptr;
    u32 threads = block.x * block.y * block.z;
    Span tls = {0, 0};
    *const_cast<volatile char*>(&tls_anchor) = 1;
    dl_iterate_phdr(find_image, &tls);
    void* dynamic = nullptr;
    if (!prepare_stacks(threads) || posix_memalign(&dynamic, 1024, dynamic_bytes + 1))
        return out->failure = OUT_OF_MEMORY;
    dynamic_shared = static_cast<char*>(dynamic);
    shared_object.assign(objects, objects + tls.bytes);
    regions.clear();
    regions.push_back({uintptr_t(tls.start), tls.bytes, nullptr, 1});
    regions.push_back({uintptr_t(dynamic), dynamic_bytes, nullptr, 2});
    for (int i = 0; i < n_spans; ++i)
        regions.push_back({uintptr_t(spans[i].start), spans[i].bytes, nullptr, 0});
#ifdef EMU_CHECK
    for (Region& r : regions) {
        r.words = static_cast<Word*>(calloc((r.bytes >> word_shift) + 1, sizeof(Word)));
        if (!r.words) out->failure = OUT_OF_MEMORY;
    }
#endif
    Random random = {seed * 0x9e3779b97f4a7c15ull | 1};
    std::vector<u32> order(size_t(grid.x) * grid.y * grid.z);
    for (u32 i = 0; i < order.size(); ++i) order[i] = i;
    if (seed) random.shuffle(order);
    for (u32 linear : order) {
        if (out->failure) break;
        block_id = linear + 1;
        block_index = {linear % grid.x, linear / grid.x % grid.y, linear / grid.x / grid.y};
        for (u64 i = 0; i < tls.bytes; ++i)
            if (shared_object[i] && shared_object[i] != GUARD)
                reinterpret_cast<unsigned char*>(tls.start)[i] = 0xff;  // NaN, as a float
        memset(dynamic, 0xff, dynamic_bytes);
        run_block(threads, seed ? &random : nullptr);
    }
    for (Region& r : regions) free(r.words);
    regions.clear();
    free(dynamic);
    return out->failure;
}

#ifdef EMU_CHECK
#define PC __builtin_return_address(0)
#define WATCH(n)                                                                         \
    void __tsan_read##n(void* a) { check(uintptr_t(a), n, READ, PC, true); }             \
    void __tsan_write##n(void* a) { check(uintptr_t(a), n, WRITE, PC, true); }           \
    void __tsan_unaligned_read##n(void* a) { check(uintptr_t(a), n, READ, PC, true); }   \
    void __tsan_unaligned_write##n(void* a) { check(uintptr_t(a), n, WRITE, PC, true); } \
    void __tsan_volatile_read##n(void* a) { check(uintptr_t(a), n, READ, PC, true); }    \
    void __tsan_volatile_write##n(void* a) { check(uintptr_t(a), n, WRITE, PC, true); }  \
    void __tsan_read_write##n(void* a) {                                                 \
        check(uintptr_t(a), n, READ, PC, true), check(uintptr_t(a), n, WRITE, PC, true); \
    }
WATCH(1)
WATCH(2)
WATCH(4)
WATCH(8)
WATCH(16)
void __tsan_read_range(void* a, unsigned long n) {
    if (n) check(uintptr_t(a), u32(n), READ, PC, false);
}
void __tsan_write_range(void* a, unsigned long n) {
    if (n) check(uintptr_t(a), u32(n), WRITE, PC, false);
}
void* __tsan_memcpy(void* to, const void* from, unsigned long n) {
    if (n)
        check(uintptr_t(from), u32(n), READ, PC, false),
            check(uintptr_t(to), u32(n), WRITE, PC, false);
    return memcpy(to, from, n);
}
void* __tsan_memmove(void* to, const void* from, unsigned long n) {
    if (n)
        check(uintptr_t(from), u32(n), READ, PC, false),
            check(uintptr_t(to), u32(n), WRITE, PC, false);
    return memmove(to, from, n);
}
void* __tsan_memset(void* to, int value, unsigned long n) {
    if (n) check(uintptr_t(to), u32(n), WRITE, PC, false);
    return memset(to, value, n);
}
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_read(void**) {}
void __tsan_vptr_update(void**, void*) {}
#endif
}
