"""What programs print, as far as it can be known without running them: enough to see through encodings and lists of files."""

from __future__ import annotations

import base64
import binascii
import codecs
import gzip
import re
import zlib

from lathe.shell import marks
from lathe.shell.calls import Call, output
from lathe.shell.marks import DECODED, HOLE, SOME, UNKNOWN, is_known, plain
from lathe.shell.places import Place
from lathe.shell.words import NOT_EMPTY, unescaped

LONGEST = 65536
CONVERSION = re.compile(r"%([-+ 0#]*\d*(?:\.\d+)?)([a-zA-Z%])")
LETTERS_HIDDEN = re.compile(r"\\(?:x[46][0-9a-fA-F]|x[57][0-9a-fA-F]|0?1[0-7]{2}|u00[4-7][0-9a-fA-F])")


@output("echo")
def echo(call: Call) -> str:
    words = list(call.words)
    escapes = newline = False
    while words and re.fullmatch(r"-[neE]+", words[0]):
        newline = newline or "n" in words[0]
        escapes = "e" in words.pop(0)
    text = " ".join(words)
    return (_escaped(text) if escapes else text) + ("" if newline else "\n")


def _escaped(text: str) -> str:
    """Escapes carried out; text in which letters were hidden says so."""
    mark = DECODED if LETTERS_HIDDEN.search(text) else ""
    return mark + unescaped(text)


@output("printf")
def printf(call: Call) -> str:
    words = list(call.words)
    variable = None
    if words[:1] == ["-v"] and len(words) > 1:
        variable, words = words[1], words[2:]
    if words[:1] == ["--"]:
        words = words[1:]
    if not words:
        return ""
    form, rest = words[0], words[1:]
    out = []
    while True:
        left = len(rest)
        out.append(CONVERSION.sub(lambda found: _converted(found, rest), _escaped(form)))
        if not rest or len(rest) == left:
            break
    text = "".join(out)
    if variable is not None:
        call.shell.assign(variable, plain(text))
        return ""
    return text


def _converted(found: re.Match[str], rest: list[str]) -> str:
    letter = found.group(2)
    if letter == "%":
        return "%"
    value = rest.pop(0) if rest else ""
    if letter == "b":
        return _escaped(value)
    if letter == "c":
        return value[:1]
    if letter in "xX" and value.isdecimal():
        return format(int(value), letter)
    return value


@output("yes")
def endless(call: Call) -> str:
    return marks.ENDLESS + (" ".join(call.words) or "y") + "\n"


@output(
    "cat",
    "tee",
    "<",
    "pv",
    "tac",
    "nl",
    "zcat",
    "bzcat",
    "xzcat",
    "gunzip",
    "zstdcat",
    "lz4",
    "uncompress",
    "sponge",
    "head",
    "tail",
    "sort",
    "uniq",
)
def content(call: Call) -> str:
    """Files one after the other, or the input."""
    if call.name == "<":
        return _file(call, call.words[0])
    files = [] if call.name in ("tee", "sponge") else call.operands
    text = "".join(call.stdin if name == "-" else _file(call, name) for name in files) if files else call.stdin
    if call.name in ("zcat", "bzcat", "xzcat", "gunzip", "zstdcat"):
        return text if not is_known(text) else HOLE
    if call.name in ("head", "tail"):
        text = text.replace(marks.ENDLESS, "")
    if call.name in ("head", "tail") and text.count("\n") > 1:
        return text if text.startswith(DECODED) or not is_known(text) else HOLE if "/" not in text else text
    return "\n".join(reversed(text.split("\n"))).strip("\n") + "\n" if call.name == "tac" and text else text


def _file(call: Call, name: str) -> str:
    from lathe.shell.rules.files import is_credential

    text = call.shell.read_file(name)
    if name.startswith(("/dev/tcp/", "/dev/udp/")):
        return marks.FETCHED
    if name in ("/dev/zero", "/dev/urandom", "/dev/random"):
        return marks.ENDLESS + HOLE
    if re.fullmatch(r"/proc/\S+/environ", name):
        return marks.ENVIRONMENT
    return marks.SECRET if text == marks.LOCAL and is_credential(call.path(name)) else text


@output("base64", "base32", "openssl", "uudecode")
def decoded(call: Call) -> str:
    """Decodes constants."""
    text = plain(_input(call))
    if call.name == "openssl":
        if not ({"-d"} & set(call.words) and {"base64", "enc"} & set(call.words)):
            return marks.origin(text)
    elif call.name != "uudecode" and "decode" not in call.arguments:
        return _encoded(call, text)
    if not is_known(text):
        return marks.origin(text)
    return _text_of(
        lambda: (base64.b32decode if call.name == "base32" else base64.b64decode)(_padded("".join(text.split())))
    )


def _encoded(call: Call, text: str) -> str:
    if not is_known(text):
        return marks.origin(text)
    encode = base64.b32encode if call.name == "base32" else base64.b64encode
    return encode(text.encode()).decode() + "\n"


def _padded(text: str) -> str:
    return text + "=" * (-len(text) % 4)


def _input(call: Call) -> str:
    operands = (
        call.operands
        if call.name not in ("openssl", "xxd")
        else [word for word in call.words if not word.startswith("-")][:0]
    )
    return call.shell.read_file(operands[0]) if operands and operands[0] != "-" else call.stdin


def _text_of(decode: object) -> str:
    try:
        data: bytes = decode()  # type: ignore[operator]
        if data[:2] == b"\x1f\x8b":
            data = zlib.decompressobj(31).decompress(data, LONGEST)
        return DECODED + data.decode()
    except (ValueError, binascii.Error, zlib.error, gzip.BadGzipFile, UnicodeDecodeError):
        return DECODED + HOLE


@output("xxd", "hex2bin", "basenc")
def hexadecimal(call: Call) -> str:
    text = plain(call.stdin)
    reverse = any(re.fullmatch(r"-\w*r\w*", word) for word in call.words) or call.name != "xxd"
    if not is_known(text) or not reverse:
        return marks.origin(text)
    return _text_of(lambda: bytes.fromhex(re.sub(r"[^0-9a-fA-F]", "", text)))


@output("tar", "zip", "dd", "cpio", "rsync")
def packed(call: Call) -> str:
    """An archive of a home, of the root or of /etc holds keys and credentials."""
    wide = [
        word
        for word in call.words
        if word[:1] in "/~." and call.place(word.rstrip("/") or "/") in (Place.ROOT, Place.HOME)
    ]
    return marks.SECRET if wide or any(call.path(word) == "/etc" for word in call.words) else marks.origin(call.stdin)


@output("rev")
def reverse(call: Call) -> str:
    text = plain(_input(call))
    return DECODED + "\n".join(line[::-1] for line in text.split("\n")) if is_known(text) else marks.origin(text)


@output("rot13", "caesar")
def rot13(call: Call) -> str:
    return DECODED + codecs.encode(call.stdin, "rot13")


@output("tr")
def translate(call: Call) -> str:
    text = plain(call.stdin)
    operands = [word for word in call.words if not re.fullmatch(r"-[cCdst]+", word)]
    if not is_known(text) or not operands:
        return marks.origin(text)
    source = _set(operands[0])
    if any("d" in word for word in call.words if re.fullmatch(r"-[dst]+", word)):
        return DECODED + "".join(sign for sign in text if sign not in source)
    if len(operands) < 2:
        return text
    goal = _set(operands[1])
    goal += goal[-1:] * (len(source) - len(goal))
    table = {ord(a): b for a, b in zip(source, goal)}
    mark = (
        DECODED
        if any(
            sign.isalnum() and goal.isprintable()
            for sign in source
            if ord(sign) in table and table[ord(sign)] != sign.upper()
        )
        else ""
    )
    return mark + text.translate(table)


CLASSES = {
    "[:upper:]": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "[:lower:]": "abcdefghijklmnopqrstuvwxyz",
    "[:digit:]": "0123456789",
    "[:space:]": " \t\n",
}


def _set(text: str) -> str:
    for name, signs in CLASSES.items():
        text = text.replace(name, signs)
    return re.sub(r"(.)-(.)", lambda found: "".join(map(chr, range(ord(found[1]), ord(found[2]) + 1))), unescaped(text))


@output("sed")
def edited(call: Call) -> str:
    """Replacements of constants by constants, which can hide a command; all else is unknown."""
    text = plain(call.stdin)
    script = next((word for word in call.words if re.match(r"s(.)", word)), "")
    if is_known(text) and script and len(script) > 1:
        parts = script.split(script[1])
        if (
            len(parts) == 4
            and parts[3] in ("", "g")
            and parts[1]
            and re.fullmatch(r"[\w @%,:=-]+", parts[1] + parts[2])
        ):
            return DECODED + text.replace(parts[1], parts[2], -1 if parts[3] else 1)
    return _chosen(call)


@output("grep", "awk", "cut", "comm", "shuf")
def filtered(call: Call) -> str:
    """Some of the input's lines: of a list of files, some of them."""
    return _chosen(call)


def _chosen(call: Call) -> str:
    text = plain(call.stdin)
    if call.name == "grep" and not text and len(call.operands) > 1:
        return (
            marks.origin(*map(call.shell.read_file, call.operands[1:]))
            if len(call.operands) > 2
            else call.shell.read_file(call.operands[1])
        )
    if not text or not is_known(text):
        return text if text == marks.LOCAL and call.name == "grep" else marks.origin(text)
    if call.name == "grep":
        paths = [line for line in text.split("\n") if line]
        if paths and all(marks.of_found(line)[1] for line in paths):
            return "\n".join(
                line if line.endswith((SOME, marks.JUNK)) else f"{marks.of_found(line)[0]}/{SOME}" for line in paths
            )
        return text
    return HOLE


@output("ls")
def listed(call: Call) -> str:
    folders = call.operands or ["."]
    if any(option in call.arguments for option in ("l", "s", "i")):
        return HOLE
    return "\n".join(name if "*" in name else f"{name}/{SOME if call.words else marks.EACH}" for name in folders)


@output("pwd")
def working_folder(call: Call) -> str:
    return call.shell.variable("PWD")


@output("mktemp")
def temporary(call: Call) -> str:
    return "/tmp/made" if not any("/" in word for word in call.words) else NOT_EMPTY


@output(
    "whoami",
    "date",
    "hostname",
    "id",
    "uname",
    "nproc",
    "arch",
    "wc",
    "seq",
    "logname",
    "tty",
    "cksum",
    "md5sum",
    "sha256sum",
    "stat",
    "expr",
    "bc",
)
def value(call: Call) -> str:
    """Short texts that are never empty and never a path."""
    return NOT_EMPTY if marks.SECRET not in call.stdin else marks.SECRET


@output("basename")
def base(call: Call) -> str:
    name = call.operands[0] if call.operands else HOLE
    return name.rstrip("/").rsplit("/", 1)[-1] if is_known(name) else NOT_EMPTY


@output("dirname")
def folder(call: Call) -> str:
    name = call.operands[0] if call.operands else HOLE
    if name == "$0":
        return "."
    return (name.rsplit("/", 1)[0] or "/") if "/" in name else ("." if is_known(name) else HOLE)


@output("which", "whereis", "type", "realpath", "readlink")
def located(call: Call) -> str:
    """The path of a program has its name; that of a file is the file's."""
    names = [word for word in call.words if not word.startswith("-")]
    return names[-1] if names else HOLE


@output("env", "printenv", "set", "compgen")
def environment(call: Call) -> str:
    return marks.ENVIRONMENT if not call.words or call.words[0].startswith("-") else HOLE


@output("read", "mapfile", "readarray")
def read(call: Call) -> str:
    """Variables get the lines of the input; each of several lines may be the one."""
    names = [word for word in call.words if re.fullmatch(r"[A-Za-z_]\w*", word)]
    lines = [line for line in plain(call.stdin).split("\n") if line]
    text = (
        marks.BREAK.join(lines)
        if lines and all(not UNKNOWN.fullmatch(line) for line in lines)
        else marks.origin(call.stdin)
    )
    arrayed = any(re.fullmatch(r"-\w*a\w*", word) for word in call.words) or call.name != "read"
    if len(names) > 1 and len(lines) == 1 and is_known(text):
        parts = lines[0].split(None, len(names) - 1)
        for name, part in zip(names, parts):
            call.shell.assign(name, part)
        return ""
    for name in names or ["REPLY"]:
        call.shell.assign(name, marks.BREAK.join(text.split()) if arrayed and is_known(text) else text)
    return ""


@output("cd", "pushd")
def change_folder(call: Call) -> str:
    operands = [word for word in call.words if not re.fullmatch(r"-[LPe@]+|--", word)]
    goal, mark = marks.of_found(operands[0] if operands else "~")
    goal = f"{goal}/{NOT_EMPTY}" if mark in (SOME, marks.JUNK) else goal
    call.shell.state.cwd = call.path(goal) if goal != "-" else HOLE
    return ""


@output("ssh-agent", "dircolors", "direnv", "brew", "pyenv", "rbenv", "nodenv", "jenv", "thefuck", "starship", "zoxide", "lesspipe", "resize", "fnm", "opam",
        "conda", "minikube", "docker-machine", "register-python-argcomplete", "keychain", "gpg-agent", "tset", "luarocks", "mise", "asdf", "locale")  # fmt: skip
def initialisation(call: Call) -> str:
    """Programs whose output is made to be evaluated."""
    return ""
