// A small HTTP/1.1 server: one thread per connection, a bounded number of them, one request each.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <string>

namespace mini {

struct request {
    std::string method;
    std::string path;
    std::string body;
};

struct response {
    int         status = 200;
    std::string body;
    std::string type = "application/json; charset=utf-8";
};

response error_response(int status, const std::string & message);

class http_server {
  public:
    using handler = std::function<response(const request &)>;

    explicit http_server(handler handle) : handle(std::move(handle)) {}

    // Binds and listens; returns the port. Throws std::runtime_error.
    int listen(const std::string & host, int port);

    // Accepts connections until wake_fd is readable.
    void serve(int wake_fd);

    // Ends all connections and waits a moment for their threads; false if some are still there.
    bool stop();

  private:
    void connection(int fd);

    handler                 handle;
    int                     listener = -1;
    std::mutex              mutex;
    std::condition_variable changed;
    std::set<int>           connections;
};

}  // namespace mini
