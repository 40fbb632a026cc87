"""NuExtract's score of aligned trees, so that its published numbers can be set beside ours.

    gold {"title": "Dune", "year": 1965}     said {"year": 1966, "title": "Dune 2"}
    "Dune" and "Dune 2" are 0.8 alike, 1965 is not 1966     ->  (0.8 + 0) / 2 = 0.4

Sources: the model card of numind/NuExtract3 ("Structured Extraction"): both values as trees that are aligned by the names of
nodes, a score for each aligned leaf, the average of them; free texts by their indel similarity, all else by exact match. Items of
lists have no names; NuMind's Treeval (numindai/treeval, docs/conceptual_guide.rst) pairs them so that the pairs' scores together
are greatest, whatever the order.

What the card leaves open, and is done here: a leaf that stands on one side only scores 0, for otherwise who says less scores more;
an answer without JSON scores 0; its types "string" and "verbatim-string" are texts of which the schema says neither enum, const
nor format; numbers are equal by value.
"""

from __future__ import annotations

from lathe.records import Json
from lathe.tasks._assignment import best_pairs
from lathe.tasks._json.place import Place
from lathe.tasks._json.values import equal, num_leaves

AT_ALL = 1e-9
"""What a pair of items that have nothing in common is worth: as many items as there can be are paired."""

Sum = tuple[float, int]
"""Scores of leaves together, and how many leaves."""


def score(gold: Json, said: Json, place: Place) -> float:
    """The mean over all leaves of the aligned trees, from 0 to 1."""
    scores, leaves = _aligned(gold, said, place)
    return scores / leaves


def _aligned(gold: Json, said: Json, place: Place) -> Sum:
    if isinstance(gold, dict) and isinstance(said, dict) and (gold or said):
        both = [_aligned(part, said[key], place.member(key)) for key, part in gold.items() if key in said]
        return _total(both, [gold[key] for key in gold.keys() - said] + [said[key] for key in said.keys() - gold])
    if isinstance(gold, list) and isinstance(said, list) and (gold or said):
        found = [[_aligned(one, other, place.items) for other in said] for one in gold]
        pairs = best_pairs([[scores / leaves + AT_ALL for scores, leaves in row] for row in found])
        paired, paired_said = {one for one, _ in pairs}, {other for _, other in pairs}
        alone = [one for number, one in enumerate(gold) if number not in paired]
        alone += [one for number, one in enumerate(said) if number not in paired_said]
        return _total([found[one][other] for one, other in pairs], alone)
    if isinstance(gold, str) and isinstance(said, str) and not place.fixed:
        return indel_similarity(gold, said), 1
    return (1.0, 1) if equal(gold, said) else (0.0, max(num_leaves(gold), num_leaves(said)))


def _total(both: list[Sum], alone: list[Json]) -> Sum:
    leaves = sum(count for _, count in both) + sum(num_leaves(one) for one in alone)
    return sum(scores for scores, _ in both), leaves


def indel_similarity(one: str, other: str) -> float:
    """1 less the insertions and deletions that turn one text into the other, over the characters of both; 1 for two empty texts."""
    length = len(one) + len(other)
    return 2 * _common(one, other) / length if length else 1.0


def _common(one: str, other: str) -> int:
    """Length of the longest common subsequence, a machine word of characters at a time (Hyyrö 2004, AWOCA, 137-148)."""
    places: dict[str, int] = {}
    for place, character in enumerate(one):
        places[character] = places.get(character, 0) | 1 << place
    everywhere = open = (1 << len(one)) - 1
    for character in other:
        hit = open & places.get(character, 0)
        open = (open + hit | open - hit) & everywhere
    return len(one) - open.bit_count()
