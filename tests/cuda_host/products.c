// cuBLAS without a GPU: every product is one kernel on the stream of the handle.
#include "runtime.h"
#include <stdlib.h>
#include <string.h>

typedef struct { cudaStream_t stream; } Blas;
API int cublasCreate_v2(Blas **h) { *h = calloc(1, sizeof **h); return 0; }
API int cublasDestroy_v2(Blas *h) { return 0; }
API int cublasSetStream_v2(Blas *h, cudaStream_t s) { h->stream = s; return 0; }
API int cublasGetMathMode(Blas *h, int *m) { *m = 0; return 0; }
API int cublasGetPointerMode_v2(Blas *h, int *m) { *m = 0; return 0; }
API int cublasSetMathMode(Blas *h, int m) { return 0; }
API int cublasSetPointerMode_v2(Blas *h, int m) { return 0; }
API int cublasSetWorkspace_v2(Blas *h, void *p, size_t n) { return 0; }
API int cublasSetSmCountTarget(Blas *h, int n) { return 0; }
#define PRODUCT(name) API int name(Blas *h, ...) { return cuda_host_add(h->stream) ? 14 : 0; }
PRODUCT(cublasSgemm_v2) PRODUCT(cublasDgemm_v2) PRODUCT(cublasGemmEx) PRODUCT(cublasSgemmEx) PRODUCT(cublasGemmStridedBatchedEx)
PRODUCT(cublasSgemmStridedBatched) PRODUCT(cublasDgemmStridedBatched) PRODUCT(cublasSgemv_v2) PRODUCT(cublasDgemv_v2) PRODUCT(cublasSdot_v2)
PRODUCT(cublasDdot_v2) PRODUCT(cublasDotEx)
API size_t cublasLtGetVersion(void) { return 130000; }
API int cublasLtMatmul(void *h, void *d, const void *al, const void *A, void *Ad, const void *B, void *Bd, const void *be, const void *C, void *Cd, void *D, void *Dd, const void *algo, void *w, size_t n, cudaStream_t s) { return cuda_host_add(s) ? 14 : 0; }
API int cublasLtMatmulAlgoGetHeuristic(void *h, void *d, void *A, void *B, void *C, void *D, void *p, int wanted, void *results, int *found) { memset(results, 0, 64); *found = 1; return 0; }
#define MAKE(name) API int name(void **x, ...) { *x = calloc(1, 256); return 0; }
#define DROP(name) API int name(void *x, ...) { return 0; }
MAKE(cublasLtMatmulDescCreate) MAKE(cublasLtMatrixLayoutCreate) MAKE(cublasLtMatmulPreferenceCreate)
DROP(cublasLtMatmulDescDestroy) DROP(cublasLtMatrixLayoutDestroy) DROP(cublasLtMatmulPreferenceDestroy)
DROP(cublasLtMatmulDescSetAttribute) DROP(cublasLtMatrixLayoutSetAttribute) DROP(cublasLtMatmulPreferenceSetAttribute)
