"""What is said in `edge_graph`, and in how many ways.

A name says nothing about its type. A statement is a subject and the rest of a sentence; each fact can be told from any of its
members. A frame before a sentence makes what it says so or not so, and the two sorts share their words.
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
    "Firm": ("firm", "company", "maker of paint", "trading house"),
    "Town": ("town", "village", "port", "place in the hills"),
    "Ship": ("ship", "ferry", "barge", "tanker"),
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
        head="is a parent of {tail}|brought up {tail}|has {tail} for a child|calls {tail} an heir",
        tail="is a child of {head}|was raised by {head}|has {head} for a parent|calls {head} a parent",
    ),
    _fact(
        "succeeds", {"head": "Person", "tail": "Person"},
        head="took the place of {tail}|came into office after {tail}|has {tail} for a forerunner",
        tail="made way for {head}|came into office before {head}|has {head} for a successor",
    ),
    _fact(
        "supplies", {"head": "Firm", "tail": "Firm"},
        head="delivers its goods to {tail}|has {tail} for a customer|counts {tail} among its customers",
        tail="gets its goods from {head}|is a customer of {head}|counts {head} among its suppliers",
    ),
    _fact(
        "owns", {"head": "Firm", "tail": "Firm"},
        head="owns {tail}|holds all shares of {tail}|calls {tail} its daughter|has {tail} in its hands",
        tail="belongs to {head}|is a daughter of {head}|calls {head} its mother|has {head} for an owner",
    ),
    _fact(
        "owns", {"head": "Firm", "tail": "Ship"},
        head="owns {tail}|has {tail} in its fleet|calls {tail} its own",
        tail="belongs to {head}|sails in the fleet of {head}|has {head} for an owner",
    ),
    _fact(
        "leads", {"head": "Person", "tail": "Firm"},
        head="runs {tail}|is at the head of {tail}|has {tail} in hand",
        tail="is run by {head}|has {head} at its head|calls {head} its chief",
    ),
    _fact(
        "lives_in", {"head": "Person", "tail": "Town"},
        head="lives in {tail}|has a house in {tail}|calls {tail} home",
        tail="is home to {head}|gives {head} a home|counts {head} among its people",
    ),
    _fact(
        "based_in", {"head": "Firm", "tail": "Town"},
        head="has its seat in {tail}|sits in {tail}|has {tail} for a seat",
        tail="is the seat of {head}|houses {head}|counts {head} among its firms",
    ),
    _fact(
        "sale", {"seller": "Firm", "buyer": "Firm", "thing": "Ship"},
        seller="sold {thing} to {buyer}|let {buyer} have {thing} for a price",
        buyer="bought {thing} from {seller}|paid {seller} for {thing}",
        thing="was sold by {seller} to {buyer}|went to {buyer} for a price paid to {seller}",
    ),
    _fact(
        "voyage", {"ship": "Ship", "start": "Town", "goal": "Town"},
        ship="sailed from {start} to {goal}|came to {goal} out of {start}",
        start="saw {ship} leave for {goal}",
        goal="saw {ship} come in from {start}",
    ),
    _fact(
        "loan", {"lender": "Person", "debtor": "Person", "surety": "Firm"},
        lender="lent money to {debtor} on the word of {surety}|had {surety} stand in for {debtor} as to a loan",
        debtor="borrowed from {lender} on the word of {surety}|is in debt to {lender}, with {surety} to stand in",
        surety="stood in for {debtor} as to a loan of {lender}|gave its word to {lender} on a loan to {debtor}",
    ),
    _fact(
        "hearing", {"judge": "Person", "plaintiff": "Firm", "defendant": "Firm", "place": "Town"},
        judge="heard {plaintiff} against {defendant} in {place}",
        plaintiff="took {defendant} to court in {place} before {judge}",
        defendant="was taken to court in {place} by {plaintiff} before {judge}",
        place="saw {judge} hear {plaintiff} against {defendant}",
    ),
)  # fmt: skip

SO = (
    ("It is true that ", ""), ("Nobody doubts that ", ""), ("It is no rumour that ", ""), ("It turned out that ", ""),
    ("Few would deny that ", ""), ("Who would have thought that ", ""), ("", ", and that is true"), ("", ", which nobody doubts"),
    ("", ", and it is no rumour"), ("", ", as it turned out"), ("", ", and few would deny it"), ("", ", in truth"),
)  # fmt: skip
NOT_SO = (
    ("It is not true that ", ""), ("Everybody doubts that ", ""), ("It is a mere rumour that ", ""),
    ("It never turned out that ", ""), ("Many deny that ", ""), ("Who would ever say that ", ""),
    ("", ", and that is not true"), ("", ", which everybody doubts"),
    ("", ", and it is a mere rumour"), ("", ", as it never turned out"), ("", ", and many deny it"), ("", ", in a novel"),
)  # fmt: skip
"""What stands before and after a sentence. What is said between these is no fact."""

BEFORE = (
    "unlike {}, ", "much against the wish of {}, ", "to the surprise of {}, ", "with no help of {}, ", "as was said of {}, ",
    "in the times of {}, ",
)  # fmt: skip
BESIDE = (
    ", not {},",
    ", rather than {},",
    ", in spite of {},",
    ", and by no means {},",
    ", as was said of {},",
    ", without {},",
)
"""Names that have no part in the fact, before its subject and behind it."""

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
