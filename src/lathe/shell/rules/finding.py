"""The program find: where it looks, whether a filter narrows it, and what it does with what it finds."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lathe.shell.calls import Call, launcher, rule
from lathe.shell.marks import EACH, JUNK, SOME
from lathe.shell.places import GLOB
from lathe.shell.rules.files import deletion, written
from lathe.shell.rules.kinds_of_file import is_credential
from lathe.shell.verdict import Finding

NARROWING = {"-name", "-iname", "-path", "-ipath", "-wholename", "-iwholename", "-regex", "-iregex", "-user", "-group", "-perm", "-size", "-mtime", "-atime",
             "-ctime", "-mmin", "-amin", "-cmin", "-newer", "-anewer", "-cnewer", "-empty", "-inum", "-links", "-lname", "-ilname", "-samefile", "-nouser",
             "-nogroup", "-uid", "-gid", "-fstype", "-newermt", "-newerct", "-newerat", "-executable"}  # fmt: skip
EXECUTES = ("-exec", "-execdir", "-ok", "-okdir")
BESIDE = re.compile(r"\{\}[.\w~-]+")
JUNK_NAME = re.compile(
    r"(?:core(?:\.\*|\.\d+)?|\*\.core|a\.out|\.DS_Store|Thumbs\.db|\._\*|\.nfs\*|\*~|#\*#?|"
    r".*\.(?:py[co]|o|obj|tmp|temp|bak|old|orig|rej|swp|swo|log|log\..*|cache|gch|class|aux)|__pycache__|node_modules|\.svn|CVS|\*\.\*~|.*~)$",
    re.IGNORECASE,
)
"""Names of files that are made again or were left over."""


def starts(call: Call) -> list[str]:
    """The folders it begins at; a file name that is one word is the name of what it finds."""
    found = []
    for word in call.words:
        if word in ("-H", "-L", "-P") or re.fullmatch(r"-O\d|-D", word):
            continue
        if word.startswith("-") or word in ("(", "!", ")", "\\(", ","):
            break
        found.append(word)
    return found or ["."]


def results(call: Call) -> list[str]:
    """Paths that stand for what it finds: the start itself where nothing narrows it, else some or leftovers of it."""
    words = call.words
    names = [
        words[at + 1]
        for at, word in enumerate(words[:-1])
        if word in ("-name", "-iname", "-path", "-wholename", "-regex")
    ]
    negated = any(word in ("!", "-not") for word in words)
    filters = [word for at, word in enumerate(words) if word in NARROWING and not _says_nothing(words, at)]
    if names and not negated and all(JUNK_NAME.match(name.strip("/").rsplit("/", 1)[-1]) for name in names):
        return [f"{start}/{JUNK}" for start in starts(call)]
    secrets = [name for name in names if is_credential(name)]
    if secrets and not negated:
        return [f"{start}/{name}" for start in starts(call) for name in secrets]
    only_not_named = negated and all(word in ("-name", "-iname", "-regex", "-iregex") for word in filters)
    if filters and not only_not_named:
        return [f"{start}/{SOME}" for start in starts(call)]
    return [f"{start}/{EACH}" for start in starts(call)]


def _says_nothing(words: list[str], at: int) -> bool:
    """`-name '*'` narrows nothing."""
    return words[at] in ("-name", "-iname", "-path") and words[at + 1 : at + 2] in (["*"], ["*.*"], ["?*"], ["**"])


@rule("find", "fd", "fdfind")
def find(call: Call) -> Iterator[Finding]:
    if "-delete" in call.words:
        for result in results(call):
            yield from deletion(call, result, recursive=True, kind="mass_delete")
    for option, value in zip(call.words, call.words[1:]):
        if option in ("-fprint", "-fls", "-fprintf", "-fprint0"):
            yield from written(call, value)


@launcher("find")
def execute(call: Call) -> str:
    """Runs what stands after -exec with what it finds; prints what it finds."""
    found = results(call)
    words = call.words
    at = 0
    while at < len(words):
        if words[at] in EXECUTES:
            end = next(
                (place for place in range(at + 1, len(words)) if words[place] in (";", "\\;") or (words[place] == "+")),
                len(words),
            )
            inner = words[at + 1 : end]
            for result in found:
                with call.shell.subshell():
                    call.shell.call([_filled(word, result) for word in inner] if inner else ["true"], "")
            at = end
        at += 1
    if any(word in EXECUTES for word in words):  # what is printed is what the commands chose
        found = [f"{start}/{SOME}" for start in starts(call)]
    return "\n".join(found)


def _filled(word: str, result: str) -> str:
    """`{}` becomes what was found; `{}.bak` another file beside each."""
    return word.replace("{}", result.replace(EACH, SOME) if BESIDE.fullmatch(word) else result)


@launcher("fd", "fdfind")
def execute_fd(call: Call) -> str:
    """fd: PATTERN [FOLDER], then -x or -X and a command."""
    at = next((place for place, word in enumerate(call.words) if word in ("-x", "-X", "--exec", "--exec-batch")), None)
    before = [word for word in call.words[:at] if not word.startswith("-")]
    narrowed = bool(before) and before[0] not in (".", "") and not GLOB.fullmatch(before[0])
    found = [f"{folder}/{SOME if narrowed else EACH}" for folder in (before[1:] or ["."])]
    if at is not None:
        inner = call.words[at + 1 :]
        for result in found:
            filled = [word.replace("{}", result) for word in inner]
            call.shell.call(filled if "{}" in " ".join(inner) else [*filled, result], "")
    return "\n".join(found)
