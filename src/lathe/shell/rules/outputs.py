"""What programs print, as far as it can be known without running them: contents, lists of files, short values."""

from __future__ import annotations

import re

from lathe.shell import marks
from lathe.shell.calls import Call, output
from lathe.shell.marks import DECODED, HOLE, SOME, UNKNOWN, is_known, plain
from lathe.shell.places import Place
from lathe.shell.rules.kinds_of_file import is_credential
from lathe.shell.words import NOT_EMPTY


@output("yes")
def endless(call: Call) -> str:
    return marks.ENDLESS + (" ".join(call.words) or "y") + "\n"


@output(
    "cat",
    "tee",
    "<",
    "pv",
    "tac",
    "nl",
    "zcat",
    "bzcat",
    "xzcat",
    "gunzip",
    "zstdcat",
    "lz4",
    "uncompress",
    "sponge",
    "head",
    "tail",
    "sort",
    "uniq",
)
def content(call: Call) -> str:
    """Files one after the other, or the input."""
    if call.name == "<":
        return _file(call, call.words[0])
    files = [] if call.name in ("tee", "sponge") else call.operands
    text = "".join(call.stdin if name == "-" else _file(call, name) for name in files) if files else call.stdin
    if call.name in ("zcat", "bzcat", "xzcat", "gunzip", "zstdcat") and not text.startswith(DECODED):
        return text if not is_known(text) else HOLE
    if call.name in ("head", "tail"):
        text = text.replace(marks.ENDLESS, "")
    if call.name in ("head", "tail") and text.count("\n") > 1:
        return text if text.startswith(DECODED) or not is_known(text) else HOLE if "/" not in text else text
    return "\n".join(reversed(text.split("\n"))).strip("\n") + "\n" if call.name == "tac" and text else text


def _file(call: Call, name: str) -> str:
    text = call.shell.read_file(name)
    if name.startswith(("/dev/tcp/", "/dev/udp/")):
        return marks.FETCHED
    if name in ("/dev/zero", "/dev/urandom", "/dev/random"):
        return marks.ENDLESS + HOLE
    if re.fullmatch(r"/proc/\S+/environ", name):
        return marks.ENVIRONMENT
    return marks.SECRET if text == marks.LOCAL and is_credential(call.path(name)) else text


@output("tar", "zip", "dd", "cpio", "rsync")
def packed(call: Call) -> str:
    """An archive of a home, of the root or of /etc holds keys and credentials."""
    wide = [
        word
        for word in call.words
        if word[:1] in "/~." and call.place(word.rstrip("/") or "/") in (Place.ROOT, Place.HOME)
    ]
    return marks.SECRET if wide or any(call.path(word) == "/etc" for word in call.words) else marks.origin(call.stdin)


@output("grep", "awk", "cut", "comm", "shuf")
def filtered(call: Call) -> str:
    """Some of the input's lines: of a list of files, some of them."""
    return chosen(call)


def chosen(call: Call) -> str:
    text = plain(call.stdin)
    if call.name == "grep" and not text and len(call.operands) > 1:
        return (
            marks.origin(*map(call.shell.read_file, call.operands[1:]))
            if len(call.operands) > 2
            else call.shell.read_file(call.operands[1])
        )
    if not text or not is_known(text):
        return text if text == marks.LOCAL and call.name == "grep" else marks.origin(text)
    if call.name == "grep":
        paths = [line for line in text.split("\n") if line]
        if paths and all(marks.of_found(line)[1] for line in paths):
            return "\n".join(
                line if line.endswith((SOME, marks.JUNK)) else f"{marks.of_found(line)[0]}/{SOME}" for line in paths
            )
        return text
    return HOLE


@output("ls")
def listed(call: Call) -> str:
    folders = call.operands or ["."]
    if any(option in call.arguments for option in ("l", "s", "i")):
        return HOLE
    return "\n".join(name if "*" in name else f"{name}/{SOME if call.words else marks.EACH}" for name in folders)


@output("pwd")
def working_folder(call: Call) -> str:
    return call.shell.variable("PWD")


@output("mktemp")
def temporary(call: Call) -> str:
    return "/tmp/made" if not any("/" in word for word in call.words) else NOT_EMPTY


@output(
    "whoami",
    "date",
    "hostname",
    "id",
    "uname",
    "nproc",
    "arch",
    "wc",
    "seq",
    "logname",
    "tty",
    "cksum",
    "md5sum",
    "sha256sum",
    "stat",
    "expr",
    "bc",
)
def value(call: Call) -> str:
    """Short texts that are never empty and never a path."""
    return NOT_EMPTY if marks.SECRET not in call.stdin else marks.SECRET


@output("basename")
def base(call: Call) -> str:
    name = call.operands[0] if call.operands else HOLE
    return name.rstrip("/").rsplit("/", 1)[-1] if is_known(name) else NOT_EMPTY


@output("dirname")
def folder(call: Call) -> str:
    name = call.operands[0] if call.operands else HOLE
    if name == "$0":
        return "."
    return (name.rsplit("/", 1)[0] or "/") if "/" in name else ("." if is_known(name) else HOLE)


@output("which", "whereis", "type", "realpath", "readlink")
def located(call: Call) -> str:
    """The path of a program has its name; that of a file is the file's."""
    names = [word for word in call.words if not word.startswith("-")]
    return names[-1] if names else HOLE


@output("env", "printenv", "set", "compgen")
def environment(call: Call) -> str:
    return marks.ENVIRONMENT if not call.words or call.words[0].startswith("-") else HOLE


@output("read", "mapfile", "readarray")
def read(call: Call) -> str:
    """Variables get the lines of the input; each of several lines may be the one."""
    names = [word for word in call.words if re.fullmatch(r"[A-Za-z_]\w*", word)]
    lines = [line for line in plain(call.stdin).split("\n") if line]
    text = (
        marks.BREAK.join(lines)
        if lines and all(not UNKNOWN.fullmatch(line) for line in lines)
        else marks.origin(call.stdin)
    )
    arrayed = call.name == "read" and any(re.fullmatch(r"-\w*a\w*", word) for word in call.words)
    if len(names) > 1 and len(lines) == 1 and is_known(text):
        parts = lines[0].split(None, len(names) - 1)
        for name, part in zip(names, parts):
            call.shell.assign(name, part)
        return ""
    for name in names or ["REPLY"]:
        call.shell.assign(name, marks.BREAK.join(text.split()) if arrayed and is_known(text) else text)
    return ""


@output("cd", "pushd")
def change_folder(call: Call) -> str:
    operands = [word for word in call.words if not re.fullmatch(r"-[LPe@]+|--", word)]
    goal, mark = marks.of_found(operands[0] if operands else "~")
    goal = f"{goal}/{NOT_EMPTY}" if mark in (SOME, marks.JUNK) else goal
    call.shell.state.cwd = call.path(goal) if goal != "-" else HOLE
    return ""


@output("ssh-agent", "dircolors", "direnv", "brew", "pyenv", "rbenv", "nodenv", "jenv", "thefuck", "starship", "zoxide", "lesspipe", "resize", "fnm", "opam",
        "conda", "minikube", "docker-machine", "register-python-argcomplete", "keychain", "gpg-agent", "tset", "luarocks", "mise", "asdf", "locale")  # fmt: skip
def initialisation(call: Call) -> str:
    """Programs whose output is made to be evaluated."""
    return ""
