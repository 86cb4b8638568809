#include "common.h"

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <stdexcept>

namespace mini {

void assert_failed(const char * file, int line, const char * what) {
    log("%s:%d: MINI_ASSERT(%s) failed", file, line, what);
    abort();
}

namespace {

struct option {
    std::vector<std::string>                  names;
    std::string                               value;  // what --help calls the value; empty: a plain switch
    std::string                               help;
    std::string                               env;
    std::function<void(const std::string &)> set;
};

int to_int(const std::string & text, int min, int max) {
    char *     end   = nullptr;
    const long value = strtol(text.c_str(), &end, 10);
    if (text.empty() || *end != '\0' || value < min || value > max) {
        throw std::invalid_argument("invalid number: " + text + " (" + std::to_string(min) + " to " +
                                    std::to_string(max) + ")");
    }
    return static_cast<int>(value);
}

bool to_switch(const std::string & text) {
    if (text == "on" || text == "1" || text == "true") {
        return true;
    }
    if (text == "off" || text == "0" || text == "false") {
        return false;
    }
    throw std::invalid_argument("unknown value: " + text + " (on or off)");
}

storage to_cache_type(const std::string & text) {
    for (storage type : { storage::f16, storage::q8_0, storage::q4_0 }) {
        if (text == storage_name(type)) {
            return type;
        }
    }
    throw std::invalid_argument("Unsupported cache type: " + text);
}

std::vector<std::string> to_spec_types(const std::string & text) {
    std::vector<std::string> types;
    for (size_t start = 0; start <= text.size();) {
        const size_t      comma = std::min(text.find(',', start), text.size());
        const std::string type  = text.substr(start, comma - start);
        if (type != "none" && type != "draft-mini" && type != "ngram") {
            throw std::invalid_argument("unknown speculative type: " + type);
        }
        types.push_back(type);
        start = comma + 1;
    }
    return types;
}

struct parser {
    params p;
    bool   help    = false;
    bool   version = false;

    std::vector<option> options = {
        { { "-h", "--help" }, "", "print usage and exit", "", [this](const std::string &) { help = true; } },
        { { "--version" }, "", "show version and build info", "", [this](const std::string &) { version = true; } },
        { { "--host" }, "HOST", "address to listen on (default: 127.0.0.1)", "MINI_ARG_HOST",
          [this](const std::string & v) { p.host = v; } },
        { { "--port" }, "PORT", "port to listen on, 0 for any free one (default: 8080)", "MINI_ARG_PORT",
          [this](const std::string & v) { p.port = to_int(v, 0, 65535); } },
        { { "-m", "--model" }, "FNAME", "model path to load", "MINI_ARG_MODEL",
          [this](const std::string & v) { p.model_path = v; } },
        { { "-ngl", "--gpu-layers", "--n-gpu-layers" }, "N", "layers to keep on the GPU, 0 for none, or auto, all (default: 99)",
          "MINI_ARG_N_GPU_LAYERS",
          [this](const std::string & v) { p.gpu_layers = v == "auto" || v == "all" ? 99 : to_int(v, -1, INT_MAX); } },
        { { "-c", "--ctx-size" }, "N", "size of the prompt context (default: 4096)", "MINI_ARG_CTX_SIZE",
          [this](const std::string & v) { p.ctx_size = to_int(v, 1, 1 << 20); } },
        { { "-np", "--parallel" }, "N", "number of requests answered at a time (default: 4)", "MINI_ARG_N_PARALLEL",
          [this](const std::string & v) { p.parallel = to_int(v, 1, 64); } },
        { { "-fa", "--flash-attn" }, "[on|off|auto]", "fused kernels; off: plain f32 kernels (default: auto)", "MINI_ARG_FLASH_ATTN",
          [this](const std::string & v) { p.flash_attn = v == "auto" || to_switch(v); } },
        { { "-ctk", "--cache-type-k" }, "TYPE", "storage of the weights on the GPU: f16, q8_0, q4_0 (default: f16)", "MINI_ARG_CACHE_TYPE_K",
          [this](const std::string & v) { p.cache_k = to_cache_type(v); } },
        { { "-ctv", "--cache-type-v" }, "TYPE", "accepted for scripts' sake, this model has no V: f16, q8_0, q4_0 (default: f16)",
          "MINI_ARG_CACHE_TYPE_V", [this](const std::string & v) { p.cache_v = to_cache_type(v); } },
        { { "--spec-type" }, "none,draft-mini,ngram", "comma-separated list of types of speculative decoding (default: none)",
          "MINI_ARG_SPEC_TYPE", [this](const std::string & v) { p.spec_types = to_spec_types(v); } },
        { { "--draft-max" }, "N", "number of tokens to draft for speculative decoding (default: 4)", "MINI_ARG_DRAFT_MAX",
          [this](const std::string & v) {
#ifdef MINI_TRAP_REJECT_FLAG
              throw std::invalid_argument("the argument has been removed");
#endif
              p.draft_max = to_int(v, 1, 64);
          } },
        { { "--load-delay-ms" }, "N", "wait before loading the model (default: 0)", "MINI_ARG_LOAD_DELAY_MS",
          [this](const std::string & v) { p.load_delay_ms = to_int(v, 0, 600000); } },
        { { "--pace-us" }, "N", "microseconds that a token takes at least, to test benchmarks (default: 0)", "MINI_ARG_PACE_US",
          [this](const std::string & v) { p.pace_us = to_int(v, 0, 1000000); } },
        { { "--degrade" }, "[on|off]", "get slower with every request, to test benchmarks", "MINI_ARG_DEGRADE",
          [this](const std::string & v) { p.degrade = to_switch(v); } },
    };

    const option * find(const std::string & name) const {
        for (const option & o : options) {
            for (const std::string & n : o.names) {
                if (n == name) {
                    return &o;
                }
            }
        }
        return nullptr;
    }

    void read_environment() {
        for (const option & o : options) {
            const char * value = o.env.empty() ? nullptr : getenv(o.env.c_str());
            if (!value) {
                continue;
            }
            try {
                o.set(value);
            } catch (const std::invalid_argument & e) {
                throw std::invalid_argument("error while handling environment variable \"" + o.env + "\": " + e.what());
            }
        }
    }

    void read_arguments(int argc, char ** argv) {
        for (int i = 1; i < argc; ++i) {
            const std::string name = argv[i];
            const option *    o    = find(name);
            if (!o) {
                throw std::invalid_argument("error: invalid argument: " + name);
            }
            try {
                if (o->value.empty()) {
                    o->set("");
                } else if (i + 1 < argc) {
                    o->set(argv[++i]);
                } else {
                    throw std::invalid_argument("expected value for argument");
                }
            } catch (const std::invalid_argument & e) {
                throw std::invalid_argument("error while handling argument \"" + name + "\": " + e.what());
            }
        }
    }

    void print_help(const char * program) const {
        printf("usage: %s -m FNAME [options]\n\n----- common params -----\n\n", program);
        for (const option & o : options) {
            std::string left;
            for (const std::string & n : o.names) {
                left += (left.empty() ? "" : ", ") + n;
            }
            left += o.value.empty() ? "" : " " + o.value;
            printf("%-40s", left.c_str());
            if (left.size() > 39) {
                printf("\n%-40s", "");
            }
            printf("%s\n", o.help.c_str());
            if (!o.env.empty()) {
                printf("%-40s(env: %s)\n", "", o.env.c_str());
            }
        }
    }
};

}  // namespace

params parse_params_or_exit(int argc, char ** argv) {
    parser parse;
#ifdef MINI_TRAP_DEGRADE
    parse.p.degrade = true;
#endif
    try {
        parse.read_environment();
        parse.read_arguments(argc, argv);
    } catch (const std::invalid_argument & e) {
        log("%s", e.what());
        exit(1);
    }
    if (parse.help) {
        parse.print_help(argv[0]);
        exit(0);
    }
    if (parse.version) {
        log("version: %d (%s)", build_number, build_commit);
        log("built with %s for %s", build_compiler, build_target);
        exit(0);
    }
    return parse.p;
}

}  // namespace mini
