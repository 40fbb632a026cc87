"""Texts before they are parsed: signs that make a command look like another, sentences that are no command, and what shows through a fault."""

from __future__ import annotations

import re
import unicodedata

from lathe.shell.verdict import Finding

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\u00ad\u061c]")
BLANK = re.compile(r"[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\u2028\u2029\x85]")
FUNCTION_WORDS = frozenset(
    "the a an and or of to all any every please you your my this that these those then everything instructions previous is are be should "
    "must can could would will with from into".split()
)
RAW: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (re.compile(r"\brm\b[^;|&\n]*\s-\w*[rR]\w*[^;|&\n]*\s['\"]?(?:/|~|\$HOME)['\"]?(?:\*|\s|$|;)|rm,-\w*r\w*,/"), "recursive_delete", "deletes the root or a home"),
    (re.compile(r"\bdd\b[^;|\n]*\bof=/dev/(?:[shv]d|nvme|disk|mmc)|>\s*/dev/(?:sd|nvme|hd|vd|disk)"), "raw_disk", "writes over a raw disk"),
    (re.compile(r"\bmkfs(?:\.\w+)?\b[^;|\n]*/dev/"), "format", "formats a disk"),
    (re.compile(r"([\w:]+)\s*\(\)\s*\{[^}]*\1\s*\|\s*\1"), "exhaustion", "starts itself again and again, a fork bomb"),
    (re.compile(r"\b(?:curl|wget)\b[^;\n]*\|\s*(?:sudo\s+)?(?:ba|z|da)?sh\b"), "remote_code", "runs code that comes from the network unseen"),
    (re.compile(r"\b(?:chmod|chown)\s+(?:-\w+\s+)*-\w*R\w*\s[^;|\n]*\s/(?:\s|$|;)"), "permissions", "changes permissions of everything"),
    (re.compile(r"/dev/(?:tcp|udp)/|\bnc\b[^;\n]*\s-\w*e\s"), "remote_shell", "ties a program to the network"),
)  # fmt: skip


def cleaned(command: str) -> tuple[str, list[Finding]]:
    """The command without signs that hide something, and what was taken out."""
    found: list[Finding] = []
    text = command
    if not command.isascii() or not command.isprintable():
        text, gone = CONTROL.subn("", text.replace("\r\n", "\n").replace("\r", "\n"))
        text, hidden = INVISIBLE.subn("", text)
        text, blanks = BLANK.subn(" ", text)
        text = text.encode("utf-8", "replace").decode()
        head = re.match(r"\s*(\S+)", text)
        folded = unicodedata.normalize("NFKC", text).translate(LOOKALIKES)
        if gone or hidden or blanks:
            found.append(Finding(2, "suspicious_text", "holds signs that are not shown"))
        if head and not head.group(1).isascii() and folded.isascii():
            found.append(Finding(2, "suspicious_text", "holds letters that look like others"))
            text = folded
    return PROMPT.sub("", text), found


PROMPT = re.compile(r"^\s*[$%] (?=\w)")
LOOKALIKES = str.maketrans("аеорсухіѕԁһӏոտмкβοеνιτρ", "aeopcyxisdhlnsmkboevitp"[: len("аеорсухіѕԁһӏոտмкβοеνιτρ")])


def prose(text: str) -> str:
    """Why a text is a sentence and no command, or empty."""
    words = re.findall(r"[A-Za-z']+|\S", text)
    if (
        len(words) < 4
        or not words[0].isalpha()
        or re.search(r"[|<>$`={}\\;]|\s--?\w|['\"]|[/~]\S*\s*$(?<!\S /\Z)", text.split(" and ")[0])
    ):
        return ""
    head = words[words[0] == "sudo"].lower()
    if head in COMMANDS_AND_WORDS:
        return ""
    told = sum(word.lower() in FUNCTION_WORDS for word in words[1:])
    return "reads like a sentence, not like a command" if told >= 2 else ""


TAKES_WORDS = frozenset((
    "echo", "printf", "test", "[", "git", "expr", "say", "espeak", "wall", "write", "mail", "logger", "notify", "notify-send", "man",
    "apropos", "figlet", "cowsay", "banner", "ip", "tc", "nft", "ufw", "pfctl", "firewall-cmd", "ipfw", "route", "tcpdump", "tshark",
    "at", "osascript",
))  # fmt: skip
"""Programs that take words of any kind as they stand, or have such words in a language of their own: `ufw allow from any to any`."""
COMMANDS_AND_WORDS = TAKES_WORDS | frozenset("grep find for if while case ls rm cp mv cat".split())


def raw(text: str) -> Finding | None:
    """What shows in a text that could not be parsed; the worst is level 4."""
    for pattern, kind, why in RAW:
        if pattern.search(text):
            return Finding(4, kind, f"as far as it can be read: {why}")
    return None
