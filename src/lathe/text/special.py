"""Special tokens of a tokenizer, and text of data that reads like one.

    special = SpecialText(backend, ids)
    marked, count = special.mark("end it with </s>")     # the name is out of the template's way, and of the tokenizer's
    special.encode(marked + "</s>")                      # the marked one is plain text, the open one is the token

Where data holds no such text, which is nearly always, nothing of this runs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cached_property

import tokenizers

from lathe.errors import InputError

OPEN, CLOSE, NAME_OPEN, NAME_CLOSE = "\ufdd0", "\ufdd1", "\ufdd2", "\ufdd3"
"""Noncharacters, which Unicode keeps for use inside a program: they mark special-token text of data while a template runs."""


class SpecialText:
    """The names of a tokenizer's special tokens, found, marked and kept apart from the tokens themselves."""

    def __init__(self, backend: tokenizers.Tokenizer, ids: Iterable[int]) -> None:
        self._backend = backend
        self.ids = frozenset(ids)
        names = {str(backend.id_to_token(id)): id for id in self.ids}
        # Longest first, so that a name that begins with another one is found whole.
        self.names = sorted(names, key=lambda name: (-len(name), name))
        self._id = names
        self.pattern = re.compile("|".join(map(re.escape, self.names)) if names else r"(?!)")

    def mark(self, text: str) -> tuple[str, int]:
        """Data with a mark in place of each special token's name, and how many there were. Undone by `unmark`.

        Raises InputError on the four noncharacters that serve as marks.
        """
        for reserved in (OPEN, CLOSE, NAME_OPEN, NAME_CLOSE):
            if reserved in text:
                raise InputError(
                    f"got the noncharacter U+{ord(reserved):04X} in a text, which Unicode keeps for use inside programs",
                    hint="Remove it from the data.",
                )
        return self.pattern.subn(lambda found: f"{OPEN}{self._id[found.group()]}{CLOSE}", text)

    def unmark(self, text: str) -> str:
        """The text as it was before `mark`."""
        if OPEN not in text:
            return text
        return re.sub(f"{OPEN}([0-9]+){CLOSE}", lambda found: str(self._backend.id_to_token(int(found.group(1)))), text)

    def encode(self, text: str) -> list[int]:
        """Ids of a text with marks: names that stand open are tokens, marked ones plain text.

        Raises InputError where the tokenizer's own vocabulary makes a special token of the plain text.
        """
        twin, original = self._twin
        named = self.pattern.sub(lambda found: _secret(self._id[found.group()]), text)
        ids = [original.get(id, id) for id in twin.encode(self.unmark(named), add_special_tokens=False).ids]
        if sum(id in self.ids for id in ids) != len(self.pattern.findall(text)):
            raise InputError(
                "a text holds the name of a special token, and this tokenizer cannot keep the two apart",
                hint=f"Remove such names from the data: {', '.join(self.names[:8])}",
            )
        return ids

    @cached_property
    def _twin(self) -> tuple[tokenizers.Tokenizer, dict[int, int]]:
        """The same tokenizer, its special tokens under secret names, and the original id of each renamed one."""
        described = json.loads(self._backend.to_str())
        described["post_processor"] = None
        names = {}
        for token in described["added_tokens"]:
            if token["id"] in self.ids:
                token["content"] = _secret(token["id"])
                names[token["content"]] = token["id"]
        twin = tokenizers.Tokenizer.from_str(json.dumps(described))
        renamed = {twin.token_to_id(name): id for name, id in names.items()}
        return twin, {new: old for new, old in renamed.items() if new is not None}


def _secret(id: int) -> str:
    return f"{NAME_OPEN}{id}{NAME_CLOSE}"
