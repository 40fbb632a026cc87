"""What serving costs over the bare runtime, how soon the first text comes, and whether a thousand requests are answered and hostile
ones refused.

    python bench/serve.py                        # makes a smoke run of the demo first
    python bench/serve.py runs/... --requests 1000 --at-once 16

The bare runtime is the very service that the server asks, in this process, with prompts that are made already; it is given the same
requests, as many at a time. Both sides take turns, so that a machine that grows busier or cooler does so for both. Then come the
hostile requests of tests/serve/test_hostile.py, an ordinary one after each. Everything stays on this machine: the server listens on
127.0.0.1, the number of requests is fixed, and it is ended at the end. Exits with 1 where a request was not answered, or answered
otherwise than it should have been.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "serve"))

from test_hostile import HOSTILE
from web_client import Server

from lathe import plugins
from lathe.ask import Questions
from lathe.contracts import Model, Request, Room, Service
from lathe.errors import LatheError
from lathe.pipeline import Run
from lathe.records import Example, Prediction
from lathe.storage import read_rows

ROUNDS = 4
ALONE = 20
TOKENS = 2048


@dataclass(frozen=True)
class Round:
    """One side's turn. errors: requests without an answer."""

    seconds: float
    cpu_seconds: float
    new_tokens: int
    errors: int


def smoke_run(folder: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "lathe.cli.main", "run", "demo", "--smoke", "-q"],
        cwd=folder,
        check=True,
        stdout=sys.stderr,
    )
    return next(path for path in (folder / "runs").iterdir() if path.is_dir())


def rows_of(run: Run, count: int) -> list[Example]:
    """Rows of all sides, again and again."""
    rows = [row for side in ("test", "validation", "train") for row in read_rows(run.folder.rows(side), Example)]
    return list(itertools.islice(itertools.cycle(rows), count))


# ------------------------------------------------------------------------------------------ the bare runtime


def bare(service: Service, requests: Sequence[Request], at_once: int) -> Round:
    """All requests, so many at a time."""
    places = threading.Semaphore(at_once)
    done = threading.Event()
    said: list[Prediction] = []
    errors: list[LatheError] = []

    def heard(answer: Any) -> None:
        (said if isinstance(answer, Prediction) else errors).append(answer)
        places.release()
        if len(said) + len(errors) == len(requests):
            done.set()

    wall, cpu = time.perf_counter(), time.process_time()
    for request in requests:
        places.acquire()
        service.begin(request, heard, pieces=False)
    done.wait()
    return Round(
        time.perf_counter() - wall, time.process_time() - cpu, sum(one.new_tokens for one in said), len(errors)
    )


# ------------------------------------------------------------------------------------------ the server


class Served:
    """`lathe serve` in a process of its own."""

    def __init__(self, run: Path, at_once: int, schemas: Collection[str]) -> None:
        self._schemas = schemas
        words = [
            "serve",
            str(run),
            "--no-base",
            "--port",
            "0",
            "--json",
            "--max-tokens",
            str(TOKENS),
            "--seconds",
            "600",
        ]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lathe.cli.main", *words, "--at-once", str(at_once)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        ready = json.loads(self._process.stdout.readline())
        self.client = Server(ready["url"], ready["token"], tuple(ready["models"]), self._process)
        self.model = ready["models"][0]
        self._place = urlsplit(ready["url"])
        self._headers = {"Authorization": f"Bearer {ready['token']}", "Content-Type": "application/json"}
        self._lines = threading.local()
        self.figures = psutil.Process(self._process.pid)

    def ask(self, row: Example, **more: Any) -> http.client.HTTPResponse:
        """Over a connection that the thread keeps."""
        if not hasattr(self._lines, "line"):
            self._lines.line = http.client.HTTPConnection(str(self._place.hostname), self._place.port, timeout=600)
        asked = {"model": self.model, "messages": [{"role": "user", "content": row.input}], **more}
        self._lines.line.request("POST", "/v1/chat/completions", json.dumps(asked), self._headers)
        return self._lines.line.getresponse()

    def whole(self, row: Example) -> int | None:
        """Tokens of the answer; None where there was none."""
        answer = self.ask(row, **form(row, self._schemas))
        body = json.loads(answer.read())
        return int(body["usage"]["completion_tokens"]) if answer.status == 200 else None

    def first(self, row: Example) -> float:
        """Seconds until the first text."""
        begun = time.perf_counter()
        answer = self.ask(row, stream=True, **form(row, self._schemas))
        first = None
        while line := answer.readline():
            if first is None and b'"content":"' in line and b'"content":""' not in line:
                first = time.perf_counter() - begun
        return first if first is not None else time.perf_counter() - begun

    def cpu_seconds(self) -> float:
        times = self.figures.cpu_times()
        return times.user + times.system

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


def form(row: Example, schemas: Collection[str]) -> dict[str, Any]:
    """The row's own schema: both sides get the same prompt, and hold the answer to the same form. schemas: names of the run's."""
    name = row.meta.get("schema")
    return {"response_format": {"type": "json_schema", "json_schema": {"name": name}}} if name in schemas else {}


def served(server: Served, rows: Sequence[Example], at_once: int) -> Round:
    """All requests by so many clients, each of which keeps its connection."""
    wall, cpu = time.perf_counter(), server.cpu_seconds()
    with ThreadPoolExecutor(at_once) as clients:
        tokens = list(clients.map(server.whole, rows))
    return Round(
        time.perf_counter() - wall,
        server.cpu_seconds() - cpu,
        sum(count or 0 for count in tokens),
        sum(count is None for count in tokens),
    )


# ------------------------------------------------------------------------------------------ figures


def total(rounds: Sequence[Round]) -> Round:
    return Round(
        sum(one.seconds for one in rounds),
        sum(one.cpu_seconds for one in rounds),
        sum(one.new_tokens for one in rounds),
        sum(one.errors for one in rounds),
    )


def firsts(name: str, seconds: Sequence[float]) -> None:
    spread = statistics.quantiles(seconds, n=20)
    print(
        f"first text, {name:<14} median {statistics.median(seconds) * 1000:7.1f} ms   95 % {spread[-1] * 1000:7.1f} ms"
    )


def line(name: str, one: Round, requests: int) -> None:
    rates = f"{requests / one.seconds:7.1f} requests/s   {one.new_tokens / one.seconds:8.1f} tokens/s"
    cpu = f"{1000 * one.cpu_seconds / requests:7.2f} ms CPU a request"
    print(f"{name:<14} {one.seconds:8.2f} s   {rates}   {cpu}   {one.errors} errors")


def percent(more: float, than: float) -> str:
    return f"{100 * (more / than - 1):+.1f} %"


def asked(questions: Questions, rows: Sequence[Example]) -> list[Request]:
    """What the server makes of the rows: their prompts, and the form that it is asked for."""
    held = [questions.task.form(row, questions.setup) if form(row, questions.setup.schemas) else None for row in rows]
    return [replace(questions.request(row), form=one) for row, one in zip(rows, held, strict=True)]


def hostile(server: Served, row: Example) -> int:
    """Prints how many hostile requests got the code that they should, each with an ordinary one after it; how many did not."""
    wrong = []
    for name, (code, send) in HOSTILE.items():
        got, after = send(server.client), server.whole(row)
        if got != code or after is None:
            wrong.append(f"{name}: {got} instead of {code}" if got != code else f"after {name}: no answer")
    print(
        f"hostile        {len(HOSTILE) - len(wrong)} of {len(HOSTILE)} requests refused by the right code, the next one answered"
    )
    for one in wrong:
        print(f"               {one}")
    return len(wrong)


def compare(server: Served, service: Service, questions: Questions, rows: Sequence[Example], at_once: int) -> int:
    """Prints all figures; requests without an answer."""
    share = len(rows) // ROUNDS
    served(server, rows[: 2 * at_once], at_once)
    bare(service, asked(questions, rows[: 2 * at_once]), at_once)
    resident = server.figures.memory_info().rss
    bare_rounds, served_rounds = [], []
    for number in range(ROUNDS):
        part = rows[number * share : (number + 1) * share]
        bare_rounds.append(bare(service, asked(questions, part), at_once))
        served_rounds.append(served(server, part, at_once))
    alone, together = total(bare_rounds), total(served_rounds)
    line("bare runtime", alone, share * ROUNDS)
    line("served", together, share * ROUNDS)
    spread = [percent(s.seconds, b.seconds) for s, b in zip(served_rounds, bare_rounds, strict=True)]
    print(f"overhead       {percent(together.seconds, alone.seconds)} of the wall time (by rounds {', '.join(spread)})")
    print(f"               {percent(together.cpu_seconds, alone.cpu_seconds)} of the CPU time")
    if together.new_tokens != alone.new_tokens:
        print(f"the two did not write the same: {alone.new_tokens} and {together.new_tokens} tokens")
    firsts("alone", [server.first(row) for row in rows[:ALONE]])
    with ThreadPoolExecutor(at_once) as clients:
        firsts(f"{at_once} at once", list(clients.map(server.first, rows[: 4 * at_once])))
    now = server.figures.memory_info().rss
    print(f"memory         {resident / 1e6:.0f} MB, after all requests {now / 1e6:.0f} MB")
    return alone.errors + together.errors


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", type=Path)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=16)
    args = parser.parse_args()
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    with tempfile.TemporaryDirectory() as folder:
        run = Run.open(args.run or smoke_run(Path(folder)))
        questions = Questions(run.folder, run.locked)
        rows = rows_of(run, args.requests)
        tokens = min(TOKENS, questions.tokenizer.max_tokens or TOKENS)
        service = plugins.load("runtimes", "native").serve(
            Model(questions.base, run.folder.adapter), Room(args.at_once, tokens), run.locked.recipe.train.threads
        )
        server = Served(run.folder.path, args.at_once, questions.setup.schemas)
        try:
            errors = compare(server, service, questions, rows, args.at_once)
            return int(errors + hostile(server, rows[0]) > 0)
        finally:
            server.close()
            service.close()


if __name__ == "__main__":
    sys.exit(main())
