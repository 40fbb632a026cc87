"""Answers at a temperature: draws from the model's own distribution, the same again for the same seed, whatever is under way."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from gguf_base import write_gguf_base
from lathe import plugins
from lathe.contracts import Choice, GenerateSettings, Model, Request
from lathe.engine import generate, model
from lathe.engine.chance import Chance
from lathe.engine.generate_in_processes import generate_in_processes
from lathe.engine.slots import MOST_GUESSES
from lathe.engine.writing import Prompt
from lathe.records import Message
from lathe.text import tokenizer
from tiny_base import write_base

pytestmark = pytest.mark.usefixtures("one_thread")

STOP = frozenset({2})


def prompts(count: int = 6, new: int = 10) -> list[Prompt]:
    draw = np.random.default_rng(5)
    shared = draw.integers(3, 259, 30).tolist()
    return [Prompt([*shared, *draw.integers(3, 259, 5 + place).tolist()], new) for place in range(count)]


def drawn(
    base: Path,
    asked: list[Prompt],
    temperature: float = 1.0,
    seed: int = 0,
    budget: int = 4096,
    guesses: int = MOST_GUESSES,
) -> list[list[int]]:
    chance = Chance(temperature, seed)
    found = generate.generate(
        model.load_base(base), asked, token_budget=budget, stop_ids=STOP, most_guesses=guesses, chance=chance
    )
    return [answer.ids for answer in sorted(found, key=lambda answer: answer.index)]


def test_a_seed_gives_the_same_answers_again_and_another_seed_others(tiny_base: Path) -> None:
    first = drawn(tiny_base, prompts(), seed=3)
    assert drawn(tiny_base, prompts(), seed=3) == first
    other = drawn(tiny_base, prompts(), seed=4)
    assert sum(one != another for one, another in zip(first, other, strict=True)) >= 5


def test_an_answer_does_not_depend_on_what_else_is_under_way(tiny_base: Path) -> None:
    together = drawn(tiny_base, prompts())
    assert drawn(tiny_base, prompts(), budget=50) == together
    assert drawn(tiny_base, prompts()[3:4])[0] == together[3]


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_guesses_change_no_draw(tiny_base: Path, temperature: float) -> None:
    """A token that was guessed is kept where the draw for its place gives it, and that draw is the same in any pass."""
    asked = [Prompt([*range(3, 40), *range(3, 40)], 30), *prompts(3, new=30)]
    assert drawn(tiny_base, asked, temperature) == drawn(tiny_base, asked, temperature, guesses=0)


def test_processes_draw_what_one_alone_draws(tiny_base: Path) -> None:
    shared = generate_in_processes(
        model.load_base(tiny_base),
        Model(tiny_base),
        prompts(),
        2,
        token_budget=4096,
        stop_ids=STOP,
        chance=Chance(1.0, 0),
    )
    assert [one.ids for one in sorted(shared, key=lambda answer: answer.index)] == drawn(tiny_base, prompts())


def test_next_to_no_temperature_is_greedy(tiny_base: Path) -> None:
    session = plugins.load("runtimes", "native").open(Model(tiny_base), threads=1)
    asked = [Request(f"row-{place}", (), one.ids, one.max_new_tokens) for place, one in enumerate(prompts())]
    greedy = {one.id: one.text for one in session.generate(asked, GenerateSettings())}
    cold = {one.id: one.text for one in session.generate(asked, GenerateSettings(temperature=1e-5))}
    assert cold == greedy
    warm = {one.id: one.text for one in session.generate(asked, GenerateSettings(temperature=2.0))}
    assert warm != greedy


def test_both_decoders_draw_the_same(tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = drawn(tiny_base, prompts())
    monkeypatch.setattr(generate, "can_decode", lambda _: False)
    assert drawn(tiny_base, prompts()) == fast


def test_architectures_that_are_left_to_transformers_are_drawn_from_too(tmp_path: Path) -> None:
    base = write_base(tmp_path / "neox", "gpt_neox", sliding_window=None)
    assert drawn(base, prompts(), seed=1) == drawn(base, prompts(), seed=1) != drawn(base, prompts(), seed=2)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_tokens_are_drawn_as_often_as_the_model_finds_them_likely(temperature: float) -> None:
    """8,000 places of one answer: each share within four standard errors."""
    logits_V = torch.tensor([1.0, 0.0, -1.0, 2.5])
    n = 8000
    chance = Chance(temperature, 7)
    key = chance.key([5, 6])
    places = [(key, place) for place in range(n)]
    found = Counter(chance.moved(logits_V.expand(n, 4), places).argmax(dim=1).tolist())
    for token, share in enumerate(torch.softmax(logits_V / temperature, dim=0).tolist()):
        assert abs(found[token] / n - share) < 4 * (share * (1 - share) / n) ** 0.5


def test_an_answer_that_is_held_to_a_form_is_drawn_among_what_the_form_allows(tiny_base: Path) -> None:
    pytest.importorskip("llguidance")
    session = plugins.load("runtimes", "native").open(Model(tiny_base), threads=1)
    form = Choice(("yes", "no", "perhaps"))
    asked = [Request(f"row-{place}", (), one.ids, 12, form) for place, one in enumerate(prompts(12))]
    found = [one.text for one in session.generate(asked, GenerateSettings(temperature=1.5))]
    assert set(found) <= {"yes", "no", "perhaps"}
    assert len(set(found)) > 1


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Model:
    pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")
    from lathe.engine.gguf.write import write

    folder = tmp_path_factory.mktemp("gguf")
    base = write_gguf_base(folder / "base")
    write(model.load_base(base), tokenizer.load(base), folder / "model.gguf", "F16", "tiny")
    return Model(base, gguf_file=folder / "model.gguf")


def test_a_gguf_file_draws_the_same_again_for_the_same_seed(gguf: Model) -> None:
    session = plugins.load("runtimes", "llama_cpp").open(gguf, threads=1)
    asked = [Request(f"row-{text}", (Message(role="user", content=text),), (), 8) for text in "abcd"]

    def texts(temperature: float, seed: int) -> dict[str, str]:
        settings = GenerateSettings(temperature=temperature, seed=seed)
        return {one.id: one.text for one in session.generate(asked, settings)}

    first = texts(1.5, 3)
    assert texts(1.5, 3) == first
    assert texts(1.5, 4) != first
    assert texts(1e-4, 3) == texts(0.0, 0)
    session.close()


def test_a_gguf_files_tokens_are_drawn_among_all_as_often_as_it_finds_them_likely(gguf: Model) -> None:
    """llama.cpp's own way leaves the unlikely ones out. By log-likelihood of 600 draws: five standard errors."""
    from lathe.engine.llama_server import LlamaServer

    temperature, n = 2.0, 600
    assert gguf.gguf_file is not None
    with LlamaServer(gguf.gguf_file, 64, threads=1) as server:
        ids = server.tokenize_plain("a")
        logs = server.next_token(ids, most_likely=10_000)
        words = list(logs)
        shares = torch.softmax(torch.tensor([logs[word] for word in words], dtype=torch.float64) / temperature, dim=0)
        found = Counter(
            (answer.ids or [-1])[0] for answer in (server.complete(ids, 1, temperature, seed) for seed in range(n))
        )
    top = words.index(max(logs, key=lambda word: logs[word]))
    likely = float(shares[top])
    assert abs(found[words[top]] / n - likely) < 5 * (likely * (1 - likely) / n) ** 0.5
    rare = sum(found[word] for word in words[40:]) / n
    wanted = float(shares[40:].sum())
    assert wanted > 0.05
    assert abs(rare - wanted) < 5 * (wanted * (1 - wanted) / n) ** 0.5
