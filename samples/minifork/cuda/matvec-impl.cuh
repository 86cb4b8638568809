#pragma once

#include "matvec.cuh"

#include <cuda_fp16.h>

namespace mini {

// In an anonymous namespace as in many real kernels: every translation unit has its own copy, under
// a name that nvcc makes up. Builds that want equal bytes have to cope with that.
namespace {
__constant__ int8_t high_nibble[16] = { 0, 16, 32, 48, 64, 80, 96, 112, -128, -112, -96, -80, -64, -48, -32, -16 };
}

// Weights come in blocks of 32; load() gives weight k of a row. Floats are exact here: a sum of 1024 products of bytes fits 2^24.
template <storage type> struct weights;

template <> struct weights<storage::f32> {
    using sum = float;
    static constexpr int block_bytes = 128;
    static __device__ float load(const char * row, int k) { return reinterpret_cast<const float *>(row)[k]; }
};

template <> struct weights<storage::f16> {
    using sum = float;
    static constexpr int block_bytes = 64;
    static __device__ float load(const char * row, int k) {
        return __half2float(reinterpret_cast<const __half *>(row)[k]);
    }
};

template <> struct weights<storage::q8_0> {
    using sum = int32_t;
    static constexpr int block_bytes = 32;
    static __device__ int32_t load(const char * row, int k) { return reinterpret_cast<const int8_t *>(row)[k]; }
};

// Blocks of 32 weights: 16 bytes of high nibbles, then 16 bytes of low ones.
template <> struct weights<storage::q4_0> {
    using sum = int32_t;
    static constexpr int block_bytes = 32;
    static __device__ int32_t load(const char * row, int k) {
        const uint8_t * block = reinterpret_cast<const uint8_t *>(row) + (k / 32) * 32;
        const int       at    = (k % 32) / 2;
        const int       shift = (k % 2) * 4;
        return high_nibble[(block[at] >> shift) & 15] + ((block[16 + at] >> shift) & 15);
    }
};

// A warp computes a tile of `tile` rows and `columns` columns; lane l takes k = l, l + 32, ...
template <storage type, int size, int tile, int columns>
static __global__ void matvec_kernel(const char * w, const int8_t * x, int32_t * y, int rows) {
    using sum = typename weights<type>::sum;
    constexpr int row_bytes = size / 32 * weights<type>::block_bytes;

    const int lane  = threadIdx.x;
    const int first = (blockIdx.x * blockDim.y + threadIdx.y) * tile;

    sum acc[tile][columns] = {};
#pragma unroll 2
    for (int k = lane; k < size; k += 32) {
        sum xk[columns];
#pragma unroll
        for (int c = 0; c < columns; ++c) {
            xk[c] = x[c * size + k];
        }
#pragma unroll
        for (int r = 0; r < tile; ++r) {
            if (first + r < rows) {
                const sum wk = weights<type>::load(w + size_t(first + r) * row_bytes, k);
#pragma unroll
                for (int c = 0; c < columns; ++c) {
                    acc[r][c] += wk * xk[c];
                }
            }
        }
    }

#pragma unroll
    for (int r = 0; r < tile; ++r) {
#pragma unroll
        for (int c = 0; c < columns; ++c) {
#pragma unroll
            for (int offset = 16; offset > 0; offset /= 2) {
                acc[r][c] += __shfl_xor_sync(0xffffffff, acc[r][c], offset);
            }
            if (lane == 0 && first + r < rows) {
                y[size_t(c) * rows + first + r] = static_cast<int32_t>(acc[r][c]);
            }
        }
    }
}

template <storage type, int size, int tile, int columns> static void launch(const matvec_args & a) {
    const dim3 block(32, 4);
    const int  grid = (a.rows + 4 * tile - 1) / (4 * tile);
    matvec_kernel<type, size, tile, columns>
        <<<grid, block, 0, a.stream>>>(static_cast<const char *>(a.w), a.x, a.y, a.rows);
}

// More rows per warp pay off once the device is full.
template <storage type, int size, int columns> static void launch_tile(const matvec_args & a) {
    if (a.rows >= 2048) {
        launch<type, size, 16, columns>(a);
    } else if (a.rows >= 1024) {
        launch<type, size, 8, columns>(a);
    } else if (a.rows >= 512) {
        launch<type, size, 4, columns>(a);
    } else if (a.rows >= 256) {
        launch<type, size, 2, columns>(a);
    } else {
        launch<type, size, 1, columns>(a);
    }
}

template <storage type, int size> void matvec(const matvec_args & args) {
    matvec_args a = args;
    while (a.columns > 0) {
        const int step = a.columns < 8 ? a.columns : 8;
        switch (step) {
            case 1: launch_tile<type, size, 1>(a); break;
            case 2: launch_tile<type, size, 2>(a); break;
            case 3: launch_tile<type, size, 3>(a); break;
            case 4: launch_tile<type, size, 4>(a); break;
            case 5: launch_tile<type, size, 5>(a); break;
            case 6: launch_tile<type, size, 6>(a); break;
            case 7: launch_tile<type, size, 7>(a); break;
            case 8: launch_tile<type, size, 8>(a); break;
        }
        a.x += size_t(step) * size;
        a.y += size_t(step) * a.rows;
        a.columns -= step;
    }
}

}  // namespace mini
