"""Programs that run what they are given many times, elsewhere or later: xargs, parallel, ssh, containers, fleets, make."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lathe.shell import marks
from lathe.shell.calls import Call, launcher
from lathe.shell.marks import FETCHED, HOLE, LOCAL, SECRET, is_known
from lathe.shell.rules.interpreters import as_command
from lathe.shell.rules.launchers import SSH_VALUED, after_options, run


@launcher("xargs")
def xargs(call: Call) -> str:
    """Its command, with what its input says as further words."""
    valued = "-n -I -P -d -L -a -s -E -J --max-args --max-procs --delimiter --max-lines --arg-file --max-chars --replace --process-slot-var".split()
    words = after_options(call.words, valued) or ["echo"]
    marker = next(
        (word[2:] or after for word, after in zip(call.words, [*call.words[1:], ""]) if word.startswith(("-I", "-J"))),
        None,
    )
    if marker is None and any(word == "-i" or word.startswith("--replace") for word in call.words):
        marker = "{}"
    source = (
        call.shell.read_file(call.arguments.value("arg-file") or "") if "arg-file" in call.arguments else call.stdin
    )
    return run_with(call, words, items_of(source, by_line="-0" in call.words or marker is not None), marker)


def items_of(text: str, *, by_line: bool = False) -> list[str]:
    """What xargs takes for its items."""
    found = [item for item in re.split(r"[\n\x00]" if by_line and is_known(text) else r"\s+", text) if item]
    return [item.strip("'\"") for item in found] or [HOLE]


def run_with(call: Call, words: list[str], items: Sequence[str], marker: str | None) -> str:
    """Runs a command with items: in place of a marker one by one, else behind it."""
    with call.shell.subshell():
        if marker is None:
            return call.shell.call([*words, *items], "")
        return "".join(call.shell.call([word.replace(marker, item) for word in words], "") for item in items[:12])


@launcher("parallel")
def parallel(call: Call) -> str:
    """GNU parallel: its words are code; items come from its input or after :::."""
    words = after_options(call.words, ["-j", "-P", "--jobs", "-a", "-S", "-n", "-N", "-I", "--colsep", "-d"])
    command, items = words, items_of(call.stdin, by_line=True)
    for sign in (":::", ":::+", "::::"):
        if sign in words:
            command, items = words[: words.index(sign)], words[words.index(sign) + 1 :]
    code = " ".join(command)
    lines = [code.replace("{}", item) if "{}" in code else f"{code} {item}" for item in items[:12]]
    with call.shell.subshell():
        return "".join(call.shell.execute(line) for line in lines)


@launcher("watch", "ssh", "rsh", "script", "flock", "tmux", "screen", "at", "sshpass", "hyperfine")
def code_in_words(call: Call) -> str:
    """Programs that join words into code for a shell, here or on another machine."""
    name = call.name
    if name == "sshpass":
        return run(call, after_options(call.words, ["-p", "-f", "-d", "-P"]))
    valued = {
        "watch": "-n -p --interval", "ssh": " ".join(SSH_VALUED), "script": "-c -T -I -O -B -m -o",
        "flock": "-w -E -c", "hyperfine": "-w -r -n -N -p -m -M", "at": "-q -f -t", "screen": "-S -t -h -c -p -s -X",
        "tmux": "-L -S -f -c",
    }.get(name, "").split()  # fmt: skip
    words = after_options(call.words, valued, 1 if name in ("ssh", "rsh", "flock") else 0)
    if name in ("ssh", "rsh"):  # options may stand behind the host too
        words = after_options(words, valued)
    codes = [word for flag, word in zip(call.words, call.words[1:]) if flag == "-c" and name in ("script", "flock")]
    if name == "tmux" or name == "screen":
        codes += [word for word in call.words if " " in word]
        words = words[1:] if name == "tmux" else words
        words = after_options(words, ["-s", "-n", "-t", "-c", "-x", "-y"])
    if name == "at":
        call.shell.found(3, "scheduled_persistence", "has code run later, at a time of its own") if _lists_nothing(
            call
        ) else None
        words, codes = [], [call.stdin] if call.stdin else []
    if name in ("ssh", "rsh") and not words and call.stdin and marks.HOLE not in call.stdin:
        codes.append(call.stdin)
    if words:
        codes.append(" ".join(words))
    with call.shell.subshell():
        output = "".join(call.shell.execute(code) for code in codes) or HOLE
    if name in ("ssh", "rsh") and not is_known(output):  # another machine says it, whatever it reads there
        return SECRET if SECRET in output else FETCHED
    return output


def _lists_nothing(call: Call) -> bool:
    return not {"-l", "-d", "-r", "-c"} & set(call.words)


@launcher("ansible", "salt", "pdsh", "pssh", "clush", "dsh", "mussh")
def fleet(call: Call) -> str:
    """Programs that have many machines run a command."""
    codes = [word for before, word in zip(call.words, call.words[1:]) if before in ("-a", "--args")]
    codes = (
        codes
        or [word for word in call.words if " " in word]
        or [" ".join(after_options(call.words, ["-w", "-h", "-l", "-g"], 1))]
    )
    with call.shell.subshell():
        return "".join(call.shell.execute(code) for code in codes)


@launcher("npx", "npm")
def package_program(call: Call) -> str:
    """npx and npm exec run a program of a package, or code after -c."""
    words = call.words
    if call.name == "npm":
        if call.operands[:1] not in (["exec"], ["x"]):
            return marks.origin(call.stdin)
        words = words[words.index(call.operands[0]) + 1 :]
    with call.shell.subshell():
        for option, code in zip(words, words[1:]):
            if option in ("-c", "--call"):
                call.shell.execute(code)
    return run(call, after_options(words, ["-c", "--call", "-p", "--package"]))


@launcher("busybox")
def busybox(call: Call) -> str:
    words = [word for word in call.words if word not in ("--list", "--help", "--install")]
    return run(call, words)


@launcher("docker", "kubectl")
def container(call: Call) -> str:
    """What `docker run`, `docker exec` and `kubectl exec` run; it is judged as if it ran here."""
    words = call.words
    verbs = {"run", "exec", "create"}
    place = next((at for at, word in enumerate(words) if word in verbs), None)
    if place is None:
        return HOLE
    rest = words[place + 1 :]
    if "--" in rest:
        return run(call, rest[rest.index("--") + 1 :])
    valued = ("-v -e -p -w -u -h -l -m -c -a -n --name --volume --env --publish --workdir --user --network --net --entrypoint --mount --label "
              "--hostname --memory --cpus --env-file --pid --ipc --uts --cap-add --cap-drop --device --security-opt --restart --platform --gpus --link "
              "--log-driver --add-host --dns --tmpfs --ulimit --shm-size --namespace --container --image").split()  # fmt: skip
    inner = after_options(rest, valued, 1)
    before = len(call.shell.findings)
    out = run(call, inner)
    for finding in call.shell.findings[before:]:
        if finding.level >= 3 and "inside a container" not in finding.why:
            call.shell.found(3, finding.kind, f"inside a container: {finding.why}")
    return out


@launcher("make")
def make(call: Call) -> str:
    """A makefile that the script shows holds commands, one on each line that begins with a tab; variables may name programs."""
    for path in call.arguments.values("makefile") or ("GNUmakefile", "makefile", "Makefile"):
        rules = call.stdin if path == "-" else call.shell.read_file(path)
        if rules and LOCAL not in rules:
            commands = "\n".join(part.lstrip("\t@-") for part in rules.split("\n") if part[:1] in "\t @")
            call.shell.execute(commands.strip() or rules)
    for code in call.arguments.values("eval"):
        call.shell.execute(" ".join(re.findall(r"\$\(shell (.*)\)", code)))
    for word in call.operands:
        _, sign, value = word.partition("=")
        if sign:
            as_command(call, value)
    return HOLE
