#include "http.h"

#include "json.h"
#include "mini.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <thread>

namespace mini {

namespace {

using clock = std::chrono::steady_clock;

constexpr size_t max_connections = 64;
constexpr size_t max_head        = 16 * 1024;
constexpr size_t max_body        = 1024 * 1024;
constexpr auto   read_time       = std::chrono::seconds(10);

const char * reason(int status) {
    switch (status) {
        case 200: return "OK";
        case 400: return "Bad Request";
        case 404: return "Not Found";
        case 405: return "Method Not Allowed";
        case 408: return "Request Timeout";
        case 411: return "Length Required";
        case 413: return "Payload Too Large";
        case 503: return "Service Unavailable";
        default:  return "Internal Server Error";
    }
}

const char * error_type(int status) {
    switch (status) {
        case 404: return "not_found_error";
        case 500: return "server_error";
        case 503: return "unavailable_error";
        default:  return "invalid_request_error";
    }
}

struct http_error {
    int         status;
    std::string message;
};

bool send_all(int fd, const std::string & data) {
    for (size_t sent = 0; sent < data.size();) {
        const ssize_t n = send(fd, data.data() + sent, data.size() - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return false;
        }
        sent += static_cast<size_t>(n);
    }
    return true;
}

// Appends what has arrived; false at the end of the stream. The deadline is for the whole request,
// so that a client cannot hold a thread by sending a byte now and then.
bool receive(int fd, std::string & data, clock::time_point deadline) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - clock::now()).count();
    pollfd     p    = { fd, POLLIN, 0 };
    if (left <= 0 || poll(&p, 1, static_cast<int>(left)) == 0) {
        throw http_error{ 408, "the request took too long" };
    }
    char          buffer[8192];
    const ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
    if (n < 0 && errno == EINTR) {
        return true;
    }
    if (n <= 0) {
        return false;
    }
    data.append(buffer, static_cast<size_t>(n));
    return true;
}

std::string lower(std::string text) {
    for (char & c : text) {
        c = static_cast<char>(tolower(static_cast<unsigned char>(c)));
    }
    return text;
}

std::string trim(const std::string & text) {
    const size_t begin = text.find_first_not_of(" \t");
    const size_t end   = text.find_last_not_of(" \t");
    return begin == std::string::npos ? "" : text.substr(begin, end - begin + 1);
}

size_t parse_length(const std::string & text) {
    if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != std::string::npos) {
        throw http_error{ 400, "bad Content-Length" };
    }
    return std::stoull(text);
}

// Reads the request line and the headers; returns the length of the body, npos if none was given.
size_t parse_head(const std::string & head, request & r) {
    const size_t      line_end = head.find("\r\n");
    const std::string line     = head.substr(0, line_end);
    const size_t      first    = line.find(' ');
    const size_t      second   = first == std::string::npos ? first : line.find(' ', first + 1);
    if (second == std::string::npos || first == 0 || line.compare(second + 1, 7, "HTTP/1.") != 0 ||
        line[first + 1] != '/') {
        throw http_error{ 400, "bad request line" };
    }
    r.method = line.substr(0, first);
    r.path   = line.substr(first + 1, second - first - 1);
    r.path   = r.path.substr(0, r.path.find('?'));

    size_t length = std::string::npos;
    for (size_t at = line_end; at < head.size();) {
        at += 2;
        const size_t      end    = std::min(head.find("\r\n", at), head.size());
        const std::string header = head.substr(at, end - at);
        const size_t      colon  = header.find(':');
        if (colon == std::string::npos || colon == 0) {
            throw http_error{ 400, "bad header" };
        }
        const std::string name  = lower(header.substr(0, colon));
        const std::string value = trim(header.substr(colon + 1));
        if (name == "content-length") {
            const size_t given = parse_length(value);
            if (length != std::string::npos && length != given) {
                throw http_error{ 400, "two different Content-Length headers" };
            }
            length = given;
        } else if (name == "transfer-encoding") {
            throw http_error{ 411, "Transfer-Encoding is not supported, send Content-Length" };
        }
        at = end;
    }
    return length;
}

// False if the client left without asking anything.
bool read_request(int fd, request & r) {
    const auto  deadline = clock::now() + read_time;
    std::string data;
    size_t      head_end;
    while ((head_end = data.find("\r\n\r\n")) == std::string::npos) {
        if (data.size() > max_head) {
            throw http_error{ 400, "the headers are too large" };
        }
        if (!receive(fd, data, deadline)) {
            if (data.empty()) {
                return false;
            }
            throw http_error{ 400, "incomplete request" };
        }
    }
    size_t length = parse_head(data.substr(0, head_end), r);
    if (length == std::string::npos) {
        if (r.method == "POST") {
            throw http_error{ 411, "Content-Length is missing" };
        }
        length = 0;
    }
    if (length > max_body) {
        throw http_error{ 413, "the body is larger than " + std::to_string(max_body) + " bytes" };
    }
    r.body = data.substr(head_end + 4);
    while (r.body.size() < length) {
        if (!receive(fd, r.body, deadline)) {
            throw http_error{ 400, "incomplete body" };
        }
    }
    r.body.resize(length);
    return true;
}

// Closing with unread input resets the connection and may destroy the answer on its way: read what
// the client is still sending, within limits.
void drain(int fd) {
    shutdown(fd, SHUT_WR);
    const auto  deadline = clock::now() + std::chrono::milliseconds(500);
    std::string rest;
    try {
        while (rest.size() < 4 * max_body && receive(fd, rest, deadline)) {
        }
    } catch (const http_error &) {
    }
}

void log_request(const request & r, int status) {
    // A probe every second for weeks must not fill a disk.
    constexpr int           limit = 1000;
    static std::atomic<int> lines{ 0 };
    const int               line = lines.fetch_add(1);
    if (line < limit) {
        const std::string path = quote_json(r.path.substr(0, 200));
        log("request: %s %s %d", r.method.substr(0, 16).c_str(), path.c_str(), status);
    } else if (line == limit) {
        log("request: %d lines logged, no more", limit);
    } else {
        lines = limit + 1;
    }
}

}  // namespace

response error_response(int status, const std::string & message) {
    response r;
    r.status = status;
    r.body   = "{\"error\":{\"message\":" + quote_json(message) + ",\"type\":\"" + error_type(status) +
             "\",\"code\":" + std::to_string(status) + "}}";
    return r;
}

int http_server::listen(const std::string & host, int port) {
    addrinfo hints    = {};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags    = AI_PASSIVE | AI_NUMERICSERV;
    addrinfo * found  = nullptr;
    const int  failed = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
    if (failed) {
        throw std::runtime_error("cannot resolve host '" + host + "': " + gai_strerror(failed));
    }
    int error = 0;
    for (addrinfo * a = found; a && listener < 0; a = a->ai_next) {
        const int fd  = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        const int yes = 1;
        if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)) == 0 &&
            bind(fd, a->ai_addr, a->ai_addrlen) == 0 && ::listen(fd, 64) == 0) {
            listener = fd;
        } else {
            error = errno;
            if (fd >= 0) {
                close(fd);
            }
        }
    }
    freeaddrinfo(found);
    if (listener < 0) {
        throw std::runtime_error("couldn't bind to " + host + ", port " + std::to_string(port) + ": " + strerror(error));
    }
    sockaddr_storage address = {};
    socklen_t        size    = sizeof(address);
    char             service[16];
    if (getsockname(listener, reinterpret_cast<sockaddr *>(&address), &size) == 0 &&
        getnameinfo(reinterpret_cast<sockaddr *>(&address), size, nullptr, 0, service, sizeof(service),
                    NI_NUMERICSERV) == 0) {
        port = std::stoi(service);
    }
    return port;
}

void http_server::serve(int wake_fd) {
    while (true) {
        pollfd fds[2] = { { listener, POLLIN, 0 }, { wake_fd, POLLIN, 0 } };
        if (poll(fds, 2, -1) < 0 && errno != EINTR) {
            return;
        }
        if (fds[1].revents) {
            return;
        }
        if (!(fds[0].revents & POLLIN)) {
            continue;
        }
        const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
                std::this_thread::sleep_for(std::chrono::milliseconds(50));
            }
            continue;
        }
        // A client that does not read must not hold a thread for ever.
        const timeval write_time = { 10, 0 };
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &write_time, sizeof(write_time));
        std::unique_lock<std::mutex> lock(mutex);
        if (connections.size() >= max_connections) {
            lock.unlock();
            send_all(fd, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            close(fd);
            continue;
        }
        connections.insert(fd);
        lock.unlock();
        try {
            std::thread(&http_server::connection, this, fd).detach();
        } catch (const std::system_error &) {
            lock.lock();
            connections.erase(fd);
            close(fd);
        }
    }
}

void http_server::connection(int fd) {
    request  r;
    response answer;
    bool     asked = true;
    try {
        asked = read_request(fd, r);
        if (asked) {
            answer = handle(r);
        }
    } catch (const http_error & e) {
        answer = error_response(e.status, e.message);
    } catch (const std::exception & e) {
        answer = error_response(500, e.what());
    }
    if (asked) {
        const std::string body = r.method == "HEAD" ? "" : answer.body;
        const std::string head = "HTTP/1.1 " + std::to_string(answer.status) + " " + reason(answer.status) +
                                 "\r\nContent-Type: " + answer.type +
                                 "\r\nContent-Length: " + std::to_string(answer.body.size()) +
                                 "\r\nConnection: close\r\n\r\n";
        log_request(r, answer.status);
        if (send_all(fd, head + body)) {
            drain(fd);
        }
    }
    // The lock is held over close(): the number may be given to a new connection at once.
    std::lock_guard<std::mutex> lock(mutex);
    connections.erase(fd);
    close(fd);
    changed.notify_all();
}

bool http_server::stop() {
    if (listener >= 0) {
        close(listener);
        listener = -1;
    }
    std::unique_lock<std::mutex> lock(mutex);
    for (int fd : connections) {
        shutdown(fd, SHUT_RDWR);
    }
    return changed.wait_for(lock, std::chrono::milliseconds(500), [this] { return connections.empty(); });
}

}  // namespace mini
