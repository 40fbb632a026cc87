"""git: history rewritten, work thrown away, and commands that its settings run."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lathe.shell.calls import Call, rule
from lathe.shell.rules.launchers import after_options
from lathe.shell.verdict import Finding

GLOBAL = ["-C", "-c", "--git-dir", "--work-tree", "--namespace", "--exec-path"]
RUNS = re.compile(
    r"(?:core\.(?:pager|editor|sshCommand|fsmonitor|hooksPath|gitProxy)|alias\.\w+|pager\.\w+|diff\.\S*|merge\.\S*|filter\.\S*|credential\.helper|"
    r"sequence\.editor|gpg\.program|protocol\.ext\.allow|uploadpack\.\w+|receive\.\w+)=(.+)",
    re.IGNORECASE,
)


@rule("git", "hub", "yadm")
def git(call: Call) -> Iterator[Finding]:
    for before, word in zip(call.words, call.words[1:]):
        setting = RUNS.match(word) if before == "-c" else None
        if setting:
            _setting(call, setting.group(1))
    words = after_options(call.words, GLOBAL)
    if not words or any(word in ("--help", "-h", "--dry-run") for word in words[1:]):
        return
    verb, rest = words[0], words[1:]
    given = [word for word in rest if word.startswith("-")]
    options = {*given, *(word.split("=")[0] for word in given)}
    letters = "".join(word[1:] for word in rest if re.fullmatch(r"-[a-zA-Z]+", word))
    operands = [word for word in rest if not word.startswith("-")]
    why = _lost(verb, options, letters, operands)
    if why:
        yield Finding(3, "git_loss", why, "make a branch of what is there first")
    elif verb == "push":
        yield Finding(2, "", "changes another repository")
    elif verb in ("clean", "reset", "checkout", "restore", "rm", "stash", "branch", "rebase", "tag", "worktree"):
        yield Finding(1, "", "changes the repository here")
    if verb == "config":
        pairs = dict(zip(operands, operands[1:]))
        for name, value in pairs.items():
            if name.lower() == "http.sslverify" and value in ("false", "0"):
                yield Finding(3, "network_identity", "trusts every machine that answers")
            setting = RUNS.match(f"{name}={value}")
            if setting and value.split()[0].rsplit("/", 1)[-1] not in EDITORS:
                _setting(call, value)
    if verb in ("clone", "fetch", "pull", "ls-remote", "submodule"):
        yield Finding(2, "", "reads another repository")
        for word in rest:
            if word.startswith("ext::"):
                with call.shell.subshell():
                    call.shell.execute(word.removeprefix("ext::"))
            if word.startswith(("--upload-pack=", "-u")) and "=" in word:
                with call.shell.subshell():
                    call.shell.execute(word.split("=", 1)[1])
    code = {
        "bisect": rest[1:] if rest[:1] == ["run"] else [],
        "submodule": rest[1:] if rest[:1] == ["foreach"] else [],
    }.get(verb, [])
    if verb == "difftool":
        code = [after for word, after in zip(rest, rest[1:]) if word in ("-x", "--extcmd")]
        code += [word.split("=", 1)[1] for word in rest if word.startswith("--extcmd=")]
    if verb == "rebase":
        code = [after for word, after in zip(rest, rest[1:]) if word in ("-x", "--exec")]
        code += [word.split("=", 1)[1] for word in rest if word.startswith("--exec=")]
    if code:
        with call.shell.subshell():
            call.shell.execute(" ".join(word for word in code if word not in ("--recursive", "-q")))


EDITORS = {"vim", "vi", "nano", "emacs", "code", "less", "cat", "more", "subl", "nvim", "delta", "store", "cache", "osxkeychain", "manager", "true", "vimdiff", "meld",
           "log", "status", "checkout", "commit", "branch", "diff", "push", "pull", "stash", "reset", "rebase", "add", "fetch", "config"}  # fmt: skip


def _setting(call: Call, value: str) -> None:
    """A setting that git runs as a command."""
    code = value.removeprefix("!")
    if code.split()[:1] and code.split()[0].rsplit("/", 1)[-1] in EDITORS and not value.startswith("!"):
        return
    with call.shell.subshell():
        call.shell.execute(code)


def _lost(verb: str, options: set[str], letters: str, operands: list[str]) -> str:
    """What is lost, in words; empty where nothing is."""
    forced = "f" in letters or "--force" in options
    if verb == "push":
        if forced or "--mirror" in options or any(word.startswith("+") for word in operands):
            return "overwrites history on another machine"
        if (
            "d" in letters
            or "--delete" in options
            or "--prune" in options
            or any(re.match(r":\w", word) for word in operands)
        ):
            return "deletes branches on another machine"
    elif verb == "reset" and any(
        option == "--hard" or (len(option) > 4 and "--hard".startswith(option)) for option in options
    ):
        return "throws work away that is not committed"
    elif verb == "clean" and forced and "n" not in letters:
        return "deletes files that git does not know"
    elif verb in ("filter-branch", "filter-repo"):
        return "rewrites the whole history"
    elif (verb == "reflog" and operands[:1] in (["expire"], ["delete"])) or (
        verb == "gc" and any(option.startswith("--prune") and option != "--prune" for option in options)
    ):
        return "drops the way back to lost commits"
    elif verb == "stash" and operands[:1] in (["drop"], ["clear"]):
        return "drops stashed work"
    elif verb == "branch" and ("D" in letters or ("--delete" in options and forced) or ("d" in letters and forced)):
        return "deletes branches that are not merged"
    elif (
        verb in ("checkout", "restore")
        and ("--staged" not in options or "--worktree" in options)
        and (operands[-1:] in (["."], ["*"], [":/"]) or (verb == "checkout" and forced))
    ):
        return "throws work away that is not committed"
    elif verb == "update-ref" and ("d" in letters or "--delete" in options):
        return "deletes a reference"
    elif verb == "rm" and forced and operands[-1:] in (["."], ["*"]):
        return "deletes everything that git knows"
    elif verb == "worktree" and operands[:1] == ["remove"] and forced:
        return "deletes a working tree with its changes"
    return ""
