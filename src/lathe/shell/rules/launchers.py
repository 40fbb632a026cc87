"""Programs that run what they are given: a command of their own words, a text of code, or their input."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lathe.shell import marks, options
from lathe.shell.calls import Call, launcher
from lathe.shell.state import COMMANDS_OF_OTHERS
from lathe.shell.verdict import quoted

ALIAS_NAME = re.compile(r"[\w.!%,@+:~-]+")
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
PREFIXES: dict[str, tuple[str, int]] = {
    # name: (its options that take a value, words of its own before the command)
    "command": ("", 0), "builtin": ("", 0), "exec": ("-a", 0), "time": ("-f -o --format --output", 0), "nice": ("-n --adjustment", 0),
    "ionice": ("-c -n -p -P -u --class --classdata", 0), "nohup": ("", 0), "setsid": ("", 0), "timeout": ("-s -k --signal --kill-after", 1),
    "stdbuf": ("-i -o -e --input --output --error", 0), "unbuffer": ("", 0), "chrt": ("-T -P -D", 1), "taskset": ("", 1),
    "chroot": ("-G -u -g", 1), "fakeroot": ("-l -s -i -b", 0), "strace": ("-e -o -p -s -u -E -a -I -O -S -P -X", 0), "ltrace": ("-e -o -p -s -u -n -a", 0),
    "valgrind": ("", 0), "torsocks": ("-u -p", 0), "torify": ("", 0), "proxychains": ("-f", 0), "proxychains4": ("-f", 0), "caffeinate": ("-t -w", 0),
    "dbus-run-session": ("", 0), "dbus-launch": ("", 0), "xvfb-run": ("-n -s -e -f -p", 0), "unshare": ("-R -w -S -G", 0), "firejail": ("", 0),
    "bwrap": ("", 0), "nsenter": ("-t -S -G --target", 0), "systemd-run": ("-u -p -E -M -H --unit --property --on-active --on-calendar --uid --gid", 0),
    "systemd-inhibit": ("", 0), "setarch": ("", 0), "linux32": ("", 0), "linux64": ("", 0), "numactl": ("-C -N -m -p -i", 0), "cgexec": ("-g", 0),
    "gosu": ("", 1), "su-exec": ("", 1), "setpriv": ("", 0), "prlimit": ("", 0), "rlwrap": ("-a -b -c -f -H -s", 0), "coproc": ("", 0),
    "noglob": ("", 0), "nocorrect": ("", 0), "faketime": ("-f", 1), "chpst": ("-u -U -b -m -d -o -p -f -c", 0), "setuidgid": ("", 1), "envdir": ("", 1),
    "softlimit": ("", 0), "pkexec": ("--user", 0), "eatmydata": ("", 0), "perf": ("", 1), "gtimeout": ("-s -k", 1), "then": ("", 0), "do": ("", 0),
    "else": ("", 0), "!": ("", 0), "{": ("", 0), "start-stop-daemon": ("", 0), "daemonize": ("-c -e -o -p -l -u", 0), "entr": ("", 0),
    "sg": ("", 1), "cpulimit": ("-l -e -p", 0), "schedtool": ("-n -e -p", 0),
}  # fmt: skip
SSH_VALUED = "-B -b -c -D -E -e -F -I -i -J -L -l -m -O -o -p -Q -R -S -W -w".split()
"""Options of ssh that take a value."""
SHELL_VALUED = ["-o", "+o", "-O", "+O", "--rcfile", "--init-file"]
"""Options of a shell that take a value."""
PRIVILEGED = {"pkexec", "nsenter", "gosu", "su-exec"}


def after_options(words: Sequence[str], valued: Sequence[str], skip: int = 0) -> list[str]:
    """The words from the first that is no option of the launcher itself."""
    place = 0
    while place < len(words):
        word = words[place]
        if word == "--":
            place += 1
            break
        if word.startswith("-") and len(word) > 1:
            short = not word.startswith("--")
            separate = word in valued or (
                short and len(word) > 2 and word[-2:] and "-" + word[-1] in valued and "-" + word[1] not in valued
            )
            place += 2 if separate else 1
        elif word.startswith("+") and len(word) > 1:
            place += 1
        else:
            break
    return list(words[place + skip :])


def run(call: Call, words: list[str], *, elevated: bool = False) -> str:
    """What a launcher runs: the last `words` of the call, in the folder that its own options name."""
    with call.shell.subshell(elevated=elevated):
        _enter_folder(call, words)
        return call.shell.call(words, call.stdin) if words else marks.origin(call.stdin)


def _enter_folder(call: Call, words: Sequence[str]) -> None:
    folder = options.read(call.name, call.words[: len(call.words) - len(words)]).value("chdir")
    if folder:
        call.shell.call(["cd", folder])


def _prefix(call: Call) -> str:
    valued, skip = PREFIXES[call.name]
    if call.name == "command" and any(word in ("-v", "-V") for word in call.words[:1]):
        return call.words[-1] if len(call.words) > 1 else ""
    return run(call, after_options(call.words, valued.split(), skip), elevated=call.name in PRIVILEGED)


for _name in PREFIXES:
    launcher(_name)(_prefix)


@launcher("sudo")
def sudo(call: Call) -> str:
    valued = (
        "-u -g -C -h -p -r -t -T -U -D -R -a -c --user --group --host --prompt --chdir --chroot --role --type".split()
    )
    words = after_options(call.words, valued)
    while words and ASSIGNMENT.match(words[0]):
        call.shell.call(["export", words.pop(0)])
    own = call.words[: len(call.words) - len(words)]
    flags = "".join(word[1:] for word in own if re.fullmatch(r"-\w+", word))
    shell_asked = {"--shell", "--login"} & {*own} or "i" in flags or "s" in flags
    if not words:
        if shell_asked:
            call.shell.found(3, "privilege", "opens a shell with all privileges")
            return call.shell.execute(call.stdin) if call.stdin else ""
        return ""
    if shell_asked:
        with call.shell.subshell(elevated=True):
            return call.shell.execute(" ".join(words), call.stdin)
    return run(call, words, elevated=True)


@launcher("su", "runuser")
def su(call: Call) -> str:
    code = [word for flag, word in zip(call.words, call.words[1:]) if flag in ("-c", "--command", "-lc", "-mc", "-pc")]
    code += [word.split("=", 1)[1] for word in call.words if word.startswith("--command=")]
    if call.name == "runuser" and "-u" in call.words:
        return run(call, after_options(call.words, ["-u", "-g"]), elevated=True)
    if not code:
        call.shell.found(3, "privilege", "opens a shell of another user")
        code = [call.stdin] if call.stdin else []
    with call.shell.subshell(elevated=True):
        return "".join(call.shell.execute(text, call.stdin) for text in code)


@launcher("env")
def env(call: Call) -> str:
    split = [word for flag, word in zip(call.words, call.words[1:]) if re.fullmatch(r"-[iv0]*S|--split-string", flag)]
    split += [found.group(1) for word in call.words if (found := re.match(r"-[iv0]*S(.+)", word, re.DOTALL))]
    split += [word.split("=", 1)[1] for word in call.words if word.startswith("--split-string=")]
    if split:
        return call.shell.execute(
            " ".join([*split, *call.words[call.words.index(split[0]) + 1 :]] if split[0] in call.words else split),
            call.stdin,
        )
    words = after_options(call.words, ["-u", "--unset", "-C", "--chdir"])
    with call.shell.subshell():
        _enter_folder(call, words)
        while words and ASSIGNMENT.match(words[0]):
            name, _, value = words.pop(0).partition("=")
            call.shell.call(["export", f"{name}={value}"])
        if len(words) > 1 and not marks.UNKNOWN.sub(
            "", words[0]
        ):  # most likely assignments that are read from somewhere
            words = words[1:]
        return call.shell.call(words, call.stdin) if words else marks.ENVIRONMENT


@launcher("sh")
def shell(call: Call) -> str:
    """A shell: code after -c, a script in a file, or code on its input."""
    words = call.words
    for place, (before, word) in enumerate(zip(["", *words], words)):
        if re.fullmatch(r"-[a-zA-Z]*c[a-zA-Z]*", word):
            rest = (
                after_options(words[place + 1 :], SHELL_VALUED)
                if words[place + 1 :][:1] and words[place + 1].startswith("-")
                else words[place + 1 :]
            )
            return _code(call, rest[0], rest[2:], *rest[1:2]) if rest else ""
        if before not in SHELL_VALUED and (not word.startswith(("-", "+")) or word in ("-", "--")):
            break
    for option, path in zip(words, words[1:]):
        if option in ("--rcfile", "--init-file"):
            _file(call, path, ())
    operands = after_options(words, SHELL_VALUED)
    stdin_asked = any(re.fullmatch(r"-[a-z]*s[a-z]*", word) for word in words)
    if operands and not stdin_asked and operands[0] not in ("-", "/dev/stdin", "/proc/self/fd/0", "/dev/fd/0"):
        return _file(call, operands[0], operands[1:])
    if call.elevated and (not call.stdin or "-i" in words):
        call.shell.found(3, "privilege", "opens a shell with all privileges")
    return _code(call, call.stdin, operands) if call.stdin else ""


def _code(call: Call, code: str, positional: Sequence[str], name: str = "") -> str:
    """Runs code with $1 and so on, and `name` as $0 where one is given."""
    with call.shell.subshell():
        if name:
            call.shell.assign("0", name)
        call.shell.state.positional = tuple(positional)
        return call.shell.execute(code, "")


def _file(call: Call, path: str, positional: Sequence[str]) -> str:
    if path.startswith(("/dev/tcp/", "/dev/udp/")):
        call.shell.found(3, "remote_code", "runs code that comes from the network unseen")
    return _code(call, call.shell.read_file(path), positional)


@launcher("eval")
def evaluate(call: Call) -> str:
    words = call.words[1:] if call.words[:1] == ["--"] else call.words
    return call.shell.execute(" ".join(words), call.stdin) if words else ""


@launcher(".")
def source(call: Call) -> str:
    if not call.words:
        return ""
    path = call.words[0]
    content = call.stdin if path in ("/dev/stdin", "-", "/proc/self/fd/0", "/dev/fd/0") else call.shell.read_file(path)
    return call.shell.execute(content, "")


@launcher("trap")
def trap(call: Call) -> str:
    words = after_options(call.words, [])
    if len(words) > 1 and words[0] not in ("-", ""):
        with call.shell.subshell():
            call.shell.execute(words[0])
    return ""


@launcher("alias")
def alias(call: Call) -> str:
    for word in call.words:
        name, sign, value = word.partition("=")
        if sign and ALIAS_NAME.fullmatch(name):
            with call.shell.subshell():
                call.shell.execute(value)
            call.shell.state.aliases[name] = value
    return ""


@launcher("declare", "export", "local", "readonly", "typeset")
def declaration(call: Call) -> str:
    names_another = any(re.fullmatch(r"-\w*n\w*", word) for word in call.words)
    for word in call.words:
        name, sign, value = word.partition("=")
        if sign and name in ("LD_PRELOAD", "LD_AUDIT", "BASH_ENV"):
            call.shell.found(3, "privilege", f"has {quoted(value)} loaded into every program that starts")
        elif sign and name in COMMANDS_OF_OTHERS:
            with call.shell.subshell():
                call.shell.execute(value)
        elif name in ("HISTFILE", "HISTSIZE", "HISTFILESIZE") and sign and value in ("", "0", "/dev/null"):
            call.shell.found(3, "traces", "switches the history of commands off")
        elif sign:
            call.shell.assign(name, marks.HOLE if names_another else value)
    return (
        marks.ENVIRONMENT
        if not any("=" in word for word in call.words) and set(call.words) <= {"-p", "-x", "-xp", "-px"}
        else ""
    )
