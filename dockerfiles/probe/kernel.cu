#include <cuda_runtime.h>
#ifdef PROBE_DRIVER
#include <cuda.h>
#endif

__global__ void probe_kernel(float *x) { x[threadIdx.x] *= 2.0f; }

extern "C" int probe_run(float *x) {
    probe_kernel<<<1, 32>>>(x);
#ifdef PROBE_DRIVER
    CUmemGenericAllocationHandle handle;
    CUmemAllocationProp prop = {};
    if (cuMemCreate(&handle, 0, &prop, 0) != CUDA_SUCCESS) return 1;
#endif
    return cudaDeviceSynchronize() == cudaSuccess ? 0 : 1;
}
