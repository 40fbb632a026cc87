"""What one row shows about itself, and what only all rows together show about the values of their answers.

for id, detail in look(conversation, asked, leaves): ...         ids of lathe.data.findings.tally.FINDINGS
values.add(seen, missing); values.odd()       rows with a value that their text lacks, where others' texts have it
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from lathe import no_answer
from lathe.data.conversations.conversation import Conversation
from lathe.data.findings import commands, quality, secrets
from lathe.data.findings.quality import Leaves

WRITTEN = ("answer_cut", "answer_mock", "answer_refusal", "answer_clarifying", "answer_unfinished", "placeholder")
"""Findings about written answers; a label such as `none` or `refusal` is one of a set and not judged by its words."""
READABLE_SHARE = 0.97
"""A field counts as read from the text where at least this share of its values stand there; the others are then odd."""
LEAST_SEEN = 30
LONGEST_SEARCHED = 20_000
"""Characters of an input that values are searched in; longer ones are passed over."""


def look(conversation: Conversation, asked: str, leaves: Leaves) -> Iterator[tuple[str, str]]:
    """(finding, detail) of one row. asked: its input. leaves: of its JSON answer. Details never hold a secret."""
    text = conversation.completion
    if len(conversation.turns) > 1 and not asked.strip():
        yield "prompt_empty", ""
    if not text.strip():
        yield "answer_empty", ""
    elif cut := no_answer.cut(text):
        yield "answer_cut", cut
    elif no_answer.mock(text):
        yield "answer_mock", repr(text.strip()[:60])
    elif no_answer.refusal(text):
        yield "answer_refusal", repr(text.strip()[:60])
    elif no_answer.clarifying(text):
        yield "answer_clarifying", ""
    elif no_answer.unfinished(text):
        yield "answer_unfinished", f"ends with {secrets.redacted(text)[-40:]!r}"
    if danger := commands.dangerous(text):
        yield "command_dangerous", danger
    if forgotten := quality.placeholder(text, leaves, asked):
        yield "placeholder", forgotten
    kinds = list(dict.fromkeys(kind for turn in conversation.turns for kind in secrets.found_kinds(turn.text())))
    for level, id in (("error", "secret"), ("warning", "personal_data")):
        named = [kind.name for kind in kinds if kind.level == level]
        if named:
            yield id, ", ".join(dict.fromkeys(named))


def group_of(conversation: Conversation) -> str:
    """The name of the shape that a row's answer has: its schema, where the row names one."""
    return conversation.meta.get("schema_id", conversation.meta.get("schema", ""))


def unread(leaves: Leaves, asked: str) -> tuple[list[str], set[str]]:
    """(path of each value that was looked for in a row's text, paths of those that it lacks)."""
    if len(asked) > LONGEST_SEARCHED:
        return [], set()
    return [path for path, _ in leaves], quality.not_found(leaves, asked)


class Values:
    """Which fields of JSON answers can be read in their texts."""

    def __init__(self) -> None:
        self._seen: Counter[tuple[str, str]] = Counter()
        self._missing: dict[tuple[str, str], array[int]] = defaultdict(lambda: array("q"))

    def add(self, seen: Mapping[tuple[str, str], int], missing: Iterable[tuple[int, str, str]]) -> None:
        """Takes what `unread` told of some rows. seen: (group, path) -> values; missing: (row, group, path)."""
        self._seen.update(seen)
        for row, group, path in missing:
            self._missing[group, path].append(row)

    def odd(self) -> dict[int, list[str]]:
        """row -> fields whose value its text lacks though nearly all other texts have theirs."""
        found: dict[int, list[str]] = defaultdict(list)
        for (group, path), rows in self._missing.items():
            seen = self._seen[group, path]
            if seen >= LEAST_SEEN and len(rows) <= (1 - READABLE_SHARE) * seen:
                for row in rows:
                    found[row].append(path)
        return dict(sorted(found.items()))
