/* Stands for the CUDA runtime: its name, its symbol version, the symbols that nvcc's host code calls. */
#define S(name) int name(void) { return 0; }
S(__cudaRegisterFatBinary) S(__cudaRegisterFatBinaryEnd) S(__cudaRegisterFunction) S(__cudaUnregisterFatBinary)
S(__cudaPushCallConfiguration) S(__cudaPopCallConfiguration) S(__cudaInitModule) S(__cudaGetKernel)
S(__cudaLaunchKernel) S(cudaLaunchKernel) S(__cudaRegisterLinkedBinary)
