"""One command in a world of its own: no network, read-only programs, a home that vanishes, and bounds on everything.

    box = prove()                                    # or NoSandbox, with the reason
    done = box.run("sort words.txt", home)           # home: a tar of the folder that the command begins in
    done.output, done.home                           # what it printed; the folder afterwards

`unshare` of util-linux makes the namespaces (as root, or in a user namespace), `enter.sh` builds the world inside them, and the
command runs as nobody without any privilege. Two things stand before that. `prove` first tries harmless things that must fail, each
time; and `run` never starts a command that `lathe.shell` judges to be of level 3, 4 or U. Cost: some forty small processes a
command, nearly all of them for building the world.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lathe.errors import Unavailable
from lathe.shell.judge import judge

SECONDS = 5
"""Longest that a command runs, of wall time and of CPU time."""
MEMORY_BYTES = 256_000_000
"""Largest address space of each process."""
PROCESSES = 32
"""Most processes of the command at a time."""
OUTPUT_BYTES = 1_000_000
"""Longest output, and longest file that a command writes."""
ARGUMENT_BYTES = 131_072
"""What one argument stays below: MAX_ARG_STRLEN of Linux, its closing NUL counted."""
NEEDED = ("unshare", "mount", "umount", "pivot_root", "setpriv", "prlimit", "timeout", "tar", "bash")
ENTER = Path(__file__).with_name("enter.sh")
ROOT = ("bin", "dev", "etc", "home", "lib", "lib32", "lib64", "libx32", "proc", "sbin", "tmp", "usr")
"""All that may stand at the root of the world."""
READY = b"ready\n"
"""What `enter.sh` says when the world stands, right before the command."""
EMPTY = bytes(10240)
"""A tar without files."""


class NoSandbox(Unavailable):
    """Commands cannot be run safely here; nothing was run."""


@dataclass(frozen=True)
class Done:
    """What came of a command. output: at most OUTPUT_BYTES; home: a tar, the same bytes for the same folder."""

    output: bytes
    home: bytes
    status: int


class Box:
    """A sandbox that has been proved. Made by `prove` alone."""

    def __init__(self, unprivileged: str, namespaces: tuple[str, ...]) -> None:
        self._unprivileged = unprivileged
        self._namespaces = namespaces

    def run(self, command: str, home: bytes = EMPTY, seconds: int = SECONDS) -> Done | None:
        """Runs a command; None where its risk forbids it (level 3 and above, not to be analysed) or no process can be given it.

        home: a tar of files and folders with relative names. Raises NoSandbox where the world could not be built this time.
        """
        if judge(command).dangerous or not _is_argument(command):
            return None
        return self.enter(command, home, seconds)

    def enter(self, command: str, home: bytes, seconds: int) -> Done:
        """Runs a command that was judged already."""
        here = [os.readlink(f"/proc/self/ns/{kind}") for kind in ("mnt", "net")]
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LATHE_UNPRIVILEGED": self._unprivileged,
            "LATHE_MEMORY_BYTES": str(MEMORY_BYTES),
            "LATHE_OUTPUT_BYTES": str(OUTPUT_BYTES),
            "LATHE_PROCESSES": str(PROCESSES),
        }
        words = [*self._namespaces, "sh", str(ENTER), *here, str(seconds), command]
        with (
            tempfile.TemporaryFile() as given,
            tempfile.TemporaryFile() as output,
            tempfile.TemporaryFile() as after,
        ):
            given.write(home)
            given.seek(0)
            try:
                status = subprocess.run(
                    words,
                    stdin=given,
                    stdout=output,
                    stderr=after,
                    env=environment,
                    cwd="/",
                    start_new_session=True,
                    timeout=seconds + 20,
                    check=False,
                ).returncode
            except (OSError, subprocess.TimeoutExpired) as error:
                raise NoSandbox(f"the sandbox did not start: {error}") from error
            output.seek(0)
            after.seek(0)
            said, ready, left = after.read().partition(READY)
            if not ready:
                why = " ".join(said.decode(errors="replace").split()) or f"it ended with status {status}"
                raise NoSandbox(f"the sandbox could not be built: {why[:300]}")
            return Done(output.read(OUTPUT_BYTES), left, status)


def _is_argument(command: str) -> bool:
    """Whether Linux hands the text to a process: no NUL, no half of a surrogate pair, and no longer than it takes."""
    try:
        return "\0" not in command and len(os.fsencode(command)) < ARGUMENT_BYTES
    except UnicodeEncodeError:
        return False


# ------------------------------------------------------------------------------------------ proof


def prove() -> Box:
    """A sandbox that has just shown that it holds. Raises NoSandbox with the reason where there is none, or where it leaks."""
    missing = [name for name in NEEDED if shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") is None]
    if missing:
        raise NoSandbox(
            f"not installed: {', '.join(missing)}", hint="A sandbox needs Linux, util-linux, GNU tar and bash."
        )
    new = ["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child"]
    if os.geteuid() == 0:
        drop = "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs"
        box = Box(drop, tuple(new))
    else:
        drop = "unshare --user --map-user=65534 --map-group=65534 setpriv --no-new-privs"
        box = Box(drop, (*new, "--user", "--map-root-user"))
    for probe in PROBES:
        if leak := probe(box):
            raise NoSandbox(f"the sandbox does not hold: {leak}")
    return box


def _said(box: Box, command: str, seconds: int = SECONDS) -> list[str]:
    """The lines that a command of a probe prints. They stand in this file and do no harm, wherever they would run."""
    return box.enter(command, EMPTY, seconds).output.decode(errors="replace").split("\n")[:-1]


def _sees_another_root(box: Box) -> str:
    more = set(_said(box, "ls -A /")) - set(ROOT)
    return f"sees /{sorted(more)[0]}" if more else ""


def _reads_outside(box: Box) -> str:
    with tempfile.NamedTemporaryFile(mode="w", prefix="lathe-probe-") as outside:
        outside.write("outside")
        outside.flush()
        os.chmod(outside.name, 0o644)
        return f"reads {outside.name}" if _said(box, f"cat {outside.name}") else ""


def _writes_outside(box: Box) -> str:
    name = f"lathe-probe-{os.getpid()}"
    folders = ("/", "/usr/", "/usr/bin/", "/etc/", "/proc/", "/dev/")
    written = _said(box, f"for folder in {' '.join(folders)}; do touch $folder{name} && echo $folder; done")
    written += [folder for folder in folders if os.path.lexists(folder + name)]
    return f"writes to {written[0]}" if written else ""


def _reaches_the_network(box: Box) -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        port = listener.getsockname()[1]
        said = _said(box, f"exec 4<>/dev/tcp/127.0.0.1/{port} && echo connected")
        try:
            listener.accept()
        except TimeoutError:
            return "reaches a network" if said else ""
    return "reaches the network"


def _has_privileges(box: Box) -> str:
    who, *lines = _said(box, "id -u; cat /proc/self/status")
    if who != "65534":
        return f"runs as {who}, not as nobody"
    state = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    held = [name for name in ("CapInh", "CapPrm", "CapEff", "CapAmb") if int(state.get(name, "1"), 16)]
    return f"holds {held[0]}" if held else "" if state.get("NoNewPrivs") == "1" else "may gain privileges"


def _sees_processes(box: Box) -> str:
    """In a world of its own, the first process is that world's own shell, and there are a handful."""
    numbers = [int(name) for name in _said(box, "ls /proc") if name.isdecimal()]
    return f"sees {len(numbers)} processes" if not numbers or max(numbers) > 100 else ""


def _goes_without_bounds(box: Box) -> str:
    if _said(box, "ulimit -v; ulimit -u; ulimit -t") != [str(MEMORY_BYTES // 1024), str(PROCESSES), str(SECONDS)]:
        return "sets no limits"
    if not 0 < len(box.enter("yes", EMPTY, SECONDS).output) <= OUTPUT_BYTES:
        return "writes without end"
    return "runs without end" if _said(box, "sleep 3 && echo awake", 1) else ""


def _remembers(box: Box) -> str:
    if _said(box, "touch here && ls -A") != ["here"]:
        return "its home cannot be written"
    return "its home outlives it" if _said(box, "ls -A") else ""


PROBES: tuple[Callable[[Box], str], ...] = (
    _sees_another_root,
    _reads_outside,
    _writes_outside,
    _has_privileges,
    _sees_processes,
    _reaches_the_network,
    _remembers,
    _goes_without_bounds,
)
"""Each says what leaks, or nothing; the first ones do nothing but look."""
