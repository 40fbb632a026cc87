"""Generation against transformers, one prompt at a time, in float32."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from taken_apart import copied
from transformers import PreTrainedModel

from lathe.contracts import Model
from lathe.engine import model
from lathe.engine.decoding import compiled
from lathe.engine.decoding.cache import Read
from lathe.engine.decoding.decoder import Decoder
from lathe.engine.decoding.weights import Weights, can_decode
from lathe.engine.generate import SIMILAR, generate, in_order, taken
from lathe.engine.lookup import Lookup
from lathe.engine.slots import WORTH_A_PASS
from lathe.engine.writing import Prompt
from lathe.errors import InputError
from tiny_base import write_base

pytestmark = pytest.mark.usefixtures("one_thread")

Expected = tuple[list[list[int]], frozenset[int]]
"""Answers with the token that ended them, and the ids at which they end."""
WRITTEN_OUT = ["llama", "qwen2", "qwen3", "mistral"]
OTHERS = ["gpt_neox", "windowed", "phi3"]


def network(name: str, tmp_path_factory: pytest.TempPathFactory) -> PreTrainedModel:
    folder = tmp_path_factory.mktemp("models") / name
    if name == "windowed":
        return model.load_base(write_base(folder, "mistral", sliding_window=16))
    return model.load_base(write_base(folder, name, sliding_window=None))


@pytest.fixture(scope="module", params=WRITTEN_OUT)
def net(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> PreTrainedModel:
    loaded = network(request.param, tmp_path_factory)
    assert can_decode(loaded)
    return loaded


@pytest.fixture(scope="module", params=OTHERS)
def other_net(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> PreTrainedModel:
    """Architectures and options that are left to transformers itself."""
    loaded = network(request.param, tmp_path_factory)
    assert not can_decode(loaded)
    return loaded


def prompts(count: int = 8, new: int = 16) -> list[Prompt]:
    """Prompts of very different length; some begin alike, one is another's beginning."""
    draw = np.random.default_rng(5)
    shared = draw.integers(3, 259, 40).tolist()
    made = [
        shared[: draw.integers(0, 40)] + draw.integers(3, 259, draw.integers(1, 60)).tolist() for _ in range(count - 2)
    ]
    return [Prompt(ids, new) for ids in (*made, shared, shared[:20])]


def one_at_a_time(net: PreTrainedModel, prompt: Prompt, stop_ids: frozenset[int]) -> list[int]:
    return net.generate(
        torch.tensor([list(prompt.ids)]),
        attention_mask=torch.ones(1, len(prompt.ids), dtype=torch.long),
        max_new_tokens=prompt.max_new_tokens,
        do_sample=False,
        eos_token_id=sorted(stop_ids),
        pad_token_id=0,
    )[0, len(prompt.ids) :].tolist()


@pytest.fixture(params=["compiled", "eager"])
def parts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What lies between products is compiled, or torch's operations."""
    if request.param == "eager":
        monkeypatch.setattr(compiled, "load", lambda narrow: "as on a machine without a compiler")
    elif isinstance(reason := compiled.load(torch.float32), str):
        pytest.skip(reason)
    return request.param


@pytest.fixture(scope="module")
def expected(net: PreTrainedModel) -> Expected:
    return reference(net)


@pytest.mark.usefixtures("parts")
@pytest.mark.parametrize("token_budget", [1, 300, 16384])
def test_answers_equal_those_of_transformers_one_at_a_time(
    net: PreTrainedModel, expected: Expected, token_budget: int
) -> None:
    check_answers(net, expected, token_budget)


def test_other_architectures_answer_as_transformers_does(other_net: PreTrainedModel) -> None:
    check_answers(other_net, reference(other_net), token_budget=300)


def reference(net: PreTrainedModel) -> Expected:
    """What transformers writes to each prompt, and the token at which answers end: one that the first prompt's comes to."""
    wanted = prompts()
    stop_ids = frozenset(one_at_a_time(net, wanted[0], frozenset({0}))[-1:])
    return [one_at_a_time(net, prompt, stop_ids) for prompt in wanted], stop_ids


def check_answers(net: PreTrainedModel, expected: Expected, token_budget: int, most_guesses: int = 7) -> None:
    texts, stop_ids = expected
    made = generate(copied(net), prompts(), token_budget=token_budget, stop_ids=stop_ids, most_guesses=most_guesses)
    answers = {answer.index: answer for answer in made}
    assert sorted(answers) == list(range(len(texts)))
    for index, ids in enumerate(texts):
        stopped = ids[-1] in stop_ids
        assert answers[index].ids == (ids[:-1] if stopped else ids)
        assert answers[index].finish == ("stop" if stopped else "length")
    assert {answer.finish for answer in answers.values()} == {"stop", "length"}, "the sample is to show both ends"


def reserved(net: PreTrainedModel, slots: int, capacity: int) -> Decoder:
    decoder = Decoder(Weights(copy.deepcopy(net)))
    decoder.reserve(slots, capacity)
    return decoder


@pytest.mark.usefixtures("parts")
def test_logits_of_every_step_equal_those_of_transformers(net: PreTrainedModel) -> None:
    """Rows of different length side by side: prompt logits and those of ten further tokens."""
    rows = [np.arange(3, 3 + length) for length in (5, 31, 17)]
    decoder = reserved(net, slots=4, capacity=48)
    last = decoder.forward([], [Read(slot, ids) for slot, ids in enumerate(rows)])
    for more in range(10):
        found = decoder.logits(last)
        for slot, ids in enumerate(rows):
            with torch.no_grad():
                expected = net(input_ids=torch.from_numpy(ids)[None], use_cache=False).logits[0, -1]
            assert torch.allclose(found[slot], expected, atol=2e-5)
        tokens = torch.tensor([20 + more, 90 + more, 200 + more])
        rows = [np.append(ids, token) for ids, token in zip(rows, tokens.numpy(), strict=True)]
        last = decoder.forward(tokens[:, None].tolist())
        decoder.keep([len(ids) for ids in rows])


@pytest.mark.usefixtures("parts")
def test_several_tokens_at_once_give_the_hidden_states_of_one_at_a_time_and_dropped_guesses_leave_no_trace(
    net: PreTrainedModel,
) -> None:
    rows = [[20, 90, 200], [7, 7]]
    together, single = reserved(net, slots=2, capacity=48), reserved(net, slots=2, capacity=48)
    for decoder in (together, single):
        for slot, length in enumerate((5, 31)):
            decoder.forward([], [Read(slot, np.arange(3, 3 + length))])
    together.forward([[11, 12, 13, 14], [15]])
    together.keep([5, 31])
    found_TD = together.forward(rows)
    for place in range(2):
        expected_ND = single.forward([[row[place]] for row in rows])
        single.keep([6 + place, 32 + place])
        assert torch.allclose(found_TD[[place, 3 + place]], expected_ND, atol=2e-5)


@pytest.mark.parametrize("most_guesses", [0, 1, 7])
def test_guesses_change_no_answer(net: PreTrainedModel, expected: Expected, most_guesses: int) -> None:
    check_answers(net, expected, 300, most_guesses=most_guesses)


@given(st.lists(st.integers(0, 2), max_size=40), st.integers(0, 9))
def test_a_guess_is_what_followed_the_same_tokens_last_time(ids: list[int], most: int) -> None:
    guess = Lookup(ids).guess(most)
    earlier = [place for place in range(1, len(ids)) if ids[place - 1] == ids[-1]]
    assert len(guess) == (most if earlier else 0)
    if guess:
        # Each guessed token stands where the last token (or two, or three) stood before, read on round the end.
        assert any([*ids, *guess][place : place + most] == guess for place in earlier)


def test_a_repeating_prompt_is_continued_in_fewer_passes(tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[int] = []
    plain = Decoder.forward
    monkeypatch.setattr(Decoder, "forward", lambda self, *given: passes.append(len(given)) or plain(self, *given))
    net = model.load_base(tiny_base)
    (answer,) = generate(copied(net), [Prompt([5, 6, 7], 200)], token_budget=400, stop_ids=frozenset())
    assert len(answer.ids) == 200, "a small random network soon runs in circles"
    assert len(passes) < 100


@pytest.mark.usefixtures("parts")
def test_a_prefix_taken_over_from_another_slot_changes_nothing(net: PreTrainedModel) -> None:
    first, second = np.arange(3, 40), np.append(np.arange(3, 30), [99, 98, 97])
    shared = reserved(net, slots=2, capacity=64)
    shared.forward([], [Read(0, first)])
    shared.copy_prefix(0, 1, 27)
    alone = reserved(net, slots=1, capacity=64)
    assert torch.allclose(shared.forward([], [Read(1, second, 27)]), alone.forward([], [Read(0, second)]), atol=2e-5)


@pytest.mark.usefixtures("parts")
def test_a_pass_that_reads_a_prompt_and_goes_on_elsewhere_gives_what_two_passes_give(net: PreTrainedModel) -> None:
    both, apart = reserved(net, slots=3, capacity=64), reserved(net, slots=3, capacity=64)
    for decoder in (both, apart):
        decoder.forward([], [Read(0, np.arange(3, 20)), Read(1, np.arange(30, 40))])
    prompt = Read(2, np.arange(50, 60))
    found_RD = both.forward([[7], [8, 9]], [prompt])
    assert torch.allclose(found_RD, torch.cat((apart.forward([[7], [8, 9]]), apart.forward([], [prompt]))), atol=2e-5)
    for decoder in (both, apart):
        decoder.keep([18, 11, 10])
    assert torch.allclose(both.forward([[1], [2], [3]]), apart.forward([[1], [2], [3]]), atol=2e-5)


@pytest.mark.usefixtures("parts")
def test_a_cache_cut_anew_holds_what_its_slots_held(net: PreTrainedModel) -> None:
    decoder, alone = reserved(net, slots=2, capacity=64), reserved(net, slots=2, capacity=64)
    for one in (decoder, alone):
        one.forward([], [Read(0, np.arange(3, 20))])
        one.forward([], [Read(1, np.arange(30, 40))])
    decoder.reserve(slots=5, capacity=24)
    decoder.forward([], [Read(2, np.arange(50, 60))])
    assert torch.allclose(decoder.forward([[7], [8, 9], [1]])[:3], alone.forward([[7], [8, 9]]), atol=2e-5)


def test_prompts_are_read_several_in_a_pass_after_one_that_they_begin_like_while_others_are_answered(
    net: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes: list[tuple[int, list[tuple[int, int]]]] = []
    plain = Decoder.forward

    def forward(self: Decoder, rows: Sequence[Sequence[int]], reads: Sequence[Read]) -> torch.Tensor:
        passes.append((len(rows), [(len(read.ids), read.start) for read in reads]))
        return plain(self, rows, reads)

    monkeypatch.setattr(Decoder, "forward", forward)
    common = list(range(3, 3 + WORTH_A_PASS))
    asked = [Prompt([200 + row] * 9, 4) for row in range(3)] + [Prompt([*common, 90 + row], 4) for row in range(2)]
    made = {a.index: a.ids for a in generate(copied(net), asked, token_budget=900, stop_ids=frozenset())}
    assert made == {row: one_at_a_time(net, prompt, frozenset()) for row, prompt in enumerate(asked)}
    long = WORTH_A_PASS + 1
    assert passes[:2] == [(0, [(long, 0)]), (1, [(long, WORTH_A_PASS), (9, 0), (9, 0), (9, 0)])]
    assert all(not reads for _, reads in passes[2:])


def test_the_first_answer_is_given_out_before_the_last_is_begun(tiny_base: Path) -> None:
    wanted = [Prompt([5, 6, 7], 2), Prompt([8, 9], 40)]
    stream = generate(taken(model.load_base(tiny_base)), wanted, token_budget=100, stop_ids=frozenset())
    assert next(stream).index in (0, 1)
    assert len(list(stream)) == 1


def test_times_of_the_answers_add_up_to_no_more_than_the_wall_time(tiny_base: Path) -> None:
    import time

    net = model.load_base(tiny_base)
    begun = time.perf_counter()
    answers = list(generate(copied(net), prompts(), token_budget=400, stop_ids=frozenset()))
    wall = time.perf_counter() - begun
    assert 0.3 * wall < sum(answer.seconds for answer in answers) <= wall


def test_a_prompt_beyond_the_context_is_refused_before_anything_is_generated(tiny_base: Path) -> None:
    stream = generate(
        taken(model.load_base(tiny_base)),
        [Prompt([5], 4), Prompt([5] * 500, 13)],
        token_budget=99,
        stop_ids=frozenset(),
    )
    with pytest.raises(InputError, match="500 tokens with up to 13 new ones exceeds the context of 512"):
        next(stream)


def test_the_merged_adapter_gives_the_answers_of_base_and_adapter(tiny_base: Path, tmp_path: Path) -> None:
    from lathe.records import Method

    tuned = model.attach(model.load_base(tiny_base), Method(rank=4), seed=1)
    with torch.no_grad():
        for parameter in model.trainable(tuned).values():
            parameter.normal_(generator=torch.Generator().manual_seed(2), std=0.2)
    (tmp_path / "adapter").mkdir()
    model.write_trained(tuned, tmp_path / "adapter")
    both = Model(tiny_base, tmp_path / "adapter")
    apart = model.load(both)
    wanted = prompts(6)
    for answer in generate(taken(model.load_merged(both)), wanted, token_budget=999, stop_ids=frozenset()):
        assert answer.ids == one_at_a_time(apart, wanted[answer.index], frozenset())


@given(st.lists(st.tuples(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(1, 30)), max_size=30))
@settings(deadline=None)
def test_prompts_are_begun_once_each_and_none_needs_much_more_than_one_before_it(
    drawn: list[tuple[list[int], int]],
) -> None:
    wanted = [Prompt(ids, new) for ids, new in drawn]
    order = in_order(wanted)
    assert sorted(order) == list(range(len(wanted)))
    needs = [wanted[index].need for index in order]
    assert all(SIMILAR * later <= least for least, later in zip(accumulate(needs, min), needs, strict=True))
