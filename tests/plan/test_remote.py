"""A model of the Hub is counted from its configuration and the headers of its weight files: no weight travels."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from plan_parts import CONFIG

from lathe.plan import remote

COMMIT = "a" * 40
WEIGHTS = safetensors.numpy.save({f"w{i}": np.zeros((256, 1024), np.float16) for i in range(4)})
FILES = {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": WEIGHTS}


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub as one repository needs. sent: bytes of weight files that went out."""

    sent = 0

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, body: bool) -> None:
        name = self.path.rpartition("/")[2].partition("?")[0]
        if self.path.startswith("/api/models/org/small/tree"):
            tree = [{"type": "file", "path": file, "size": len(data), "oid": "b" * 40} for file, data in FILES.items()]
            content = json.dumps(tree).encode()
        elif self.path.startswith("/api/models/org/small"):
            listed = {"id": "org/small", "sha": COMMIT, "siblings": [{"rfilename": file} for file in FILES], "tags": []}
            content = json.dumps(listed).encode()
        elif self.path.startswith("/org/small/resolve/") and name in FILES:
            content = FILES[name]
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound" if "small" in self.path else "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes=") and body:
            first, _, last = asked.removeprefix("bytes=").partition("-")
            content = content[int(first) : int(last) + 1]
        self.send_response(206 if asked and body else 200)
        self.send_header("ETag", '"0123456789abcdef"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)
            if name.endswith(".safetensors"):
                Hub.sent += len(content)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


def asked(name: str, endpoint: str, folder: Path) -> subprocess.CompletedProcess[str]:
    code = "import sys\nfrom lathe.cli.main import main\nsys.exit(main(sys.argv[1:]))"
    environment = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(folder / "home"),
        "HF_HUB_OFFLINE": "0",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    words = ["plan", "--config", name, "--lora-rank", "8", "--json"]
    return subprocess.run(
        [sys.executable, "-c", code, *words], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


def test_a_model_of_the_hub_is_counted_without_its_weights(endpoint: str, tmp_path: Path) -> None:
    done = asked("org/small", endpoint, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout)
    assert said["parameters_total"] == 113_216
    assert said["stored"] == {"parameters": 4 * 256 * 1024, "num_bytes": 8 * 256 * 1024, "by_dtype": {"F16": 1_048_576}}
    assert Hub.sent < len(WEIGHTS) / 10


def test_a_model_that_is_not_there_is_named(endpoint: str, tmp_path: Path) -> None:
    done = asked("org/other", endpoint, tmp_path)
    assert done.returncode in (2, 69)
    assert "org/other" in done.stdout


def test_a_path_that_is_there_is_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org" / "small").mkdir(parents=True)
    assert not remote.is_name("org/small")
    assert not remote.is_name("config.json")
    assert not remote.is_name("models/mistyped.json")
    assert remote.is_name("models/llama")


def test_a_mistyped_path_is_no_name_unless_it_has_a_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org" / "small").mkdir(parents=True)
    assert not remote.is_name("org/smal")
    assert not remote.is_name("./models/smal")
    assert remote.is_name("org/large@v1")


def test_of_a_mistyped_path_it_is_said_what_lies_there(tmp_path: Path) -> None:
    (tmp_path / "models" / "small").mkdir(parents=True)
    done = asked("models/smal", "http://127.0.0.1:9", tmp_path)
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["message"]) == (2, "could not read models/smal: No such file or directory")
    assert error["hint"].startswith("Did you mean models/small?")
