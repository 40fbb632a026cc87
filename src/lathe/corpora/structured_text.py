"""The text that a base model is pretrained on: made by grammars, from a seed, with a weight on every stretch.

    for document in generate(seed=1, n=2):
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
from itertools import count
from random import Random
from typing import TYPE_CHECKING

from lathe.contracts import Corpus
from lathe.corpora._structured_text.draft import SEPARATOR, Draft
from lathe.corpora._structured_text.drills import DRILLS
from lathe.corpora._structured_text.lookups import lookup
from lathe.corpora._structured_text.tasks import TASKS
from lathe.corpora._structured_text.words import coined

if TYPE_CHECKING:
    from lathe.records import Row

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


def document(
    seed: int, index: int, *, longest: int = 1500, drill_share: float = 0.15, lookup_share: float = 0.0
) -> Document:
    """Document `index` of the corpus: a pure function of its arguments.

    `longest` is the room in characters (three to a token, roughly) that a document may fill; sizes are spread evenly
    in their logarithm from 150 characters upwards. `lookup_share` is the share of documents that drill finding values
    by their labels; of the others, `drill_share` only drill copying.
    """
    apart = Random(f"{NAME}/{seed}/{index}/lookup")
    if apart.random() < lookup_share:
        return _finished(lookup(apart, longest), "lookup")
    rng = Random(f"{NAME}/{seed}/{index}")
    room = int(150 * (longest / 150) ** rng.random()) if rng.random() < 0.7 else longest
    makers = DRILLS if rng.random() < drill_share else TASKS
    make = rng.choices([maker for maker, _ in makers], [share for _, share in makers])[0]
    return _finished(make(rng, room), make.__name__)


def generate(
    seed: int,
    n: int,
    *,
    longest: int = 1500,
    drill_share: float = 0.15,
    lookup_share: float = 0.0,
    start: int = 0,
) -> Iterator[Document]:
    """Documents `start` to `start + n - 1`; document i depends on the seed, i and the three settings only."""
    for index in range(start, start + n):
        yield document(seed, index, longest=longest, drill_share=drill_share, lookup_share=lookup_share)


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

    version = "6"
    licence = "Apache-2.0"
    task = ""

    def rows(self, seed: int, n: int) -> Iterator[Row]:
        """Rows {"text": ..., "weights": [[start, end, weight], ...], "family": ...}."""
        for made in generate(seed, n):
            yield {"text": made.text, "weights": [list(stretch) for stretch in made.weights], "family": made.family}

    def documents(
        self, seed: int, start: int, longest: int, drill_share: float, lookup_share: float
    ) -> Iterator[Document]:
        """Documents `start`, `start + 1` and so on, without end."""
        return (
            document(seed, index, longest=longest, drill_share=drill_share, lookup_share=lookup_share)
            for index in count(start)
        )

    def words(self, seed: int, n: int) -> str:
        """`n` coined words in a row: text that nothing tells but itself."""
        rng = Random(f"{NAME}/{seed}/words")
        return " ".join(coined(rng) for _ in range(n))


CORPUS = StructuredText()
