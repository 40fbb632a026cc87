"""Processes beside this one, and the cores that they may use.

child = start("lathe.text.template_worker")        # a module of ours, spoken to over its stdin and stdout
end(child, child.stdin, child.stdout)

with beside(serve, 1) as line:                     # runs serve(its_line, 1); ended with the block
    line.send("a question")
    memory = lend([line], 1 << 20)                 # what `borrow(line, 1 << 20)` sees in there

load_ahead("lathe.engine.helpers")                 # what processes beside will need, while this one still does other things

compiler()                                         # its name

rank(os.environ)                                   # this process's place among those that torchrun started; None where it did not
"""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from mmap import mmap
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerContext, SpawnContext

STOP_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
"""Signals that ask a program to stop. Terminals, `timeout`, containers and batch systems send them to all of its processes."""


def heeded_signals() -> tuple[signal.Signals, ...]:
    """Those of STOP_SIGNALS that whoever started this process did not have ignored, as nohup does with SIGHUP."""
    return tuple(number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN)


def usable_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def compiler() -> str | None:
    """The C++ compiler of this machine: what CXX names, or the first of the usual ones; None where there is none."""
    return os.environ.get("CXX") or next((name for name in ("g++", "clang++", "c++") if shutil.which(name)), None)


@dataclass(frozen=True)
class Rank:
    """A process among `count` that torchrun started for one command, `count_here` of them on this machine. Numbers are from 0."""

    number: int
    count: int
    number_here: int
    count_here: int


def rank(environment: Mapping[str, str]) -> Rank | None:
    """What torchrun says of this process; None where it started no other, or nothing."""
    if "TORCHELASTIC_RUN_ID" not in environment or int(environment["WORLD_SIZE"]) == 1:
        return None
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    return Rank(*(int(environment[name]) for name in names))


def start(module: str, environment: Mapping[str, str], stderr: int | None = None) -> subprocess.Popen[bytes]:
    """A child that runs a module of Lathe with this environment; it finds modules where this process does."""
    # Unbuffered, its stdout drops the rest of a message that a signal interrupts, Ctrl-Z say.
    kept = {name: value for name, value in environment.items() if name != "PYTHONUNBUFFERED"}
    return subprocess.Popen(
        # -P: a file in the current folder must not pass for a module of the child.
        [sys.executable, "-P", "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env={**kept, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        # Ctrl-C goes to a whole group; this process is the one that says so.
        start_new_session=True,
    )


def end(child: subprocess.Popen[bytes], *streams: IO[bytes] | None) -> None:
    """Ends a child, whatever it does, and closes these of its streams."""
    child.kill()
    child.wait()
    for stream in streams:
        if stream is not None:
            with contextlib.suppress(OSError):  # what was not sent any more
                stream.close()


def load_ahead(module: str) -> bool:
    """Has a process load this module that has computed nothing, from which those `beside` are copied: they begin within a hundredth
    of a second, and share the memory of what was loaded. Returns at once; only the first call says what is loaded.

    False where they load anew: on other systems than Linux, whose libraries such a copy may not use, and where no socket can be
    made among the temporary files, since their folder's name is too long for one, say.
    """
    if sys.platform != "linux":
        return False
    from multiprocessing import forkserver

    forkserver.set_forkserver_preload([module])
    # It finds modules where this process does, and a file in the current folder does not pass for one.
    with _held_back(), _environment(PYTHONPATH=os.pathsep.join(filter(None, sys.path)), PYTHONSAFEPATH="1"):
        try:
            forkserver.ensure_running()
        except OSError:
            return False
    return True


@contextlib.contextmanager
def beside(work: Callable[..., None], *given: Any) -> Iterator[Connection]:
    """A process that runs `work(line, *given)`, all of it picklable and of no script, until it returns, or this block or process
    ends. It has this process's environment as it is now."""
    from multiprocessing import get_context

    copied = load_ahead(work.__module__)
    context: ForkServerContext | SpawnContext = get_context("forkserver") if copied else get_context("spawn")
    here, there = context.Pipe()
    # By name: with `work` itself, its module would be loaded before `_work` begins.
    told = work.__module__, work.__qualname__, dict(os.environ), there
    process = context.Process(target=_work, args=(*told, *given), daemon=True)
    with _held_back(), _without_script():
        process.start()
    there.close()
    try:
        yield here
    finally:
        here.close()
        process.kill()
        process.join()


@contextlib.contextmanager
def _environment(**values: str) -> Iterator[None]:
    """This process's environment has these values in the block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _without_script() -> Iterator[None]:
    """What begins in this block runs `work` alone. With a script at hand it would run that first: one that calls Lathe without
    `if __name__ == "__main__"` would begin once more in there. A module that is run by its name is there as before."""
    main = sys.modules["__main__"]
    if main.__spec__ is not None:
        yield
        return
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """What begins in this block hears such a signal only when it has said what it does with it; this process after the block."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # else the first process beside starts it, which lets signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(module: str, name: str, environment: Mapping[str, str], line: Connection, *given: Any) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for number in STOP_SIGNALS:  # the first process is told, comes to a safe point with this one's help, and ends it
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)  # as `_held_back` blocked them
    gc.disable()  # modules are no garbage, and looking through them takes a sixth of the time in which they are loaded
    work = getattr(import_module(module), name)
    gc.freeze()  # nor would memory stay one with what it was copied from, if each were looked at
    gc.enable()
    with contextlib.suppress(EOFError, ConnectionError):
        work(line, *given)


def lend(lines: Sequence[Connection], num_bytes: int) -> mmap:
    """Memory that the processes beside this one see too, once each called `borrow`. It has no name, and goes with its last user.

    Through a pipe the weights of a small adapter take 20 ms, copied to here one.
    """
    from multiprocessing.reduction import send_handle

    with unnamed_file() as file:
        file.truncate(num_bytes)
        for line in lines:
            send_handle(line, file.fileno(), None)
        return mmap(file.fileno(), num_bytes)


def borrow(line: Connection, num_bytes: int) -> mmap:
    """The memory that the process at the other end lends."""
    from multiprocessing.reduction import recv_handle

    with os.fdopen(recv_handle(line), "r+b") as file:
        return mmap(file.fileno(), num_bytes)


def unnamed_file() -> IO[bytes]:
    """A file in memory where the system has such, else one on the disk."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("lathe"), "r+b")
    return tempfile.TemporaryFile()


def forget_peak(pid: int) -> None:
    """The kernel's mark of the most that a process held falls to what it holds now; Linux alone has one."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="utf-8")


def peak_resident(pid: int) -> int | None:
    """Most resident bytes of a process since `forget_peak`; None where no kernel keeps a mark, or the process is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").split("\n"):
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None
