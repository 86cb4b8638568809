#pragma once

#include "mini.h"

namespace mini {

const backend * cuda_backend();

// The kernels that were compiled in, such as "f16/64".
std::vector<std::string> cuda_instances();

bool cuda_uses_vmm();

}  // namespace mini
