"""Two images that differ for known reasons: one file for each measure of a reproducible build that was left out.

Made by the real toolchain and the real BuildKit, in seconds; the second image is built after the first, elsewhere.
"""

from dataclasses import dataclass
from pathlib import Path

from build.doors.bakefile import BakeTarget, bake_json, output_attribute
from build.doors.buildx import Buildx
from build.image.layout import Layout, open_layout

__all__ = ["Causes", "build_causes", "exported"]

_KERNELS = """\
namespace { __constant__ int table[4] = { 1, 2, 3, 4 }; }
template <int n> __global__ void kernel(int * y) { y[threadIdx.x] = table[threadIdx.x & 3] * n; }
template <int n> void launch(int * y) { kernel<n><<<1, 32>>>(y); }
template void launch<3>(int *);
"""

_MAKE = r"""#!/bin/sh
# make.sh PLACE FIRST|SECOND: each line leaves out one measure.
set -eux
place=$1 turn=$2
mkdir -p "$place" /app && cd "$place"
cp /sources/* .
[ "$turn" = first ] || for _ in $(seq 30); do /bin/true; done  # else process ids are the same in both containers
good="-gencode arch=compute_120a,code=sm_120a -Xcompiler=-fPIC,-fno-ident"
nvcc $good -frandom-seed=ingot -c /sources/kernels.cu -o /app/no-objdir.o
nvcc $good --objdir-as-tempdir -c /sources/kernels.cu -o /tmp/k.o && g++ -shared -s -o /app/no-seed.so /tmp/k.o -L/usr/local/cuda/lib64 -lcudart
echo 'const char * when() { return __DATE__ " " __TIME__; }' > when.cpp && g++ -c -fno-ident when.cpp -o /app/date.o
echo 'const char * where() { return __FILE__; }' > where.cpp && g++ -c -fno-ident "$place/where.cpp" -o /app/path.o
echo 'int f() { return 1; }' > f.cpp && echo 'int g() { return 2; }' > g.cpp
g++ -shared -fPIC -fno-ident "-Wl,-rpath,$place/lib" -o /app/runpath.so f.cpp
g++ -c f.cpp && g++ -c g.cpp
if [ "$turn" = first ]; then ar rcD /app/order.a f.o g.o; else ar rcD /app/order.a g.o f.o; fi
ar rcU /app/times.a f.o
g++ -shared -fPIC -fno-ident -Wl,--build-id=uuid -o /app/build-id.so f.cpp
echo words > /app/mode.txt
if [ "$turn" = first ]; then chmod 644 /app/mode.txt; else chmod 664 /app/mode.txt; fi
tar --sort=name --mtime=@1 --owner=0 --group=0 -cf tree.tar f.cpp g.cpp
if [ "$turn" = first ]; then gzip -n -1 < tree.tar > /app/level.gz; else gzip -n -9 < tree.tar > /app/level.gz; fi
gzip < tree.tar > /app/same.gz
gzip -N -c when.cpp > /app/named.gz
rm tree.tar
"""

_DOCKERFILE = """\
FROM toolchain AS first
COPY kernels.cu /sources/
RUN --network=none --mount=type=bind,source=make.sh,target=/tmp/make.sh sh /tmp/make.sh /place/first first

FROM toolchain AS second
COPY --from=first /app/mode.txt /tmp/later
COPY kernels.cu /sources/
RUN --network=none --mount=type=bind,source=make.sh,target=/tmp/make.sh sh /tmp/make.sh /elsewhere/second second

FROM scratch AS before
COPY --from=first /app/ /app/

FROM scratch AS after
COPY --from=second /app/ /app/
"""


@dataclass(frozen=True, kw_only=True)
class Causes:
    before: Layout
    after: Layout


def build_causes(buildx: Buildx, toolchain: str, folder: Path) -> Causes:
    """Build both images; `toolchain` is the context that gives the compiler."""
    (folder / "context").mkdir(parents=True)
    for name, text in (("Dockerfile", _DOCKERFILE), ("kernels.cu", _KERNELS), ("make.sh", _MAKE)):
        (folder / "context" / name).write_text(text)
    for stage in ("before", "after"):
        _bake(buildx, folder, stage, BakeTarget(
            name=stage, context="context", output=stage, stage=stage, contexts=(("toolchain", toolchain),),
        ))  # fmt: skip
    return Causes(before=open_layout(folder / "before"), after=open_layout(folder / "after"))


def exported(buildx: Buildx, folder: Path, name: str, dockerfile: str, **changed: str) -> Layout:
    """Build a Dockerfile of a few lines; `changed` are attributes of its output."""
    (folder / "context").mkdir(parents=True, exist_ok=True)
    (folder / "context" / "Dockerfile").write_text(dockerfile)
    target = BakeTarget(name=name, context="context", output=name)
    attributes = dict(pair.split("=", 1) for pair in output_attribute(target).split(","))
    attributes |= {key.replace("_", "-"): value for key, value in changed.items()}
    output = ",".join(f"{key}={value}" for key, value in attributes.items())
    _bake(buildx, folder, name, target, "--set", f"{name}.output={output}")
    return open_layout(folder / name)


def _bake(buildx: Buildx, folder: Path, name: str, target: BakeTarget, *options: str) -> None:
    (folder / "bake.json").write_text(bake_json(target))
    buildx.bake(
        folder / "bake.json",
        (name,),
        cwd=folder,
        log=folder / "log",
        on_event=lambda _event: None,
        options=options,
    )
