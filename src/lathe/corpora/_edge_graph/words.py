"""What is said in `edge_graph`, and in how many ways.

A name says nothing about its type. A statement is a subject and the rest of a sentence; each fact can be told from any of its
members. A frame before or after a sentence makes what it says so or not so.
"""

from __future__ import annotations

from dataclasses import dataclass

FIRST = (
    "Bra", "Cor", "Dun", "El", "Fal", "Gren", "Hal", "Il", "Jor", "Kel", "Lun", "Mor", "Nor", "Ost", "Pel",
    "Quil", "Ros", "Sel", "Tol", "Ul", "Var", "Wen", "Yor", "Zan",
)  # fmt: skip
LAST = (
    "by", "dale", "den", "en", "fold", "holt", "ian", "ley", "lin", "mere", "na", "ran", "rick", "ro", "sen", "tor", "vik", "worth",
)  # fmt: skip
"""A name is one of each: 432 names for everything, none of them a part of another."""

TYPES = {
    "Person": ("painter", "judge", "nurse", "widow", "baker"),
    "Firm": ("firm", "company", "brewery", "bank", "mill"),
    "Town": ("town", "village", "port", "city", "hamlet"),
    "Ship": ("ship", "ferry", "barge", "tanker", "yacht"),
}
"""Type -> the words that tell it."""


@dataclass(frozen=True)
class Telling:
    """One way to tell a fact: the member whose name begins the sentence, and the rest, with the names of the others in braces."""

    subject: str
    rest: str


@dataclass(frozen=True)
class Fact:
    """A kind of fact. members: role -> type; a fact of two roles is a relation from the first to the second."""

    label: str
    members: dict[str, str]
    tellings: tuple[Telling, ...]

    @property
    def is_relation(self) -> bool:
        """Whether it has exactly a head and a tail."""
        return list(self.members) == ["head", "tail"]


def _fact(label: str, members: dict[str, str], **tellings: str) -> Fact:
    """A Fact; tellings by their subject, written with bars between them."""
    told = tuple(Telling(subject, rest) for subject, some in tellings.items() for rest in some.split("|"))
    return Fact(label, members, told)


FACTS = (
    _fact(
        "parent_of", {"head": "Person", "tail": "Person"},
        head="is a parent of {tail}|brought up {tail}",
        tail="is a child of {head}|was brought up by {head}",
    ),
    _fact(
        "succeeds", {"head": "Person", "tail": "Person"},
        head="succeeds {tail}|is the successor of {tail}",
        tail="is succeeded by {head}|makes way for {head}",
    ),
    _fact(
        "supplies", {"head": "Firm", "tail": "Firm"},
        head="supplies {tail}|is a supplier of {tail}",
        tail="is supplied by {head}|is a customer of {head}",
    ),
    _fact(
        "owns", {"head": "Firm", "tail": "Firm"},
        head="owns {tail}|is the owner of {tail}",
        tail="is owned by {head}|belongs to {head}",
    ),
    _fact(
        "owns", {"head": "Firm", "tail": "Ship"},
        head="owns {tail}|is the owner of {tail}",
        tail="is owned by {head}|belongs to {head}",
    ),
    _fact(
        "insures", {"head": "Firm", "tail": "Ship"},
        head="insures {tail}|is the insurer of {tail}",
        tail="is insured by {head}|has its insurance from {head}",
    ),
    _fact(
        "leads", {"head": "Person", "tail": "Firm"},
        head="leads {tail}|is the leader of {tail}",
        tail="is led by {head}|is in the hands of {head}",
    ),
    _fact(
        "employs", {"head": "Firm", "tail": "Person"},
        head="employs {tail}|pays wages to {tail}",
        tail="is employed by {head}|gets wages from {head}",
    ),
    _fact(
        "lives_in", {"head": "Person", "tail": "Town"},
        head="lives in {tail}|has a home in {tail}",
        tail="is home to {head}|is the home of {head}",
    ),
    _fact(
        "honours", {"head": "Town", "tail": "Person"},
        head="honours {tail}|gave a medal to {tail}",
        tail="is honoured by {head}|got a medal from {head}",
    ),
    _fact(
        "sale", {"seller": "Firm", "buyer": "Firm", "thing": "Ship"},
        seller="sold {thing} to {buyer}",
        buyer="bought {thing} from {seller}",
        thing="was sold by {seller} to {buyer}|was bought by {buyer} from {seller}",
    ),
    _fact(
        "voyage", {"ship": "Ship", "start": "Town", "goal": "Town"},
        ship="sailed from {start} to {goal}|came to {goal} from {start}",
        start="saw {ship} leave for {goal}",
        goal="saw {ship} come in from {start}",
    ),
    _fact(
        "loan", {"lender": "Person", "debtor": "Person", "surety": "Firm"},
        lender="lent money to {debtor} on the word of {surety}",
        debtor="borrowed from {lender} on the word of {surety}",
        surety="gave its word to {lender} on a loan to {debtor}",
    ),
)  # fmt: skip

SO = ("It is true that ", "Nobody doubts that ", "It turned out that ", "Few would deny that ")
NOT_SO = ("It is not true that ", "Everybody doubts that ", "It never turned out that ", "Many would deny that ")
"""What stands before a sentence. What is said after one of these is no fact."""

BESIDE = (", not {},", ", unlike {},", ", in spite of {},")
"""Names that have no part in the fact, behind its subject."""

SINCE = (
    "", "", "", " since the war", " for years", " by now", " to this day", " without a word", " against all advice", " in the end",
    " with a heavy heart", " for no reason", " as was agreed", " once more", " in a hurry", " with great care", " in good faith",
    " on paper", " at long last", " in secret", " out of spite", " by chance",
)  # fmt: skip
ASIDES = (
    "", "", "", ", they say,", ", of all things,", ", as we heard,", ", to be sure,", ", it seems,", ", once again,",
    ", after all,", ", strange to tell,", ", by the way,", ", mind you,", ", for one,", ", like it or not,",
)  # fmt: skip
"""Words behind and in the middle of a sentence that change nothing."""

QUIET = (
    "the rain",
    "a dog",
    "the old clock",
    "the harbour",
    "no letter",
    "the wind",
    "a lamp",
    "the market",
    "no ship",
    "the post",
)
DOES = (
    "did not stop",
    "came at last",
    "was late",
    "stood still",
    "was seen at noon",
    "could be heard",
    "was quiet",
    "went by",
)
WHEN = ("all day", "last night", "in the rain", "before dawn", "this week", "at the corner", "for an hour", "on Sunday")
"""Sentences that name nothing are one of each."""
