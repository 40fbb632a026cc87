"""What lies in parts over ranks is counted so, and the plan of it holds against what ranks really took."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lathe.plan.architecture import shapes
from lathe.plan.memory import doubt, training
from lathe.plan.parameters import count
from lathe.plan.reference_step import KEPT_BYTES
from lathe.plan.setting import Setting

CONFIG = {
    "model_type": "llama", "vocab_size": 8192, "hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 10,
    "num_attention_heads": 12, "num_key_value_heads": 12, "tie_word_embeddings": True,
}  # fmt: skip
"""The shape of bench/shards_memory.py."""
SETTING = Setting(
    pack_tokens=128, pack_supervised=62, precision="fp32", full=True, rank=16, targets="all-linear",
    stored_bytes=308_345_856, num_packs=8,
)  # fmt: skip


def terms(**changes: int) -> dict[str, int]:
    model = shapes(CONFIG)
    counted = count(model, None, SETTING.targets)
    return {term.name: term.num_bytes for term in training(model, counted, replace(SETTING, **changes))}


@pytest.mark.parametrize(("ranks", "measured"), [(2, 1.51e9), (4, 1.24e9)])
def test_the_plan_of_a_rank_holds_against_what_the_ranks_took(ranks: int, measured: float) -> None:
    low, high = doubt(SETTING)
    expected = sum(terms(shards=ranks).values())
    assert low * expected < measured < high * expected


def test_weights_gradients_and_moments_are_divided_and_what_a_pack_needs_is_not() -> None:
    whole, part = terms(), terms(shards=4)
    for name in ("weights", "gradients", "optimiser"):
        assert part[name] == whole[name] / 4
    for name in ("process", "libraries", "activations", "logits"):
        assert part[name] == whole[name]


def test_as_much_is_counted_of_freed_layers_as_the_engine_lets_gather() -> None:
    between_layers = pytest.importorskip("lathe.engine.between_layers")
    assert between_layers.KEPT_BYTES == KEPT_BYTES


def test_every_rank_of_a_machine_is_counted_with_its_part() -> None:
    one, both = terms(shards=2), terms(shards=2, processes=2)
    assert both["helpers"] == sum(one.values())


def test_many_ranks_need_no_less_than_the_first_one_does_to_read_the_base() -> None:
    found = terms(shards=64)
    assert sum(found.values()) >= found["process"] + terms()["weights"] + SETTING.stored_bytes
