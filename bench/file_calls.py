"""The calls by which a process changes files under a folder: each seen before it is made, and one chosen to die or fail at.

    watcher = Watcher(folder, Fate("kill before", Call("mkdir", "new folder", "R/train", 1)))
    child = os.fork()
    if child == 0:
        watcher.watched()                 # from here on each such call of this process waits for the watcher
        ...
    watcher.watch(child)                  # until the child has ended
    watcher.calls                         # [Call("openat", "create", "R/recipe.yaml", 1), ...]

The kernel hands the calls over (seccomp's user notification, Linux 5.9 or later on x86-64 and ARM), so it does not matter who makes
them: safetensors renames its files by system calls of its own, where a library that is preloaded before libc sees nothing. Nothing
has to be compiled or installed, and `strace -e inject` costs some twenty times more. What no call tells of (a writable shared
mapping, io_uring) is noted as unseen, so that a sweep can say so instead of missing it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import platform
import re
import select
import signal
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Kind = Literal["open", "write", "sync", "truncate", "rename", "remove", "mkdir", "unseen"]
Way = Literal["count", "kill before", "kill amid", "fail once", "fail from"]
"""amid: half of a write is done. fail from: that call and all later ones that need room fail, as on a disk that stays full."""


@dataclass(frozen=True)
class SystemCall:
    """Which arguments say what is changed: `at` and `path` a name beside a folder, `descriptor` an open file."""

    name: str
    kind: Kind
    x86_64: int | None
    aarch64: int | None
    path: int | None = None
    at: int | None = None
    descriptor: int | None = None
    flags: int | None = None

    @property
    def number(self) -> int | None:
        """Its number on this machine; None where it does not exist."""
        return self.x86_64 if platform.machine() == "x86_64" else self.aarch64


SYSTEM_CALLS = (
    SystemCall("open", "open", 2, None, path=0, flags=1),
    SystemCall("openat", "open", 257, 56, at=0, path=1, flags=2),
    SystemCall("creat", "open", 85, None, path=0),
    SystemCall("write", "write", 1, 64, descriptor=0),
    SystemCall("pwrite64", "write", 18, 68, descriptor=0),
    SystemCall("writev", "write", 20, 66, descriptor=0),
    SystemCall("pwritev", "write", 296, 70, descriptor=0),
    SystemCall("pwritev2", "write", 328, 287, descriptor=0),
    SystemCall("sendfile", "write", 40, 71, descriptor=0),
    SystemCall("copy_file_range", "write", 326, 285, descriptor=2),
    SystemCall("splice", "write", 275, 76, descriptor=2),
    SystemCall("fsync", "sync", 74, 82, descriptor=0),
    SystemCall("fdatasync", "sync", 75, 83, descriptor=0),
    SystemCall("sync_file_range", "sync", 277, 84, descriptor=0),
    SystemCall("msync", "sync", None, None),
    SystemCall("truncate", "truncate", 76, 45, path=0),
    SystemCall("ftruncate", "truncate", 77, 46, descriptor=0),
    SystemCall("fallocate", "truncate", 285, 47, descriptor=0),
    SystemCall("rename", "rename", 82, None, path=1),
    SystemCall("renameat", "rename", 264, 38, at=2, path=3),
    SystemCall("renameat2", "rename", 316, 276, at=2, path=3),
    SystemCall("link", "rename", 86, None, path=1),
    SystemCall("linkat", "rename", 265, 37, at=2, path=3),
    SystemCall("symlink", "rename", 88, None, path=1),
    SystemCall("symlinkat", "rename", 266, 36, at=1, path=2),
    SystemCall("unlink", "remove", 87, None, path=0),
    SystemCall("rmdir", "remove", 84, None, path=0),
    SystemCall("unlinkat", "remove", 263, 35, at=0, path=1),
    SystemCall("mkdir", "mkdir", 83, None, path=0),
    SystemCall("mkdirat", "mkdir", 258, 34, at=0, path=1),
    SystemCall("mmap", "unseen", 9, 222, descriptor=4),
    SystemCall("openat2", "unseen", 437, 437, at=0, path=1),
    SystemCall("io_uring_setup", "unseen", 425, 425),
)
MAKES_ROOM = frozenset({"create", "write", "truncate", "new folder"})
"""What a full disk refuses: files and folders that are new, and bytes."""
_OF_NEW = {"open": "create", "mkdir": "new folder"}


@dataclass(frozen=True)
class Call:
    """One call on a path below the folder, `times` such calls counted; numbers of processes and names drawn by chance taken out.

    So it is the same call in every run of the same work, whatever a clock puts before it.
    """

    name: str
    kind: str
    """The kind of the system call; `create` and `new folder` where what it names was not there, `nameless` where a file
    without a name is made in a folder: Python takes one with a name where that fails."""
    path: str
    times: int


@dataclass(frozen=True)
class Fate:
    """What happens at which call; at None, nothing does. error: errno of a call that fails."""

    way: Way = "count"
    at: Call | None = None
    error: int = errno.EIO


def missing() -> str | None:
    """Why calls cannot be watched here; None where they can."""
    if not sys.platform.startswith("linux") or platform.machine() not in AUDIT_ARCH:
        return f"calls are watched by Linux on x86-64 and ARM; this is {sys.platform} on {platform.machine()}"
    watcher = Watcher(Path("/nowhere"))
    child = os.fork()
    if child == 0:
        try:
            watcher.watched()
        finally:
            os._exit(0)
    watcher.watch(child)
    return None if watcher.served else "the kernel or a container forbids seccomp's user notification"


@dataclass
class Watcher:
    """Watches one child. folder: absolute, links resolved; what happens outside passes. name: takes chance out of a path."""

    folder: Path
    fate: Fate = field(default_factory=Fate)
    name: Callable[[str], str] = lambda path: path
    calls: list[Call] = field(default_factory=list)
    fired: Call | None = None
    """The call at which the fate struck."""
    unseen: list[str] = field(default_factory=list)
    served: bool = False

    def __post_init__(self) -> None:
        self._here, self._there = socket.socketpair()
        self._times: Counter[tuple[str, str]] = Counter()

    def watched(self) -> None:
        """In the child: hands its calls over from now on. Raises OSError where the kernel does not allow it."""
        listener = _filter_calls()
        socket.send_fds(self._there, [b"."], [listener])
        os.close(listener)
        self._here.close()
        self._there.close()

    def watch(self, child: int, alarm: tuple[float, Callable[[], None]] | None = None) -> tuple[int, float]:
        """Answers the child's calls until it has ended; its wait status, and the CPU seconds of it and of its own children.

        alarm: seconds from now, and what to do then.
        """
        self._there.close()
        with self._here, contextlib.ExitStack() as closing:
            _, handles, _, _ = socket.recv_fds(self._here, 1, 1)
            ended = os.pidfd_open(child)
            closing.callback(os.close, ended)
            poll = select.poll()
            poll.register(ended, select.POLLIN)
            if handles:
                self.served = True
                closing.callback(os.close, handles[0])
                poll.register(handles[0], select.POLLIN)
            due = None if alarm is None else time.monotonic() + alarm[0]
            while True:
                rest = None if due is None else max(0.0, due - time.monotonic()) * 1000
                ready = dict(poll.poll(rest))
                if due is not None and time.monotonic() >= due and alarm is not None:
                    due = None
                    alarm[1]()
                if ended in ready:
                    _, status, used = os.wait4(child, 0)
                    return status, used.ru_utime + used.ru_stime
                if handles and handles[0] in ready:
                    self._answer(handles[0], child)

    # one call ------------------------------------------------------------------------------

    def _answer(self, listener: int, child: int) -> None:
        asked = bytearray(_NOTIFICATION.size)
        try:
            fcntl.ioctl(listener, _RECEIVE, asked)
        except OSError:  # whoever called has died
            return
        key, thread, _, number, _, _, *arguments = _NOTIFICATION.unpack(asked)
        answer = self._verdict(_BY_NUMBER[number], thread, arguments, child)
        if answer is not None:
            with contextlib.suppress(OSError):  # whoever called was killed meanwhile
                fcntl.ioctl(listener, _SEND, bytearray(_ANSWER.pack(key, *answer)))

    def _verdict(self, call: SystemCall, thread: int, arguments: list[int], child: int) -> tuple[int, int, int] | None:
        """Value, negative errno and flags of the answer; None where the child was killed: an answer would let the call be made."""
        proceed = (0, 0, 1)
        path = _meant(call, thread, arguments)
        if path is None or not path.startswith(f"{self.folder}/"):
            return proceed
        below = path.removeprefix(f"{self.folder}/")
        if call.kind == "unseen":
            self.unseen.append(f"{call.name} of {below}")
            return proceed
        kind = str(call.kind) if os.path.lexists(path) else _OF_NEW.get(call.kind, call.kind)
        if kind == "open" and os.path.isdir(path):
            kind = "nameless"
        place = self.name(_without_chance(below))
        self._times[call.name, place] += 1
        here = Call(call.name, kind, place, self._times[call.name, place])
        self.calls.append(here)
        way, now = self.fate.way, here == self.fate.at
        if now:
            self.fired = here
        if now and way in ("kill before", "kill amid"):
            if way == "kill amid":
                _write_half(call, thread, arguments)
            os.kill(child, signal.SIGKILL)
            return None
        if way == "fail once" and now:
            return 0, -self.fate.error, 0
        if way == "fail from" and self.fired is not None and kind in MAKES_ROOM:
            half = _write_half(call, thread, arguments) if now else 0
            return (half, 0, 0) if half else (0, -self.fate.error, 0)
        return proceed


def _without_chance(path: str) -> str:
    """`R/.result.json.4711.tmp` is `R/.result.json.PID.tmp`; names of temporary files are drawn by chance."""
    path = re.sub(r"\.\d+\.(tmp|old)\b", r".PID.\1", path)
    return re.sub(r"(^|/)(\.?tmp[A-Za-z0-9_]{6,8}(?=/|$)|#\d+ \(deleted\)$)", r"\1TEMPORARY", path)


def _meant(call: SystemCall, thread: int, arguments: list[int]) -> str | None:
    """The absolute path that a call is about; None where that cannot be told, as with a pipe or a process that has died."""
    try:
        if call.descriptor is not None:
            descriptor = _signed(arguments[call.descriptor])
            return os.readlink(f"/proc/{thread}/fd/{descriptor}") if descriptor >= 0 else None
        if call.path is None:
            return f"{os.readlink(f'/proc/{thread}/cwd')}/{call.name}"
        path = os.fsdecode(_read_memory(thread, arguments[call.path], 4096).split(b"\0", 1)[0])
        beside = None if call.at is None or _signed(arguments[call.at]) == _AT_FDCWD else _signed(arguments[call.at])
        folder = os.readlink(f"/proc/{thread}/cwd" if beside is None else f"/proc/{thread}/fd/{beside}")
        return os.path.normpath(os.path.join(folder, path))
    except OSError:
        return None


def _write_half(call: SystemCall, thread: int, arguments: list[int]) -> int:
    """Does the first half of a `write` in the caller's place, through the same open file; how many bytes that were."""
    half = arguments[2] // 2
    if call.name != "write" or half == 0:
        return 0
    process = os.pidfd_open(int(_status(thread)["Tgid"]))
    try:
        handle = _LIBC.syscall(_PIDFD_GETFD, process, _signed(arguments[0]), 0)
        if handle < 0:
            raise OSError(ctypes.get_errno(), "the caller's file cannot be opened")
        try:
            return os.write(handle, _read_memory(thread, arguments[1], half))
        finally:
            os.close(handle)
    finally:
        os.close(process)


def _read_memory(thread: int, address: int, most: int) -> bytes:
    """Up to `most` bytes of the caller's memory, fewer where a page that is not there follows."""
    with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        first = min(most, -address % 4096 or 4096)
        found = memory.read(first)
        if b"\0" in found or len(found) == most:
            return found
        with contextlib.suppress(OSError):
            while len(found) < most and (more := memory.read(most - len(found))):
                found += more
        return found


def _status(thread: int) -> dict[str, str]:
    lines = Path(f"/proc/{thread}/status").read_text().split("\n")
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def _signed(number: int) -> int:
    """An argument that C declares int."""
    return ctypes.c_int(number & 0xFFFFFFFF).value


# ------------------------------------------------------------------------------------------ the kernel's interface

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_LIBC = ctypes.CDLL(None, use_errno=True)
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_PIDFD_GETFD = 438
_AT_FDCWD = -100
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
"""struct seccomp_notif: id, thread, flags, number, architecture, instruction, six arguments."""
_ANSWER = struct.Struct("=QqiI")
"""struct seccomp_notif_resp: id, value, negative errno, flags (1: let the call proceed)."""
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_ALLOW, _NOTIFY = 0x7FFF0000, 0x7FC00000
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
"""Instructions of a classic BPF program."""
_CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_BY_NUMBER = {call.number: call for call in SYSTEM_CALLS if call.number is not None}


def _filter_calls() -> int:
    """Installs the filter in this process and its children to come; the descriptor on which calls are announced."""
    no_new_privileges, new_listener = 38, 1 << 3
    program = _program()
    code = ctypes.create_string_buffer(program)
    described = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    if _LIBC.prctl(no_new_privileges, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    listener = _LIBC.syscall(_SECCOMP[platform.machine()], 1, new_listener, described)
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp")
    return int(listener)


def _program() -> bytes:
    """Announces SYSTEM_CALLS, opens only where they may change something and mappings only where they are shared and writable."""

    def low_word(argument: int) -> int:
        return 16 + 8 * argument  # of struct seccomp_data, on little-endian machines

    lines = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, AUDIT_ARCH[platform.machine()]),
        (_RETURN, 0, 0, _ALLOW),
        (_LOAD, 0, 0, 0),
    ]
    for number, call in _BY_NUMBER.items():
        if call.flags is not None:
            check = [(_LOAD, 0, 0, low_word(call.flags)), (_ANY_BIT, 0, 1, _CHANGES), (_RETURN, 0, 0, _NOTIFY)]
        elif call.name == "mmap":
            writable, shared = (_LOAD, 0, 0, low_word(2)), (_LOAD, 0, 0, low_word(3))
            check = [writable, (_ANY_BIT, 0, 3, 2), shared, (_ANY_BIT, 0, 1, 1), (_RETURN, 0, 0, _NOTIFY)]
        else:
            check = [(_RETURN, 0, 0, _NOTIFY)]
        if check[-1] != check[0]:
            check.append((_RETURN, 0, 0, _ALLOW))
        lines += [(_EQUAL, 0, len(check), number), *check]
    lines.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("HBBI", *line) for line in lines)
