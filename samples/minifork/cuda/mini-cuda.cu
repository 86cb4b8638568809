#include "mini-cuda.h"

#include "matvec.cuh"
#include "pool.h"

#include <cuda_fp16.h>

#include <algorithm>
#include <cstring>
#include <mutex>
#include <stdexcept>

namespace mini {

namespace {

struct instance {
    storage type;
    int     size;
    void (*run)(const matvec_args &);
};

const instance instances[] = {
#define MINI_INSTANCE(type, size) { storage::type, size, matvec<storage::type, size> },
#include "instances.inc"
#undef MINI_INSTANCE
};

void check(cudaError_t error, const char * what) {
    if (error != cudaSuccess) {
        throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
    }
}

struct device_info {
    int         count = 0;
    std::string error;
};

const device_info & mini_cuda_init() {
    static const device_info info = [] {
        device_info       found;
        const cudaError_t error = cudaGetDeviceCount(&found.count);
        if (error != cudaSuccess) {
            found.count = 0;
            found.error = cudaGetErrorString(error);
            log("mini_cuda_init: failed to initialize CUDA: %s", found.error.c_str());
        } else if (found.count == 0) {
            found.error = "no device";
        }
        return found;
    }();
    return info;
}

// The smallest instance that the model fits.
const instance & find_instance(storage type, uint32_t dim) {
    const instance * best = nullptr;
    for (const instance & i : instances) {
        if (i.type == type && i.size >= int(dim) && (!best || i.size < best->size)) {
            best = &i;
        }
    }
    if (!best) {
        throw std::runtime_error(std::string("no kernel for ") + storage_name(type) + " and dim " +
                                 std::to_string(dim) + " (MINI_CUDA_INSTANCES)");
    }
    return *best;
}

// Appends one row in the layout that `weights` in matvec-impl.cuh reads, padded with zeros.
void pack_row(std::vector<char> & out, storage type, const int8_t * row, int dim, int size) {
    std::vector<int8_t> w(size, 0);
    std::memcpy(w.data(), row, dim);
    const auto put = [&out](const void * data, size_t bytes) {
        out.insert(out.end(), static_cast<const char *>(data), static_cast<const char *>(data) + bytes);
    };
    switch (type) {
        case storage::f32:
            for (int8_t value : w) {
                const float f = value;
                put(&f, sizeof(f));
            }
            break;
        case storage::f16:
            for (int8_t value : w) {
                const __half h = __float2half(value);
                put(&h, sizeof(h));
            }
            break;
        case storage::q8_0:
            put(w.data(), w.size());
            break;
        case storage::q4_0:
            for (int block = 0; block < size; block += 32) {
                uint8_t nibbles[32] = {};
                for (int i = 0; i < 32; ++i) {
                    const uint8_t byte = static_cast<uint8_t>(w[block + i]);
                    nibbles[i / 2] |= (byte >> 4) << (4 * (i % 2));
                    nibbles[16 + i / 2] |= (byte & 15) << (4 * (i % 2));
                }
                put(nibbles, sizeof(nibbles));
            }
            break;
    }
}

__global__ void update_state(int8_t * state, const int32_t * sums, const int8_t * embed, int dim) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < dim) {
        const uint32_t acc = static_cast<uint32_t>(sums[i]) + static_cast<uint32_t>(256 * embed[i]);
        state[i] = static_cast<int8_t>(acc >> 8);
    }
}

class cuda_engine final : public engine {
  public:
    cuda_engine(const model & m, storage type) : m(m), kernel(find_instance(type, m.dim)) {
        check(cudaSetDevice(0), "cudaSetDevice");
        check(cudaFree(nullptr), "cudaFree");  // creates the context that the pool's driver calls need
        memory = make_pool(0);
        recur  = upload_rows(m.recur, m.dim);
        head   = upload_rows(m.head, m.vocab);
        embed  = upload(m.embed.data(), m.embed.size());
        const std::vector<char> zeros(kernel.size, 0);
        state  = upload(zeros.data(), zeros.size());
        sums   = static_cast<int32_t *>(memory->allocate(sizeof(int32_t) * std::max(m.dim, m.vocab)));
        log("mini_cuda: %s weights, kernels of size %d, %s", storage_name(type), kernel.size,
            cuda_uses_vmm() ? "VMM pool" : "no VMM");
    }

    void forward(int8_t * host_state, int32_t token, int32_t * logits) override {
        // One set of buffers: sequences take turns.
        std::lock_guard<std::mutex> lock(mutex);
        const int                   dim = m.dim;
        check(cudaSetDevice(0), "cudaSetDevice");
        check(cudaMemcpy(state, host_state, dim, cudaMemcpyHostToDevice), "cudaMemcpy");
        kernel.run({ recur, state, sums, dim, 1, nullptr });
        update_state<<<(dim + 127) / 128, 128>>>(state, sums, embed + size_t(token) * dim, dim);
        kernel.run({ head, state, sums, int(m.vocab), 1, nullptr });
        check(cudaGetLastError(), "kernel launch");
        check(cudaMemcpy(host_state, state, dim, cudaMemcpyDeviceToHost), "cudaMemcpy");
        check(cudaMemcpy(logits, sums, sizeof(int32_t) * m.vocab, cudaMemcpyDeviceToHost), "cudaMemcpy");
        for (uint32_t v = 0; v < m.vocab; ++v) {
            logits[v] = static_cast<int32_t>(static_cast<uint32_t>(logits[v]) + static_cast<uint32_t>(m.bias[v]));
        }
    }

  private:
    int8_t * upload(const void * data, size_t bytes) {
        void * p = memory->allocate(bytes);
        check(cudaMemcpy(p, data, bytes, cudaMemcpyHostToDevice), "cudaMemcpy");
        return static_cast<int8_t *>(p);
    }

    int8_t * upload_rows(const std::vector<int8_t> & matrix, uint32_t rows) {
        std::vector<char> packed;
        for (uint32_t r = 0; r < rows; ++r) {
            pack_row(packed, kernel.type, &matrix[size_t(r) * m.dim], m.dim, kernel.size);
        }
        return upload(packed.data(), packed.size());
    }

    const model &         m;
    const instance &      kernel;
    std::mutex            mutex;
    std::unique_ptr<pool> memory;
    int8_t *              recur = nullptr;
    int8_t *              head  = nullptr;
    int8_t *              embed = nullptr;
    int8_t *              state = nullptr;
    int32_t *             sums  = nullptr;
};

}  // namespace

const backend * cuda_backend() {
    static const backend b = {
        "cuda",
        [] { return mini_cuda_init().count; },
        [] { return mini_cuda_init().error.c_str(); },
        [](const model & m, storage type) -> std::unique_ptr<engine> { return std::make_unique<cuda_engine>(m, type); },
    };
    return &b;
}

std::vector<std::string> cuda_instances() {
    std::vector<std::string> names;
    for (const instance & i : instances) {
        names.push_back(std::string(storage_name(i.type)) + "/" + std::to_string(i.size));
    }
    return names;
}

}  // namespace mini
