// mini-common: what the programs share. Arguments, build information, backends.
#pragma once

#include "mini.h"

#include <string>
#include <vector>

namespace mini {

extern const int    build_number;
extern const char * build_commit;
extern const char * build_compiler;
extern const char * build_target;

// An internal error: says where and aborts.
#define MINI_ASSERT(x)                                              \
    do {                                                            \
        if (!(x)) {                                                 \
            mini::assert_failed(__FILE__, __LINE__, #x);            \
        }                                                           \
    } while (0)
[[noreturn]] void assert_failed(const char * file, int line, const char * what);

struct params {
    std::string              host       = "127.0.0.1";
    int                      port       = 8080;
    std::string              model_path;
    int                      gpu_layers = 99;
    int                      ctx_size   = 4096;
    int                      parallel   = 4;
    std::vector<std::string> spec_types = { "none" };
    int                      draft_max  = 4;
    storage                  cache_k    = storage::f16;
    storage                  cache_v    = storage::f16;
    bool                     flash_attn = true;
    int                      load_delay_ms = 0;
    int                      pace_us    = 0;
    bool                     degrade    = false;
};

// Reads the environment, then the arguments. Answers --help and --version and reports errors, each
// by leaving the process: 0 for the first two, 1 for an error.
params parse_params_or_exit(int argc, char ** argv);

struct cuda_status {
    bool        compiled = false;
    int         devices  = 0;
    std::string error;
};

void        register_backends();
cuda_status get_cuda_status();

// The GPU if it is wanted and there is one, else the CPU; says in the log what it took.
std::unique_ptr<engine> open_engine(const model & m, const params & p);
std::unique_ptr<engine> open_draft(const model & m);

// Null if the web assets were not built in.
const char * webui_page();

}  // namespace mini
