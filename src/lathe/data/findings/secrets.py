"""Secrets and personal data inside rows: found, counted, never shown. Pure functions on texts.

    kinds("mail bob@acme.io, key AKIAIOSFODNN7EXAMPLE")   ->  ["AWS key", "e-mail address"]
    redacted("mail bob@acme.io")                          ->  "mail [e-mail address]"

A model learns such texts by heart and repeats them. Numbers are only believed with a valid check digit: cards by Luhn (ISO/IEC
7812), bank accounts by mod 97 (ISO 13616). Addresses of the reserved example domains (RFC 2606) are nobody's and are passed over.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

LEAST_ENTROPY = 3.2
"""Bits a character of a token that looks random. A token of 16 random letters and digits has about 3.6, repeated words below 3."""


@dataclass(frozen=True)
class Kind:
    """One kind of text that should not be in a set.

    sign: a cheap look without whose yes nothing matches, which matters over a million rows. sure: what a match must pass.
    """

    name: str
    level: Literal["error", "warning"]
    pattern: re.Pattern[str]
    sign: Callable[[str], bool]
    sure: Callable[[str], bool] = lambda found: True


def entropy(text: str) -> float:
    """Bits a character by the text's own frequencies (Shannon)."""
    counts = Counter(text)
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts.values()) if text else 0.0


def luhn(text: str) -> bool:
    """Whether the digits of a card number pass its check digit, and are no repetition of one."""
    digits = [int(sign) for sign in text if sign.isdigit()]
    doubled = sum(
        digit if place % 2 == 0 else sum(divmod(2 * digit, 10)) for place, digit in enumerate(reversed(digits))
    )
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and doubled % 10 == 0


def iban(text: str) -> bool:
    """Whether a bank account number passes mod 97."""
    plain = re.sub(r"\s", "", text).upper()
    return len(plain) >= 15 and int("".join(str(int(sign, 36)) for sign in plain[4:] + plain[:4])) % 97 == 1


def random_token(text: str) -> bool:
    """Whether the value in `name = value` looks random: long, mixed, of high entropy."""
    value = re.split(r"[:=]", text, maxsplit=1)[1].strip(" \t\"'")
    mixed = any(sign.isdigit() for sign in value) and any(sign.isalpha() for sign in value)
    return len(value) >= 16 and mixed and entropy(value) >= LEAST_ENTROPY


def somebody(text: str) -> bool:
    """Whether a mail address can be somebody's: not of a domain that is reserved for examples."""
    domain = text.rpartition("@")[2].lower()
    return not re.search(r"(?:^|\.)(?:example\.(?:com|org|net|edu)|example|test|invalid|localhost)$", domain)


def issued(text: str) -> bool:
    """Whether a US social security number can have been issued."""
    area, group, serial = text.split("-")
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


_KEY = r"-----(?:BEGIN|END) (?:[A-Z]+ )*PRIVATE KEY-----"
_GITHUB = r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{20,})"
_JWT = r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"
_ADDRESS = r"\b[a-z][a-z0-9+.-]{2,15}://[^\s/:@]{1,64}:[^\s/@]{3,64}@[\w.-]+"
_NAMED = (
    r"""\b[\w-]{0,30}(?:api[_-]?key|secret|token|passwd|password)["']?\s{0,3}[:=]\s{0,3}["']?[A-Za-z0-9+/_=-]{16,200}"""
)
_MAIL = r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}\b(?![:.][/~\w])"
_IBAN = r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b"
_ABROAD = r"\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?(?:\d{2,4}[ .-]?){2,4}\d{2,4}"
_CARD = r"(?<![\w.-])(?:\d[ -]?){12,18}\d(?![\w-]|\.\d)"
_SOCIAL = r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])"
_AT_HOME = r"\(\d{3}\) ?\d{3}-\d{4}|\d{3}[.-]\d{3}[.-]\d{4}"
_PHONE = rf"(?<![\w.,/+-])(?:{_ABROAD}|{_AT_HOME})(?![\w-])"


def any_of(*texts: str) -> Callable[[str], bool]:
    """Whether one of these stands in a text."""
    only = texts[0]
    return (lambda text: only in text) if len(texts) == 1 else (lambda text: any(one in text for one in texts))


def names_secret(text: str) -> bool:
    """Whether a text speaks of keys, tokens or passwords."""
    lower = text.lower()
    return "key" in lower or "secret" in lower or "token" in lower or "passw" in lower


LONG_NUMBER = re.compile(r"\d[\d ().-]{9,}\d")
"""What every card, social security and phone number holds; a phone number with its country also a plus sign."""
IBAN_HEAD = re.compile(r"[A-Z]{2}\d\d")


@lru_cache(maxsize=1)
def long_number(text: str) -> bool:
    """Whether a text holds a number that long; several kinds ask so of the same text."""
    return LONG_NUMBER.search(text) is not None


KINDS = (
    Kind("private key", "error", re.compile(f"{_KEY}(?:.*?{_KEY})?", re.DOTALL), any_of("PRIVATE KEY")),
    Kind("Hugging Face token", "error", re.compile(r"\bhf_[A-Za-z0-9]{30,}\b"), any_of("hf_")),
    Kind("OpenAI or Anthropic key", "error", re.compile(r"\bsk-(?:[a-z]+-)*[A-Za-z0-9_-]{20,}"), any_of("sk-")),
    Kind("GitHub token", "error", re.compile(_GITHUB), any_of("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_")),
    Kind("AWS key", "error", re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), any_of("AKIA", "ASIA")),
    Kind("Google key", "error", re.compile(r"\bAIza[A-Za-z0-9_-]{35}"), any_of("AIza")),
    Kind("Slack token", "error", re.compile(r"\bxox[abeprs]-[A-Za-z0-9-]{10,}"), any_of("xox")),
    Kind("Stripe key", "error", re.compile(r"\b[rs]k_live_[A-Za-z0-9]{20,}"), any_of("k_live_")),
    Kind("JSON web token", "error", re.compile(_JWT), any_of("eyJ")),
    Kind("password in an address", "error", re.compile(_ADDRESS), any_of("://")),
    Kind("secret value", "error", re.compile(_NAMED, re.IGNORECASE), names_secret, random_token),
    Kind("e-mail address", "warning", re.compile(_MAIL), any_of("@"), somebody),
    Kind("card number", "warning", re.compile(_CARD), long_number, luhn),
    Kind("bank account (IBAN)", "warning", re.compile(_IBAN), lambda text: IBAN_HEAD.search(text) is not None, iban),
    Kind("US social security number", "warning", re.compile(_SOCIAL), long_number, issued),
    Kind("phone number", "warning", re.compile(_PHONE), lambda text: "+" in text or long_number(text)),
)


def found_in(text: str) -> Iterator[tuple[Kind, int, int]]:
    """(kind, begin, end) of everything found, by kind."""
    for kind in KINDS:
        for match in kind.pattern.finditer(text) if kind.sign(text) else ():
            if kind.sure(match.group()):
                yield kind, match.start(), match.end()


def found_kinds(text: str) -> list[Kind]:
    """The kinds that a text holds, each once, secrets first."""
    return list(dict.fromkeys(kind for kind, _, _ in found_in(text)))


def kinds(text: str) -> list[str]:
    """Their names."""
    return list(dict.fromkeys(kind.name for kind in found_kinds(text)))


def redacted(text: str) -> str:
    """The text with everything found replaced by the name of its kind in brackets."""
    spans = sorted((begin, -end, kind.name) for kind, begin, end in found_in(text))
    parts, at = [], 0
    for begin, minus_end, name in spans:
        if begin >= at:
            parts += [text[at:begin], f"[{name}]"]
            at = -minus_end
    return "".join([*parts, text[at:]])
