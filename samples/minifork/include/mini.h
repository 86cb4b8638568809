// mini-base: the model, its file format, the interface of a backend, the registry and the log.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace mini {

// A recurrent network over bytes in integer arithmetic modulo 2^32, so that every backend, on any
// machine, computes the same tokens:
//   acc[i]   = sum_j recur[i][j] * state[j] + 256 * embed[token][i]
//   state[i] = bits 8 to 15 of acc[i], as a signed byte
//   logit[v] = bias[v] + sum_j head[v][j] * state[j]          (greedy: the largest, lowest v first)
// max_dim keeps |sum| within 2^24, where float kernels are exact too.
constexpr uint32_t max_dim   = 1024;
constexpr uint32_t max_vocab = 4096;

struct model {
    uint32_t vocab = 0;
    uint32_t dim   = 0;
    uint32_t seed  = 0;
    std::vector<int8_t>  embed;  // vocab x dim
    std::vector<int8_t>  recur;  // dim x dim
    std::vector<int8_t>  head;   // vocab x dim
    std::vector<int32_t> bias;   // vocab
};

// All of these throw std::runtime_error with a message for people.
model       generate_model(uint32_t vocab, uint32_t dim, uint32_t seed);
std::string encode_model(const model & m);
model       decode_model(const std::string & bytes);
model       load_model(const std::string & path);
void        save_model(const model & m, const std::string & path);

int32_t greedy(const int32_t * logits, uint32_t vocab);

// Token 0 opens every prompt; then one token per byte.
std::vector<int32_t> tokenize(const model & m, const std::string & text);
char                 token_char(int32_t token);

// How a backend may store the weights. All are exact for this model.
enum class storage { f32, f16, q8_0, q4_0 };
const char * storage_name(storage type);

// One loaded model on one device. Sequences keep their own state: forward() may be called from
// several threads.
class engine {
  public:
    virtual ~engine() = default;
    // Feeds one token: state[dim] is advanced, logits[vocab] is written.
    virtual void forward(int8_t * state, int32_t token, int32_t * logits) = 0;
};

struct backend {
    const char * name;
    int (*device_count)();
    const char * (*error)();  // why there is no device; empty if there is one
    std::unique_ptr<engine> (*open)(const model & m, storage type);  // throws
};

// The registry lets common and server know backends by name only, so base depends on none.
void            register_backend(const backend * b);
const backend * find_backend(const std::string & name);

// One line to stderr.
void log(const char * format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace mini
