"""Labels scored after prompts, against transformers' own log-probabilities in float32."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from taken_apart import copied
from transformers import PreTrainedModel

from lathe.engine import model
from lathe.engine.decoding.weights import can_decode
from lathe.engine.score_labels import score_labels
from lathe.errors import InputError
from tiny_base import write_base

pytestmark = pytest.mark.usefixtures("one_thread")

END = 2
SHARED = list(range(40, 60))
PROMPTS = [[*SHARED, 7, 8, 9], [5], [*SHARED, 7, 8], [*SHARED, 7, 200, 201, 202], [99, 98, 97]]
"""Some begin alike; one is the beginning of another."""
LABELS = [[11, 12, END], [11, END], [11, 12, 13, 14, 15, END], [21, END], [22, 23, END], [END]]


@pytest.fixture(scope="module", params=["llama", "qwen2", "gpt_neox"])
def net(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> PreTrainedModel:
    """Two architectures that the decoder writes out, and one that is left to transformers."""
    folder = write_base(tmp_path_factory.mktemp("models") / request.param, request.param, sliding_window=None)
    loaded = model.load_base(folder)
    assert can_decode(loaded) == (request.param != "gpt_neox")
    return loaded


def expected(net: PreTrainedModel, prompt: list[int], label: list[int]) -> float:
    """The definition, word for word: each token's log-probability after all that stands before it."""
    total = 0.0
    for place, token in enumerate(label):
        with torch.no_grad():
            logits_V = net(input_ids=torch.tensor([prompt + label[:place]]), use_cache=False).logits[0, -1]
        total += float(torch.log_softmax(logits_V, dim=-1)[token])
    return total


@pytest.mark.parametrize("token_budget", [1, 90, 16384])
def test_scores_are_the_log_probabilities_of_transformers(net: PreTrainedModel, token_budget: int) -> None:
    found = score_labels(copied(net), PROMPTS, LABELS, token_budget=token_budget)
    wanted = [[expected(net, prompt, label) for label in LABELS] for prompt in PROMPTS]
    assert np.allclose(found.raw_PL, wanted, atol=1e-4)
    assert np.allclose(found.normalised_PL, np.asarray(wanted) / [len(label) for label in LABELS], atol=1e-4)


def test_all_that_can_follow_adds_up_to_one(net: PreTrainedModel) -> None:
    found = score_labels(copied(net), PROMPTS[:1], [[token] for token in range(264)])
    assert np.exp(found.raw_PL).sum() == pytest.approx(1.0, abs=1e-5)


def test_with_its_end_token_the_beginning_of_a_label_is_no_free_winner(net: PreTrainedModel) -> None:
    longer, shorter = [11, 12, END], [11]
    found = score_labels(copied(net), PROMPTS[:1], [longer, shorter, [*shorter, END]]).raw_PL[0]
    assert found[1] > found[0], "without an end token it always is"
    assert found[2] < found[1]


def test_without_prompts_or_labels_there_are_no_scores(net: PreTrainedModel) -> None:
    assert score_labels(copied(net), [], LABELS).raw_PL.shape == (0, len(LABELS))
    assert score_labels(copied(net), PROMPTS, []).raw_PL.shape == (len(PROMPTS), 0)


@pytest.mark.parametrize(
    ("prompts", "labels", "says"),
    [([[]], [[1]], "without tokens"), ([[1]], [[]], "without tokens"), ([[1] * 500], [[1] * 20], "context of 512")],
)
def test_what_cannot_be_scored_is_said(
    net: PreTrainedModel, prompts: list[list[int]], labels: list[list[int]], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        score_labels(copied(net), prompts, labels)
