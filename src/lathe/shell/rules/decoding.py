"""What programs print that turn constants into other constants: enough to see a command through its encoding."""

from __future__ import annotations

import base64
import binascii
import codecs
import re
import zlib
from collections.abc import Callable

from lathe.shell import marks
from lathe.shell.calls import Call, output
from lathe.shell.marks import DECODED, HOLE, is_known, plain
from lathe.shell.rules.outputs import chosen
from lathe.shell.words import unescaped

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
    operands = [] if call.name == "openssl" else call.operands
    return call.shell.read_file(operands[0]) if operands and operands[0] != "-" else call.stdin


def _text_of(decode: Callable[[], bytes]) -> str:
    """What a decoder makes of a constant; unzipped where it is packed."""
    try:
        data = decode()
        if data[:2] == b"\x1f\x8b":
            data = zlib.decompressobj(31).decompress(data, LONGEST)
        return DECODED + data.decode()
    except (ValueError, binascii.Error, zlib.error):
        return DECODED + HOLE


@output("xxd", "hex2bin", "basenc")
def hexadecimal(call: Call) -> str:
    text = plain(call.stdin)
    reverse = any(re.fullmatch(r"-\w*r\w*", word) for word in call.words) or call.name != "xxd"
    if not is_known(text) or not reverse:
        return marks.origin(text)
    return _text_of(lambda: bytes.fromhex(re.sub(r"[^0-9a-fA-F]", "", text)))


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
    return chosen(call)
