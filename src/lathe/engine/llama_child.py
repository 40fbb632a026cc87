"""llama.cpp's server in a process of its own: what a file makes it do ends there, and its memory is the file's.

    echo '{"path": "model.gguf", "context": 2048, "threads": 1, "at_once": 1, "token": "..."}' | python -m lathe.engine.llama_child

Writes one JSON line, {"address": ...} or {"error": ...}, and serves until its standard input ends, as it does with the parent.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

BOUNDED_CACHE = 0
"""MiB of finished prompts that llama.cpp would keep besides the one under way; by default that is 8 GiB."""


def serve(asked: dict[str, Any]) -> int:
    """Loads the file, says where it listens, and waits for the end of standard input."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = asked["path"]
    settings.n_ctx = asked["context"]
    settings.n_parallel = asked["at_once"]
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = asked["threads"]
    settings.hostnames = ["127.0.0.1"]
    settings.api_keys = [asked["token"]]
    settings.ui = settings.endpoint_slots = settings.warmup = settings.fit_params = False
    settings.cache_ram_mib = BOUNDED_CACHE
    settings.verbosity = -1
    try:
        server = xllamacpp.Server(settings)
    except Exception as error:  # the package raises bare exceptions of its own
        print(json.dumps({"error": str(error) or type(error).__name__}), flush=True)
        return 1
    print(json.dumps({"address": server.listening_address}), flush=True)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads on; a full pipe would stop the server
    sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(serve(json.loads(sys.stdin.readline())))
