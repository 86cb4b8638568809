#include "common.h"
#include "mini-cpu.h"
#ifdef MINI_WITH_CUDA
#include "mini-cuda.h"
#endif

#include <algorithm>
#include <stdexcept>

namespace mini {

void register_backends() {
    register_backend(cpu_backend());
#ifdef MINI_WITH_CUDA
    register_backend(cuda_backend());
#endif
}

cuda_status get_cuda_status() {
    cuda_status     status;
    const backend * cuda = find_backend("cuda");
    if (cuda) {
        status.compiled = true;
        status.devices  = cuda->device_count();
        status.error    = cuda->error();
    } else {
        status.error = "built without CUDA";
    }
    return status;
}

std::unique_ptr<engine> open_engine(const model & m, const params & p) {
    const backend * cuda = find_backend("cuda");
    if (p.gpu_layers != 0 && cuda && cuda->device_count() > 0) {
        try {
            return cuda->open(m, p.flash_attn ? p.cache_k : storage::f32);
        } catch (const std::runtime_error & e) {
            log("warning: the GPU cannot run this model, the CPU will: %s", e.what());
        }
    } else if (p.gpu_layers != 0) {
        log("warning: no usable GPU found, --gpu-layers option will be ignored");
    }
    const backend * cpu = find_backend("cpu");
    MINI_ASSERT(cpu != nullptr);
    log("backend: cpu");
    return cpu->open(m, p.cache_k);
}

std::unique_ptr<engine> open_draft(const model & m) {
    return open_cpu_draft(m, std::max(1u, m.dim * 3 / 4));
}

}  // namespace mini
