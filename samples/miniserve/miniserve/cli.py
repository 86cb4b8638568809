"""`miniserve serve --model FILE`."""

import argparse
import signal
import sys
import threading
from pathlib import Path

from . import __version__
from .model import BrokenModel, Model
from .server import Server


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(prog="miniserve", description=__doc__, allow_abbrev=False)
    whole.add_argument("--version", action="version", version=f"miniserve {__version__}")
    serve = whole.add_subparsers(dest="verb", required=True).add_parser("serve", allow_abbrev=False)
    serve.add_argument("--model", type=Path, required=True, help="a .mini file")
    serve.add_argument("--port", type=int, default=8000, help="port to listen on (default: 8000)")
    serve.add_argument("--max-model-len", type=int, default=4096, help="longest context (default: 4096)")
    serve.add_argument("--kv-cache-dtype", choices=("auto", "fp8"), default="auto", help="type of the cache")
    serve.add_argument("--served-model-name", default="mini", help="what clients call the model")
    return whole


def main() -> None:
    words = parser().parse_args()
    try:
        model = Model(words.model)
    except (BrokenModel, OSError) as error:
        sys.exit(f"miniserve: {error}")
    with Server(words.port, model, words.served_model_name) as server:
        # shutdown() waits for the loop that this handler interrupts.
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        print(f"listening on {words.port}", flush=True)
        server.serve_forever()
