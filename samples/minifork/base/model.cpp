// The file: a header of 32 bytes, then the weights; all numbers little endian.
//   0 "MINI"   4 u32 format   8 u32 vocab   12 u32 dim   16 u32 seed   20 u32 size of the weights
//   24 u64 FNV-1a of bytes 0 to 23 and the weights
//   32 i8 embed[vocab][dim], i8 recur[dim][dim], i8 head[vocab][dim], i32 bias[vocab]
#include "mini.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>

namespace mini {

namespace {

constexpr uint32_t format_version = 1;
constexpr size_t   header_size    = 32;
constexpr size_t   checksum_at    = 24;

void put_u32(std::string & out, uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) {
        out.push_back(static_cast<char>(value >> shift));
    }
}

uint64_t get_uint(const std::string & in, size_t at, int bytes) {
    uint64_t value = 0;
    for (int i = bytes - 1; i >= 0; --i) {
        value = value << 8 | static_cast<uint8_t>(in[at + i]);
    }
    return value;
}

uint64_t fnv1a(uint64_t hash, const char * data, size_t size) {
    for (size_t i = 0; i < size; ++i) {
        hash = (hash ^ static_cast<uint8_t>(data[i])) * 0x100000001b3ull;
    }
    return hash;
}

uint64_t checksum(const std::string & bytes) {
    const uint64_t header = fnv1a(0xcbf29ce484222325ull, bytes.data(), checksum_at);
    return fnv1a(header, bytes.data() + header_size, bytes.size() - header_size);
}

size_t weights_size(uint64_t vocab, uint64_t dim) {
    return 2 * vocab * dim + dim * dim + 4 * vocab;
}

void check_shape(uint32_t vocab, uint32_t dim) {
    if (vocab < 2 || vocab > max_vocab || dim < 4 || dim > max_dim) {
        throw std::runtime_error("unsupported shape: vocab " + std::to_string(vocab) + ", dim " + std::to_string(dim));
    }
}

// splitmix64: a published generator that is easy to repeat in any language.
uint64_t next_random(uint64_t & state) {
    state += 0x9e3779b97f4a7c15ull;
    uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

}  // namespace

model generate_model(uint32_t vocab, uint32_t dim, uint32_t seed) {
    check_shape(vocab, dim);
    model m;
    m.vocab = vocab;
    m.dim   = dim;
    m.seed  = seed;
    m.embed.resize(size_t(vocab) * dim);
    m.recur.resize(size_t(dim) * dim);
    m.head.resize(size_t(vocab) * dim);
    m.bias.resize(vocab);
    uint64_t state = seed;
    for (auto * weights : { &m.embed, &m.recur, &m.head }) {
        for (int8_t & w : *weights) {
            w = static_cast<int8_t>(next_random(state) >> 56);
        }
    }
    for (int32_t & b : m.bias) {
        b = static_cast<int32_t>(next_random(state) >> 48) - 32768;
    }
    return m;
}

std::string encode_model(const model & m) {
    std::string out = "MINI";
    for (uint32_t value : { format_version, m.vocab, m.dim, m.seed, uint32_t(weights_size(m.vocab, m.dim)) }) {
        put_u32(out, value);
    }
    out.append(8, '\0');
    for (const auto * weights : { &m.embed, &m.recur, &m.head }) {
        out.append(reinterpret_cast<const char *>(weights->data()), weights->size());
    }
    for (int32_t b : m.bias) {
        put_u32(out, static_cast<uint32_t>(b));
    }
    const uint64_t sum = checksum(out);
    for (int i = 0; i < 8; ++i) {
        out[checksum_at + i] = static_cast<char>(sum >> (8 * i));
    }
    return out;
}

model decode_model(const std::string & bytes) {
    if (bytes.size() < header_size || bytes.compare(0, 4, "MINI") != 0) {
        throw std::runtime_error("not a .mini file");
    }
    const uint32_t version = get_uint(bytes, 4, 4);
    if (version != format_version) {
        throw std::runtime_error("unsupported format version " + std::to_string(version));
    }
    model m;
    m.vocab = get_uint(bytes, 8, 4);
    m.dim   = get_uint(bytes, 12, 4);
    m.seed  = get_uint(bytes, 16, 4);
    check_shape(m.vocab, m.dim);
    const size_t expected = weights_size(m.vocab, m.dim);
    if (get_uint(bytes, 20, 4) != expected || bytes.size() != header_size + expected) {
        throw std::runtime_error("truncated or overlong: " + std::to_string(bytes.size()) + " bytes, expected " +
                                 std::to_string(header_size + expected));
    }
    if (get_uint(bytes, checksum_at, 8) != checksum(bytes)) {
        throw std::runtime_error("checksum mismatch");
    }
    size_t     at   = header_size;
    const auto take = [&](std::vector<int8_t> & weights, size_t size) {
        const auto * begin = reinterpret_cast<const int8_t *>(bytes.data()) + at;
        weights.assign(begin, begin + size);
        at += size;
    };
    take(m.embed, size_t(m.vocab) * m.dim);
    take(m.recur, size_t(m.dim) * m.dim);
    take(m.head, size_t(m.vocab) * m.dim);
    for (uint32_t v = 0; v < m.vocab; ++v, at += 4) {
        m.bias.push_back(static_cast<int32_t>(get_uint(bytes, at, 4)));
    }
    return m;
}

model load_model(const std::string & path) {
    // The largest valid file, plus one byte to notice a longer one: no input makes us allocate more.
    const size_t limit = header_size + weights_size(max_vocab, max_dim) + 1;
    FILE *       file  = fopen(path.c_str(), "rb");
    if (!file) {
        throw std::runtime_error("failed to open '" + path + "': " + strerror(errno));
    }
    std::string bytes;
    char        buffer[65536];
    while (bytes.size() < limit) {
        const size_t n = fread(buffer, 1, sizeof(buffer), file);
        if (n == 0) {
            break;
        }
        bytes.append(buffer, n);
    }
    const bool failed = ferror(file) != 0;
    fclose(file);
    if (failed) {
        throw std::runtime_error("failed to read '" + path + "'");
    }
    try {
        return decode_model(bytes);
    } catch (const std::runtime_error & e) {
        throw std::runtime_error("failed to load '" + path + "': " + e.what());
    }
}

void save_model(const model & m, const std::string & path) {
    const std::string bytes = encode_model(m);
    FILE *            file  = fopen(path.c_str(), "wb");
    if (!file) {
        throw std::runtime_error("failed to create '" + path + "': " + strerror(errno));
    }
    const bool written = fwrite(bytes.data(), 1, bytes.size(), file) == bytes.size();
    if (fclose(file) != 0 || !written) {
        throw std::runtime_error("failed to write '" + path + "'");
    }
}

int32_t greedy(const int32_t * logits, uint32_t vocab) {
    int32_t best = 0;
    for (uint32_t v = 1; v < vocab; ++v) {
        if (logits[v] > logits[best]) {
            best = static_cast<int32_t>(v);
        }
    }
    return best;
}

std::vector<int32_t> tokenize(const model & m, const std::string & text) {
    std::vector<int32_t> tokens = { 0 };
    for (char c : text) {
        tokens.push_back(static_cast<int32_t>(static_cast<uint8_t>(c) % m.vocab));
    }
    return tokens;
}

char token_char(int32_t token) {
    // Printable text whatever the weights are, so that answers are always valid JSON and UTF-8.
    return "abcdefghijklmnopqrstuvwxyz .,!?-"[token & 31];
}

const char * storage_name(storage type) {
    switch (type) {
        case storage::f32:  return "f32";
        case storage::f16:  return "f16";
        case storage::q8_0: return "q8_0";
        case storage::q4_0: return "q4_0";
    }
    return "?";
}

}  // namespace mini
