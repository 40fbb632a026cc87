"""Logged answers: likeness as published tools compute it, what is no answer counted, another project's rules reproduced."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lathe import plugins
from lathe.data.stage import prepare
from lathe.errors import TaskMismatch
from lathe.records import Example, LockedRecipe, Recipe, TaskSetup
from lathe.runs import RunFolder
from lathe.storage import read_rows
from lathe.tasks._chat import unified
from lathe.tasks._chat.likeness import chrf, common_subsequence, rouge_l
from lathe.tasks.chat import REASONS

TASK = plugins.load("tasks", "chat")
SETUP = TaskSetup()
GOLD = "Call sorted on the list."


def example(target: Any = GOLD, **more: Any) -> Example:
    return TASK.example({"input": "How do I sort?", "target": target, **more}, SETUP)


def test_where_a_script_has_no_blanks_each_character_is_a_word() -> None:
    """An answer of which one character of ten is another is not all wrong."""
    assert rouge_l("您的订单将于明天送达", "您的订单将于今天送达") == pytest.approx(0.9)
    assert rouge_l("ご注文の 17 番です", "ご注文の 18 番です") == pytest.approx(2 * 7 / 16)


@pytest.mark.parametrize(
    ("gold", "said", "rouge", "letters"),
    [
        ("The cat sat on the mat.", "A cat sat on a mat.", 2 / 3, 0.46887098943353656),
        ("ab", "abcdef", 0, 0.6451612903225807),
        ("hello", "", 0, 0),
        ("same words", "same words", 1, 1),
    ],
)
def test_likeness_is_what_rouge_score_and_sacrebleu_compute(gold: str, said: str, rouge: float, letters: float) -> None:
    """Values of rouge-score 0.1.2 (rougeL, no stemmer) and sacrebleu 2 (CHRF, sentence score)."""
    assert rouge_l(gold, said) == pytest.approx(rouge)
    assert chrf(gold, said) == pytest.approx(letters)


def slow_common_subsequence(one: list[str], other: list[str]) -> int:
    row = [0] * (len(other) + 1)
    for word in one:
        before = row
        row = [0]
        for place, another in enumerate(other, 1):
            row.append(before[place - 1] + 1 if word == another else max(before[place], row[-1]))
    return row[-1]


few_words = st.lists(st.sampled_from("abc"), max_size=40)


@given(few_words, few_words)
def test_the_longest_common_subsequence_is_that_of_the_plain_table(one: list[str], other: list[str]) -> None:
    found = common_subsequence(one, other)
    assert found == slow_common_subsequence(one, other)
    assert found >= sum(block.size for block in difflib.SequenceMatcher(None, one, other, False).get_matching_blocks())


@given(st.text(max_size=60), st.text(max_size=60))
def test_likeness_stays_between_0_and_1_and_is_1_of_a_text_with_itself(one: str, other: str) -> None:
    assert 0 <= rouge_l(one, other) <= 1
    assert 0 <= chrf(one, other) <= 1
    assert rouge_l(one, one) == chrf(one, one) == 1


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("", "nothing said"),
        ("TODO", "made up"),
        ("As an AI language model, I do not sort.", "declined"),
        ("Sure:\n```python\nnames.sort(", "cut off"),
        ("Could you please share the list first?", "asks back"),
        ("names.sort()", "other words"),
        (GOLD.upper(), ""),
    ],
)
def test_every_other_answer_has_its_reason_and_its_count(said: str, reason: str) -> None:
    verdict = TASK.score(example(), said, SETUP)
    assert verdict.reason == reason
    assert reason in ("", *REASONS)
    values = [verdict.values[name] for name in ("chat_answered", "chat_complete", "chat_direct")]
    assert values == [reason not in REASONS[:3], reason != "cut off", reason != "asks back"]


def test_three_rules_of_one_project_call_different_things_a_success() -> None:
    padding = "x" * len(GOLD)
    assert unified.length_alike(GOLD, padding)
    assert not unified.words_covered(GOLD, padding)
    covered = "unsorted list.less " + padding * 3
    assert unified.words_covered(GOLD, covered)  # `sorted` inside `unsorted`, `list.` inside `list.less`
    assert not unified.length_alike(GOLD, covered)
    assert unified.returned(" ")
    assert unified.words_covered("to be or not", "anything")  # no word of five letters


def test_turns_before_the_question_stay_turns() -> None:
    said = [("user", "I have a list."), ("assistant", "Good."), ("user", "How do I sort?")]
    turns = [{"role": role, "content": text} for role, text in said]
    assert [(one.role, one.content) for one in example(messages=turns).messages] == said
    assert [one.content for one in example().messages] == ["How do I sort?"]


@pytest.mark.parametrize("answer", ["  ", None])
def test_an_answer_that_says_nothing_or_is_missing_is_no_reference(answer: str | None) -> None:
    """A model would learn to write `null`."""
    with pytest.raises(TaskMismatch, match=f"an answer that says something, got {answer!r}"):
        example(answer)


def test_a_log_of_interactions_is_read_with_its_roles_and_without_its_failures(tmp_path: Path) -> None:
    def logged(number: int, status: str) -> dict[str, Any]:
        asked = [
            {"role": "system", "content": "You are a tester."},
            {"role": "user", "content": f"Task {number}: test it"},
        ]
        return {
            "id": str(number),
            "agent": {"role": "tester" if number % 2 else "coder"},
            "execution": {"status": status, "input_messages": asked, "output": f"Run the tests of part {number}."},
        }

    rows = [logged(number, "failure" if number == 7 else "success") for number in range(40)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = {"name": "r", "base": "lathe:nano", "task": "chat", "data": {"source": str(tmp_path / "log.jsonl")}}
    run = RunFolder(tmp_path / "run")
    locked = LockedRecipe(inputs="", recipe=Recipe.model_validate(recipe), base_folder="")
    prepare(run, locked, "inputs", lambda _: None)
    found = [one for side in ("train", "validation", "test") for one in read_rows(run.rows(side), Example)]
    assert len(found) == 39
    assert {one.meta["agent"] for one in found} == {"tester", "coder"}
    assert all([turn.role for turn in one.messages] == ["system", "user"] for one in found)


def test_rules_without_a_model_answer_as_the_most_similar_row_was() -> None:
    training = [example(f"Answer {n}.", input=f"What about {word}?") for n, word in enumerate(("cats", "dogs", "hats"))]
    rules = {rule.name: rule.fit(training, SETUP) for rule in TASK.baselines}
    assert rules["nearest_neighbour"](example(input="Tell me what about dogs")) == "Answer 1."
