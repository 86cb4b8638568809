#include "mini.h"

#include <mutex>

namespace mini {

namespace {

std::mutex                     registry_mutex;
std::vector<const backend *> & registry() {
    static std::vector<const backend *> backends;
    return backends;
}

}  // namespace

void register_backend(const backend * b) {
    std::lock_guard<std::mutex> lock(registry_mutex);
    for (const backend * known : registry()) {
        if (known == b) {
            return;
        }
    }
    registry().push_back(b);
}

const backend * find_backend(const std::string & name) {
    std::lock_guard<std::mutex> lock(registry_mutex);
    for (const backend * b : registry()) {
        if (name == b->name) {
            return b;
        }
    }
    return nullptr;
}

}  // namespace mini
