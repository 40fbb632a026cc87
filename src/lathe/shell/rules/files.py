"""What is done to files: deleted, overwritten, read, opened to others; judged by where they are."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lathe.shell import marks
from lathe.shell.calls import Call, rule
from lathe.shell.marks import EACH, ENDLESS, JUNK, SOME, UNKNOWN, of_found
from lathe.shell.places import Place
from lathe.shell.verdict import Finding, quoted

WHERE = {
    Place.ROOT: "the root of the file system", Place.DEVICE: "a disk", Place.SYSTEM: "a system directory", Place.HOME: "a home directory",
    Place.TOP: "a whole tree below the root", Place.REPOSITORY: "a repository's history", Place.WHOLE: "everything in the working directory",
    Place.UNKNOWN: "a place that is not known", Place.ELSEWHERE: "a named place", Place.HERE: "something in the working directory",
    Place.TEMPORARY: "temporary files", Place.SINK: "nothing",
}  # fmt: skip

CREDENTIAL = re.compile(
    r"(?:(?:^|/)(?:shadow-?|gshadow|id_(?:rsa|dsa|ecdsa|ed25519)|id_\*|\.netrc|\.pgpass|\.my\.cnf|\.git-credentials|\.npmrc|\.pypirc|\.env(?:\.\w+)?|"
    r"secring\.gpg|krb5\.keytab|credentials|\.vault-token|master\.key|\.htpasswd|login\.keychain\S*|logins\.json|key4\.db|sam|ntds\.dit|"
    r"application_default_credentials\.json|accessTokens\.json|wallet\.dat|\.dockercfg|kubeconfig|\.s3cfg|\.boto)$"
    r"|\.ssh/(?!.*(?:\.pub|known_hosts|config|authorized_keys)$).+|\.aws/credentials|\.kube/config|\.gnupg/.|\.docker/config\.json|huggingface/token"
    r"|\.config/gcloud/|\.azure/|/etc/ssl/private|(?:^|/)[\w.-]*(?:private|secret)[\w-]*\.(?:pem|key)$|/proc/(?:\d+|self|\*|value|\x00)/environ"
    r"|/var/run/secrets/|/run/secrets/|\.ssh$|\.password-store|/etc/sudoers$|\.bitcoin/|/proc/(?:\d+|kcore)/mem|\.config/gh/hosts)"
)
LOGIN_FILES = re.compile(
    r"(?:^/etc/(?:profile|bash\.bashrc|bashrc|zshrc|zsh/.*|environment|profile\.d/.*|inputrc|login\.defs|skel/.*)"
    r"|(?:^|/)\.(?:bashrc|bash_profile|bash_login|bash_logout|bash_aliases|profile|zshrc|zprofile|zshenv|zlogin|cshrc|tcshrc|login|xinitrc|xsession|xprofile|inputrc|kshrc|pam_environment)"
    r"|\.config/(?:autostart/.*|fish/config\.fish|environment\.d/.*))$"
)
KEYS = re.compile(
    r"\.ssh/(?:authorized_keys2?|rc|environment|config)$|^/etc/ssh/|/\.(?:rhosts|shosts)$|^/etc/hosts\.equiv$"
)
ACCOUNT_FILES = re.compile(
    r"^/etc/(?:passwd-?|shadow-?|group-?|gshadow-?|sudoers(?:\.d/.*)?|pam\.d/.*|pam\.conf|security/.*|nsswitch\.conf|login\.access|doas\.conf|subuid|polkit-1/.*)$"
)
SCHEDULES = re.compile(
    r"(?:^/etc/(?:cron[\w.]*(?:/.*)?|anacrontab|rc\.local|rc\d?\.d/.*|init\.d/.*|init/.*|inittab|systemd/.*|update-motd\.d/.*|xdg/autostart/.*|udev/.*)"
    r"|^/var/spool/(?:cron|at).*|^/(?:usr/)?lib/systemd/.*|\.config/systemd/.*|/Library/Launch(?:Agents|Daemons)/.*|\.git/(?:hooks/.*|config))$"
)
KERNEL_FILES = re.compile(
    r"^(?:/proc/sysrq-trigger$|/proc/sys/|/sys/|/boot(?:/|$)|/etc/(?:sysctl|modprobe\.d|modules|ld\.so\.|fstab|crypttab|grub|default/grub|selinux/)|/lib/modules|/vmlinuz|/initrd|/efi)"
)
NETWORK_FILES = re.compile(
    r"^/etc/(?:hosts(?:\.allow|\.deny)?|resolv\.conf|network/.*|netplan/.*|apt/.*|yum\.repos\.d/.*|pip\.conf|hostname|gai\.conf)$|/\.?pip/?pip\.conf$"
)
TRACES = re.compile(
    r"(?:/\.(?:\w+_)?history$|^/var/log(?:/(?:wtmp|btmp|lastlog|auth\.log.*|secure.*|syslog.*|messages.*|audit.*|kern\.log|faillog|utmp|journal.*|\*.*))?$|^/(?:var/)?run/utmp$)"
)
KINDS_OF_FILE: tuple[tuple[re.Pattern[str], int, str, str], ...] = (
    (re.compile(r"^/proc/sysrq-trigger$"), 4, "kernel", "makes the kernel crash or restart at once"),
    (ACCOUNT_FILES, 4, "accounts", "changes who may log in and what they may do"),
    (KEYS, 4, "login_persistence", "changes who may log in by key"),
    (re.compile(r"^/etc/ld\.so\.preload$"), 4, "login_persistence", "has a library loaded into every program"),
    (SCHEDULES, 4, "scheduled_persistence", "has code started by schedule or service"),
    (LOGIN_FILES, 3, "login_persistence", "changes what runs at every login"),
    (re.compile(r"^/boot(/.*)?$"), 4, "kernel", "changes what the machine starts from"),
    (KERNEL_FILES, 3, "kernel", "changes how the kernel or the system starts and works"),
    (NETWORK_FILES, 3, "network_identity", "changes which machines are trusted under which name"),
    (TRACES, 3, "traces", "changes a history or log"),
)  # fmt: skip


def is_credential(path: str) -> bool:
    """Whether a file of this name holds a secret; public keys do not."""
    return CREDENTIAL.search(path) is not None


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
    bare, _ = of_found(path)
    where = call.place(bare)
    full = call.path(bare)
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
        if call.name != "ln" or "force" in arguments:
            yield from written(call, inside)
        if call.name in ("cp", "mv", "install") and "mode" in arguments and _setuid(arguments.value("mode") or ""):
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


# ------------------------------------------------------------------------------------------ reading


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
    r"passw(?:or)?d|secret|token|api_?-?key|credential|private_?key|AKIA|aws_|BEGIN.*PRIVATE", re.IGNORECASE
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


# ------------------------------------------------------------------------------------------ permissions


def _setuid(mode: str) -> bool:
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


def _closes(mode: str) -> bool:
    return re.fullmatch(r"0*0[0-7]?0?|000|[ugoa]*-[rwx]+|a=|[ugo]*=", mode) is not None


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
            where in (Place.ROOT, Place.SYSTEM)
            or (where == Place.HOME and _opens_widely(mode))
            or is_credential(call.path(bare))
        )
        if _setuid(mode):
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
        system = where in (Place.ROOT, Place.SYSTEM)
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
