"""Pushes to a registry on loopback: all of an image, nothing new of it, and what a change of the server alone brings."""

import re
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from build.bench.pipeline.ground import Ground, layer
from build.bench.pipeline.ratio import Sample
from build.doors import store
from build.errors import WorkFailed
from build.host import registry

__all__ = ["Pushed", "sent"]

_ROUNDED = 0.1
"""Megabytes that a push may say more than it sent, the configuration with them."""
_SENT = re.compile(r"([\d.]+) MB sent of ")


def sent(text: str) -> float:
    """Return the megabytes that a push says it sent; 0 where it says that all is there.

    Raises:
        WorkFailed: it says neither.
    """
    if found := _SENT.search(text):
        return float(found[1])
    if "  already there  " in text:
        return 0.0
    message = f"what a push sent is not in its words:\n{text[-2000:]}"
    raise WorkFailed(message)


@dataclass(kw_only=True, eq=False)
class Pushed:
    """The sample, pushed to a repository of its own in each round."""

    ground: Ground

    def first(self, number: int) -> Sample:
        """Push it where nothing of it is."""
        return self._push(number)

    def again(self, number: int) -> Sample:
        """Push it where all of it is."""
        sample = self._push(number)
        if sent(sample.said):
            message = f"a push of what is there sent something:\n{sample.said[-2000:]}"
            raise WorkFailed(message)
        return sample

    def server(self, number: int) -> Sample:
        """Push it after a commit that changes the server alone, to where the one before is."""
        file = self._root / "samples" / "minifork" / "server" / "main.cpp"
        text = file.read_text(encoding="utf-8")
        store.write_text(file, f"{text}\nextern const int changed_{time.time_ns()} = 0;\n")
        self.ground.pipeline(self._root, "pins", "samples")
        self.ground.pipeline(self._root, "image", "minifork")
        sample = self._push(number)
        server = layer(self._root, "server")["size"]
        if not 0 < sent(sample.said) <= server / 1_000_000 + _ROUNDED:
            message = f"after a change of the server alone, {server} bytes, a push sent more or nothing:\n{sample.said[-2000:]}"
            raise WorkFailed(message)
        return sample

    def _push(self, number: int) -> Sample:
        namespace = f"{self._address}/round-{number}"
        return self.ground.pipeline(self._root, "push", "minifork", registry=namespace)

    @cached_property
    def _root(self) -> Path:
        """A checkout of its own, because commits change it; what it compiles is in the compile cache."""
        _ = self.ground.built
        root = self.ground.checkout("pushed")
        self.ground.pipeline(root, "image", "minifork")
        return root

    @cached_property
    def _address(self) -> str:
        return registry.start(self.ground.settings, self.ground.reporter).address
