"""The text that a base model is pretrained on: made by grammars, from a seed, with a weight on every stretch.

    for document in islice(CORPUS.documents(1, 0, Mix(longest_characters=1500)), 2):
        print(document.text)          # "<|im_start|>user\nSilver Harbor:
        41.7\n...<|im_end|>\n<|im_start|>assistant\n{...}<|im_end|>\n" print(document.weights)       # ((0, 17, 0.2),
        (17, 63, 0.1), ...)  start, end, loss weight; characters

It answers one question: what must a small model have seen before it can be taught to read records? Mostly to copy
out of its context into JSON under keys it has never met, so schemas, names and words are invented anew in each
document, and half of the documents are chats. Nothing is taken from any text or data set. About 1,300 documents
(900,000 characters) a second on one core.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice
from random import Random
from typing import TYPE_CHECKING

from lathe.contracts import Corpus
from lathe.corpora._structured_text.draft import SEPARATOR, Draft
from lathe.corpora._structured_text.drills import DRILLS
from lathe.corpora._structured_text.lookups import lookup
from lathe.corpora._structured_text.nesting import nesting
from lathe.corpora._structured_text.tasks import TASKS
from lathe.corpora._structured_text.words import coined

if TYPE_CHECKING:
    from lathe.records import Row
    from lathe.records.pretrain import Mix

NAME = "structured_text"


@dataclass(frozen=True)
class Document:
    """One document of the corpus."""

    text: str
    """The text, chat markers included, ending in the document separator."""
    weights: tuple[tuple[int, int, float], ...]
    """Stretches that cover the text: first character, character after the last, loss weight from 0 to 1."""
    family: str
    """The drill or task that made it."""


def document(seed: int, index: int, mix: Mix) -> Document:
    """Document `index` of the corpus: a pure function of its arguments.

    Most sizes are spread evenly in their logarithm from 150 characters up to the mix's longest.
    """
    longest = mix.longest_characters
    for family, make, share in (("lookup", lookup, mix.lookup_share), ("nesting", nesting, mix.nesting_share)):
        apart = Random(f"{NAME}/{seed}/{index}/{family}")
        if apart.random() < share:
            return _finished(make(apart, longest), family)
    rng = Random(f"{NAME}/{seed}/{index}")
    room = int(150 * (longest / 150) ** rng.random()) if rng.random() < 0.7 else longest
    makers = DRILLS if rng.random() < mix.drill_share else TASKS
    maker = rng.choices([maker for maker, _ in makers], [share for _, share in makers])[0]
    return _finished(maker(rng, room), maker.__name__)


def _finished(draft: Draft, family: str) -> Document:
    draft.say(SEPARATOR, 0.5)
    weights: list[tuple[int, int, float]] = []
    position = 0
    for text, weight in draft.pieces:
        if weights and weights[-1][2] == weight:
            weights[-1] = (weights[-1][0], position + len(text), weight)
        else:
            weights.append((position, position + len(text), weight))
        position += len(text)
    return Document("".join(text for text, _ in draft.pieces), tuple(weights), family)


class StructuredText(Corpus):
    """The pretraining corpus of `lathe:nano`."""

    version = "7"
    licence = "Apache-2.0"
    task = ""

    def rows(self, seed: int, n: int) -> Iterator[Row]:
        """Rows {"text": ..., "weights": [[start, end, weight], ...], "family": ...}."""
        from lathe.records.pretrain import Mix

        for made in islice(self.documents(seed, 0, Mix(longest_characters=1500)), n):
            yield {"text": made.text, "weights": [list(stretch) for stretch in made.weights], "family": made.family}

    def documents(self, seed: int, start: int, mix: Mix) -> Iterator[Document]:
        """Documents `start`, `start + 1` and so on, without end; each depends on the seed, its number and the mix only."""
        return (document(seed, index, mix) for index in count(start))

    def words(self, seed: int, n: int) -> str:
        """`n` coined words in a row: text that nothing tells but itself."""
        rng = Random(f"{NAME}/{seed}/words")
        return " ".join(coined(rng) for _ in range(n))


CORPUS = StructuredText()
