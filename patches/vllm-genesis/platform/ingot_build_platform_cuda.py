"""The CPU's platform, which says that it is a consumer Blackwell card. It can run nothing of CUDA."""

from vllm.platforms.cpu import CpuPlatform
from vllm.platforms.interface import DeviceCapability, PlatformEnum


class BuildPlatform(CpuPlatform):
    """Answers what patches ask before they change a file."""

    _enum = PlatformEnum.CUDA
    device_type = "cuda"

    @classmethod
    def get_device_capability(cls, device_id: int = 0) -> DeviceCapability:  # noqa: ARG003  (vLLM's own signature)
        return DeviceCapability(12, 0)
