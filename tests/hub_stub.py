"""A Hub on this machine that speaks as much of its protocol as uploads need: repositories, regular files, LFS files, commits."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_" + "stub" * 8


class Hub:
    """What was asked of it and what it holds. refuse: status that it answers writing with, None = it takes everything."""

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, Any]] = {}
        self.files: dict[str, dict[str, bytes]] = {}
        self.stored: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.refuse: int | None = None
        self.address = ""

    def answer(self, method: str, path: str, body: bytes, token: str) -> tuple[int, Any]:
        """Status and JSON for one request."""
        self.requests.append(f"{method} {path}")
        if method == "PUT":  # signed addresses carry no token
            self.stored[path.rpartition("/")[2]] = body
            return 200, {}
        if token != f"Bearer {TOKEN}":
            return 401, {"error": "Invalid username or password."}
        if self.refuse is not None:
            return self.refuse, {"error": "Forbidden"}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            self.repos[name] = asked
            return 200, {"url": f"{self.address}/{name}"}
        if "/preupload/" in path:
            modes = [
                {"path": file["path"], "uploadMode": "lfs" if file["path"].endswith((".safetensors", ".gguf")) else "regular",
                 "shouldIgnore": False, "oid": None}
                for file in json.loads(body)["files"]
            ]  # fmt: skip
            return 200, {"files": modes}
        if path.endswith("/info/lfs/objects/batch"):
            objects = [
                {
                    "oid": one["oid"],
                    "size": one["size"],
                    "actions": {"upload": {"href": f"{self.address}/lfs/{one['oid']}"}},
                }
                for one in json.loads(body)["objects"]
            ]
            return 200, {"transfer": "basic", "objects": objects}
        if "/commit/" in path:
            return 200, self._commit(path, body)
        return 404, {"error": path}

    def _commit(self, path: str, body: bytes) -> dict[str, str]:
        _, _, kind, owner, name, *_ = path.split("/")
        there = self.files.setdefault(f"{kind}/{owner}/{name}", {})
        for line in body.decode().strip().split("\n"):
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                there[value["path"]] = base64.b64decode(value["content"])
            if entry["key"] == "lfsFile":
                stored = self.stored[value["oid"]]
                assert hashlib.sha256(stored).hexdigest() == value["oid"]
                there[value["path"]] = stored
        oid = hashlib.sha1(body).hexdigest()
        return {"commitUrl": f"{self.address}/{owner}/{name}/commit/{oid}", "commitOid": oid}


@contextmanager
def running() -> Iterator[Hub]:
    """The Hub, on a port of its own, until the block ends."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = self.path.partition("?")[0]
            status, said = hub.answer(self.command, path, body, self.headers.get("Authorization") or "")
            data = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = _do

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
