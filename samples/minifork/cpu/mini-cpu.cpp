#include "mini-cpu.h"

namespace mini {

namespace {

// Unsigned, because signed overflow is undefined and the model's arithmetic is modulo 2^32.
uint32_t dot(const int8_t * a, const int8_t * b, uint32_t n) {
    uint32_t sum = 0;
    for (uint32_t i = 0; i < n; ++i) {
        sum += static_cast<uint32_t>(int32_t(a[i]) * int32_t(b[i]));
    }
    return sum;
}

class cpu_engine final : public engine {
  public:
    cpu_engine(const model & m, uint32_t head_columns) : m(m), head_columns(head_columns) {}

    void forward(int8_t * state, int32_t token, int32_t * logits) override {
        const uint32_t      dim   = m.dim;
        const int8_t *      embed = &m.embed[size_t(token) * dim];
        std::vector<int8_t> next(dim);
        for (uint32_t i = 0; i < dim; ++i) {
            const uint32_t acc = dot(&m.recur[size_t(i) * dim], state, dim) + static_cast<uint32_t>(256 * embed[i]);
            next[i] = static_cast<int8_t>(acc >> 8);
        }
        for (uint32_t i = 0; i < dim; ++i) {
            state[i] = next[i];
        }
        for (uint32_t v = 0; v < m.vocab; ++v) {
            const uint32_t sum = dot(&m.head[size_t(v) * dim], state, head_columns);
            logits[v] = static_cast<int32_t>(static_cast<uint32_t>(m.bias[v]) + sum);
        }
    }

  private:
    const model & m;
    uint32_t      head_columns;
};

}  // namespace

const backend * cpu_backend() {
    static const backend b = {
        "cpu",
        [] { return 1; },
        [] { return ""; },
        [](const model & m, storage) -> std::unique_ptr<engine> { return std::make_unique<cpu_engine>(m, m.dim); },
    };
    return &b;
}

std::unique_ptr<engine> open_cpu_draft(const model & m, uint32_t head_columns) {
    return std::make_unique<cpu_engine>(m, head_columns);
}

}  // namespace mini
