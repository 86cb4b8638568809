#include "completion.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>
#include <thread>

namespace mini {

namespace {

using clock = std::chrono::steady_clock;

double ms_since(clock::time_point start) {
    return std::chrono::duration<double, std::milli>(clock::now() - start).count();
}

int32_t sample(const std::vector<int32_t> & logits, double temperature, std::mt19937_64 & random) {
    const int32_t best = greedy(logits.data(), logits.size());
    if (temperature <= 0) {
        return best;
    }
    // Logits are sums of products of bytes; this brings them to the order of one.
    constexpr double    unit = 16384;
    std::vector<double> weights;
    for (int32_t logit : logits) {
        weights.push_back(std::exp((double(logit) - logits[best]) / (unit * temperature)));
    }
    return std::discrete_distribution<int32_t>(weights.begin(), weights.end())(random);
}

// What followed the last time that the two newest tokens came in a row.
std::vector<int32_t> draft_by_ngram(const std::vector<int32_t> & history, int count) {
    const size_t n = history.size();
    for (size_t i = n - 1; n > 2 && i >= 2; --i) {
        if (history[i - 2] == history[n - 2] && history[i - 1] == history[n - 1]) {
            const size_t end = std::min(n, i + count);
            return { history.begin() + i, history.begin() + end };
        }
    }
    return {};
}

std::vector<int32_t> draft_by_model(engine & draft, std::vector<int8_t> state, int32_t next, const model & m, int count) {
    std::vector<int32_t> tokens;
    std::vector<int32_t> logits(m.vocab);
    while (int(tokens.size()) < count) {
        draft.forward(state.data(), next, logits.data());
        next = greedy(logits.data(), m.vocab);
        tokens.push_back(next);
    }
    return tokens;
}

// A draft only predicts: the tokens are the target's, with or without speculation.
class generation {
  public:
    generation(engine & target, engine & draft, const model & m, const task & t)
        : target(target), draft(draft), m(m), t(t), random(t.seed), state(m.dim), logits(m.vocab), history(t.prompt) {}

    void feed(int32_t token) { target.forward(state.data(), token, logits.data()); }

    void step(result & r) {
        const int32_t token = sample(logits, t.temperature, random);
        check_draft(token, r);
        r.tokens.push_back(token);
        r.text += token_char(token);
        history.push_back(token);
        if (pending.empty() && int(r.tokens.size()) < t.n_predict) {
            make_draft(t.n_predict - int(r.tokens.size()));
        }
        feed(token);
        std::this_thread::sleep_for(std::chrono::microseconds(300 * t.degrade));
    }

  private:
    void make_draft(int left) {
        const int count = std::min(t.draft_max, left);
        if (count <= 0) {
            return;
        }
        if (t.draft_ngram) {
            pending = draft_by_ngram(history, count);
        }
        if (pending.empty() && t.draft_model) {
            pending = draft_by_model(draft, state, history.back(), m, count);
        }
        std::reverse(pending.begin(), pending.end());
    }

    void check_draft(int32_t token, result & r) {
        if (pending.empty()) {
            return;
        }
        ++r.draft_n;
        // Degrading, only each second, then each fourth match counts, then none.
        const bool counts = t.degrade < 3 && ++matches % (1 << t.degrade) == 0;
        if (pending.back() == token) {
            r.draft_n_accepted += counts;
            pending.pop_back();
        } else {
            r.draft_n += int(pending.size()) - 1;
            pending.clear();
        }
    }

    engine &             target;
    engine &             draft;
    const model &        m;
    const task &         t;
    std::mt19937_64      random;
    std::vector<int8_t>  state;
    std::vector<int32_t> logits;
    std::vector<int32_t> history;
    std::vector<int32_t> pending;  // drafted tokens, the next one last
    int                  matches = 0;
};

}  // namespace

result complete(engine & target, engine & draft, const model & m, const task & t, const std::atomic<bool> & stopping) {
    result     r;
    generation g(target, draft, m, t);

    const auto start = clock::now();
    for (size_t i = 0; i < t.prompt.size() && !stopping; ++i) {
        g.feed(t.prompt[i]);
    }
    r.prompt_ms = ms_since(start);

    const auto predict = clock::now();
    while (int(r.tokens.size()) < t.n_predict && !stopping) {
        g.step(r);
        // Against the start, so that what a busy machine is late with one token it makes up for with the next.
        std::this_thread::sleep_until(predict + std::chrono::microseconds(int64_t(t.pace_us) * int64_t(r.tokens.size())));
    }
    r.predicted_ms = ms_since(predict);
    return r;
}

}  // namespace mini
