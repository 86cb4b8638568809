// What an instance offers: y[c][r] = sum_k w[r][k] * x[c][k]. The definition is in matvec-impl.cuh,
// which only the generated instances include.
#pragma once

#include "mini.h"

#include <cuda_runtime.h>

namespace mini {

struct matvec_args {
    const void *   w;     // rows of `size` weights in the instance's storage, see pack_row
    const int8_t * x;     // columns of `size` state bytes, zero padded
    int32_t *      y;     // columns of `rows` sums
    int            rows;
    int            columns;
    cudaStream_t   stream;
};

template <storage type, int size> void matvec(const matvec_args & args);

}  // namespace mini
