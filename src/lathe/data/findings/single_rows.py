"""What rows show one by one: the part of a check that needs no other row, chunk after chunk, so that processes can share it.

    rows = SingleRows(Terms(tokenizer=bundled()))
    rows.seen([conversation, ...])      ->  Seen: hashes, word runs, findings and masks of the chunk, by its row numbers

`Seen` is plain and small: it goes from process to process, and the census puts it together with all others.
"""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lathe import invariants
from lathe.data.baselines.rules import Item
from lathe.data.baselines.task_rules import misfits
from lathe.data.conversations.conversation import Conversation
from lathe.data.conversations.encoding import tokens_of
from lathe.data.conversations.masks import RowMask, mask_of
from lathe.data.duplicates.shingles import Hashes, shingles
from lathe.data.findings import quality
from lathe.data.findings.answers import group_of, look, unread
from lathe.data.preparing.split import hash64, normalised
from lathe.records import Json, canonical
from lathe.text.render import Encoded
from lathe.text.tokenizer import load

MOST_LABELS = 2000


@dataclass(frozen=True)
class Terms:
    """What is to be known for looking at single rows.

    tokenizer: folder of the base. max_tokens: length at which rows would be cut; None = the base's context. rules: invariants by
    the schema that answers have, `*` for all. schemas: by the name that rows use. sample: rows that rules learn from; None = all.
    """

    tokenizer: Path
    max_tokens: int | None = None
    rules: Mapping[str, Sequence[str]] = field(default_factory=dict)
    schemas: Mapping[str, Json] = field(default_factory=dict)
    sample: int | None = None


@dataclass(eq=False)
class Seen:
    """What a chunk of rows shows, row by row; rows are numbered from its first one."""

    inputs: array[int] = field(default_factory=lambda: array("Q"))
    """hash of each normalised input: equal inputs, equal hashes"""
    prompts: array[int] = field(default_factory=lambda: array("Q"))
    """hash of all that is asked, system prompt and schema included, normalised"""
    targets: array[int] = field(default_factory=lambda: array("Q"))
    """hash of what the answer says, however it is written"""
    sizes: array[int] = field(default_factory=lambda: array("q"))
    hashes: Hashes = field(default_factory=lambda: np.zeros(0, np.uint64))
    """runs of words of the normalised inputs, `sizes` of each, one row after the other"""
    without_json: list[int] = field(default_factory=list)
    fields: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(schema, path) -> values of JSON answers"""
    unread: list[tuple[int, str, str]] = field(default_factory=list)
    """(row, schema, path) of values that the row's text lacks"""
    answers: Counter[str] | None = None
    """rows of each answer; None where there are too many different ones to be labels"""
    items: list[tuple[int, Item]] = field(default_factory=list)
    """rows that may be in the sample"""
    notes: list[tuple[int, str, str]] = field(default_factory=list)
    """(row, finding, detail)"""
    masks: list[tuple[int, RowMask | str]] = field(default_factory=list)
    """(row, mask) of the answer that is trained, or the reason why a row has no tokens"""
    tokens: list[tuple[int, Encoded]] = field(default_factory=list)
    """(row, tokens) of the first answers, where they are to be shown"""


class SingleRows:
    """Looks at rows. What it remembers of earlier ones only spares sending what the census would not keep."""

    def __init__(self, terms: Terms) -> None:
        """Raises InputError for a folder without a tokenizer, or an invariant that cannot be read."""
        self.tok = load(terms.tokenizer)
        self._max_tokens = terms.max_tokens
        self._rules = invariants.parse_all(terms.rules)
        self._misfit = misfits(terms.schemas)
        self._smallest = Smallest(terms.sample)
        self._answers: set[str] | None = set()

    def seen(self, rows: Sequence[Conversation], show: int = 0) -> Seen:
        """What a chunk of rows shows. show: so many of the first answers come with their tokens."""
        seen = Seen(answers=self._counted(rows))
        texts = [self._look(seen, number, conversation) for number, conversation in enumerate(rows)]
        seen.hashes, sizes = shingles(texts)
        seen.sizes.extend(sizes.tolist())
        for number, tokens in tokens_of(self.tok, [(row.last_only(), number) for number, row in enumerate(rows)]):
            if isinstance(tokens, str):
                seen.masks.append((number, tokens))
                continue
            seen.masks.append((number, mask_of(tokens, self.tok, self._max_tokens)))
            if len(seen.tokens) < show:
                seen.tokens.append((number, tokens))
        return seen

    def _look(self, seen: Seen, number: int, conversation: Conversation) -> str:
        """Notes what one row shows; the text by which it is held against others is given back."""
        asked, answer, group = conversation.input, conversation.completion, group_of(conversation)
        target = conversation.target
        leaves = quality.leaf_values(target)
        text = normalised(asked) or normalised(answer)
        hashed = hash64(text)
        seen.inputs.append(hashed)
        seen.prompts.append(hash64(normalised(conversation.prompt) or text))
        seen.targets.append(hash64(canonical(conversation.meaning)))
        searched, missing = unread(leaves, asked)
        seen.fields.update((group, path) for path in searched)
        seen.unread += ((number, group, path) for path in sorted(missing))
        if target is None:
            seen.without_json.append(number)
        if len(conversation.turns) > 1 and self._smallest.among(hashed):
            prompt = conversation.turns[-2].text()
            item = Item(asked, answer if target is None else target, group, prompt, conversation.meta)
            seen.items.append((number, item))
        seen.notes += ((number, id, detail) for id, detail in look(conversation, asked, leaves))
        if conversation.has_earlier_answers():
            seen.notes.append((number, "earlier_answers", ""))
        if conversation.several:
            seen.notes.append((number, "several_answers", ""))
        if misfit := self._misfit(group, target) if target is not None else "":
            seen.notes.append((number, "schema_invalid", misfit))
        if broken := invariants.broken(self._rules, group, target) if self._rules else []:
            seen.notes.append((number, "invariant", "; ".join(broken)))
        return text

    def _counted(self, rows: Sequence[Conversation]) -> Counter[str] | None:
        """The chunk's answers; None once this process alone has seen too many different ones."""
        if self._answers is None:
            return None
        counted = Counter(row.completion for row in rows)
        self._answers |= counted.keys()
        if len(self._answers) > MOST_LABELS:
            self._answers = None
            return None
        return counted


class Smallest:
    """Whether a hash is among the `most` smallest so far; None = every one is. A row that is not can be in no sample of so many."""

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._heap: list[int] = []

    def among(self, hashed: int) -> bool:
        """Takes a hash and tells."""
        if self._most is None:
            return True
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, -hashed)
            return True
        if hashed > -self._heap[0]:
            return False
        heapq.heapreplace(self._heap, -hashed)
        return True
