# The compiler: Debian's g++, CMake, Ninja and ccache, and CUDA 13.0 from NVIDIA's own Python wheels.
# Made once per lock, then found again by its digest; recipes say `FROM toolchain`.
FROM debian AS toolchain

# Wheels unpack as nvidia/cu13/{bin,include,lib,nvvm}. What a package manager would add is added here: run bits, the
# unversioned names that `-lcudart` looks for, lib64, and the loader's knowledge of it, without which ld cannot follow
# libggml-cuda.so to libcudart and libcublas when it links an executable.
RUN --network=none --mount=type=bind,from=wheels,target=/wheels \
    --mount=type=bind,source=unpack-cuda.sh,target=/tmp/unpack-cuda.sh \
    sh /tmp/unpack-cuda.sh /wheels /usr/local/cuda
ENV PATH=/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

# This toolchain runs on another architecture than it compiles for: nvcc and cmake are the build machine's, all that is
# included and linked is x86_64's.
RUN --network=none --mount=type=bind,source=cross.sh,target=/tmp/cross.sh \
    --mount=type=bind,source=cross.cmake,target=/tmp/cross.cmake \
    sh /tmp/cross.sh /tmp/cross.cmake
ENV CMAKE_TOOLCHAIN_FILE=/opt/cross.cmake

# The wheels hold no driver stub, so one is generated from cuda.h: every function answers CUDA_ERROR_STUB_LIBRARY.
# `libcuda.so` is what `-lcuda` finds. `libcuda.so.1`, its SONAME, stands in a directory of its own that nothing puts on
# a run path: found there, a stub would shadow the real driver (https://github.com/NixOS/nixpkgs/issues/320145).
RUN --network=none --mount=type=bind,source=driver-stub.c,target=/tmp/driver-stub.c set -eux; \
    mkdir -p /usr/local/cuda/lib64/stubs /opt/driver-stub; \
    x86_64-linux-gnu-gcc -shared -fPIC -O1 -fno-ident -Wl,-soname,libcuda.so.1 -Wl,--build-id=none \
        -o /opt/driver-stub/libcuda.so.1 /tmp/driver-stub.c; \
    ln -s /opt/driver-stub/libcuda.so.1 /usr/local/cuda/lib64/stubs/libcuda.so

# The stub alone, for smoke tests: mounted beside a server on a machine without a driver, never part of an image.
FROM scratch AS driver-stub
COPY --from=toolchain /opt/driver-stub/libcuda.so.1 /
