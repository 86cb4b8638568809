"""An engine's BuildKit as a remote builder reaches one: over TCP, with nothing of docker in between.

The engine hands the connection over where it is asked to upgrade; a buildkitd on another machine speaks so from the start.
"""

import selectors
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Node", "node"]

_UPGRADE = b"POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"


class Node(socketserver.ThreadingTCPServer):
    """A builder's node on loopback; `moved` are the bytes that went through it."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, docker_host: str) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.engine = docker_host.removeprefix("unix://")
        self.moved = 0

    @property
    def endpoint(self) -> str:
        """As `docker buildx create` takes it."""
        return f"tcp://127.0.0.1:{self.server_address[1]}"


class _Connection(socketserver.BaseRequestHandler):
    server: Node

    def handle(self) -> None:
        with socket.socket(socket.AF_UNIX) as engine:
            engine.connect(self.server.engine)
            engine.sendall(_UPGRADE)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += engine.recv(1)
            assert head.startswith(b"HTTP/1.1 101 "), head
            self._pass_on(engine)

    def _pass_on(self, engine: socket.socket) -> None:
        with selectors.DefaultSelector() as ready:
            for one, other in ((self.request, engine), (engine, self.request)):
                ready.register(one, selectors.EVENT_READ, other)
            while True:
                for key, _ in ready.select():
                    try:
                        data = key.fileobj.recv(1 << 16)  # type: ignore[union-attr]
                        key.data.sendall(data)
                    except OSError:
                        return
                    if not data:
                        return
                    self.server.moved += len(data)


@contextmanager
def node(docker_host: str) -> Iterator[Node]:
    """Serve until the block ends."""
    with Node(docker_host) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
