// Runs one completion on an engine.
#pragma once

#include "common.h"

#include <atomic>

namespace mini {

struct task {
    std::vector<int32_t> prompt;
    int                  n_predict   = 16;
    double               temperature = 0;
    uint64_t             seed        = 0;
    int                  draft_max   = 0;  // 0: no speculation
    bool                 draft_model = false;
    bool                 draft_ngram = false;
    int                  pace_us     = 0;  // see --pace-us
    int                  degrade     = 0;  // see --degrade: 0 is healthy, then worse with every request
};

struct result {
    std::vector<int32_t> tokens;
    std::string          text;
    double               prompt_ms    = 0;
    double               predicted_ms = 0;
    int                  draft_n      = 0;
    int                  draft_n_accepted = 0;
};

// Stops early when `stopping` becomes true.
result complete(engine & target, engine & draft, const model & m, const task & t, const std::atomic<bool> & stopping);

}  // namespace mini
