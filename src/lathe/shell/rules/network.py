"""The network: what is fetched, what is sent, shells that are tied to it, and installs from unusual places."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lathe.shell import marks
from lathe.shell.calls import Call, output, rule
from lathe.shell.marks import FETCHED, HOLE, of_found
from lathe.shell.places import Place
from lathe.shell.rules.files import sent, written
from lathe.shell.rules.kinds_of_file import is_credential
from lathe.shell.rules.launchers import SSH_VALUED, after_options
from lathe.shell.verdict import Finding, quoted

LOCAL = re.compile(r"(?:https?://)?(?:localhost|127\.\d+\.\d+\.\d+|\[::1\]|0\.0\.0\.0)(?:[:/]|$)")
SHELL_NAME = re.compile(r"(?:.*/)?(?:ba|da|z|k|a|c|tc)?sh$|(?:.*/)?(?:cmd|powershell)(?:\.exe)?$|(?:.*/)?python3?$")


def _body(call: Call, text: str, *, local: bool) -> Iterator[Finding]:
    """What a request sends: text, or @file, or name=@file."""
    found = re.search(r"(?:^|=)[@<](.+)$", text)
    if found is None:
        if marks.SECRET in text or marks.ENVIRONMENT in text:
            yield Finding(4, "exfiltration", "sends credentials to another machine")
        elif marks.HOLE in text and not local and text.strip() != HOLE:
            yield Finding(2, "exfiltration", "sends something to another machine")
        return
    name = found.group(1).split(";")[0]
    yield from _file_sent(call, name, local=local)


def _file_sent(call: Call, name: str, *, local: bool) -> Iterator[Finding]:
    bare, _ = of_found(name)
    if bare in ("-", "."):
        yield from sent(call, call.stdin, "") if not local or marks.SECRET in call.stdin else ()
    elif is_credential(call.path(bare)):
        yield Finding(4, "exfiltration", f"sends a credential to another machine: {quoted(bare)}")
    elif marks.SECRET in call.shell.read_file(bare):
        yield Finding(4, "exfiltration", "sends credentials to another machine")
    elif call.place(bare) in (Place.SYSTEM, Place.HOME, Place.ROOT) and not local:
        yield Finding(3, "exfiltration", f"sends a file of the system away: {quoted(bare)}")
    elif not local:
        yield Finding(3, "exfiltration", f"sends a local file to another machine: {quoted(bare)}")


@rule("curl")
def curl(call: Call) -> Iterator[Finding]:
    arguments = call.arguments
    local = bool(call.operands) and all(LOCAL.match(word) for word in call.operands)
    for text in arguments.values("data-ascii", "data-binary", "data-urlencode", "form", "json", "header", "user"):
        yield from _body(call, text, local=local)
    for name in arguments.values("upload-file"):
        yield from _file_sent(call, name, local=local)
    for url in call.operands:
        if marks.SECRET in url or marks.ENVIRONMENT in url:
            yield Finding(4, "exfiltration", "sends credentials to another machine in an address")
        if url.startswith("file://"):
            yield from _read_by_address(call, url.removeprefix("file://"))
    if any(method in ("DELETE",) for method in arguments.values("request")):
        yield Finding(2, "", "asks another machine to delete something")
    for name in arguments.values("output"):
        if name != "-":
            yield from written(call, name)
            call.shell.write_file(name, FETCHED)
    if "remote-name" in arguments:
        for url in call.operands:
            call.shell.write_file(url.split("?")[0].rsplit("/", 1)[-1], FETCHED)


def _read_by_address(call: Call, path: str) -> Iterator[Finding]:
    if is_credential(path):
        yield Finding(3, "credentials", f"reads a key or credential: {quoted(path)}")


@rule("wget", "aria2c", "axel", "http", "https", "lwp-request", "fetch", "lynx", "w3m", "links")
def wget(call: Call) -> Iterator[Finding]:
    arguments = call.arguments
    for name in arguments.values("post-file", "body-file"):
        yield from _file_sent(call, name, local=False)
    for text in arguments.values("post-data", "body-data"):
        yield from _body(call, text, local=False)
    for url in call.operands:
        if marks.SECRET in url or marks.ENVIRONMENT in url:
            yield Finding(4, "exfiltration", "sends credentials to another machine in an address")
    target = arguments.value("output-document")
    if target is not None and target not in ("-", "/dev/stdout"):
        yield from written(call, target)
        call.shell.write_file(target, FETCHED)
    elif target is None and call.name in ("wget", "aria2c", "axel", "fetch"):
        for url in call.operands:
            call.shell.write_file(url.split("?")[0].rsplit("/", 1)[-1], FETCHED)


@output(
    "curl",
    "wget",
    "aria2c",
    "lynx",
    "w3m",
    "links",
    "http",
    "https",
    "fetch",
    "GET",
    "lwp-request",
    "ftp",
    "tftp",
    "gh",
    "dig",
    "nslookup",
    "host",
    "whois",
    "telnet",
)
def fetched(call: Call) -> str:
    into_file = call.arguments.any("output", "remote-name") and call.arguments.value("output") not in (
        "-",
        "/dev/stdout",
    )
    return "" if call.name in ("curl", "wget") and into_file else FETCHED


@output("nc", "socat")
def received(call: Call) -> str:
    return FETCHED


@rule("nc")
def netcat(call: Call) -> Iterator[Finding]:
    arguments = call.arguments
    for program in arguments.values("exec", "sh-exec"):
        bare = SHELL_NAME.match(program.split()[0] if program.split() else "") is not None or "sh " in program
        yield Finding(4 if bare else 3, "remote_shell", f"ties {quoted(program)} to the network")
    if "z" in arguments:
        return
    if (call.stdin and "listen" not in arguments) or call.stdin == HOLE:
        yield from sent(call, call.stdin, "")


@rule("socat")
def socat(call: Call) -> Iterator[Finding]:
    text = call.words_of().lower()
    networked = re.search(r"(?:tcp|udp|openssl|ssl|sctp|vsock)\S*:", text)
    if networked and re.search(r"(?:exec|system|shell):", text):
        yield Finding(4, "remote_shell", "ties a program to the network")
    elif networked and re.search(r"(?:file|open|gopen|create):", text):
        yield Finding(3, "exfiltration", "sends a local file to another machine")
    elif networked and call.stdin:
        yield from sent(call, call.stdin, "")


@rule(
    "ssh",
    "telnet",
    "ftp",
    "sftp",
    "tftp",
    "lftp",
    "ncftpput",
    "openssl",
    "rsh",
    "mail",
    "mailx",
    "mutt",
    "sendmail",
    "msmtp",
    "swaks",
    "wall",
)
def sending(call: Call) -> Iterator[Finding]:
    if call.name == "openssl" and "s_client" not in call.words:
        return
    text = call.stdin
    if marks.SECRET in text or marks.ENVIRONMENT in text:
        yield Finding(4, "exfiltration", "sends credentials to another machine")
    elif call.name in ("openssl", "telnet") and marks.UNKNOWN.search(text):
        yield Finding(3, "exfiltration", "sends local data to another machine")
    for before, word in zip(call.words, call.words[1:]):
        if before in ("-a", "-A") and is_credential(call.path(word)):
            yield Finding(4, "exfiltration", f"sends a credential to another machine: {quoted(word)}")
        if call.name == "ssh" and before == "-o" and re.match(r"(?:Proxy|Local)Command=", word, re.IGNORECASE):
            yield Finding(3, "privilege", "has ssh run a command here")
            with call.shell.subshell():
                call.shell.execute(word.split("=", 1)[1])


@rule("ssh", "ztcp", "zmodload")
def opened(call: Call) -> Iterator[Finding]:
    """Ways from another machine into this one."""
    if call.name == "ssh" and "R" in _letters(call) and "f" in _letters(call):
        yield Finding(3, "remote_shell", "keeps a way open from another machine into this one")
    elif call.name == "ztcp" or any("net/tcp" in word for word in call.words):
        yield Finding(3, "remote_shell", "opens a connection to another machine in the shell")


def _letters(call: Call) -> str:
    """The option letters of ssh, before the host and behind it."""
    host_and_on = after_options(call.words, SSH_VALUED)
    own = call.words[: len(call.words) - len(after_options(host_and_on[1:], SSH_VALUED))]
    return "".join(word[1] if f"-{word[1]}" in SSH_VALUED else word[1:] for word in own if re.match(r"-\w", word))


@rule("dig", "nslookup", "host", "ping")
def name_asked(call: Call) -> Iterator[Finding]:
    text = call.words_of()
    if marks.SECRET in text or marks.ENVIRONMENT in text:
        yield Finding(4, "exfiltration", "sends credentials away in a name that is asked for")
    elif re.search(f"{HOLE}\\.[a-z]", text):
        yield Finding(3, "exfiltration", "sends local data away in a name that is asked for")


@rule("ftp", "sftp", "scp")
def file_put(call: Call) -> Iterator[Finding]:
    if re.search(r"^\s*m?put\s+\S*(?:shadow|id_rsa|passwd)", call.stdin, re.MULTILINE):
        yield Finding(4, "exfiltration", "sends credentials to another machine")


@rule("sh", "python", "perl", "ruby", "php", "node")
def shell_on_network(call: Call) -> Iterator[Finding]:
    """A shell whose input is what a connection brings."""
    if call.stdin == FETCHED:
        interpreter = call.name != "sh"
        if interpreter and not [word for word in call.words if not word.startswith("-") or word == "-"]:
            yield Finding(
                3, "remote_code", "runs code that comes from the network unseen", "download it, read it, then run it"
            )
    if call.name == "sh" and any(word == "-i" for word in call.words) and call.stdin.startswith(FETCHED):
        yield Finding(4, "remote_shell", "ties a shell to the network")


@rule("<", ">", ">>")
def connection(call: Call) -> Iterator[Finding]:
    if re.match(r"/dev/(?:tcp|udp)/", call.words[0]):
        yield Finding(3, "remote_shell", "opens a connection to another machine through a redirection")
        if call.name != "<" and call.stdin == "":
            yield Finding(4, "remote_shell", "ties a program to the network")


@rule("python", "ngrok", "chisel", "frpc", "cloudflared", "php", "ruby", "busybox", "twistd", "darkhttpd")
def served(call: Call) -> Iterator[Finding]:
    if call.name in ("ngrok", "chisel", "frpc", "cloudflared"):
        yield Finding(3, "exfiltration", "opens a tunnel from another machine to this one")
