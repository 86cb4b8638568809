// Device memory that is given back all at once.
#pragma once

#include <cstddef>
#include <memory>

namespace mini {

class pool {
  public:
    virtual ~pool() = default;
    virtual void * allocate(size_t bytes) = 0;  // throws std::runtime_error
};

std::unique_ptr<pool> make_pool(int device);

}  // namespace mini
