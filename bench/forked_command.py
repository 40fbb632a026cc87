"""The command line in forked processes, watched at each call that changes a file, and killed where that is asked for."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from typing import Any, NoReturn

from file_calls import Call, Fate, Watcher
from lathe.cli.main import main
from lathe.engine import loop, metrics

RANK_SECONDS = 60
"""How long a rank may take to see that the first one is gone."""
COMMAND = ("run", "small.yaml", "--runs", "runs", "--until")


@dataclass(frozen=True)
class Ended:
    """How a command ended. killed: by SIGKILL; code: else its exit code. said: all that stood on its screen."""

    killed: bool
    code: int
    said: str
    calls: list[Call]
    fired: Call | None
    """The call at which its fate struck."""
    seconds: float
    cpu_seconds: float


UNDISTURBED = Fate()


@dataclass(frozen=True)
class Taken:
    """A step that the engine took. rows: token ids of each, in hex, sorted."""

    step: int
    rows: tuple[str, ...]
    packs: int
    shared: bool
    """Whether what rows begin with alike was to be laid down once."""


EMPTY = Ended(killed=False, code=0, said="", calls=[], fired=None, seconds=0.0, cpu_seconds=0.0)


def command(
    folder: Path,
    start: str,
    until: str,
    ranks: int,
    fate: Fate = UNDISTURBED,
    kill: tuple[float, str] | None = None,
    moment: tuple[int, int | None] | None = None,
) -> Ended:
    """Runs COMMAND in a child whose working folder is `folder`, and in one for each further rank.

    start: names what it leaves there; until: the stage that it ends with; the others: see `Case.command` in killed_runs.py.
    """
    began = time.monotonic()
    sys.stdout.flush()
    sys.stderr.flush()
    watcher = Watcher(folder / "runs", fate, _without_run_name)
    torchrun = _as_torchrun(ranks)
    child = os.fork()
    if child == 0:
        _child(folder, start, watcher, moment, until, torchrun[0])
    others = []
    for number, environment in enumerate(torchrun[1:], 1):
        others.append(os.fork())
        if others[-1] == 0:
            _child(folder, f"{start}-rank-{number}", None, None, until, environment)
    pids = folder / f"helpers-{start}"

    def strike() -> None:
        helpers = [int(line) for line in pids.read_text().split()] if pids.is_file() else []
        victim = helpers[-1] if kill is not None and kill[1] == "helper" and helpers else child
        # torchrun ends all ranks where one dies; a first rank whose others never came would wait for them.
        for process in (victim, *others):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    status, cpu_seconds = watcher.watch(child, None if kill is None else (kill[0], strike))
    cpu_seconds += sum(_awaited(other, folder) for other in others)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL:
        raise SystemExit(f"{folder}: the command died of signal {os.WTERMSIG(status)}")
    if watcher.unseen:
        raise SystemExit(f"{folder}: files were changed in ways that no call tells of: {watcher.unseen}")
    said = folder / f"said-{start}"
    return Ended(
        killed=os.WIFSIGNALED(status),
        code=os.waitstatus_to_exitcode(status),
        said=said.read_text(errors="replace") if said.is_file() else "",
        calls=watcher.calls,
        fired=watcher.fired,
        seconds=time.monotonic() - began,
        cpu_seconds=cpu_seconds,
    )


def _as_torchrun(ranks: int) -> list[dict[str, str]]:
    """What torchrun puts into the environment of each rank; nothing for a command of one process."""
    if ranks == 1:
        return [{}]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"TORCHELASTIC_RUN_ID": "bench", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    counts = {"WORLD_SIZE": str(ranks), "LOCAL_WORLD_SIZE": str(ranks)}
    return [shared | counts | {"RANK": str(number), "LOCAL_RANK": str(number)} for number in range(ranks)]


def _awaited(rank: int, folder: Path) -> float:
    """Waits for a rank, which ends when the first one has; CPU seconds of it."""
    deadline = time.monotonic() + RANK_SECONDS
    while time.monotonic() < deadline:
        ended, _, used = os.wait4(rank, os.WNOHANG)
        if ended:
            return used.ru_utime + used.ru_stime
        time.sleep(0.01)
    os.kill(rank, signal.SIGKILL)
    os.waitpid(rank, 0)
    raise SystemExit(f"{folder}: a rank worked on for {RANK_SECONDS} s after the first one had ended")


def _child(
    folder: Path,
    start: str,
    watcher: Watcher | None,
    moment: tuple[int, int | None] | None,
    until: str,
    environment: Mapping[str, str],
) -> NoReturn:
    """The command's life in its own process. watcher: None for a rank that writes nothing."""
    code = 99
    try:
        os.chdir(folder)
        os.environ.update(environment)
        screen = os.open(f"said-{start}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for number in (1, 2):
            os.dup2(screen, number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, closefd=False) for number in (1, 2))
        _forked_helpers(folder / f"helpers-{start}")
        _keep_ledger(folder / f"ledger-{start}", moment)
        if watcher is not None:
            watcher.watched()
        code = main([*COMMAND, until])
        (folder / f"modules-{start}").write_text(json.dumps(sorted(sys.modules)))
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _forked_helpers(pids: Path) -> None:
    """Lets processes beside this one come from the server that was started with the yard; their pids go to a file."""
    context = multiprocessing.get_context("forkserver")
    if forkserver._forkserver._forkserver_address is None:  # type: ignore[attr-defined]
        return
    # It runs, and is no child of this process.
    forkserver.ensure_running = forkserver._forkserver.ensure_running = lambda: None  # type: ignore[attr-defined,method-assign]

    class Helpers:
        Pipe = staticmethod(context.Pipe)

        @staticmethod
        def Process(**given: Any) -> multiprocessing.process.BaseProcess:
            process = context.Process(**given)

            def start() -> None:
                del process.start  # a process is pickled with all that it holds
                process.start()
                with open(pids, "a") as file:
                    file.write(f"{process.pid}\n")

            process.start = start  # type: ignore[method-assign]
            return process

    multiprocessing.get_context = lambda method=None: Helpers  # type: ignore[assignment]


def _keep_ledger(path: Path, moment: tuple[int, int | None] | None) -> None:
    """A witness of its own beside the run's records: which rows the engine laid into packs for each step.

    moment: this process is killed in this step before this pack, or, with None, when the step is done.
    """
    rows: list[str] = []
    packs = done = 0
    alike = False
    build, write = loop.build_pack, metrics.write

    def building(encoded: Any, *more: Any, shared: bool = False, **named: Any) -> Any:
        nonlocal packs, alike
        packs, alike = packs + 1, shared
        if moment == (done + 1, packs):
            os.kill(os.getpid(), signal.SIGKILL)
        rows.extend(row.ids.tobytes().hex() for row in encoded)
        return build(encoded, *more, shared=shared, **named)

    def writing(file: Any, line: Mapping[str, Any]) -> None:
        nonlocal packs, done
        if "loss" in line:
            done = line["step"]
            with open(path, "a") as ledger:
                ledger.write(json.dumps([done, sorted(rows), packs, alike]) + "\n")
            rows.clear()
            packs = 0
        write(file, line)
        if "loss" in line and moment == (done, None):
            os.kill(os.getpid(), signal.SIGKILL)

    loop.build_pack, metrics.write = building, writing  # type: ignore[assignment]


def read_ledger(path: Path) -> list[Taken]:
    if not path.is_file():
        return []
    lines = (json.loads(line) for line in path.read_text().split("\n")[:-1])
    return [Taken(step, tuple(rows), packs, shared) for step, rows, packs, shared in lines]


def _without_run_name(path: str) -> str:
    """A run is named by the second in which it was begun."""
    return re.sub(r"^[0-9T-]+-small-[0-9a-f]{6}", "RUN", path)
