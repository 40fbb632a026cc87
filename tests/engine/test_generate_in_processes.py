"""Generation shared out to processes: the same answers, each once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lathe.contracts import Model
from lathe.engine.generate import generate, taken
from lathe.engine.generate_in_processes import FEWEST_PROMPTS, generate_in_processes, processes, shared
from lathe.engine.model import load_merged
from lathe.engine.writing import Prompt
from lathe.errors import InputError

pytestmark = pytest.mark.usefixtures("one_thread")

STOP = frozenset({2})


def prompts(count: int) -> list[Prompt]:
    return [Prompt([5 + (7 * row + place) % 200 for place in range(4 + row % 5)], 6 + row % 3) for row in range(count)]


def test_two_processes_give_the_answers_of_one(tiny_base: Path) -> None:
    asked, model = prompts(9), Model(tiny_base)
    weights = taken(load_merged(model))
    alone = {answer.index: answer.ids for answer in generate(weights, asked, token_budget=60, stop_ids=STOP)}
    found = list(generate_in_processes(weights, model, asked, 2, token_budget=60, stop_ids=STOP))
    assert sorted(answer.index for answer in found) == list(range(9))
    assert {answer.index: answer.ids for answer in found} == alone


def test_a_prompt_that_a_helper_cannot_answer_is_refused_as_in_one_process(tiny_base: Path) -> None:
    model = Model(tiny_base)
    loaded = load_merged(model)
    beyond = [Prompt([5] * (loaded.config.max_position_embeddings - 1), 4)] * 2
    loaded.config.max_position_embeddings *= 2  # this process would answer; the helper reads the folder's own
    with pytest.raises(InputError, match="exceeds the context"):
        list(generate_in_processes(taken(loaded), model, beyond, 2, token_budget=60, stop_ids=STOP))


@given(st.lists(st.integers(1, 40), max_size=30), st.integers(1, 5))
def test_shares_hold_each_prompt_once_and_differ_by_one_at_most(lengths: list[int], count: int) -> None:
    shares = shared([Prompt([7] * length, 3) for length in lengths], count)
    assert sorted(index for share in shares for index in share) == list(range(len(lengths)))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_few_prompts_and_large_models_stay_in_one_process() -> None:
    assert processes(FEWEST_PROMPTS * 2 - 1, 8, 4_000_000) == 1
    assert processes(FEWEST_PROMPTS * 2, 8, 4_000_000) == 2
    assert processes(FEWEST_PROMPTS * 20, 8, 4_000_000) == 8
    assert processes(FEWEST_PROMPTS * 20, 1, 4_000_000) == 1
    assert processes(FEWEST_PROMPTS * 20, 8, 135_000_000) == 1
