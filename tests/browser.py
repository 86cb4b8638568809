"""A real browser, headless, over its debugging pipe: a page at a width and in a theme, what it complains of, how it looks."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

__all__ = ["CHROMIUM", "Browser", "browser"]

CHROMIUM: Final = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome") or ""
)
_PATIENCE_S: Final = 60.0
_ABOVE: Final = 10
_MOVED: Final = """\
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""A browser looks for its pipe at 3 and 4."""


@dataclass(slots=True)
class Browser:
    """One tab."""

    _reads: int
    _writes: int
    _session: str = ""
    _count: int = 0
    _buffer: bytes = b""
    complaints: list[str] = field(default_factory=list)
    """Errors and warnings of the console, policy violations, requests."""

    def attach(self) -> None:
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Security"):
            self.call(f"{domain}.enable")

    def open(self, page: Path, *, width: int, theme: Literal["light", "dark"]) -> None:
        """Open a file as a phone or a screen of this width would."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": theme}])
        self.complaints.clear()
        self.call("Page.navigate", url=page.resolve().as_uri())
        self.until("Page.loadEventFired")

    def value(self, script: str) -> Any:
        """Evaluate JavaScript as a person at the console would; the page's own policy does not bind it."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def screenshot(self, path: Path) -> None:
        """Save a picture of the whole page."""
        answer = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(answer["data"]))

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writes, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._count:
                assert "error" not in answer, f"{method}: {answer}"
                return dict(answer["result"])

    def until(self, event: str) -> None:
        while self._next().get("method") != event:
            pass

    def _next(self) -> dict[str, Any]:
        until = time.monotonic() + _PATIENCE_S
        while b"\0" not in self._buffer:
            left = until - time.monotonic()
            assert left > 0, "the browser does not answer"
            if select.select((self._reads,), (), (), left)[0]:
                data = os.read(self._reads, 1 << 16)
                assert data, "the browser ended"
                self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._listen(message)
        return message

    def _listen(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        match message.get("method"):
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded":
                self.complaints.append(json.dumps(params))
            case "Network.requestWillBeSent" if params["type"] != "Document":
                self.complaints.append(f"the page asks for {params['request']['url']}")
            case "Page.javascriptDialogOpening":
                self.complaints.append(f"a dialog: {params['message']}")
            case _:
                pass


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """Start a browser for the block, with a profile of its own."""
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD, _ABOVE) for fd in (to_read, from_write)]
    for fd in (to_read, from_write):
        os.close(fd)
    options = (
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--no-first-run",
        "--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank",
    )  # fmt: skip
    process = subprocess.Popen(
        (sys.executable, "-c", _MOVED, *map(str, high), CHROMIUM, *options),
        pass_fds=high,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    for fd in high:
        os.close(fd)
    tab = Browser(from_read, to_write)
    try:
        tab.attach()
        yield tab
    finally:
        process.terminate()
        process.wait(timeout=_PATIENCE_S)
        for fd in (to_write, from_read):
            os.close(fd)
