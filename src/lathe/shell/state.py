"""What a script has set, and what is set before it begins."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from lathe.shell.grammar import Node
from lathe.shell.marks import HOLE
from lathe.shell.words import NOT_EMPTY

SELF = "$0"
COMMANDS_OF_OTHERS = frozenset(
    "PROMPT_COMMAND PAGER GIT_PAGER MANPAGER EDITOR VISUAL GIT_EDITOR SUDO_EDITOR BROWSER GIT_SSH GIT_SSH_COMMAND GIT_ASKPASS "
    "SSH_ASKPASS GIT_EXTERNAL_DIFF GIT_PROXY_COMMAND RSYNC_RSH CVS_RSH LESSOPEN".split()
)
"""Variables whose values other programs run."""
WATCHED = COMMANDS_OF_OTHERS | frozenset("LD_PRELOAD LD_AUDIT BASH_ENV HISTFILE HISTSIZE HISTFILESIZE".split())
"""Variables that do something by being set."""
STANDING_IN = "__unknown__"
"""The variable that stands for unknown parts of code that is parsed again."""
KNOWN_VARIABLES = {
    "HOME": "~", "PWD": ".", "OLDPWD": HOLE, "TMPDIR": "/tmp", "TMP": "/tmp", "SHELL": "/bin/bash", "BASH": "/bin/bash", "IFS": " \t\n",
    "HISTFILE": "~/.bash_history", "EDITOR": "vi", "VISUAL": "vi", "PAGER": "less", "0": SELF, "@": HOLE, "*": HOLE, "LANG": "C", "PATH": "/usr/bin", "BASH_SOURCE": SELF,
} | dict.fromkeys(("$", "!", "?", "#", "-", "_", "USER", "LOGNAME", "UID", "EUID", "PPID", "HOSTNAME", "RANDOM", "SECONDS", "LINENO",
                   "BASHPID", "EPOCHSECONDS", "COLUMNS", "LINES", "SUDO_USER"), NOT_EMPTY)  # fmt: skip


@dataclass
class State:
    """What a script has set so far; a subshell works on a copy."""

    variables: dict[str, str] = field(default_factory=dict)
    functions: dict[str, Node] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    """Content of files that the script itself wrote."""
    cwd: str = ""
    positional: tuple[str, ...] | None = None
    elevated: bool = False

    def copy(self) -> State:
        return replace(
            self,
            variables=dict(self.variables),
            functions=dict(self.functions),
            aliases=dict(self.aliases),
            files=dict(self.files),
        )
