"""Cache mounts that no other build sees."""

import re
from uuid import uuid4

from tests.integration.conftest import Checkout


def own_mount(checkout: Checkout) -> str:
    """Give a checkout's builds an empty cache mount for compiles; return the lock that it is named after."""
    lock = uuid4().hex * 2
    for name in ("llama-cpp", "compilecache"):
        path = checkout.root / "dockerfiles" / f"{name}.Dockerfile.j2"
        path.write_text(re.sub(r"id=ingot-ccache-[^,]+,", f"id=ingot-ccache-{lock[:12]},", path.read_text()))
    # The name of a mount is no part of what BuildKit knows a step by.
    with (checkout.root / "dockerfiles" / "scripts" / "compile.sh").open("a") as script:
        script.write(f"# {lock}\n")
    return lock
