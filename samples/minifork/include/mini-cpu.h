#pragma once

#include "mini.h"

namespace mini {

const backend * cpu_backend();

// A cheaper, less exact engine for drafts: its head reads the first head_columns of the state only.
std::unique_ptr<engine> open_cpu_draft(const model & m, uint32_t head_columns);

}  // namespace mini
