"""Public data sets that Lathe knows by their content: where they are from, under which licence, and how to cite them.

    by_sha256("2eb7...")                       EdgeJSON v3, wherever the file lies and whatever it is called
    by_place("edgejson/train_v3.jsonl")        the same, by its place in a mirror (the folder that LATHE_MIRROR names)

None of these files is part of Lathe.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublicSource:
    """One file of a public set. place: its path in a mirror. num_rows: what it must hold."""

    name: str
    place: str
    licence: str
    citation: str
    sha256: str
    num_rows: int


EDGEJSON = "CycleCore Technologies, SLM-Bench: EdgeJSON. https://github.com/CycleCore-Technologies/slmbench"
EDGEJSON_LICENCE = "Apache-2.0 (code and files); its README states CC-BY-4.0 for the data"
NL2BASH = (
    "X. V. Lin, C. Wang, L. Zettlemoyer, M. D. Ernst: NL2Bash: A Corpus and Semantic Parser for Natural Language Interface "
    "to the Linux Operating System. LREC 2018."
)
BANKING77 = (
    "I. Casanueva, T. Temcinas, D. Gerz, M. Henderson, I. Vulic: Efficient Intent Detection with Dual Sentence Encoders. "
    "NLP for ConvAI, ACL 2020."
)

PUBLIC_SOURCES = (
    PublicSource(
        "EdgeJSON v3", "edgejson/train_v3.jsonl", EDGEJSON_LICENCE, EDGEJSON,
        "2eb76b30cfbeffa3f622e798ea83476fa17fc28041ff6f37efc0a2c4b56b6114", 629,
    ),
    PublicSource(
        "EdgeJSON v2 (72 rows with wrong totals)", "edgejson/train_v2_broken.jsonl", EDGEJSON_LICENCE, EDGEJSON,
        "9c38d999ce6c9614738617a42c61f677e486b124f19075252d6ae387fffb11d2", 629,
    ),
    PublicSource(
        "BANKING77 (train)", "banking77/train.csv", "CC-BY-4.0", BANKING77,
        "b06e26ac675513959a63135f11b94ea7786ed02da65db93a5650d8838cbc664b", 10_003,
    ),
    PublicSource(
        "NL2Bash (sentences)", "nl2bash/open.nl", "MIT", NL2BASH,
        "084798019efb4456fe990a74cd6c7295ba0c218bc7ff1bcbd5649369f5b358e4", 8_752,
    ),
    PublicSource(
        "NL2Bash (commands)", "nl2bash/open.cm", "MIT", NL2BASH,
        "e0a190041d2900625eb5a81f56b8ad4a00b3e3b5dcf0a3c07a88ca6dd53f42a9", 8_752,
    ),
)  # fmt: skip


def by_sha256(sha256: str) -> PublicSource | None:
    """The public file with that content, or None."""
    return next((source for source in PUBLIC_SOURCES if source.sha256 == sha256), None)


def by_place(place: str) -> PublicSource | None:
    """The public file with that place in a mirror, or None."""
    return next((source for source in PUBLIC_SOURCES if source.place == place), None)
