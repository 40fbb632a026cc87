"""What is done to files: deleted, overwritten, copied, moved; judged by where they are."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lathe.shell import marks
from lathe.shell.calls import Call, rule
from lathe.shell.marks import EACH, ENDLESS, JUNK, SOME, UNKNOWN, of_found
from lathe.shell.places import Place
from lathe.shell.rules.kinds_of_file import ACCOUNT_FILES, KINDS_OF_FILE, WHERE, is_credential
from lathe.shell.rules.permissions import is_setuid
from lathe.shell.verdict import Finding, quoted

# ------------------------------------------------------------------------------------------ deleting


def deletion(call: Call, path: str, *, recursive: bool, kind: str = "recursive_delete") -> Iterator[Finding]:
    """What deleting a path means."""
    bare, mark = of_found(path)
    where = call.place(path)
    full = call.path(bare)
    safer = "name the one folder that is meant, and look at it with ls first"
    if mark == EACH:
        kind, told = "mass_delete", f"deletes every file found in {WHERE[where]}: {quoted(bare)}"
    elif mark:
        told = f"deletes what a filter finds in {WHERE[where]}: {quoted(bare)}"
    else:
        told = f"deletes {WHERE[where]}: {quoted(bare)}"
    if mark == JUNK:
        yield Finding(2, kind, told)
    elif mark == SOME:
        wide = where in (Place.ROOT, Place.SYSTEM, Place.DEVICE)
        yield Finding(3 if wide else 2, "mass_delete", told, safer)
    elif recursive or mark == EACH:
        level = (
            4 if where in (Place.ROOT, Place.SYSTEM, Place.HOME, Place.DEVICE) else 3 if where >= Place.UNKNOWN else 2
        )
        if where == Place.UNKNOWN:
            safer = "stop on an empty variable: ${name:?}"
        yield Finding(level, kind, told, safer if level > 2 else "")
    elif where in (Place.SYSTEM, Place.ROOT, Place.DEVICE):
        yield Finding(3, "overwrite", told, safer)
    elif where == Place.HOME and full.endswith(("*", "*.*")):
        yield Finding(3, "mass_delete", told, safer)
    else:
        yield Finding(2, "", told)
    for pattern, level, kind_of_file, why in KINDS_OF_FILE:
        if pattern.search(full) and not mark:
            yield Finding(
                min(level, 3) if pattern is not ACCOUNT_FILES and level < 4 else level,
                kind_of_file,
                f"deleting {quoted(bare)} {why}",
            )
            break
    if is_credential(full) and not mark:
        yield Finding(3, "overwrite", f"deletes a key or credential: {quoted(bare)}")


@rule("rm", "srm", "rmdir", "trash", "rimraf", "trash-put")
def remove(call: Call) -> Iterator[Finding]:
    recursive = call.arguments.any("recursive", "parents") or call.name in ("rimraf", "srm", "trash", "trash-put")
    for path in call.operands:
        if call.name == "rmdir":
            yield Finding(1, "", "removes an empty folder")
        else:
            yield from deletion(call, path, recursive=recursive)
    if "no-preserve-root" in call.arguments:
        yield Finding(4, "recursive_delete", "switches off the guard of the root directory")


@rule("shred", "wipe", "scrub")
def shred(call: Call) -> Iterator[Finding]:
    for path in call.operands:
        bare, _ = of_found(path)
        where = call.place(bare)
        if where == Place.DEVICE:
            yield Finding(4, "raw_disk", f"wipes a disk: {quoted(bare)}")
        elif where in (Place.ROOT, Place.SYSTEM, Place.HOME):
            yield Finding(4, "overwrite", f"makes files of {WHERE[where]} unrecoverable: {quoted(bare)}")
        else:
            yield Finding(3, "overwrite", f"makes files unrecoverable: {quoted(bare)}", "rm, where a copy is kept")


# ------------------------------------------------------------------------------------------ writing


def written(call: Call, path: str, *, append: bool = False, text: str = "") -> Iterator[Finding]:
    """What writing a file means."""
    bare, mark = of_found(path)
    where = call.place(bare)
    full = call.path(bare)
    if mark and not path.endswith(mark):
        yield Finding(2, "", f"writes a file beside each that is found in {WHERE[where]}: {quoted(bare)}")
        return
    if where == Place.SINK:
        return
    if where == Place.ROOT and UNKNOWN.search(bare):
        where = Place.UNKNOWN  # the root itself cannot be written, and the name is what is not known
    if bare.startswith(("/dev/tcp/", "/dev/udp/")):
        yield from sent(call, text, bare)
        return
    for pattern, level, kind, why in KINDS_OF_FILE:
        if pattern.search(full):
            yield Finding(level, kind, f"writing {quoted(bare)} {why}")
            return
    if where == Place.DEVICE:
        yield Finding(4, "raw_disk", f"writes over a raw device: {quoted(bare)}")
    elif where in (Place.SYSTEM, Place.ROOT):
        yield Finding(3, "overwrite", f"writes into {WHERE[where]}: {quoted(bare)}")
    elif is_credential(full):
        yield Finding(3, "overwrite", f"writes over a key or credential: {quoted(bare)}")
    elif where == Place.HOME or (where == Place.TOP and call.name in (">", "cp", "mv", "dd", "yes")):
        yield Finding(2, "overwrite", f"writes into {WHERE[where]}: {quoted(bare)}")
    else:
        yield Finding(1, "", f"writes a file: {quoted(bare)}")


def sent(call: Call, text: str, host: str) -> Iterator[Finding]:
    """What sending a text to another machine means."""
    if marks.SECRET in text or marks.ENVIRONMENT in text:
        yield Finding(4, "exfiltration", "sends credentials to another machine")
    elif UNKNOWN.search(text):
        yield Finding(3, "exfiltration", "sends local data to another machine")
    else:
        yield Finding(2, "", "sends a text to another machine")


@rule(">", ">>")
def redirected(call: Call) -> Iterator[Finding]:
    yield from written(call, call.words[0], append=call.name == ">>", text=call.stdin)
    if ENDLESS in call.stdin and call.place(call.words[0]) != Place.SINK:
        yield Finding(4, "exhaustion", "writes without end until the disk is full")
    call.shell.write_file(call.words[0], call.stdin, append=call.name == ">>")


@rule("tee", "sponge")
def tee(call: Call) -> Iterator[Finding]:
    append = "append" in call.arguments
    for path in call.operands:
        yield from written(call, path, append=append, text=call.stdin)
        call.shell.write_file(path, call.stdin, append=append)


@rule("truncate")
def truncate(call: Call) -> Iterator[Finding]:
    for path in call.operands:
        yield from written(call, path)
        emptied = call.arguments.value("size") in ("0", None)
        if (call.place(path) in (Place.HOME, Place.UNKNOWN) and emptied) or (
            path.endswith("*") and call.place(path) > Place.HERE
        ):
            yield Finding(3, "overwrite", f"empties files: {quoted(path)}")


@rule("cp", "mv", "install", "ln", "rsync", "scp", "ditto")
def copied(call: Call) -> Iterator[Finding]:
    """The last operand is written; with mv the others are gone from where they were."""
    arguments = call.arguments
    target = arguments.value("target-directory")
    sources = list(call.operands)
    if call.name == "install" and "directory" in arguments:
        return
    if target is None and len(sources) > 1:
        target = sources.pop()
    if target is None:
        return
    remote = re.match(r"[\w.@-]+:", target) if call.name in ("rsync", "scp") else None
    for source in sources:
        bare, mark = of_found(source)
        full = call.path(bare)
        if is_credential(full) and call.name != "ln" and not mark:
            yield Finding(
                4 if remote else 3, "exfiltration" if remote else "credentials", f"copies a credential: {quoted(bare)}"
            )
        elif remote and call.place(bare) in (Place.HOME, Place.ROOT, Place.SYSTEM):
            yield Finding(3, "exfiltration", f"sends {WHERE[call.place(bare)]} to another machine")
        if call.name == "mv":
            yield from _moved_away(call, source, target)
    if remote or target.startswith("rsync://"):
        return
    for source in sources:
        name = of_found(source)[0].rstrip("/").rsplit("/", 1)[-1]
        inside = (
            f"{target}/{name}" if call.place(target) in (Place.SYSTEM, Place.HOME) or target.endswith("/") else target
        )
        grave = any(level == 4 and pattern.search(call.path(inside)) for pattern, level, *_ in KINDS_OF_FILE)
        if call.name != "ln" or "force" in arguments or grave:
            yield from written(call, inside)
        if call.name in ("cp", "mv", "install") and "mode" in arguments and is_setuid(arguments.value("mode") or ""):
            yield Finding(4, "setuid", "installs a program that runs with its owner's rights")
        content = call.shell.state.files.get(call.path(source))
        if content is not None:
            call.shell.write_file(target, content)


def _moved_away(call: Call, source: str, target: str) -> Iterator[Finding]:
    bare, mark = of_found(source)
    where = call.place(source)
    gone = call.place(target) == Place.SINK
    if gone:
        yield Finding(
            4 if where in (Place.HOME, Place.ROOT, Place.SYSTEM) else 3, "overwrite", f"throws {WHERE[where]} away"
        )
    elif where in (Place.ROOT, Place.SYSTEM) and mark != JUNK:
        yield Finding(
            4 if where == Place.ROOT and not mark else 3, "overwrite", f"moves {WHERE[where]} away: {quoted(bare)}"
        )
    elif where == Place.HOME and not mark:
        yield Finding(3, "overwrite", f"moves {WHERE[where]} away: {quoted(bare)}")


@rule("rsync")
def mirrored(call: Call) -> Iterator[Finding]:
    arguments = call.arguments
    if "dry-run" in arguments or not call.operands:
        return
    if arguments.any("delete", "delete-before", "delete-after", "delete-during", "delete-excluded", "del"):
        target = call.operands[-1]
        if re.match(r"[\w.@-]+:", target):
            target = target.split(":", 1)[1] or "~"
        for finding in deletion(call, target, recursive=True, kind="mass_delete"):
            yield finding if finding.level == 4 else Finding(2, "mass_delete", finding.why)
    if "remove-source-files" in arguments:
        for source in call.operands[:-1]:
            yield from deletion(call, source, recursive=True, kind="mass_delete")


@rule(
    "sed",
    "perl",
    "ed",
    "ex",
    "patch",
    "sponge",
    "dos2unix",
    "rename",
    "split",
    "sort",
    "touch",
    "mkdir",
    "chattr",
    "nano",
    "vim",
    "emacs",
    "uniq",
)
def edited(call: Call) -> Iterator[Finding]:
    """Programs that edit the files they are given in place, or write one."""
    targets: list[str] = []
    if call.name == "sed" and "in-place" in call.arguments:
        targets = call.operands if call.arguments.any("expression", "file") else call.operands[1:]
    elif call.name in ("ed", "ex", "dos2unix", "touch") or (
        call.name == "perl" and any(re.match(r"-\w*i", word) for word in call.words)
    ):
        targets = [word for word in call.words if not word.startswith("-")]
        targets = [word for word in targets if not re.match(r"s\W", word)]
    elif call.name == "sort":
        targets = call.arguments.values("output")
    elif call.name == "chattr" and any(word.startswith(("+i", "-i", "+a", "-a")) for word in call.words):
        targets = [word for word in call.words if not word.startswith(("-", "+"))]
    for path in targets:
        for finding in written(call, path):
            yield (
                finding
                if call.name != "touch" or finding.kind in ("kernel", "")
                else Finding(2, "", "touches a system file")
            )
