import pytest

from build.pin.stub import stub_source

CUDA_H = """
#define cuDeviceTotalMem                    cuDeviceTotalMem_v2
#define cuMemcpyHtoD                        __CUDA_API_PTDS(cuMemcpyHtoD_v2)
#define cudaNotOurs cudaOther
#define CUDA_VERSION 13000
typedef struct CUctx_st *CUcontext;
CUresult CUDAAPI cuInit(unsigned int Flags);
CUresult CUDAAPI cuMemCreate(CUmemGenericAllocationHandle *handle, size_t size,
                             const CUmemAllocationProp *prop);
    CUresult CUDAAPI cuDeviceTotalMem_v2(size_t *bytes, CUdevice dev);
CUresult CUDAAPI cuMemcpyHtoD(CUdeviceptr dstDevice, const void *srcHost, size_t ByteCount);
"""


def test_every_function_and_every_older_name_is_defined() -> None:
    assert stub_source(CUDA_H) == (
        "/* Generated from cuda.h: a stand-in for the driver's libcuda.so.1 at link time. */\n"
        "int cuDeviceTotalMem(void) { return 34; }\n"
        "int cuDeviceTotalMem_v2(void) { return 34; }\n"
        "int cuInit(void) { return 34; }\n"
        "int cuMemCreate(void) { return 34; }\n"
        "int cuMemcpyHtoD(void) { return 34; }\n"
        "int cuMemcpyHtoD_v2(void) { return 34; }\n"
    )


def test_the_order_of_the_header_does_not_matter() -> None:
    assert stub_source("\n".join(reversed(CUDA_H.splitlines()))).count("\n") == stub_source(CUDA_H).count(
        "\n"
    )


def test_another_text_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^no driver function is declared: not the text of cuda\.h$"):
        stub_source("int main() { return 0; }")
