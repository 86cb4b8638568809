#include "common.h"
#include "completion.h"
#include "http.h"
#include "json.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace mini {

namespace {

int wake_pipe[2] = { -1, -1 };

void wake() {
    const char    byte = 0;
    const ssize_t n    = write(wake_pipe[1], &byte, 1);
    (void) n;  // full: whoever reads it is awake already
}

// A handler of our own, and not the default action: as PID 1 the latter would be ignored.
void install_signal_handlers() {
    if (pipe2(wake_pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
        throw std::runtime_error("cannot make a pipe");
    }
    struct sigaction action = {};
    action.sa_handler = [](int) { wake(); };
    sigaction(SIGTERM, &action, nullptr);
    sigaction(SIGINT, &action, nullptr);
    signal(SIGPIPE, SIG_IGN);
}

std::string number(double value) {
    char text[32];
    snprintf(text, sizeof(text), "%.3f", value);
    return text;
}

std::string build_info() {
    return "b" + std::to_string(build_number) + "-" + build_commit;
}

int int_field(const json & body, const char * name, int fallback) {
    const json * field = body.get(name);
    if (!field || field->type == json::null) {
        return fallback;
    }
    if (field->type != json::number || field->value < -1e9 || field->value > 1e9 || field->value != int(field->value)) {
        throw std::invalid_argument(std::string("\"") + name + "\" must be an integer");
    }
    return int(field->value);
}

std::vector<int32_t> prompt_field(const json & body, const model & m) {
    const json * prompt = body.get("prompt");
    if (prompt && prompt->type == json::string) {
        return tokenize(m, prompt->text);
    }
    if (!prompt || prompt->type != json::array) {
        throw std::invalid_argument("\"prompt\" must be a string or an array of tokens");
    }
    std::vector<int32_t> tokens;
    for (const json & item : prompt->items) {
        if (item.type != json::number || item.value < 0 || item.value >= m.vocab || item.value != int(item.value)) {
            throw std::invalid_argument("\"prompt\" holds an invalid token");
        }
        tokens.push_back(int(item.value));
    }
    if (tokens.empty()) {
        throw std::invalid_argument("\"prompt\" is empty");
    }
    return tokens;
}

class server {
  public:
    explicit server(params given)
        : p(std::move(given)), free_slots(p.parallel), http([this](const request & r) { return handle(r); }) {}

    int run() {
        const int port = http.listen(p.host, p.port);
        log("main: server is listening on http://%s:%d", p.host.c_str(), port);
        std::thread loader([this] { load(); });
        http.serve(wake_pipe[0]);
        log("main: cleaning up before exit...");
        {
            std::lock_guard<std::mutex> lock(mutex);
            stopping = true;
        }
        changed.notify_all();
        const bool idle = http.stop();
        loader.join();
        const int code = failed ? 1 : 0;
        if (!idle) {
            // Threads still use this object: leave without destroying it.
            _exit(code);
        }
        return code;
    }

  private:
    void load() {
        {
            std::unique_lock<std::mutex> lock(mutex);
            const auto delay = std::chrono::milliseconds(p.load_delay_ms);
            if (changed.wait_for(lock, delay, [this] { return stopping.load(); })) {
                return;
            }
        }
        try {
            weights = load_model(p.model_path);
            target  = open_engine(weights, p);
            draft   = open_draft(weights);
            ready   = true;
            log("main: model loaded: vocab %u, dim %u", weights.vocab, weights.dim);
        } catch (const std::exception & e) {
            log("error: %s", e.what());
            failed = true;
            wake();
        }
    }

    response handle(const request & r) {
        const bool get = r.method == "GET" || r.method == "HEAD";
        if (r.path == "/health" || r.path == "/v1/health") {
            return get ? health() : wrong_method();
        }
        if (r.path == "/props") {
            return !get ? wrong_method() : ready ? props() : loading();
        }
        if (r.path == "/completion" || r.path == "/v1/completions") {
            return r.method != "POST" ? wrong_method() : ready ? completion(r) : loading();
        }
        if (r.path == "/" && webui_page()) {
            return get ? response{ 200, webui_page(), "text/html; charset=utf-8" } : wrong_method();
        }
        return error_response(404, "File Not Found");
    }

    static response wrong_method() { return error_response(405, "Method Not Allowed"); }

    static response loading() { return error_response(503, "Loading model"); }

    response health() const { return ready ? response{ 200, "{\"status\":\"ok\"}" } : loading(); }

    response props() const {
        const cuda_status cuda = get_cuda_status();
        std::string       body = "{\"default_generation_settings\":{\"n_ctx\":" + std::to_string(p.ctx_size) +
                           ",\"n_predict\":" + std::to_string(task().n_predict) + ",\"temperature\":0.0}";
        body += ",\"total_slots\":" + std::to_string(p.parallel);
        body += ",\"model_path\":" + quote_json(p.model_path);
        body += ",\"build_info\":" + quote_json(build_info());
        body += std::string(",\"cuda\":{\"compiled\":") + (cuda.compiled ? "true" : "false");
        body += ",\"devices\":" + std::to_string(cuda.devices);
        body += ",\"error\":" + quote_json(cuda.error) + "}";
        return { 200, body + "}" };
    }

    task read_task(const json & body) const {
        task t;
        t.prompt      = prompt_field(body, weights);
        t.n_predict   = int_field(body, "n_predict", int_field(body, "max_tokens", t.n_predict));
        t.seed        = uint64_t(int_field(body, "seed", 0));
        t.draft_max   = p.draft_max;
        t.draft_model = std::count(p.spec_types.begin(), p.spec_types.end(), "draft-mini") > 0;
        t.draft_ngram = std::count(p.spec_types.begin(), p.spec_types.end(), "ngram") > 0;
        if (const json * temperature = body.get("temperature")) {
            if (temperature->type != json::number || temperature->value < 0) {
                throw std::invalid_argument("\"temperature\" must be a number, at least 0");
            }
            t.temperature = temperature->value;
        }
        const int room = p.ctx_size - int(t.prompt.size());
        if (room < 0) {
            throw std::invalid_argument("the request exceeds the available context size (" + std::to_string(p.ctx_size) + ")");
        }
        if (t.n_predict < 0) {
            throw std::invalid_argument("\"n_predict\" must be at least 0");
        }
        t.n_predict = std::min(t.n_predict, room);
        return t;
    }

    response completion(const request & r) {
        task t;
        try {
            const json body = parse_json(r.body);
            if (body.type != json::object) {
                throw std::invalid_argument("the body must be a JSON object");
            }
            t = read_task(body);
        } catch (const std::invalid_argument & e) {
            return error_response(400, e.what());
        }
        {
            std::unique_lock<std::mutex> lock(mutex);
            changed.wait(lock, [this] { return free_slots > 0 || stopping; });
            --free_slots;
            t.pace_us = p.pace_us;
            t.degrade = p.degrade ? std::min(served++, 20) : 0;
        }
        // Given back on every way out, an engine may throw.
        struct slot {
            server & s;
            ~slot() {
                std::lock_guard<std::mutex> lock(s.mutex);
                ++s.free_slots;
                s.changed.notify_all();
            }
        } taken{ *this };
        const result out = complete(*target, *draft, weights, t, stopping);
        if (stopping) {
            return error_response(503, "shutting down");
        }
        return { 200, r.path == "/completion" ? native_answer(t, out) : openai_answer(t, out) };
    }

    static std::string shared_fields(const task & t, const result & out) {
        std::string tokens;
        for (int32_t token : out.tokens) {
            tokens += (tokens.empty() ? "" : ",") + std::to_string(token);
        }
        const double seconds = out.predicted_ms / 1000;
        return "\"tokens\":[" + tokens + "],\"timings\":{\"prompt_n\":" + std::to_string(t.prompt.size()) +
               ",\"prompt_ms\":" + number(out.prompt_ms) + ",\"predicted_n\":" + std::to_string(out.tokens.size()) +
               ",\"predicted_ms\":" + number(out.predicted_ms) +
               ",\"predicted_per_second\":" + number(seconds > 0 ? double(out.tokens.size()) / seconds : 0) +
               ",\"draft_n\":" + std::to_string(out.draft_n) +
               ",\"draft_n_accepted\":" + std::to_string(out.draft_n_accepted) + "}";
    }

    static std::string native_answer(const task & t, const result & out) {
        return "{\"content\":" + quote_json(out.text) + ",\"stop\":true,\"stop_type\":\"limit\"," + shared_fields(t, out) + "}";
    }

    std::string openai_answer(const task & t, const result & out) const {
        const std::string in = std::to_string(t.prompt.size());
        const std::string n  = std::to_string(out.tokens.size());
        return "{\"object\":\"text_completion\",\"model\":" + quote_json(p.model_path) +
               ",\"system_fingerprint\":" + quote_json(build_info()) +
               ",\"choices\":[{\"index\":0,\"text\":" + quote_json(out.text) +
               ",\"logprobs\":null,\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":" + in +
               ",\"completion_tokens\":" + n + ",\"total_tokens\":" + std::to_string(t.prompt.size() + out.tokens.size()) +
               "}," + shared_fields(t, out) + "}";
    }

    params                  p;
    model                   weights;
    std::unique_ptr<engine> target;
    std::unique_ptr<engine> draft;
    std::atomic<bool>       ready{ false };  // set last: what the handlers read is complete then
    std::atomic<bool>       failed{ false };
    std::atomic<bool>       stopping{ false };
    std::mutex              mutex;
    std::condition_variable changed;
    int                     free_slots;
    int                     served = 0;
    http_server             http;
};

}  // namespace

int server_main(int argc, char ** argv) {
    const params p = parse_params_or_exit(argc, argv);
    if (p.model_path.empty()) {
        log("error: no model, give one with -m FNAME");
        return 1;
    }
    try {
        install_signal_handlers();
        register_backends();
        log("build: %d (%s) with %s for %s", build_number, build_commit, build_compiler, build_target);
        server s(p);
        return s.run();
    } catch (const std::exception & e) {
        log("error: %s", e.what());
        return 1;
    }
}

}  // namespace mini
