// The part of CUDA's header that its Python wheel omits and a C compiler needs.
#pragma once
#define __host__
#define __device__
#define __global__
#define __shared__
#define __constant__
#define __managed__
#define __cudart_builtin__
#define __device_builtin__
#define __device_builtin_texture_type__
#define __device_builtin_surface_type__
#define __location__(a)
#define __annotate__(a)
#define __forceinline__ inline
#define __inline_hint__
#define __no_return__
#define __noinline__
#define __align__(n) __attribute__((aligned(n)))
#define __builtin_align__(a) __align__(a)
#define CUDARTAPI
#define CUDARTAPI_CDECL
#define __thread__ __thread
