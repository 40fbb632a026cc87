"""What a model is asked."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shouting_world import example

from lathe import plugins
from lathe.evaluate import prompts
from lathe.records import Example, Message, TaskSetup
from lathe.text.shots import choose_shots, with_shots


def render(conversations: Sequence[Sequence[Message]]) -> list[list[int]]:
    """A token for every character."""
    return [[ord(letter) for message in messages for letter in message.content] for messages in conversations]


def test_the_limit_is_a_quarter_more_than_the_longest_right_answer_and_sixteen() -> None:
    rows = [example("oak"), example("elm"), example("fir")]
    assert prompts.answer_limits(rows, [4, 40, 12], (), None).of(rows[0]) == 50 + 16
    assert prompts.answer_limits(rows, [4, 1662, 12], (), None).of(rows[0]) == 2078 + 16
    assert prompts.answer_limits(rows, [4, 40, 12], (), 33).of(rows[0]) == 33


def test_rows_of_a_kind_have_a_limit_of_their_own_but_not_so_few_that_it_tells_the_answer() -> None:
    rows = [example(f"s{i}", kind="simple") for i in range(6)] + [example(f"c{i}", kind="complex") for i in range(4)]
    limits = prompts.answer_limits(rows, [8] * 5 + [12] + [100, 200, 300, 400], ("kind",), None)
    assert [limits.of(row) for row in rows] == [15 + 16] * 6 + [500 + 16] * 4


@pytest.mark.parametrize(
    ("task", "corpus", "key"),
    [
        ("function_calling", "edge_calls", "kind"),
        ("intent", "edge_intent", "label"),
        ("bash", "edge_shell", "family"),
    ],
)
def test_a_slice_that_follows_from_the_right_answer_does_not_limit_an_answer(task: str, corpus: str, key: str) -> None:
    """Else a call where none is due ends as cut off after some twenty tokens, and not as a wrong call."""
    judge = plugins.load("tasks", task)
    rows = [judge.example(row, TaskSetup()) for row in plugins.load("corpora", corpus).rows(0, 300)]
    sizes = [len(row.completion) for row in rows]
    limits = prompts.answer_limits(rows, sizes, judge.question_slices, None)
    assert len({row.meta[key] for row in rows}) > 1
    assert {limits.of(row) for row in rows} == {math.ceil(1.25 * max(sizes)) + 16}


@given(st.lists(st.tuples(st.integers(1, 2000), st.sampled_from("abc")), min_size=1, max_size=60))
def test_every_right_answer_fits_its_limit(rows: list[tuple[int, str]]) -> None:
    examples = [example(f"r{i}", kind=kind) for i, (_, kind) in enumerate(rows)]
    limits = prompts.answer_limits(examples, [tokens for tokens, _ in rows], ("kind",), None)
    assert all(limits.of(one) >= tokens for one, (tokens, _) in zip(examples, rows, strict=True))


def test_shots_are_short_and_unlike_each_other() -> None:
    train = [
        example("longsimple", kind="simple"), example("short", kind="simple"), example("tiny", kind="simple"),
        example("complexone", kind="complex"), example("middlelong", kind="medium"),
    ]  # fmt: skip
    lengths = [len(row.input) for row in train]
    chosen = choose_shots(train, lengths, ("kind",), 4)
    assert [row.input for row in chosen] == ["tiny", "complexone", "middlelong", "short"]


@given(st.permutations(range(8)), st.integers(0, 10))
def test_the_order_of_the_training_rows_does_not_change_the_shots(order: list[int], k: int) -> None:
    rows = [example("abcdefgh"[: 1 + i // 2] * 2 + str(i), kind=str(i % 3)) for i in range(8)]
    shuffled = [rows[i] for i in order]

    def ids(train: Sequence[Example]) -> list[str]:
        return [row.id for row in choose_shots(train, [len(row.input) for row in train], ("kind",), k)]

    assert ids(shuffled) == ids(rows)
    assert len(ids(rows)) == min(k, 8)


def test_shots_stand_before_the_question_and_the_system_turn_only_once() -> None:
    system = Message(role="system", content="Shout.")
    other = Message(role="system", content="Shout louder.")
    question, same, different = (
        example(word).model_copy(update={"messages": (first, Message(role="user", content=word))})
        for word, first in (("oak", system), ("elm", system), ("fir", other))
    )
    turns = [(message.role, message.content) for message in with_shots(question, [same, different])]
    assert turns == [
        ("system", "Shout."),
        ("user", "elm"), ("assistant", "ELM"),
        ("user", "Shout louder.\n\nfir"), ("assistant", "FIR"),
        ("user", "oak"),
    ]  # fmt: skip


def test_without_shots_the_prompt_is_the_very_one_of_training() -> None:
    question = example("oak")
    assert with_shots(question, []) == question.messages


def test_a_prompt_near_the_end_of_the_context_gets_the_room_there_is() -> None:
    rows = [example("a" * 10), example("b" * 95), example("c" * 100)]
    asked = prompts.ask(rows, [], [11, 6, 4], render, prompts.AnswerLimits(20), 100)
    assert [request.max_new_tokens for request in asked.requests] == [20, 5]
    assert asked.unasked == (rows[2].id,)
    assert {finding.id: finding.examples for finding in asked.findings} == {
        "prompt_too_long": (rows[2].id,), "answer_cut": (rows[1].id,),
    }  # fmt: skip


def test_the_prompt_hash_changes_with_any_token_and_with_nothing_else() -> None:
    rows = [example("oak"), example("elm")]
    first = prompts.ask(rows, [], [4, 4], render, prompts.AnswerLimits(20), 100)
    assert prompts.ask(rows, [], [4, 4], render, prompts.AnswerLimits(30), 200).prompt_hash == first.prompt_hash
    assert prompts.ask(rows, rows[:1], [4, 4], render, prompts.AnswerLimits(20), 100).prompt_hash != first.prompt_hash
    assert prompts.ask(rows[::-1], [], [4, 4], render, prompts.AnswerLimits(20), 100).prompt_hash != first.prompt_hash
