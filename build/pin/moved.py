"""What moved in images that were made anew under the same lock: their Debian packages by name. Pure."""

from dataclasses import dataclass

from build.pin.model import Pin, PinnedImage

__all__ = ["Moved", "moved"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """An image of the same lock that was made anew and came out different."""

    image: str
    """`toolchain` or `base`."""
    before: str
    """Digest."""
    after: str
    before_origin: str
    """As in the pin: `registry: <reference>` or `bootstrapped: debian/<suite>`."""
    after_origin: str
    changed: tuple[tuple[str, str, str], ...]
    """Package, version before, version now."""
    added: tuple[str, ...]
    """As `name=version`."""
    removed: tuple[str, ...]

    def __str__(self) -> str:
        """Say it in one line; an image may differ although its packages do not."""
        parts = [f"{name} {before} -> {after}" for name, before, after in self.changed]
        parts += [f"new: {one}" for one in self.added]
        parts += [f"gone: {one}" for one in self.removed]
        what = ", ".join(parts) or "its packages are the same"
        if self.before_origin != self.after_origin:
            now, before = _origin(self.after_origin), _origin(self.before_origin)
            return f"the {self.image} is another one under the same lock, now {now}, before {before}: {what}"
        return f"the {self.image} was made anew under the same lock and is another one: {what}"


def moved(before: Pin, after: Pin) -> tuple[Moved, ...]:
    """Compare toolchain and base of two pins. A lock that changed is a decision, not a move; so is another build machine."""
    pairs = (("toolchain", before.toolchain, after.toolchain), ("base", before.base, after.base))
    return tuple(
        _compared(name, old, new)
        for name, old, new in pairs
        if old and new and (old.lock, old.cross) == (new.lock, new.cross) and old.digest != new.digest
    )


def _compared(image: str, old: PinnedImage, new: PinnedImage) -> Moved:
    before, after = _versions(old), _versions(new)
    return Moved(
        image=image,
        before=str(old.digest),
        after=str(new.digest),
        before_origin=old.origin,
        after_origin=new.origin,
        changed=tuple(
            (name, before[name], version)
            for name, version in after.items()
            if name in before and before[name] != version
        ),
        added=tuple(f"{name}={version}" for name, version in after.items() if name not in before),
        removed=tuple(f"{name}={version}" for name, version in before.items() if name not in after),
    )


def _origin(origin: str) -> str:
    kind, _, place = origin.partition(": ")
    return f"from registry {place}" if kind == "registry" else f"{kind} from {place}"


def _versions(image: PinnedImage) -> dict[str, str]:
    return {name: version for name, _, version in (one.partition("=") for one in image.packages)}
