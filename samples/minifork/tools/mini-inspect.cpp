// Describes a model file, or with --kernels the kernels that mini-cuda was built with.
#include "mini.h"
#ifdef MINI_TOOLS_CUDA
#include "mini-cuda.h"
#endif

#include <cstdio>
#include <stdexcept>
#include <string>

namespace {

int print_kernels() {
#ifdef MINI_TOOLS_CUDA
    printf("memory: %s\n", mini::cuda_uses_vmm() ? "vmm" : "cudaMalloc");
    for (const std::string & name : mini::cuda_instances()) {
        printf("kernel: %s\n", name.c_str());
    }
    return 0;
#else
    mini::log("error: built without CUDA");
    return 1;
#endif
}

int print_model(const std::string & path) {
    const mini::model m = mini::load_model(path);
    printf("vocab: %u\ndim: %u\nseed: %u\n", m.vocab, m.dim, m.seed);
    return 0;
}

}  // namespace

int main(int argc, char ** argv) {
    if (argc != 2) {
        mini::log("usage: mini-inspect FILE | --kernels");
        return 1;
    }
    const std::string arg = argv[1];
    try {
        return arg == "--kernels" ? print_kernels() : print_model(arg);
    } catch (const std::exception & e) {
        mini::log("error: %s", e.what());
        return 1;
    }
}
