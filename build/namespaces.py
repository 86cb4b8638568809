"""Where images, copies and layers live in a registry: the one reading of `host[:port]/namespace`. Pure."""

import re
from dataclasses import dataclass

from build.errors import BadRequest

__all__ = ["Namespace", "namespace"]

_HOST = re.compile(
    r"(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9-]+(?=:)|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?"
)
_PATH = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """Where images live in a registry: `host[:port]/namespace`."""

    host: str
    path: str

    def __str__(self) -> str:
        return f"{self.host}/{self.path}"


def namespace(name: str, text: str) -> Namespace | None:
    """Read the value of the setting `name`; None where it is empty.

    Raises:
        BadRequest: it names a scheme, no host, or no namespace.
    """
    if not text:
        return None
    host, _, path = text.rstrip("/").partition("/")
    if "://" in text:
        message = f"{name} is '{text}': a registry is named without a scheme"
        raise BadRequest(message, hint=f"{name}={text.split('://', 1)[1] or 'ghcr.io/your-name'}")
    if not _HOST.fullmatch(host):
        message = f"{name} is '{text}': '{host}' is not the name of a registry host"
        raise BadRequest(message, hint=f"name the host too, e.g. {name}=docker.io/your-name")
    if not _PATH.fullmatch(path):
        message = f"{name} is '{text}': there is no namespace of lower-case words after the host"
        raise BadRequest(message, hint=f"{name}={host}/your-name")
    return Namespace(host=host, path=path)
