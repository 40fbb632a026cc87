"""Permissions and owners: opened to others, taken over, or lent to whoever runs a program."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lathe.shell.calls import Call, rule
from lathe.shell.marks import JUNK, SOME, of_found
from lathe.shell.places import Place
from lathe.shell.rules.kinds_of_file import WHERE, is_credential
from lathe.shell.verdict import Finding, quoted

HOMES = ("/home", "/Users", "/root")
"""The homes of all, or that of root."""


def is_setuid(mode: str) -> bool:
    """Whether a program of this mode runs as its owner; setgid is the common way to share a folder and does not count."""
    numeric = re.fullmatch(r"0*([1-7]?)([0-7]{3})", mode)
    if numeric:
        return numeric.group(1) in ("4", "5", "6", "7")
    return re.search(r"(?:^|,)(?!g[+=])[ugoa]*[+=][rwxXt]*s", mode) is not None


def _opens_widely(mode: str) -> bool:
    """Whether others may then write."""
    if re.fullmatch(r"[0-7]{3,5}", mode):
        return mode[-1] in "2367"
    return re.search(r"(?:^|,)(?:[ugo]*[oa][ugo]*|)[+=][rxXst]*w", mode) is not None


@rule("chmod", "setfacl")
def mode_changed(call: Call) -> Iterator[Finding]:
    operands = [word for word in call.words if not re.fullmatch(r"-[RvcfLHP]+|--\w[\w=-]*", word)]
    recursive = any(re.match(r"-\w*R|--rec", word) for word in call.words)
    if call.name == "setfacl":
        operands, mode = (
            call.operands,
            ("a+w" if any("w" in value for value in call.arguments.values("modify", "set")) else "a+x"),
        )
        operands = ["", *operands]
    else:
        mode = operands[0] if operands else ""
    by_reference = any(word.startswith("--reference") for word in call.words)
    for path in operands if by_reference else operands[1:]:
        bare, mark = of_found(path)
        where = call.place(path)
        wide = (
            where in (Place.ROOT, Place.SYSTEM, Place.DEVICE)
            or (call.path(bare) in HOMES and mark not in (SOME, JUNK))
            or (where == Place.HOME and _opens_widely(mode))
            or is_credential(call.path(bare))
        )
        if is_setuid(mode):
            program = bare.rsplit("/", 1)[-1] in (
                "sh",
                "bash",
                "dash",
                "zsh",
                "python",
                "python3",
                "find",
                "vim",
                "cp",
                "env",
            )
            yield Finding(4 if program else 3, "setuid", f"lets {quoted(bare)} run with its owner's rights")
        if wide and (recursive or mark or where == Place.ROOT):
            yield Finding(
                3 if mark in (SOME, JUNK) and not _opens_widely(mode) else 4,
                "permissions",
                f"changes the permissions of {WHERE[where]}: {quoted(bare)}",
                "only the folder that needs it",
            )
        elif wide and (_opens_widely(mode) or (mode.endswith(("4", "5", "6", "7")) and is_credential(call.path(bare)))):
            yield Finding(4, "permissions", f"lets everybody write {quoted(bare)}")
        elif wide and not re.fullmatch(r"(?:[ugoa]*\+r?x|0?[67]00|0?640|0?440|[ugo]*-[rwx]+)", mode):
            yield Finding(3, "permissions", f"changes the permissions of {quoted(bare)}")
        elif recursive and where in (Place.TOP, Place.UNKNOWN) and _opens_widely(mode):
            yield Finding(3, "permissions", f"lets everybody write {WHERE[where]}")
        else:
            yield Finding(2 if _opens_widely(mode) else 1, "", f"changes permissions: {quoted(bare)}")


@rule("chown", "chgrp")
def owner_changed(call: Call) -> Iterator[Finding]:
    by_reference = "reference" in call.arguments
    for path in call.operands if by_reference else call.operands[1:]:
        bare, mark = of_found(path)
        where = call.place(path)
        homes = call.path(bare) in HOMES and mark not in (SOME, JUNK)
        system = where in (Place.ROOT, Place.SYSTEM, Place.DEVICE) or homes
        if system and ("recursive" in call.arguments or where == Place.ROOT or mark):
            yield Finding(
                3 if mark in (SOME, JUNK) else 4, "permissions", f"changes the owner of {WHERE[where]}: {quoted(bare)}"
            )
        elif system:
            yield Finding(3, "permissions", f"changes the owner of {quoted(bare)}")
        else:
            yield Finding(2, "", f"changes an owner: {quoted(bare)}")
    if not call.operands[1:] and "recursive" in call.arguments and not by_reference:
        yield Finding(2, "", "changes owners")


@rule("setcap")
def capability(call: Call) -> Iterator[Finding]:
    if "-r" not in call.words:
        yield Finding(4, "setuid", "gives a program capabilities of root")
