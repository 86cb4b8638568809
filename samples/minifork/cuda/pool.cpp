#include "pool.h"

#include "mini-cuda.h"

#include <cuda_runtime.h>
#ifndef MINI_CUDA_NO_VMM
#include <cuda.h>
#endif

#include <stdexcept>

namespace mini {

namespace {

constexpr size_t alignment = 256;

size_t round_up(size_t value, size_t to) {
    return (value + to - 1) / to * to;
}

#ifdef MINI_CUDA_NO_VMM

class simple_pool final : public pool {
  public:
    ~simple_pool() override {
        for (void * p : blocks) {
            cudaFree(p);
        }
    }

    void * allocate(size_t bytes) override {
        void *            p     = nullptr;
        const cudaError_t error = cudaMalloc(&p, round_up(bytes, alignment));
        if (error != cudaSuccess) {
            throw std::runtime_error(std::string("cudaMalloc: ") + cudaGetErrorString(error));
        }
        blocks.push_back(p);
        return p;
    }

  private:
    std::vector<void *> blocks;
};

#else

void check(CUresult result, const char * what) {
    if (result != CUDA_SUCCESS) {
        const char * text = nullptr;
        cuGetErrorString(result, &text);
        throw std::runtime_error(std::string(what) + ": " + (text ? text : "unknown error"));
    }
}

// One reserved range of addresses; physical memory is mapped into it piece by piece.
class vmm_pool final : public pool {
  public:
    explicit vmm_pool(int device) {
        CUdevice handle;
        check(cuDeviceGet(&handle, device), "cuDeviceGet");
        int supported = 0;
        check(cuDeviceGetAttribute(&supported, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, handle),
              "cuDeviceGetAttribute");
        if (!supported) {
            throw std::runtime_error("the device has no virtual memory management; build with MINI_CUDA_NO_VMM=ON");
        }
        properties.type          = CU_MEM_ALLOCATION_TYPE_PINNED;
        properties.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
        properties.location.id   = device;
        check(cuMemGetAllocationGranularity(&granularity, &properties, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED),
              "cuMemGetAllocationGranularity");
        check(cuMemAddressReserve(&base, reserved, 0, 0, 0), "cuMemAddressReserve");
    }

    ~vmm_pool() override {
        if (mapped > 0) {
            cuMemUnmap(base, mapped);
        }
        cuMemAddressFree(base, reserved);
    }

    void * allocate(size_t bytes) override {
        bytes = round_up(bytes, alignment);
        if (used + bytes > mapped) {
            grow(used + bytes - mapped);
        }
        const CUdeviceptr p = base + used;
        used += bytes;
        return reinterpret_cast<void *>(p);
    }

  private:
    void grow(size_t bytes) {
        const size_t size = round_up(bytes, granularity);
        if (mapped + size > reserved) {
            throw std::runtime_error("the device memory pool is full");
        }
        CUmemGenericAllocationHandle memory;
        check(cuMemCreate(&memory, size, &properties, 0), "cuMemCreate");
        const CUresult result = cuMemMap(base + mapped, size, 0, memory, 0);
        // The mapping keeps the memory alive, so the handle can go in either case.
        cuMemRelease(memory);
        check(result, "cuMemMap");
        const size_t start = mapped;
        mapped += size;
        CUmemAccessDesc access = {};
        access.location        = properties.location;
        access.flags           = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
        check(cuMemSetAccess(base + start, size, &access, 1), "cuMemSetAccess");
    }

    static constexpr size_t reserved = size_t(1) << 30;

    CUmemAllocationProp properties  = {};
    size_t              granularity = 0;
    CUdeviceptr         base        = 0;
    size_t              mapped      = 0;
    size_t              used        = 0;
};

#endif

}  // namespace

#ifdef MINI_CUDA_NO_VMM
bool cuda_uses_vmm() {
    return false;
}

std::unique_ptr<pool> make_pool(int) {
    return std::make_unique<simple_pool>();
}
#else
bool cuda_uses_vmm() {
    return true;
}

std::unique_ptr<pool> make_pool(int device) {
    return std::make_unique<vmm_pool>(device);
}
#endif

}  // namespace mini
