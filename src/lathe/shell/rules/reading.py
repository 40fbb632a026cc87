"""What is read: credentials in files and in the environment."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lathe.shell import marks
from lathe.shell.calls import Call, rule
from lathe.shell.marks import of_found
from lathe.shell.places import Place
from lathe.shell.rules.kinds_of_file import is_credential
from lathe.shell.verdict import Finding, quoted


@rule("cat", "less", "more", "head", "tail", "tac", "nl", "grep", "awk", "sed", "sort", "cut", "base64", "base32", "xxd", "od", "hexdump", "strings", "vim",
      "nano", "emacs", "view", "diff", "cmp", "tr", "<", "dd", "paste", "fold", "bat", "jq", "openssl", "gpg", "rev", "zcat", "gzip", "source", ".", "mail", "pr",
      "uniq", "wc-", "xargs-", "comm", "join", "column", "expand", "fmt", "iconv", "zip", "cpio", "strace-", "mapfile", "install-", "ed", "7z", "pv")  # fmt: skip
def read(call: Call) -> Iterator[Finding]:
    """Programs that show what a file holds."""
    for word in _read_by(call):
        if word.startswith("-") and "=" not in word:
            continue
        path = word.split("=", 1)[1] if call.name == "dd" and "=" in word else word
        bare, mark = of_found(path)
        if is_credential(call.path(bare)) and not mark and not (call.name == "dd" and word.startswith("of=")):
            yield Finding(3, "credentials", f"reads a key or credential: {quoted(bare)}")
    if call.name == "grep":
        yield from _searched(call)


def _read_by(call: Call) -> list[str]:
    """The words that may be files: not the pattern or script that comes first."""
    if call.name in ("grep", "sed", "awk", "jq", "tr") and not call.arguments.any("regexp", "expression", "file", "f"):
        return call.operands[1:]
    return call.words


SECRET_WORD = re.compile(
    r"(?:\b|_)pass(?:\b|_)|passw(?:or)?d|secret|token|api_?-?key|credential|private_?key|AKIA|aws_|BEGIN.*PRIVATE",
    re.IGNORECASE,
)


def _searched(call: Call) -> Iterator[Finding]:
    """Looking for secrets in the environment or through a whole home."""
    patterns = call.arguments.values("regexp") or call.operands[:1]
    asked = any(SECRET_WORD.search(pattern) for pattern in patterns)
    if asked and marks.ENVIRONMENT in call.stdin:
        yield Finding(3, "credentials", "looks for secrets in the environment")
    wide = any(call.place(path) in (Place.HOME, Place.ROOT) for path in call.operands[1:])
    if asked and wide and call.arguments.any("recursive", "R"):
        yield Finding(3, "credentials", "looks for secrets in everything that is there")


@rule("printenv", "echo", "printf")
def printed(call: Call) -> Iterator[Finding]:
    for word in call.words if call.name == "printenv" else ():
        if SECRET_WORD.search(word):
            yield Finding(3, "credentials", "shows a secret of the environment")
