# What cmake has to know to compile for x86_64 on a build machine that is none. Each cmake call of a build, and each that
# a project makes of its own, finds this file by the variable CMAKE_TOOLCHAIN_FILE.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_C_COMPILER x86_64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER x86_64-linux-gnu-g++)
set(CMAKE_CUDA_COMPILER /usr/local/cuda/bin/nvcc)
set(CMAKE_CUDA_HOST_COMPILER x86_64-linux-gnu-g++)
# On ARM nvcc's own front end takes `char` for unsigned, in device code too, whatever the host compiler is told.
set(CMAKE_CUDA_FLAGS_INIT "-Xcudafe --signed_chars")
# ld for another architecture does not read ld.so.conf. This leaves no trace in what is linked.
set(CMAKE_EXE_LINKER_FLAGS_INIT "-Wl,-rpath-link,/usr/local/cuda/lib64")
