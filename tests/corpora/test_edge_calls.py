"""The generated calls: every value stands in the message, and no rule without a model gets far."""

from __future__ import annotations

import json
from collections import Counter
from itertools import combinations
from random import Random

import pytest

from lathe import plugins
from lathe.corpora._edge_calls.catalogue import CATALOGUE, NOBODY, Doing
from lathe.corpora._edge_calls.values import Clock
from lathe.corpora._edge_calls.writing import offer
from lathe.records import Row, TaskSetup
from lathe.tasks._calls.rules import _words

CORPUS = plugins.load("corpora", "edge_calls")
TASK = plugins.load("tasks", "function_calling")
ROWS = list(CORPUS.rows(0, 900))
EXAMPLES = [TASK.example(row, TaskSetup()) for row in ROWS]


def test_rows_of_all_kinds_come() -> None:
    shares = {kind: count / len(ROWS) for kind, count in Counter(one.meta["kind"] for one in EXAMPLES).items()}
    assert set(shares) == {"simple", "multiple", "parallel", "irrelevance", "recovery"}
    assert min(shares.values()) > 0.1


def test_messages_are_not_repeated() -> None:
    assert len({row["input"] for row in ROWS}) >= 0.97 * len(ROWS)


def sayings(value: object) -> set[str]:
    """All ways in which the kinds of the catalogue say a value."""
    kinds = [argument.kind for doing in CATALOGUE for argument in doing.arguments]
    said = set()
    for kind in kinds:
        for seed in range(12):
            try:
                said.add(kind.say(Random(seed), value))
            except (KeyError, TypeError, ValueError, IndexError):
                break  # the value is of another kind
    return said


@pytest.mark.parametrize("row", ROWS[:80], ids=lambda row: row["id"])
def test_every_value_of_a_call_is_said_in_the_message(row: Row) -> None:
    for call in row["target"]:
        for value in call["arguments"].values():
            assert any(said in row["input"] for said in sayings(value)), value


def test_where_nothing_fits_no_offered_function_does_what_is_wished() -> None:
    for row in ROWS:
        if not row["target"]:
            told = {tool["function"]["description"] for tool in row["tools"]}
            assert not told & wished(row)


def wished(row: Row) -> set[str]:
    """What the wishes of a message are for."""
    said = row["input"].lower()
    return {one.does for one in (*CATALOGUE, *NOBODY) for wish in one.wishes if wish.lower() in said}


def test_nothing_fits_where_nothing_is_wished_or_what_no_function_does_or_what_another_does() -> None:
    done = {one.does for one in CATALOGUE}
    counted = Counter(
        "done" if found & done else "never done" if found else "nothing"
        for found in (wished(row) for row in ROWS if not row["target"])
    )
    assert set(counted) == {"nothing", "never done", "done"}
    assert min(counted.values()) > 0.2 * counted.total()


def test_a_second_attempt_differs_from_the_first_exactly_where_the_error_says_so() -> None:
    again = [row for row in ROWS if "messages" in row]
    seen = Counter()
    for row in again:
        first = json.loads(row["messages"][1]["content"])
        error = row["messages"][2]["content"]
        seen[error.split()[-1]] += 1
        assert (first == row["target"]) == ("busy" in error)
        if "taken" in error:
            taken, right = first[0]["arguments"], row["target"][0]["arguments"]
            assert {name for name in right if right[name] != taken[name]} == {
                name for name in right if f"{taken[name]} is taken" in error
            }
        if " is not " in error:
            name, wrong = error.removeprefix("error: ").split(" is not ")
            assert str(first[0]["arguments"][name]) == wrong != str(row["target"][0]["arguments"][name])
    assert {"again", "taken", "missing", "type"} <= set(seen)


def test_the_second_choice_of_a_time_counts_only_after_the_first_was_taken() -> None:
    said = [row for row in ROWS if "where that is taken" in row["input"]]
    assert len(said) > 20
    assert any("messages" not in row for row in said)


def own_words(doing: Doing) -> set[str]:
    return set(_words(f"{' '.join(doing.names)} {doing.does}"))


@pytest.mark.parametrize("doing", CATALOGUE, ids=lambda doing: doing.names[0])
def test_a_function_is_mentioned_in_the_words_that_wishes_for_it_have(doing: Doing) -> None:
    """The shortcuts `take the function whose words stand in the message` and `no such words, no call` find nothing."""
    for said in (*doing.wishes, *doing.mentions):
        assert own_words(doing) & set(_words(said)), said


def test_most_messages_mention_a_function_that_is_shown_wished_for_or_not() -> None:
    mentioned: dict[bool, list[bool]] = {True: [], False: []}
    for row, one in zip(ROWS, EXAMPLES, strict=True):
        shown = {tool["function"]["description"] for tool in row["tools"]}
        sentences = [sentence for doing in CATALOGUE if doing.does in shown for sentence in doing.mentions]
        mentioned[bool(one.target)].append(any(sentence in row["input"] for sentence in sentences))
    shares = {called: sum(found) / len(found) for called, found in mentioned.items()}
    assert min(shares.values()) > 0.8
    assert abs(shares[True] - shares[False]) < 0.08, "a mention says nothing of whether something is to be called"


def test_no_two_things_to_do_share_a_name_or_a_wish() -> None:
    for one, other in combinations(CATALOGUE, 2):
        assert not set(one.names) & set(other.names)
        assert not set(one.wishes) & set(other.wishes)
        assert not set(one.mentions) & set(other.mentions)


@pytest.mark.parametrize("doing", CATALOGUE, ids=lambda doing: doing.names[0])
def test_arguments_of_a_function_have_names_of_their_own_and_one_is_required(doing) -> None:  # type: ignore[no-untyped-def]
    for seed in range(20):
        offered = offer(Random(seed), doing)
        assert len(offered.arguments) == len(doing.arguments)
        assert offered.tool()["function"]["parameters"]["required"]


@pytest.mark.parametrize("value", ["06:30", "12:00", "12:45", "13:15", "21:00"])
def test_a_time_is_said_so_that_it_means_one_time(value: str) -> None:
    kind = Clock()
    for seed in range(30):
        said = kind.say(Random(seed), value)
        others = {f"{hour:02d}:{minute:02d}" for hour in range(6, 22) for minute in (0, 15, 30, 45)} - {value}
        assert all(said != kind.say(Random(again), other) for other in others for again in range(4))


def test_rules_without_a_model_reach_less_than_a_fifth() -> None:
    """That is the share of rows that fit no function, and what is left of the best shortcut: to call nothing, ever."""
    for baseline in TASK.baselines:
        rule = baseline.fit(EXAMPLES[:700], TaskSetup())
        right = sum(TASK.score(one, rule(one), TaskSetup()).values["function_exact"] == 1 for one in EXAMPLES[700:])
        assert right / 200 < 0.2, baseline.name
