"""Where a recipe was read from, so that a message can name the line. Pure."""

from dataclasses import dataclass

__all__ = ["Origin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a recipe was read from: the file, and the line of every key path (`cmake.GGML_CUDA`, `patches.0.file`)."""

    file: str
    lines: tuple[tuple[str, int], ...] = ()

    def line(self, key: str) -> int:
        """Return the line of the key path, or of its nearest parent that has one, or 1."""
        known = dict(self.lines)
        while key:
            if key in known:
                return known[key]
            key = key.rpartition(".")[0]
        return 1
