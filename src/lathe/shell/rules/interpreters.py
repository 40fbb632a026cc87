"""Code of other languages in a command: python -c, perl -e, awk, vim -c and their kin.

Only what stands in texts of the code is looked at: texts are judged as commands, calls that delete are judged by their path,
and a connection tied to a process or code that is decoded and run is named. What hides better is not found.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from lathe.shell import marks
from lathe.shell.calls import Call, launcher, rule
from lathe.shell.marks import HOLE, UNKNOWN, is_known
from lathe.shell.rules.files import deletion, written
from lathe.shell.rules.kinds_of_file import is_credential
from lathe.shell.rules.outputs import filtered
from lathe.shell.verdict import Finding, quoted

TEXT = re.compile(
    r"""(?<!\\)'((?:\\.|[^'\\])*)'|(?<!\\)"((?:\\.|[^"\\])*)\"|`((?:\\.|[^`\\])*)`|\bq[qxw]?\s*(?:\(([^)]*)\)|\{([^}]*)\}|\[([^\]]*)\]|/([^/]*)/|\|([^|]*)\||!([^!]*)!)""",
    re.DOTALL,
)
SIGNS = re.compile(r"\\([$@`%])")
LIST = re.compile(r"""(?:[\[(]|\b(?:exec|system|spawn)\b)\s*((?:['"][^'"]*['"]\s*,\s*\[?\s*)+['"][^'"]*['"])""")
RUNS = re.compile(
    r"\bsystem\b|subprocess|popen|\bexec\w*\b|spawn|\beval\b|passthru|shell_exec|proc_open|Open3|%x|`|\bgetline\b|\|\s*\"|call\(|check_output|ProcessBuilder|Runtime",
    re.IGNORECASE,
)
DELETES = re.compile(
    r"rmtree|rm_rf|rm_r\b|rmSync|rmdirSync|\brm\(|unlink(?:Sync)?|os\.remove|remove_tree|File\.delete|removedirs|\brmdir|\bunlink\b|FileUtils|fs\.rm|remove_entry|delete-(?:directory|file)"
)
DEEP = re.compile(r"rmtree|rm_rf|rm_r\b|recursive|remove_tree|rm\(|os\.walk|find\(|glob|remove_entry|delete-directory")
WRITES = re.compile(
    r"open\s*\([^)]*['\"]\s*,\s*['\"][wa>]|write_text|writeFile(?:Sync)?|appendFile|File\.write|file_put_contents|open\s*\([^)]*['\"][>+]|print\s*>+\s*\"|truncate"
)
OPENS = re.compile(r"\bchmod|\bchown", re.IGNORECASE)
CONNECTS = re.compile(
    r"socket|TCPSocket|IO::Socket|net\.connect|fsockopen|createConnection|/inet/tcp|Net\.Sockets|Socket\.tcp|pty\.spawn"
)
TIES = re.compile(r"dup2|pty|exec|spawn|/bin/(?:ba|z|da)?sh|popen|system|proc_open|getline|subprocess", re.IGNORECASE)
FETCHES = re.compile(
    r"urlopen|requests\.(?:get|post)|http\.get|fetch\(|open-uri|urllib|LWP|file_get_contents\(['\"]http|URI\.open|HTTP::Tiny|Net::HTTP|axios|curl_exec|https?\.get|Invoke-WebRequest|Invoke-RestMethod|\biwr\b|\birm\b|DownloadString"
)
EVALUATES = re.compile(
    r"\bexec\(|\beval\b|\bcompile\(|Function\(|instance_eval|\bsystem\b|importlib|\bload\(|assert\(|vm\.run|\bexec\b|Invoke-Expression|\biex\b"
)
DECODES = re.compile(
    r"b64decode|base64|fromhex|decode\(|unhexlify|Buffer\.from|unpack|atob|gzinflate|str_rot13|rot13|fromCharCode|chr\(|bytes\(|zlib|marshal|pickle|codecs|\\x[0-9a-f]{2}\\x"
)
LONGEST = 65536
FORKS = re.compile(r"\bfork\b")
LOOPS = re.compile(r"\bwhile\b|\bfor\b|\bloop\b|until|1 while")
ATTACHED = re.compile(r"-[a-zA-Z0-9]*?[eEc](.*)$", re.DOTALL)
EVALUATORS = {
    "python": ("-c",), "perl": ("-e", "-E", "-ne", "-pe", "-le", "-lne", "-lpe", "-ane", "-pie", "-0777"), "ruby": ("-e", "-ne", "-pe"),
    "node": ("-e", "--eval", "-p", "--print", "-pe"), "php": ("-r", "--run", "-R", "-B"), "lua": ("-e",), "deno": ("eval",), "bun": ("-e",), "osascript": ("-e",),
    "tclsh": (), "expect": ("-c",), "groovy": ("-e",), "scala": ("-e",), "julia": ("-e", "-E"), "Rscript": ("-e",), "R": ("-e",), "guile": ("-c",), "elixir": ("-e",),
    "powershell": ("-c", "-Command", "-e", "-enc", "-EncodedCommand"), "pwsh": ("-c", "-Command", "-e", "-enc", "-EncodedCommand"), "swift": ("-e",), "luajit": ("-e",),
    "jshell": (), "irb": (), "jruby": ("-e",), "ipython": ("-c",), "sage": ("-c",), "racket": ("-e",), "erl": ("-eval",), "octave": ("--eval",),
}  # fmt: skip


@launcher(*EVALUATORS)
def interpreter(call: Call) -> str:
    """Code after an option, on the input, or in a file that the script wrote."""
    options = EVALUATORS[call.name]
    codes = []
    for word, after in zip(call.words, [*call.words[1:], ""]):
        attached = ATTACHED.match(word) if call.name in ("perl", "ruby", "python") else None
        if word in options:
            codes.append(after)
        elif attached:
            codes.append(attached.group(1) or after)
    operands = [word for word in call.words if not word.startswith("-")]
    if not codes and operands and operands[0] != "-":
        content = call.shell.read_file(operands[0])
        codes = [content] if marks.FETCHED in content or is_known(content) else []
    elif not codes and call.stdin:
        codes = [call.stdin]
    for code in codes:
        look(call, code)
        if call.name in ("expect", "tclsh"):  # a language whose words need no quotes
            for text in re.findall(r"\b(?:spawn|exec|system)\s+([^;\n\]]+)", code):
                as_command(call, text)
    return marks.origin(call.stdin, *codes)


@rule("powershell", "pwsh")
def encoded(call: Call) -> Iterator[Finding]:
    if any(re.fullmatch(r"-e(?:nc\w*|c)?", word, re.IGNORECASE) for word in call.words):
        yield Finding(3, "obfuscated", "runs code that was hidden in an encoding")


@rule("powershell", "pwsh")
def removed(call: Call) -> Iterator[Finding]:
    """PowerShell's own word for deleting; what it is given follows its switches or stands between them."""
    for options in re.findall(r"\b(?:remove-item|ri|erase)\b([^;|\n]*)", call.words_of(), re.IGNORECASE):
        for path in re.findall(r"(?<!\S)['\"]?([^\s'\"-][^\s'\"]*)", options):
            yield from deletion(call, path, recursive=re.search(r"-r(?:ec\w*)?\b", options, re.IGNORECASE) is not None)


EMPTIES = re.compile(
    r"(?:artisan|manage\.py|rails|rake)\s+(?:\S+\s+)*?(?:migrate:(?:fresh|reset)|db:(?:drop|reset|wipe)\S*|flush|reset_db)(?=\s|$)"
)


@rule("php", "python", "ruby", "bundle", "node")
def framework(call: Call) -> Iterator[Finding]:
    """Commands of web frameworks that empty their database."""
    if EMPTIES.search(call.words_of()):
        yield Finding(3, "database", "drops or empties a database", "make a dump first")


@launcher("awk")
def awk(call: Call) -> str:
    """awk's system(), its pipes to commands and its redirections."""
    program = next((word for word in call.words if not word.startswith("-")), "")
    if re.search(r"system\s*\(|\|\s*(?:getline|\"|&)|\"\s*\|", program):
        for text in _texts(program):
            as_command(call, text)
        for inner in re.findall(r"system\s*\(((?:\"(?:\\.|[^\"\\])*\"|[^()\"])*)\)", program):
            joined = "".join(a or b for a, b in re.findall(r"\"((?:\\.|[^\"\\])*)\"|([^\"\s]+)", inner) if a) + (
                "" if re.fullmatch(r"\s*\"[^\"]*\"\s*", inner) else HOLE
            )
            as_command(call, joined)
        if "/inet/" in program:
            call.shell.found(4, "remote_shell", "ties a program to the network")
    for target in re.findall(r">>?\s*\"([^\"]+)\"", program):
        call.shell.findings.extend(written(call, target))
    return filtered(call)


SED_RUNS = re.compile(
    r"(?:^|[;{\n])\s*(?:\d+|\$|/[^/\n]*/)?(?:,(?:[+~]?\d+|\$|/[^/\n]*/))?\s*!?e[ \t]*(?:\\\n)?([^\n]*)"
)
"""sed's command e: what stands behind it is run, else the line that is read."""
SED_REPLACED_AND_RUN = re.compile(
    r"(?:^|[^\w\\])s([^\w\s\\])(?:\\.|(?!\1).)*\1((?:\\.|(?!\1).)*)\1[gpiImM\d]*e[gpiImM\d]*\s*(?=$|[;}\n])", re.DOTALL
)


@rule("sed")
def sed(call: Call) -> Iterator[Finding]:
    """sed's ways to run something: the command e, and s with the flag e, which runs the line after the replacement."""
    for script in call.arguments.values("expression") or call.operands[:1]:
        codes = [found.group(1) or call.stdin or HOLE for found in SED_RUNS.finditer(script)]
        codes += [re.sub(r"\\(.)", r"\1", found.group(2)) for found in SED_REPLACED_AND_RUN.finditer(script)]
        for target in re.findall(r"(?:^|[;{\n/])\s*(?:\d+|\$)?[gpiIm\d]*w[ \t]+(\S+)", script):
            yield from written(call, target)
        for code in codes:
            with call.shell.subshell():
                call.shell.execute(code)


@launcher(
    "vim",
    "emacs",
    "less",
    "more",
    "man",
    "ed",
    "nano",
    "gdb",
    "ftp",
    "lftp",
    "zip",
    "rsync",
    "ssh-keygen",
    "mutt",
    "dvips",
    "bpftrace",
    "tcpdump",
    "flock-",
    "scp",
)
def escaping(call: Call) -> str:
    """Commands that an editor, a pager or a copier runs when told to."""
    words = call.words
    for before, word in zip(["", *words], words):
        inner = None
        if call.name == "vim" and (before in ("-c", "--cmd") or word.startswith("+")):
            found = re.match(
                r"\+?:?(?:silent\s+)?(?:!|(?:py(?:thon)?3?|lua|perl|ruby|call system\b|exe(?:cute)?|terminal|term)\b)\s*(.*)",
                word,
                re.DOTALL,
            )
            inner = (found.group(1) or "sh") if found else None
        elif call.name == "gdb" and before in ("-ex", "-iex", "-eval-command", "--eval-command", "--ex"):
            found = re.match(r"(?:shell|!|make|pipe[^|]*\||py(?:thon)?)\s*(.+)", word, re.DOTALL)
            inner = found.group(1) if found else None
        elif call.name == "emacs" and before in ("--eval", "-eval"):
            inner = " ".join(_texts(word)) or None  # an expression of Lisp may hand any of them to a shell
        elif call.name == "zip" and before in ("-TT", "--unzip-command"):
            inner = word
        elif call.name in ("rsync", "scp") and (
            before in ("-e", "--rsh", "-S") or word.startswith(("--rsh=", "--rsync-path="))
        ):
            inner = word.split("=", 1)[-1]
            inner = None if inner.split()[:1] in (["ssh"], ["sudo"], ["rsh"]) and "Proxy" not in inner else inner
        elif (call.name == "tcpdump" and before == "-z") or (call.name == "man" and before in ("-P", "--pager", "-H")):
            inner = word
        if inner:
            if call.elevated:
                call.shell.found(3, "privilege", f"lets {quoted(call.name)} run a command with all privileges")
            if call.name in ("vim", "emacs", "gdb"):
                look(call, word)
            with call.shell.subshell():
                call.shell.execute(inner)
    if call.stdin and call.name in ("ed", "vim") and is_known(call.stdin):
        for found in re.findall(r"^!(.+)$", call.stdin, re.MULTILINE):
            with call.shell.subshell():
                call.shell.execute(found)
    return marks.origin(call.stdin)


def look(call: Call, code: str) -> None:
    """What code of another language shows of itself."""
    shell = call.shell
    if marks.FETCHED in code:
        shell.found(
            3, "remote_code", "runs code that comes from the network unseen", "download it, read it, then run it"
        )
    elif not is_known(code) and not UNKNOWN.sub("", code).strip():
        shell.found(
            3 if marks.LOCAL not in code else 2,
            "obfuscated" if marks.LOCAL not in code else "",
            "runs code that is not known before it runs",
        )
    if CONNECTS.search(code) and TIES.search(code):
        shell.found(4, "remote_shell", "ties a program to the network")
    if FETCHES.search(code) and EVALUATES.search(code):
        shell.found(3, "remote_code", "runs code that comes from the network unseen")
    if DECODES.search(code) and EVALUATES.search(code):
        shell.found(3, "obfuscated", "runs code that was hidden in an encoding")
    if FORKS.search(code) and LOOPS.search(code):
        shell.found(4, "exhaustion", "starts processes without end")
    if re.search(r"set[ug]id\(0", code):
        shell.found(3, "privilege", "becomes root")
    texts = list(_texts(code))
    for text in texts:
        if RUNS.search(code):
            as_command(call, text)
        if DELETES.search(code) and re.match(r"[/~.*\w$]", text):
            shell.findings.extend(deletion(call, text, recursive=DEEP.search(code) is not None))
        if WRITES.search(code) and text.startswith(("/", "~")):
            shell.findings.extend(written(call, text))
        if OPENS.search(code) and text.startswith("/"):
            shell.call(["chmod", "-R", "777", text])
        if is_credential(text):
            shell.found(3, "credentials", f"reads a key or credential: {quoted(text)}")
    if DELETES.search(code) and not texts:
        shell.found(3, "recursive_delete", "deletes what is not known before it runs")
    if re.search(r"kill\s*\(?\s*['\"]?-?9?['\"]?\s*,\s*-1|os\.kill\(-1", code):
        shell.found(4, "shutdown", "kills every process that it may")


def _texts(code: str) -> Iterator[str]:
    """The texts of a code: each by itself, lists of them as one command, and pieces that are joined."""
    from lathe.shell.words import unescaped

    for found in LIST.finditer(code):
        yield " ".join(re.findall(r"['\"]([^'\"]*)['\"]", found.group(1)))
    single = [
        SIGNS.sub(r"\1", unescaped(next(group for group in found.groups() if group is not None)))
        for found in TEXT.finditer(code)
    ]
    yield from single
    if len(single) > 1 and re.search(r"['\"]\s*(?:\+|\.|,|~|\.\.)\s*['\"]", code):
        yield "".join(single)
    for text in single:
        if len(text) > 7 and re.fullmatch(r"[A-Za-z0-9+/=]+", text):
            try:
                yield base64.b64decode(text, validate=True).decode()
            except (binascii.Error, ValueError):
                continue


def as_command(call: Call, text: str) -> None:
    """Judges a text of some code as a command; only what would be dangerous is kept."""
    shell = call.shell
    before, faults = len(shell.findings), list(shell.faults)
    if text.strip() and len(text) < LONGEST:
        with shell.subshell():
            shell.execute(text)
    shell.faults[:] = faults
    shell.findings[before:] = [
        finding
        for finding in shell.findings[before:]
        if finding.level >= 2 and (finding.kind != "obfuscated" or text == HOLE)
    ]


@rule("perl", "ruby", "python", "node", "php")
def elevated(call: Call) -> Iterator[Finding]:
    if call.elevated and any(word in ("-c", "-e") for word in call.words):
        yield Finding(2, "privilege", "runs code with all privileges")
