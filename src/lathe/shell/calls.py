"""One call of a program: which program it is, who knows about it, and what is said where nobody does.

A program is known through one of four tables, filled by the modules of `lathe.shell.rules`:

    RULES      what a call does that matters           @rule("rm", "unlink") def remove(call): yield Finding(...)
    LAUNCHERS  programs that run what they are given   @launcher("sudo") def sudo(call): return call.shell.call(...)
    OUTPUTS    what a call prints, where it is known   @output("echo") def echo(call): return "..."
    levels     the level of a call by itself           0 reads, 1 edits here, 2 reaches out; an unknown program is 1

A program in none of them may run its arguments as a launcher does, so these are judged as if it did.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from lathe.shell import marks, options
from lathe.shell.marks import UNKNOWN, is_known, plain
from lathe.shell.places import Place, place, resolved
from lathe.shell.verdict import Finding, quoted

if TYPE_CHECKING:
    from lathe.shell.interpret import Script

VERSIONED = re.compile(r"(python|pypy|pip|ruby|perl|node|php|lua|bash|zsh|ksh|gcc|java|psql)[\d.-]+$")
SAME = {
    "mke2fs": "mkfs", "newfs": "mkfs", "mkdosfs": "mkfs", "mkntfs": "mkfs", "ncat": "nc", "netcat": "nc", "nodejs": "node", "gawk": "awk", "mawk": "awk", "nawk": "awk",
    "pip3": "pip", "nvim": "vim", "view": "vim", "vi": "vim", "ex": "vim", "rvim": "vim", "pypy": "python", "gfind": "find", "gsed": "sed", "gtar": "tar",
    "bsdtar": "tar", "grm": "rm", "gmv": "mv", "gcp": "cp", "gdd": "dd", "gxargs": "xargs", "mksh": "sh", "dash": "sh", "ash": "sh",
    "ksh": "sh", "zsh": "sh", "bash": "sh", "rbash": "sh", "fish": "sh", "csh": "sh", "tcsh": "sh", "yash": "sh", "source": ".", "podman": "docker",
    "nerdctl": "docker", "aptitude": "apt", "apt-get": "apt", "dnf": "yum", "microdnf": "yum", "ip6tables": "iptables", "oc": "kubectl",
    "tofu": "terraform", "mariadb": "mysql", "egrep": "grep", "fgrep": "grep", "zgrep": "grep", "rgrep": "grep", "doas": "sudo", "pfexec": "sudo",
    "batch": "at", "toybox": "busybox", "pnpm": "npm", "yarn": "npm", "mongo": "mongosh", "unlink": "rm", "remsh": "ssh",
}  # fmt: skip
READS = frozenset(
    "[ [[ : true false test echo printf cat head tail less more most ls dir vdir pwd cd pushd popd dirs which whereis type whence hash file stat "
    "wc sort uniq cut paste join comm tr rev tac nl fold fmt column expand od xxd hexdump strings grep awk find locate mlocate tree du df "
    "ps top htop pgrep pidof pstree jobs fg bg wait uptime who w whoami id groups users last lastlog finger uname hostname arch date cal ncal "
    "time sleep seq expr bc dc factor basename dirname realpath readlink env printenv set shopt export declare typeset local readonly unset "
    "read mapfile readarray let return exit break continue shift getopts ulimit umask history alias unalias bind complete compgen help man info "
    "apropos whatis diff cmp sdiff vimdiff md5sum sha1sum sha256sum sha512sum md5 cksum sum b2sum base64 base32 lsof fuser lsblk blkid lsusb "
    "lspci lscpu lsmod lshw dmidecode free vmstat iostat mpstat sar dmesg journalctl getent getfacl getcap getenforce lsattr sestatus ss "
    "netstat tty stty clear reset tput yes jq yq xmllint zcat bzcat xzcat zless zipinfo unzip-l cpio-t nproc getconf locale ldd nm objdump "
    "readelf strace-p ltrace-p atq crontab-l ifconfig-a arp route-n ip-a pmap mount-l findmnt pathchk mktemp tsort shuf look rpm-q dpkg-l "
    "look vdir csplit-n times trap caller logname runlevel numfmt iconv".split()
)
REACH_OUT = frozenset(
    "ssh scp sftp ftp lftp rsync curl wget aria2c ping ping6 traceroute tracepath mtr dig nslookup host whois telnet nc socat nmap mail "
    "mailx sendmail mutt rcp rlogin rsh apt yum pip npm gem cargo go brew dpkg rpm snap flatpak conda docker kubectl service systemctl "
    "kill pkill killall sudo su rm rmdir shred mount umount rename".split()
)
REDIRECTIONS = frozenset({"<", ">", ">>"})
"""What calls of redirections are named; their first word is the target."""
WITHOUT_COMMANDS = REDIRECTIONS | READS | {"git", "make", "vim", "nano", "emacs", "tar", "zip", "mail"}
"""Programs whose arguments are data, whatever they say."""


NO_PROGRAM = frozenset(
    (
        "<",
        ">",
        ">>",
        ".",
        "[",
        "{",
        "!",
        "set",
        "read",
        "time",
        "then",
        "do",
        "else",
        "format",
        "host",
        "links",
        "fetch",
        "perf",
    )
)
"""Words that stand among arguments without being a program."""
NAMES_SHELL = re.compile(r"(?:^|[\s'\"(!;=|,:`{])(?:(?:/usr)?/bin/(?:ba|da|z|k|a)?sh|!(?:ba)?sh)(?=$|[\s'\");,|<}`])")
MAY_NAME_SHELLS = frozenset(
    "sh chsh useradd usermod adduser update-alternatives ls cat which file stat cp mv ln rm chmod chown apt yum grep find diff docker su".split()
) | {"sudo", "env"}
"""Programs that may be given the name of a shell without starting it, or whose own rules know when they do."""
TAKES_CODE = frozenset(
    "eval sh . su ssh env sudo xargs busybox parallel exec command nohup time watch timeout trap at".split()
)
"""Programs whose words are code or a command, so that words hidden in an encoding are hidden code."""


@dataclass(eq=False)
class Call:
    """A program and its words. All words are texts as the program gets them, perhaps with unknown parts."""

    name: str
    words: list[str]
    stdin: str
    shell: Script

    @cached_property
    def arguments(self) -> options.Arguments:
        """Options and operands as this program reads them."""
        return options.read(self.name, self.words)

    @property
    def operands(self) -> list[str]:
        return self.arguments.operands

    def place(self, path: str) -> Place:
        """Where a path of this call leads."""
        folder, mark = marks.of_found(path)
        if mark in (marks.SOME, marks.JUNK) and UNKNOWN.search(folder):
            return Place.UNKNOWN
        return place(folder, self.shell.state.cwd)

    def path(self, path: str) -> str:
        """A path of this call, absolute or from home where that is known."""
        return resolved(marks.of_found(path)[0], self.shell.state.cwd)

    @property
    def elevated(self) -> bool:
        return self.shell.state.elevated

    def words_of(self) -> str:
        """The words in one line, for looking into."""
        return " ".join(self.words)


Rule = Callable[[Call], Iterator[Finding]]
RULES: dict[str, list[Rule]] = {}
LAUNCHERS: dict[str, Callable[[Call], str]] = {}
OUTPUTS: dict[str, Callable[[Call], str]] = {}


def rule(*programs: str) -> Callable[[Rule], Rule]:
    """Registers a rule for programs."""

    def register(function: Rule) -> Rule:
        for program in programs:
            RULES.setdefault(program, []).append(function)
        return function

    return register


def launcher(*programs: str) -> Callable[[Callable[[Call], str]], Callable[[Call], str]]:
    """Registers how programs run what they are given; gives back what that prints."""

    def register(function: Callable[[Call], str]) -> Callable[[Call], str]:
        for program in programs:
            LAUNCHERS[program] = function
        return function

    return register


def output(*programs: str) -> Callable[[Callable[[Call], str]], Callable[[Call], str]]:
    """Registers what programs print."""

    def register(function: Callable[[Call], str]) -> Callable[[Call], str]:
        for program in programs:
            OUTPUTS[program] = function
        return function

    return register


def program_of(word: str) -> str:
    """The one name of a program: without its folder and version, a twin under the name of the other."""
    name = word.rsplit("/", 1)[-1]
    if name.startswith(("mkfs.", "fsck.", "nc.", "vim.")):
        name = name.split(".")[0]
    found = VERSIONED.match(name)
    name = found.group(1) if found else name
    return SAME.get(name, name)


def is_program(word: str) -> bool:
    """Whether a word that begins a text is the name of a program that is known here."""
    name = program_of(word)
    return bool(name) and (name in RULES or name in LAUNCHERS or name in OUTPUTS or name in READS)


def level_of(name: str) -> int:
    """The level of a program by itself."""
    if name in READS or name in REDIRECTIONS:
        return 0
    return 2 if name in REACH_OUT else 1


def judge(shell: Script, argv: list[str], stdin: str) -> str:
    """Puts one call before all who know about it; what it prints."""
    head = argv[0]
    if marks.DECODED in head:
        shell.found(3, "obfuscated", "runs a program whose name was hidden in an encoding")
    head = plain(head)
    if any(marks.DECODED in word for word in argv[1:]) and program_of(head) in TAKES_CODE:
        shell.found(3, "obfuscated", "runs code that was hidden in an encoding")
    words = [plain(word) for word in argv[1:]]
    name = head.rsplit("/", 1)[-1]
    nameless = name in REDIRECTIONS and not words  # written as a program, quoted: a redirection has a target
    if nameless or (not is_known(name) and head not in (">", "<")):
        return _unknown(shell, head, words, stdin)
    if name in shell.state.functions:
        return shell.function(name, words, stdin)
    if name in shell.state.aliases and shell.state.aliases[name].split()[:1] != [name]:
        return shell.execute(" ".join([shell.state.aliases[name], *map(_requoted, words)]), stdin)
    name = program_of(head)
    if any(sign in name for sign in "*?[") and name not in ("[", "[["):
        name = _matching(shell, name)
    return _known(Call(name, words, stdin, shell), head)


def _known(call: Call, head: str) -> str:
    name, shell = call.name, call.shell
    written = shell.state.files
    content = written.get(call.path(head)) if "/" in head else None
    if content is None and written and "/" not in head:
        content = next((text for path, text in written.items() if path.endswith(f"/bin/{head}")), None)
    if content is not None:
        return shell.execute(content, call.stdin)
    level = level_of(name)
    if level:
        shell.found(level, "", f"{quoted(name)} {WHY[level]}")
    for judged in RULES.get(name, ()):
        shell.findings.extend(judged(call))
    if call.elevated and name not in MAY_NAME_SHELLS and NAMES_SHELL.search(call.words_of()):
        shell.found(3, "privilege", f"lets {quoted(name)} start a shell with all privileges")
    if call.words[:1] in (["completion"], ["completions"], ["shellenv"]):
        return ""  # made to be evaluated by the shell
    if name in LAUNCHERS:
        return LAUNCHERS[name](call)
    if name in OUTPUTS:
        return OUTPUTS[name](call)
    if name not in RULES and name not in WITHOUT_COMMANDS:
        _perhaps_a_launcher(call)
    return marks.origin(call.stdin)


WHY = {1: "may make or edit files here", 2: "reaches beyond this folder or undoes something"}


def _unknown(shell: Script, head: str, words: list[str], stdin: str) -> str:
    """A program whose name is not known before it runs; an unknown part may also be empty."""
    if marks.FETCHED in head:
        shell.found(3, "remote_code", "runs a command that comes from the network unseen")
    else:
        shell.found(3, "obfuscated", "runs a program whose name is not known before it runs")
    rest = UNKNOWN.sub("", head)
    likely = [rest, *words] if rest else words
    if likely and program_of(likely[0]) in RULES | LAUNCHERS.keys() and is_known(likely[0]):
        shell.call(likely, stdin)
    return marks.origin(stdin, head)


def _matching(shell: Script, glob: str) -> str:
    """The riskiest program that a pattern in place of a name can mean; those with rules come first."""
    shell.found(3, "obfuscated", f"runs whatever program {quoted(glob)} matches")
    programs = (name for name in ("rm", "sh", *RULES) if name not in REDIRECTIONS)
    return next((name for name in programs if fnmatch.fnmatchcase(name, glob)), glob)


def _perhaps_a_launcher(call: Call) -> None:
    """Judges the arguments of a program that nobody knows as commands; keeps what would be dangerous."""
    shell = call.shell
    before = len(shell.findings)
    for place_, word in enumerate(call.words):
        name = program_of(word)
        if (name in RULES or name in LAUNCHERS) and name not in NO_PROGRAM:
            with shell.subshell():
                shell.call(call.words[place_:], call.stdin)
            break
        if " " in word and is_known(word):
            faults = list(shell.faults)
            with shell.subshell():
                shell.script(word)
            shell.faults[:] = faults
    shell.findings[before:] = [
        finding for finding in shell.findings[before:] if finding.level >= 3 and finding.kind != "obfuscated"
    ]


def _requoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"
