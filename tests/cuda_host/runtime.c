// A CUDA runtime without a GPU: memory is host memory, kernels do nothing, and streams, events and captures follow
// CUDA's rules.
//
// Loaded before libcudart (LD_PRELOAD), it lets torch's CUDA build run all its host code: the caching allocator,
// generators, graphs and autograd's device threads. The results of kernels are whatever the memory contained. In a
// capture, calls that CUDA considers unsafe fail and invalidate it, as the documentation of cudaStreamCaptureMode says.
#define _GNU_SOURCE
#include "runtime.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>


enum { EAGER_KERNELS, CAPTURED_NODES, GRAPH_LAUNCHES, WAITS, COPIES_TO_HOST, COPIES_FROM_HOST, MALLOCS, CAPTURES, INVALIDATED, UNSAFE, COUNTS };

typedef struct Capture {
    unsigned long long id;
    int mode, invalid, unjoined;
    pthread_t thread;
    struct CUstream_st *origin;
    size_t nodes;
    int active;
} Capture;

struct CUstream_st {
    int device;
    unsigned flags;
    Capture *capture;
    unsigned long serial, joined;  // work so far, and how much of it the origin of the capture has waited for
};

struct CUevent_st {
    int device;
    Capture *capture;
    struct CUstream_st *stream;
    unsigned long serial;
    int recorded;
};

struct CUgraph_st { size_t nodes; };
struct CUgraphExec_st { size_t nodes; size_t launches; };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct CUstream_st legacy;
static Capture *ongoing;  // one at a time suffices
static unsigned long long captures;
static unsigned long long counts[COUNTS];
static __thread int thread_mode;  // cudaStreamCaptureModeGlobal
static __thread cudaError_t last_error;
static __thread int current_device;
enum { DEVICES = 2 };
static char last_unsafe[128];

API unsigned long long cuda_host_count(int which) { return counts[which]; }
API void cuda_host_reset(void) { memset(counts, 0, sizeof counts); last_unsafe[0] = 0; }
API const char *cuda_host_unsafe(void) { return last_unsafe; }

static cudaError_t fail(cudaError_t error) {
    if (error) last_error = error;
    return error;
}

static struct CUstream_st *stream_of(cudaStream_t s) {
    return (s == 0 || s == (cudaStream_t)1 || s == (cudaStream_t)2) ? &legacy : s;
}

static int device_of(struct CUstream_st *stream) { return stream == &legacy ? current_device : stream->device; }

static void invalidate(Capture *c, const char *why) {
    if (c && !c->invalid) { c->invalid = 1; counts[INVALIDATED]++; }
    if (why) snprintf(last_unsafe, sizeof last_unsafe, "%s", why);
}

// Fail if the calling thread may not make a potentially unsafe call now (see cudaThreadExchangeStreamCaptureMode).
static cudaError_t unsafe(const char *name) {
    Capture *c = ongoing;
    if (!c || thread_mode == cudaStreamCaptureModeRelaxed) return cudaSuccess;
    int own = pthread_equal(c->thread, pthread_self());
    int bad = own ? c->mode != cudaStreamCaptureModeRelaxed
                  : thread_mode == cudaStreamCaptureModeGlobal && c->mode == cudaStreamCaptureModeGlobal;
    if (!bad) return cudaSuccess;
    counts[UNSAFE]++;
    invalidate(c, name);
    return fail(cudaErrorStreamCaptureUnsupported);
}

cudaError_t cuda_host_add(cudaStream_t s) {
    struct CUstream_st *stream = stream_of(s);
    if (device_of(stream) != current_device) return fail(cudaErrorInvalidResourceHandle);
    if (stream == &legacy && ongoing && !(ongoing->origin->flags & cudaStreamNonBlocking)) {
        invalidate(ongoing, "legacy stream");
        return fail(cudaErrorStreamCaptureImplicit);
    }
    stream->serial++;
    if (stream->capture) {
        if (stream->capture->invalid) return fail(cudaErrorStreamCaptureInvalidated);
        stream->capture->nodes++;
        counts[CAPTURED_NODES]++;
        return cudaSuccess;
    }
    counts[EAGER_KERNELS]++;
    return cudaSuccess;
}

API cudaError_t cudaLaunchKernel(const void *f, dim3 g, dim3 b, void **a, size_t m, cudaStream_t s) {
    if (!g.x || !g.y || !g.z || !b.x || !b.y || !b.z || (size_t)b.x * b.y * b.z > 1024 || g.y > 65535 || g.z > 65535)
        return fail(cudaErrorInvalidConfiguration);
    return cuda_host_add(s);
}
API cudaError_t __cudaLaunchKernel(cudaKernel_t k, dim3 g, dim3 b, void **a, size_t m, cudaStream_t s) { return cudaLaunchKernel(k, g, b, a, m, s); }
API cudaError_t cudaLaunchKernelExC(const cudaLaunchConfig_t *c, const void *f, void **a) { return cudaLaunchKernel(f, c->gridDim, c->blockDim, a, c->dynamicSmemBytes, c->stream); }
API cudaError_t __cudaGetKernel(cudaKernel_t *k, const void *f) { *k = (cudaKernel_t)f; return cudaSuccess; }

static __thread struct { dim3 g, b; size_t m; void *s; } configuration;
API unsigned __cudaPushCallConfiguration(dim3 g, dim3 b, size_t m, struct CUstream_st *s) { configuration.g = g; configuration.b = b; configuration.m = m; configuration.s = s; return 0; }
API cudaError_t __cudaPopCallConfiguration(dim3 *g, dim3 *b, size_t *m, void *s) { *g = configuration.g; *b = configuration.b; *m = configuration.m; *(void **)s = configuration.s; return cudaSuccess; }
API void **__cudaRegisterFatBinary(void *f) { static void *handle[2]; return handle; }
API void __cudaRegisterFatBinaryEnd(void **h) {}
API void __cudaUnregisterFatBinary(void **h) {}
API void __cudaRegisterFunction(void **h, const char *f, char *d, const char *n, int t, void *a, void *b, void *c, void *e, int *w) {}
API void __cudaRegisterVar(void **h, char *v, char *d, const char *n, int e, size_t s, int c, int g) {}
API char __cudaInitModule(void **h) { return 1; }

// Memory: reserved address space, which costs nothing until something is copied there.
#define TOTAL (20ull << 30)
typedef struct Block { void *at; size_t bytes; int device; struct Block *next; } Block;
static Block *blocks;
static size_t used;

static cudaError_t take(void **p, size_t n) {
    if (n == 0) { *p = 0; return cudaSuccess; }
    pthread_mutex_lock(&lock);
    if (used + n > TOTAL) { pthread_mutex_unlock(&lock); return fail(cudaErrorMemoryAllocation); }
    Block *b = malloc(sizeof *b);
    b->at = mmap(0, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    b->bytes = n; b->device = current_device; b->next = blocks; blocks = b; used += n; counts[MALLOCS]++;
    pthread_mutex_unlock(&lock);
    *p = b->at;
    return b->at == MAP_FAILED ? fail(cudaErrorMemoryAllocation) : cudaSuccess;
}
static int on_device(const void *p) {
    int found = 0;
    pthread_mutex_lock(&lock);
    for (Block *b = blocks; b && !found; b = b->next) found = (char *)p >= (char *)b->at && (char *)p < (char *)b->at + b->bytes;
    pthread_mutex_unlock(&lock);
    return found;
}
API cudaError_t cudaMalloc(void **p, size_t n) { cudaError_t e = unsafe("cudaMalloc"); return e ? e : take(p, n); }
API cudaError_t cudaMallocAsync(void **p, size_t n, cudaStream_t s) { return take(p, n); }
API cudaError_t cudaFree(void *p) {
    cudaError_t e = unsafe("cudaFree");
    if (e || !p) return e;
    pthread_mutex_lock(&lock);
    for (Block **b = &blocks; *b; b = &(*b)->next)
        if ((*b)->at == p) { Block *freed = *b; munmap(p, freed->bytes); used -= freed->bytes; *b = freed->next; free(freed); break; }
    pthread_mutex_unlock(&lock);
    return cudaSuccess;
}
API cudaError_t cudaFreeAsync(void *p, cudaStream_t s) { return cudaFree(p); }
API cudaError_t cudaHostAlloc(void **p, size_t n, unsigned f) { cudaError_t e = unsafe("cudaHostAlloc"); if (!e) *p = calloc(1, n ? n : 1); return e; }
API cudaError_t cudaFreeHost(void *p) { cudaError_t e = unsafe("cudaFreeHost"); if (!e) free(p); return e; }
API cudaError_t cudaHostRegister(void *p, size_t n, unsigned f) { return unsafe("cudaHostRegister"); }
API cudaError_t cudaHostUnregister(void *p) { return unsafe("cudaHostUnregister"); }
API cudaError_t cudaMemGetInfo(size_t *f, size_t *t) { *t = TOTAL; *f = TOTAL - used; return cudaSuccess; }
API cudaError_t cudaPointerGetAttributes(struct cudaPointerAttributes *a, const void *p) {
    memset(a, 0, sizeof *a);
    a->type = on_device(p) ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
    a->devicePointer = (void *)p;
    return cudaSuccess;
}

static void count_copy(const void *d, const void *s, enum cudaMemcpyKind k) {
    if (k == cudaMemcpyDeviceToHost) counts[COPIES_TO_HOST]++;
    if (k == cudaMemcpyHostToDevice) counts[COPIES_FROM_HOST]++;
}
API cudaError_t cudaMemcpyAsync(void *d, const void *s, size_t n, enum cudaMemcpyKind k, cudaStream_t st) {
    cudaError_t e = cuda_host_add(st);
    if (e) return e;
    if (!stream_of(st)->capture) { counts[EAGER_KERNELS]--; count_copy(d, s, k); if (n) memcpy(d, s, n); }
    return cudaSuccess;
}
API cudaError_t cudaMemcpy(void *d, const void *s, size_t n, enum cudaMemcpyKind k) { cudaError_t e = unsafe("cudaMemcpy"); if (e) return e; count_copy(d, s, k); counts[WAITS]++; if (n) memcpy(d, s, n); return e; }
API cudaError_t cudaMemcpyPeerAsync(void *d, int a, const void *s, int b, size_t n, cudaStream_t st) { return cudaMemcpyAsync(d, s, n, cudaMemcpyDeviceToDevice, st); }
API cudaError_t cudaMemcpy2DAsync(void *d, size_t dp, const void *s, size_t sp, size_t w, size_t h, enum cudaMemcpyKind k, cudaStream_t st) { return cuda_host_add(st); }
API cudaError_t cudaMemcpyToSymbol(const void *v, const void *s, size_t n, size_t o, enum cudaMemcpyKind k) { return unsafe("cudaMemcpyToSymbol"); }
API cudaError_t cudaMemsetAsync(void *p, int v, size_t n, cudaStream_t s) { cudaError_t e = cuda_host_add(s); if (!e && !stream_of(s)->capture) memset(p, v, n); return e; }
API cudaError_t cudaMemset(void *p, int v, size_t n) { cudaError_t e = unsafe("cudaMemset"); if (!e) memset(p, v, n); return e; }
API cudaError_t cudaGetSymbolAddress(void **p, const void *s) { static char place[1 << 16]; *p = place; return cudaSuccess; }

// Streams, events and captures.
static cudaError_t new_stream(cudaStream_t *s, unsigned flags) { *s = calloc(1, sizeof **s); (*s)->flags = flags; (*s)->device = current_device; return cudaSuccess; }
API cudaError_t cudaStreamCreate(cudaStream_t *s) { return new_stream(s, 0); }
API cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned f) { return new_stream(s, f); }
API cudaError_t cudaStreamCreateWithPriority(cudaStream_t *s, unsigned f, int p) { return new_stream(s, f); }
API cudaError_t cudaStreamDestroy(cudaStream_t s) { return cudaSuccess; }
API cudaError_t cudaStreamGetPriority(cudaStream_t s, int *p) { *p = 0; return cudaSuccess; }
API cudaError_t cudaDeviceGetStreamPriorityRange(int *a, int *b) { *a = 0; *b = -5; return cudaSuccess; }
API cudaError_t cudaStreamAddCallback(cudaStream_t s, cudaStreamCallback_t c, void *d, unsigned f) { cudaError_t e = unsafe("cudaStreamAddCallback"); if (!e) c(s, cudaSuccess, d); return e; }
API cudaError_t cudaLaunchHostFunc(cudaStream_t s, cudaHostFn_t f, void *d) { if (!stream_of(s)->capture) f(d); return cuda_host_add(s); }
static cudaError_t wait_for(cudaStream_t s, const char *name) {
    struct CUstream_st *stream = stream_of(s);
    if (stream->capture) {
        counts[UNSAFE]++;
        invalidate(stream->capture, name);
        return fail(cudaErrorStreamCaptureUnsupported);
    }
    return unsafe(name);
}
API cudaError_t cudaStreamSynchronize(cudaStream_t s) { cudaError_t e = wait_for(s, "cudaStreamSynchronize"); if (!e) counts[WAITS]++; return e; }
API cudaError_t cudaStreamQuery(cudaStream_t s) { return wait_for(s, "cudaStreamQuery"); }
API cudaError_t cudaDeviceSynchronize(void) {
    if (ongoing) { counts[UNSAFE]++; invalidate(ongoing, "cudaDeviceSynchronize"); return fail(cudaErrorStreamCaptureUnsupported); }
    counts[WAITS]++;
    return cudaSuccess;
}

API cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned f) { *e = calloc(1, sizeof **e); (*e)->device = current_device; return cudaSuccess; }
API cudaError_t cudaEventCreate(cudaEvent_t *e) { return cudaEventCreateWithFlags(e, 0); }
API cudaError_t cudaEventDestroy(cudaEvent_t e) { free(e); return cudaSuccess; }
API cudaError_t cudaEventRecordWithFlags(cudaEvent_t e, cudaStream_t s, unsigned f) {
    struct CUstream_st *stream = stream_of(s);
    if (e->device != device_of(stream)) return fail(cudaErrorInvalidResourceHandle);
    if (stream->capture && stream->capture->invalid) return fail(cudaErrorStreamCaptureInvalidated);
    e->recorded = 1; e->capture = stream->capture; e->stream = stream; e->serial = stream->serial;
    return cudaSuccess;
}
API cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t s) { return cudaEventRecordWithFlags(e, s, 0); }
static int captured(cudaEvent_t e) { return e->capture && e->capture->active; }
API cudaError_t cudaEventQuery(cudaEvent_t e) {
    if (captured(e)) { counts[UNSAFE]++; invalidate(e->capture, "cudaEventQuery"); return fail(cudaErrorCapturedEvent); }
    return unsafe("cudaEventQuery");
}
API cudaError_t cudaEventSynchronize(cudaEvent_t e) {
    if (captured(e)) { counts[UNSAFE]++; invalidate(e->capture, "cudaEventSynchronize"); return fail(cudaErrorCapturedEvent); }
    cudaError_t error = unsafe("cudaEventSynchronize");
    if (!error) counts[WAITS]++;
    return error;
}
API cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t a, cudaEvent_t b) { *ms = 1.0f; return cudaSuccess; }
API cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t e, unsigned f) {
    struct CUstream_st *stream = stream_of(s);
    if (!e->recorded) return cudaSuccess;
    Capture *from = captured(e) ? e->capture : 0;
    if (stream->capture && !from) { invalidate(stream->capture, "waits for work outside the capture"); return fail(cudaErrorStreamCaptureIsolation); }
    if (stream->capture && from != stream->capture) { invalidate(stream->capture, "merge"); return fail(cudaErrorStreamCaptureMerge); }
    if (from) {
        if (!stream->capture) { stream->capture = from; stream->joined = stream->serial; from->unjoined++; stream->serial++; }
        else if (e->stream != from->origin && e->stream != stream && e->stream->capture == from && e->stream->joined != e->stream->serial && e->serial == e->stream->serial) {
            e->stream->capture = 0;  // joined; more work there would have to fork again
            from->unjoined--;
        }
    }
    return cudaSuccess;
}
API cudaError_t cudaThreadExchangeStreamCaptureMode(enum cudaStreamCaptureMode *m) { int old = thread_mode; thread_mode = *m; *m = old; return cudaSuccess; }
API cudaError_t cudaStreamBeginCapture(cudaStream_t s, enum cudaStreamCaptureMode mode) {
    struct CUstream_st *stream = stream_of(s);
    if (stream == &legacy || stream->capture || ongoing) return fail(cudaErrorStreamCaptureUnsupported);
    Capture *c = calloc(1, sizeof *c);
    c->id = ++captures; c->mode = mode; c->thread = pthread_self(); c->origin = stream; c->active = 1;
    stream->capture = ongoing = c;
    counts[CAPTURES]++;
    return cudaSuccess;
}
API cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *g) {
    struct CUstream_st *stream = stream_of(s);
    Capture *c = stream->capture;
    *g = 0;
    if (!c || c->origin != stream) return fail(cudaErrorStreamCaptureUnmatched);
    if (c->mode != cudaStreamCaptureModeRelaxed && !pthread_equal(c->thread, pthread_self())) return fail(cudaErrorStreamCaptureWrongThread);
    stream->capture = ongoing = 0;
    c->active = 0;  // never freed: events point to it
    if (c->invalid) return fail(cudaErrorStreamCaptureInvalidated);
    if (c->unjoined) return fail(cudaErrorStreamCaptureUnjoined);
    *g = calloc(1, sizeof **g);
    (*g)->nodes = c->nodes;
    return cudaSuccess;
}
API cudaError_t cudaStreamIsCapturing(cudaStream_t s, enum cudaStreamCaptureStatus *status) {
    Capture *c = stream_of(s)->capture;
    *status = !c ? cudaStreamCaptureStatusNone : c->invalid ? cudaStreamCaptureStatusInvalidated : cudaStreamCaptureStatusActive;
    return cudaSuccess;
}
API cudaError_t cudaStreamGetCaptureInfo(cudaStream_t s, enum cudaStreamCaptureStatus *status, unsigned long long *id, cudaGraph_t *g, const cudaGraphNode_t **d, const cudaGraphEdgeData **ed, size_t *n) {
    Capture *c = stream_of(s)->capture;
    if (id && c) *id = c->id;
    if (n) *n = 0;
    return cudaStreamIsCapturing(s, status);
}
API cudaError_t cudaGraphGetNodes(cudaGraph_t g, cudaGraphNode_t *nodes, size_t *n) { *n = g->nodes; return cudaSuccess; }
API cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *x, cudaGraph_t g, unsigned long long f) { *x = calloc(1, sizeof **x); (*x)->nodes = g->nodes; return cudaSuccess; }
API cudaError_t cudaGraphDestroy(cudaGraph_t g) { free(g); return cudaSuccess; }
API cudaError_t cudaGraphExecDestroy(cudaGraphExec_t x) { free(x); return cudaSuccess; }
API cudaError_t cudaGraphLaunch(cudaGraphExec_t x, cudaStream_t s) { x->launches++; counts[GRAPH_LAUNCHES]++; counts[EAGER_KERNELS]--; return cuda_host_add(s); }

// The device.
API cudaError_t cudaGetDeviceCount(int *n) { *n = DEVICES; return cudaSuccess; }
API cudaError_t cudaGetDevice(int *d) { *d = current_device; return cudaSuccess; }
API cudaError_t cudaSetDevice(int d) {
    if (d < 0 || d >= DEVICES) return fail(cudaErrorInvalidDevice);
    current_device = d;
    return cudaSuccess;
}
API cudaError_t cudaDriverGetVersion(int *v) { *v = 13000; return cudaSuccess; }
API cudaError_t cudaRuntimeGetVersion(int *v) { *v = 13000; return cudaSuccess; }
API cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *p, int d) {
    memset(p, 0, sizeof *p);
    strcpy(p->name, "no GPU");
    p->totalGlobalMem = TOTAL; p->sharedMemPerBlock = 49152; p->regsPerBlock = 65536; p->warpSize = 32; p->maxThreadsPerBlock = 1024;
    p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024; p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = 2147483647; p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    p->totalConstMem = 65536; p->major = 9; p->minor = 0; p->textureAlignment = 512; p->multiProcessorCount = 132;
    p->concurrentKernels = 1; p->l2CacheSize = 50 << 20; p->maxThreadsPerMultiProcessor = 2048; p->sharedMemPerMultiprocessor = 233472;
    p->regsPerMultiprocessor = 65536; p->sharedMemPerBlockOptin = 232448; p->maxBlocksPerMultiProcessor = 32; p->unifiedAddressing = 1;
    return cudaSuccess;
}
API cudaError_t cudaDeviceGetAttribute(int *v, enum cudaDeviceAttr a, int d) {
    switch ((int)a) {
        case cudaDevAttrMaxThreadsPerBlock: *v = 1024; break;
        case cudaDevAttrMaxBlockDimX: case cudaDevAttrMaxBlockDimY: *v = 1024; break;
        case cudaDevAttrMaxBlockDimZ: *v = 64; break;
        case cudaDevAttrMaxGridDimX: *v = 2147483647; break;
        case cudaDevAttrMaxGridDimY: case cudaDevAttrMaxGridDimZ: *v = 65535; break;
        case cudaDevAttrMaxSharedMemoryPerBlock: *v = 49152; break;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin: *v = 232448; break;
        case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *v = 233472; break;
        case cudaDevAttrMultiProcessorCount: *v = 132; break;
        case cudaDevAttrMaxThreadsPerMultiProcessor: *v = 2048; break;
        case cudaDevAttrWarpSize: *v = 32; break;
        case cudaDevAttrMaxRegistersPerBlock: *v = 65536; break;
        case cudaDevAttrComputeCapabilityMajor: *v = 9; break;
        case cudaDevAttrComputeCapabilityMinor: *v = 0; break;
        default: *v = 0;
    }
    return cudaSuccess;
}
API cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *a, const void *f) { memset(a, 0, sizeof *a); a->maxThreadsPerBlock = 1024; a->numRegs = 32; a->ptxVersion = a->binaryVersion = 90; a->maxDynamicSharedSizeBytes = 49152; return cudaSuccess; }
API cudaError_t cudaFuncSetAttribute(const void *f, enum cudaFuncAttribute a, int v) { return cudaSuccess; }
API cudaError_t cudaKernelSetAttributeForDevice(cudaKernel_t k, enum cudaFuncAttribute a, int v, int d) { return cudaSuccess; }
API cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *n, const void *f, int b, size_t m, unsigned x) { *n = 2; return cudaSuccess; }
API cudaError_t cudaDeviceCanAccessPeer(int *v, int a, int b) { *v = 0; return cudaSuccess; }
API cudaError_t cudaDeviceGetPCIBusId(char *s, int n, int d) { snprintf(s, n, "0000:00:00.0"); return cudaSuccess; }
API cudaError_t cudaGetLastError(void) { cudaError_t e = last_error; last_error = cudaSuccess; return e; }
API cudaError_t cudaPeekAtLastError(void) { return last_error; }
API const char *cudaGetErrorName(cudaError_t e) { return "cudaError"; }
API const char *cudaGetErrorString(cudaError_t e) {
    switch ((int)e) {
        case cudaErrorMemoryAllocation: return "out of memory";
        case cudaErrorInvalidConfiguration: return "invalid configuration argument";
        case cudaErrorStreamCaptureUnsupported: return "operation not permitted when stream is capturing";
        case cudaErrorStreamCaptureInvalidated: return "operation failed due to a previous error during capture";
        case cudaErrorStreamCaptureUnmatched: return "capture was not initiated in this stream";
        case cudaErrorStreamCaptureUnjoined: return "capture sequence contains a fork that was not joined to the primary stream";
        case cudaErrorStreamCaptureIsolation: return "dependency created on uncaptured work in another stream";
        case cudaErrorStreamCaptureImplicit: return "operation would make the legacy stream depend on a capturing blocking stream";
        case cudaErrorCapturedEvent: return "operation not permitted on an event last recorded in a capturing stream";
        case cudaErrorStreamCaptureWrongThread: return "attempt to terminate a thread-local capture sequence from another thread";
        case cudaErrorInvalidResourceHandle: return "invalid resource handle";
        case cudaErrorInvalidDevice: return "invalid device ordinal";
        default: return "not provided by the runtime without a GPU";
    }
}

static int nothing(void) { return 0; }
API int cuDevicePrimaryCtxGetState(int d, unsigned *f, int *active) { if (f) *f = 0; *active = 1; return 0; }
API int cuCtxGetCurrent(void **c) { *c = (void *)1; return 0; }
API int cuDeviceGet(int *d, int o) { *d = o; return 0; }
API int cuGetErrorString(int e, const char **s) { *s = "error"; return 0; }
API cudaError_t cudaGetDriverEntryPointByVersion(const char *name, void **f, unsigned v, unsigned long long flags, enum cudaDriverEntryPointQueryResult *r) {
    void *found = dlsym(RTLD_DEFAULT, name);
    *f = found ? found : (void *)nothing;
    if (r) *r = cudaDriverEntryPointSuccess;
    return cudaSuccess;
}
