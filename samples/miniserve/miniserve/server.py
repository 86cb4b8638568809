"""The HTTP server."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import __version__
from .model import Model, text

_MAX_BODY = 1 << 20


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, model: Model, name: str) -> None:
        super().__init__(("0.0.0.0", port), Handler)
        self.model = model
        self.name = name


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        pages = {
            "/health": {"status": "ok"},
            "/version": {"version": __version__},
            "/v1/models": {"object": "list", "data": [{"id": self.server.name, "object": "model"}]},
        }
        self._say(200, pages[self.path]) if self.path in pages else self._say(404, {"error": "no such path"})

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        if self.path != "/v1/completions" or size > _MAX_BODY:
            self.close_connection = True
            self._say(404 if size <= _MAX_BODY else 413, {"error": "not served"})
            return
        try:
            asked = json.loads(self.rfile.read(size))
            tokens = self.server.model.answer(
                str(asked["prompt"]), max(0, min(int(asked["max_tokens"]), 512))
            )
        except (ValueError, KeyError, TypeError) as error:
            self._say(400, {"error": f"bad request: {error!r}"})
            return
        words = text(tokens)
        self._say(200, {"object": "text_completion", "choices": [{"text": words}], "tokens": tokens})

    def _say(self, status: int, document: object) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass
