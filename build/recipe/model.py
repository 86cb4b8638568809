"""The recipe as types. Frozen, pure; defaults live here and nowhere else. The JSON schema is generated from this file.

Text fields may hold placeholders where a docstring says so; they are the only substitution there is:
`{version}` the source's version, `{build}` its digits (`b9261` -> `9261`),
`{number}` it without a leading letter (`v0.1.2` -> `0.1.2`), `{commit}` the 40 digits, `{commit7}` to
`{commit12}` abbreviations; in `serve` also `{model}` and `{port}`, filled in when the image is run.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from build.recipe.origin import Origin
from build.recipe.patchsets import PatchSet
from build.recipe.sources import GitSource, PackagesSource, SdistSource, Source, VendorSource

__all__ = [
    "CMakeOption",
    "Compression",
    "Driver",
    "Family",
    "GitSource",
    "Healthcheck",
    "Image",
    "LinkFix",
    "Origin",
    "PackagesSource",
    "Patch",
    "Recipe",
    "Runtime",
    "SdistSource",
    "Serve",
    "Smoke",
    "SmokeEndpoint",
    "SmokeModel",
    "Source",
    "Step",
    "Toolchain",
    "Variant",
    "VendorSource",
    "Watch",
]


class Family(StrEnum):
    """Which template in dockerfiles/ builds the recipe."""

    LLAMA_CPP = "llama-cpp"
    """Compiled from source by CMake and nvcc."""
    PYTHON = "python"
    """Installed from wheels that others compiled."""

    @property
    def compiles(self) -> bool:
        """Whether a toolchain takes part."""
        return self is Family.LLAMA_CPP


class Compression(StrEnum):
    """How an image's layers are compressed.

    Everybody reads gzip; zstd is smaller and faster to unpack, and is read by docker since 23.0, by containerd since 1.5, by
    podman since 4.0.
    """

    GZIP = "gzip"
    ZSTD = "zstd"


class Driver(StrEnum):
    """Whether the compiled libraries link libcuda.so.1, the driver's own library."""

    LINKED = "linked"
    NONE = "none"


class LinkFix(StrEnum):
    """How an executable is linked against a library that needs the driver, on a machine without one.

    https://github.com/JamePeng/llama-cpp-python/issues/30 is the failure word for word.
    """

    STUB_RPATH_LINK = "stub-rpath-link"
    """`-Wl,-rpath-link` to a private directory that holds only a stub libcuda.so.1. Leaves no trace in the binary."""
    LINK_LCUDA = "link-lcuda"
    """`-lcuda` from the stub directory on every link: ld matches the DT_NEEDED entry by SONAME."""
    ALLOW_SHLIB_UNDEFINED = "allow-shlib-undefined"
    """What upstream's own Dockerfiles do. Also hides symbols that are really missing."""
    NONE = "none"


class SmokeModel(StrEnum):
    """Which tiny generated model the smoke test lets the server answer with."""

    MINI = "mini"
    """The sample fork's own format."""
    GGUF_LLAMA = "gguf-llama"
    """A random two-layer llama in GGUF."""
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What the image is called in the registry."""

    repository: str
    """Name under the registry namespace, as in `beellama-cpp`."""
    tags: tuple[str, ...] = ()
    """Moving tags; `{version}` and `{commit7}` are filled in. A variant's get `-<variant>` appended."""
    compression: Compression | None = None
    """Of its layers: gzip | zstd. Without it gzip for what is compiled, zstd for wheels, whose layers have gigabytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How upstream is followed: a branch's head, or tags that match a regular expression."""

    branch: str = ""
    tags: str = ""
    """Regular expression over tag names."""
    schedule: str = "daily"
    """daily | weekly | monthly: candidates come no more often than this."""
    ignore: tuple[str, ...] = ()
    """Regular expressions; tags or commit subjects that match are passed over."""
    enabled: bool = True
    reason: str = ""
    """Why it is not enabled; needed then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """The compiler and the GPUs it compiles for."""

    cuda: str
    """CUDA version as `13.0`; names the lock recipes/toolchains/cuda-<version>.txt. Family python: of the wheels."""
    architectures: tuple[str, ...]
    """As CMAKE_CUDA_ARCHITECTURES takes them, explicit: `120a-real`. Family python: the wheels must have code for these;
    they may have it for more."""
    driver: Driver = Driver.LINKED


@dataclass(frozen=True, slots=True, kw_only=True)
class CMakeOption:
    """One `-DNAME=VALUE`. The value may hold placeholders."""

    name: str
    value: str
    unused_ok: str = ""
    """Why it is right that this project does not know the option. Empty: an unused option fails the build."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A further cmake call, of a project in a folder of its own. Inherits toolchain and link fix."""

    name: str
    dir: str
    """Folder of its CMakeLists.txt below the source's root."""
    cmake: tuple[CMakeOption, ...] = ()
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A change to the source, kept in patches/<recipe>/."""

    file: str
    """Path below patches/, as in `minifork/0001-name.patch`."""
    why: str
    upstream: str = ""
    """Where upstream discusses or merges it."""
    drop_when: str = ""
    foundational: bool = False
    """Without its effect the image is not what it promises to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A second image of the same recipe. What is set here replaces the recipe's own; `driver: none` drops the link fix."""

    architectures: tuple[str, ...] = ()
    driver: Driver | None = None
    cmake: tuple[CMakeOption, ...] = ()
    """Replaces options of the same name, in every step; adds the others to the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck:
    """The container's own health probe: an HTTP path on the server's port."""

    path: str = "/health"
    start_period_s: int = 60
    interval_s: int = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """The last stage: what is beside the server and how it starts."""

    entrypoint: tuple[str, ...]
    workdir: str = "/app"
    port: int = 8080
    env: tuple[tuple[str, str], ...] = ()
    healthcheck: Healthcheck | None = field(default_factory=Healthcheck)
    user: str = "10001:10001"
    """Numeric `uid:gid`, never 0."""
    packages: tuple[str, ...] = ("bash", "ca-certificates", "curl", "libgomp1", "libstdc++6")
    """Debian packages of the base. Equal lists share one base image."""
    links: tuple[tuple[str, str], ...] = ()
    """Other paths that users call a program by, and the file below /app that each leads to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serve:
    """The command line that users rely on. Every argument goes through the built binary's own parser in smoke."""

    args: tuple[str, ...] = ()
    """`{model}` stands for a model file, `{port}` for the port."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeEndpoint:
    """One GET request of the running server and what its answer must hold."""

    path: str
    expect: str
    """Text that stands in the answer's body. Placeholders are filled in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoke:
    """What the image must show before it may be pushed. Not part of the fingerprint."""

    version: str
    """Text that `<entrypoint> --version` prints. Placeholders are filled in."""
    flags: tuple[str, ...] = ()
    """Further promised argument groups, each as on a command line: `--spec-type draft-mtp`."""
    refused: tuple[str, ...] = ()
    """Argument groups that the parser must refuse; proves that it looks at the values."""
    endpoints: tuple[SmokeEndpoint, ...] = ()
    model: SmokeModel = SmokeModel.NONE
    args: tuple[str, ...] = ()
    """Arguments the server is started with for the test; `{model}` and `{port}` are filled in."""
    sigterm_exit: int = 0
    """Exit status after SIGTERM."""
    imports: tuple[str, ...] = ()
    """Python modules that must import (family python)."""
    no_server: str = ""
    """Why the server cannot be started on a machine without a GPU (family python): its checks are skipped with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One image, as a person wrote it down."""

    name: str
    title: str
    family: Family
    image: Image
    source: Source
    toolchain: Toolchain
    runtime: Runtime
    smoke: Smoke
    watch: Watch = field(default_factory=Watch)
    link_fix: LinkFix = LinkFix.NONE
    cmake: tuple[CMakeOption, ...] = ()
    targets: tuple[str, ...] = ()
    """What the first cmake call builds; empty means everything."""
    steps: tuple[Step, ...] = ()
    patches: tuple[Patch, ...] = ()
    patch_sets: tuple[PatchSet, ...] = ()
    """Programs that change installed packages (family python), after `patches`, in order."""
    variants: tuple[tuple[str, Variant], ...] = ()
    serve: Serve = field(default_factory=Serve)
    notes: tuple[str, ...] = ()
    """What a user must know. Shown in the report and the catalogue."""
    origin: Origin = field(default_factory=lambda: Origin(file="<memory>"), compare=False)
