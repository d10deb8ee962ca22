#pragma once
#include <cuda_runtime_api.h>

#define API __attribute__((visibility("default")))

// Count one kernel on a stream, or add it to what the stream captures.
cudaError_t cuda_host_add(cudaStream_t s);
