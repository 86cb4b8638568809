"""The GPUs of this host, as the driver's own tool lists them. Whether an image's kernels run on one is not decided here."""

from dataclasses import dataclass

from build.doors import process
from build.errors import IngotError, Unavailable

__all__ = ["Gpu", "gpus", "parse"]

_QUERY = ("nvidia-smi", "--query-gpu=uuid,compute_cap,driver_version,name", "--format=csv,noheader")
_CELLS = 4
_PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU."""

    uuid: str
    name: str
    capability: str
    """Compute capability, as `12.0`."""
    driver: str

    def __str__(self) -> str:
        """Say what a person knows it by."""
        return f"{self.name} (sm_{self.capability.replace('.', '')}, driver {self.driver})"


def parse(text: str) -> tuple[Gpu, ...]:
    """Read what nvidia-smi lists; a line of another kind (it has no driver to ask) is no GPU. Pure."""
    rows = (tuple(cell.strip() for cell in line.split(",", _CELLS - 1)) for line in text.splitlines())
    return tuple(
        Gpu(uuid=row[0], capability=row[1], driver=row[2], name=row[3])
        for row in rows
        if len(row) == _CELLS and row[1].replace(".", "", 1).isdigit()
    )


def gpus() -> tuple[Gpu, ...]:
    """List the GPUs of this host; there is at least one.

    Raises:
        Unavailable: there is none.
    """
    hint = "a GPU needs NVIDIA's driver on this host: `nvidia-smi` lists it then"
    try:
        listing = process.run(_QUERY, timeout_s=_PATIENCE_S).stdout
    except IngotError as error:
        message = "no NVIDIA GPU on this host (nvidia-smi does not answer)"
        raise Unavailable(message, hint=hint) from error
    found = parse(listing)
    if not found:
        message = "no NVIDIA GPU on this host (nvidia-smi lists none)"
        raise Unavailable(message, hint=hint)
    return found
