// Writes a model: mini-gen [--vocab N] [--dim N] [--seed N] FILE. Equal arguments, equal bytes.
#include "mini.h"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace {

uint32_t to_u32(const std::string & text) {
    char *                   end   = nullptr;
    const unsigned long long value = strtoull(text.c_str(), &end, 10);
    if (text.empty() || text.find_first_not_of("0123456789") != std::string::npos || value > 0xffffffffull) {
        throw std::runtime_error("invalid number: " + text);
    }
    return static_cast<uint32_t>(value);
}

int run(int argc, char ** argv) {
    uint32_t    vocab = 256;
    uint32_t    dim   = 64;
    uint32_t    seed  = 42;
    std::string path;
    for (int i = 1; i < argc; ++i) {
        const std::string arg    = argv[i];
        uint32_t *        target = arg == "--vocab" ? &vocab : arg == "--dim" ? &dim : arg == "--seed" ? &seed : nullptr;
        if (arg == "--help") {
            printf("usage: mini-gen [--vocab 256] [--dim 64] [--seed 42] FILE\n");
            return 0;
        }
        if (target && i + 1 < argc) {
            *target = to_u32(argv[++i]);
        } else if (target || arg.compare(0, 1, "-") == 0 || !path.empty()) {
            throw std::runtime_error("invalid argument: " + arg);
        } else {
            path = arg;
        }
    }
    if (path.empty()) {
        throw std::runtime_error("no file given, see --help");
    }
    mini::save_model(mini::generate_model(vocab, dim, seed), path);
    return 0;
}

}  // namespace

int main(int argc, char ** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception & e) {
        mini::log("error: %s", e.what());
        return 1;
    }
}
