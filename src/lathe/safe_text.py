"""Text from outside, made safe to show and to keep: secrets out, control characters visible. Pure functions.

    >>> redact("login with hf_abcdefghijklmnopqrstuvwxyz")
    'login with [secret]'
    >>> visible("a\\x1b[2Jb")
    'a␛[2Jb'

Everything that Lathe prints, writes to the journal, to the report or to the card passes through here.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Mapping
from os import PathLike, fspath

MASK = "[secret]"

KNOWN_FORMS = re.compile(
    r"""(?<![A-Za-z0-9])(?:
      hf_[A-Za-z0-9]{16,}                 # Hugging Face
    | sk-[A-Za-z0-9_-]{16,}               # OpenAI, Anthropic
    | gh[pousr]_[A-Za-z0-9]{20,}          # GitHub
    | github_pat_[A-Za-z0-9_]{20,}
    | xox[abprs]-[A-Za-z0-9-]{10,}        # Slack
    | (?:AKIA|ASIA)[A-Z0-9]{16}           # AWS
    )""",
    re.VERBOSE,
)

SECRET_NAME = re.compile(r"TOKEN|KEY|SECRET|PASSW", re.IGNORECASE)
SHORTEST_SECRET = 8
"""Shorter values of secret-looking variables (`1`, `false`, a word) would blank out ordinary text."""

# C0 and C1 controls but tab and newline, DEL, and the marks that turn the reading direction round.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./ -]*")
WORDS = ("null", "true", "false", "yes", "no", "on", "off", ".nan", ".inf")
"""Texts that YAML, one version or another, reads as something else."""


def secrets_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Values of environment variables whose names say that they are secret, longest first."""
    # Without the line end that a file leaves on it: where a text shows that otherwise, the secret itself is still found.
    found = {
        secret
        for name, value in environment.items()
        if SECRET_NAME.search(name) and len(secret := value.strip()) >= SHORTEST_SECRET and not secret.startswith("/")
    }
    return tuple(sorted(found, key=len, reverse=True))


def redact(text: str, secrets: Collection[str] = ()) -> str:
    """The text with known forms of secrets, and these very values, replaced by `[secret]`."""
    for secret in secrets:
        text = text.replace(secret, MASK)
    return KNOWN_FORMS.sub(MASK, text)


def visible(text: str) -> str:
    """The text with each control character shown as a sign: an escape cannot move a cursor, hide or reverse anything."""
    return CONTROL.sub(_sign, text)


def _sign(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    return f"⟨U+{code:04X}⟩"


def yaml_text(text: str) -> str:
    """A text as YAML reads it back: in quotes only where something in it could mean something else."""
    plain = PLAIN.fullmatch(text) and text.lower() not in WORDS and text == text.strip() and not re.match(r"\.\d", text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def typed(path: str | PathLike[str]) -> str:
    """A path as it is typed at a prompt, on one line."""
    said = fspath(path)
    said = shlex.quote(f"./{said}" if said.startswith("-") else said)
    return said if said.isprintable() else json.dumps(fspath(path))
