"""Archives: what is packed, what is removed after, over what is unpacked, and the commands that tar can run."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lathe.shell.calls import Call, rule
from lathe.shell.places import Place
from lathe.shell.rules.files import deletion
from lathe.shell.rules.kinds_of_file import WHERE, is_credential
from lathe.shell.verdict import Finding, quoted


@rule("unzip", "7z", "bsdtar", "unrar")
def unpacked(call: Call) -> Iterator[Finding]:
    folders = [word for before, word in zip(call.words, call.words[1:]) if before == "-d"]
    folders += [word[2:] for word in call.words if word.startswith("-o/")]
    for folder in folders:
        if call.place(folder) in (Place.ROOT, Place.SYSTEM):
            yield Finding(3, "overwrite", f"unpacks over {WHERE[call.place(folder)]}")


@rule("tar", "zip", "7z", "cpio")
def archived(call: Call) -> Iterator[Finding]:
    words = call.words
    removes = "--remove-files" in words or (
        call.name == "zip" and any(re.fullmatch(r"-\w*m\w*", word) for word in words)
    )
    for path in call.operands[1:] if call.name != "tar" else _tar_members(call):
        if removes:
            yield from deletion(call, path, recursive=True, kind="mass_delete")
        if is_credential(call.path(path)):
            yield Finding(3, "credentials", f"packs a credential: {quoted(path)}")
    folder = call.arguments.value("directory")
    if call.name == "tar" and folder is not None and _extracts(call):
        where = call.place(folder)
        if where in (Place.ROOT, Place.SYSTEM):
            yield Finding(3, "overwrite", f"unpacks over {WHERE[where]}")
    for option in ("checkpoint-action", "to-command", "use-compress-program", "rsh-command"):
        for value in call.arguments.values(option):
            code = value.removeprefix("exec=")
            if option != "use-compress-program" or " " in code or code in ("sh", "bash"):
                yield Finding(3, "privilege", "has tar run a command")
                with call.shell.subshell():
                    call.shell.execute(code)


def _extracts(call: Call) -> bool:
    first = call.words[0] if call.words else ""
    letters = (
        first if not first.startswith("-") else "".join(word for word in call.words if re.fullmatch(r"-\w+", word))
    )
    return "x" in letters or "extract" in call.arguments


def _tar_members(call: Call) -> list[str]:
    first = call.words[0] if call.words else ""
    operands = call.operands
    return operands[1 + ("f" in first) :] if first and not first.startswith("-") else operands
