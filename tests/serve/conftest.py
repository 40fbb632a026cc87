"""Served runs in processes of their own, as a client meets them. The model behind most of them repeats what it is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from web_client import SCHEMA, TOKEN, TOOLS, Serve, Server

from lathe.pipeline import Run
from tiny_run import quiet

RECIPE = """\
name: {task}-run
base: {base}
task: {task}
data: {{source: rows.jsonl, split: {{validation: 0.2, test: 0.2}}}}
{more}
"""
ECHO = Path(__file__).with_name("echo_server.py")


def prepared(folder: Path, base: Path, task: str, rows: list[dict[str, Any]], more: str = "") -> Run:
    """A run that is as far as a server needs it, but for the adapter: what repeats has none."""
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "r.yaml").write_text(RECIPE.format(task=task, base=base, more=more))
    run = Run.start(folder / "r.yaml", root=folder / "runs")
    run.prepare(quiet)
    run.folder.train.mkdir()
    run.folder.train_result.write_text("{}")
    return run


@pytest.fixture(scope="session")
def objects_run(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts and JSON objects of one schema, `thing`."""
    folder = tmp_path_factory.mktemp("objects")
    (folder / "schemas").mkdir()
    (folder / "schemas" / "thing.json").write_text(json.dumps(SCHEMA))
    rows = [
        {"input": f"{n} {word}s", "target": {"name": word, "count": n}, "schema_id": "thing"}
        for n in range(12)
        for word in ("nut", "bolt", "pin")
    ]
    return prepared(folder, tiny_base, "json_extraction", rows, f"schema: {{from: {folder / 'schemas'}}}").folder.path


@pytest.fixture(scope="session")
def commands_run(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wishes and shell commands, none of them dangerous."""
    rows = [
        {"input": f"Show the first {n} lines of {name}", "target": f"head -n {n} {name}"}
        for n in range(1, 13)
        for name in ("a.txt", "b.log", "c.md")
    ]
    return prepared(tmp_path_factory.mktemp("commands"), tiny_base, "bash", rows).folder.path


@pytest.fixture(scope="session")
def calls_run(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wishes, functions and calls of them."""
    rows = [
        {
            "input": f"{n} {word}s",
            "tools": TOOLS,
            "target": [{"name": "order", "arguments": {"what": word, "count": n}}],
        }
        for n in range(1, 13)
        for word in ("nut", "bolt", "pin")
    ]
    return prepared(tmp_path_factory.mktemp("calls"), tiny_base, "function_calling", rows).folder.path


@pytest.fixture(scope="session")
def serving() -> Iterator[Serve]:
    """Starts servers, and ends them with the tests. words: for `lathe serve`; program: what runs it."""
    started: list[subprocess.Popen[str]] = []

    def start(run: Path, *words: str, program: Path = ECHO, **environment: str) -> Server:
        process = subprocess.Popen(
            [sys.executable, str(program), "serve", str(run), "--port", "0", "--json", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "LATHE_SERVE_TOKEN": TOKEN, **environment},
        )
        started.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith('{"url"'), line + process.communicate(timeout=60)[1]
        ready = json.loads(line)
        return Server(ready["url"], ready["token"] or TOKEN, tuple(ready["models"]), process)

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
    for process in started:
        process.communicate(timeout=60)


@pytest.fixture(scope="session")
def objects(objects_run: Path, serving: Serve) -> Server:
    return serving(objects_run)


@pytest.fixture(scope="session")
def commands(commands_run: Path, serving: Serve) -> Server:
    return serving(commands_run)


@pytest.fixture(scope="session")
def calls(calls_run: Path, serving: Serve) -> Server:
    return serving(calls_run)
