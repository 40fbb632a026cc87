"""The fused step's memory is counted tensor by tensor: torch's profiler counts the same, and the same models are trained by it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_parts import CONFIG, locked_recipe
from test_parameters import SMOLLM2_135M

from lathe.plan.architecture import shapes
from lathe.plan.fused_step import (
    KEPT_KEYS,
    QUERIES,
    Form,
    Pack,
    filled,
    heaviest,
    held,
    kept_by_head,
    matrix_bytes,
    unfit,
)
from lathe.records import Recipe

EVERY = frozenset({"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"})


def recipe(**parts: object) -> Recipe:
    return locked_recipe(**parts).recipe


def test_attention_keeps_queries_and_weights_of_blocks_that_are_filled_up() -> None:
    assert kept_by_head(0, 64, 32) == 64 * (32 + 64)
    assert kept_by_head(0, 100, 32) == 64 * (32 + 64) + 64 * (32 + 128)
    assert kept_by_head(100, 200, 32) == 64 * (32 + 192) + 64 * (32 + 256), "100 tokens behind 100 that rows share"
    assert kept_by_head(7, 7, 32) == 0


def test_weights_of_blocks_that_see_many_keys_are_not_kept_but_their_queries_are() -> None:
    assert kept_by_head(0, 4096, 64) - kept_by_head(0, 1024, 64) == QUERIES * 64 * (3072 // QUERIES)


def test_keys_are_filled_up_as_the_engine_does() -> None:
    attention = pytest.importorskip("lathe.engine.fused.attention")
    assert [filled(count) for count in range(1, 9000)] == [attention._filled(count) for count in range(1, 9000)]
    assert (attention._QUERIES, attention._KEPT_KEYS) == (QUERIES, KEPT_KEYS)


@given(st.lists(st.tuples(st.integers(512, 5000), st.integers(0, 10**6)), min_size=1, max_size=20))
def test_the_heaviest_pack_needs_as_much_as_any(packs: list[tuple[int, int]]) -> None:
    """To within the last layer, of which few or many positions are scored."""
    model, form = shapes(SMOLLM2_135M), Form(4, 16, EVERY)
    peaks = [held(model, form, Pack(tokens, tokens // 3, kept * model.num_layers)).peak for tokens, kept in packs]
    assert peaks[heaviest(model, form, *np.array(packs).T)] >= 0.95 * max(peaks)


def test_more_targets_make_wider_matrices() -> None:
    model = shapes(SMOLLM2_135M)
    body = 4 * model.body_linear
    assert matrix_bytes(model, Form(4, 16, frozenset())) == body
    assert body < matrix_bytes(model, Form(4, 16, frozenset({"q_proj"}))) < matrix_bytes(model, Form(4, 16, EVERY))


@pytest.mark.parametrize(
    ("config", "parts", "reason"),
    [
        ({}, {}, None),
        ({"model_type": "gemma3_text"}, {}, "gemma3_text is not written out"),
        ({"mlp_bias": True}, {}, "the MLP has biases"),
        ({"attention_dropout": 0.1}, {}, "the base has attention dropout"),
        ({"rope_scaling": {"type": "yarn"}}, {}, "positions are of type yarn"),
        ({"model_type": "mistral"}, {}, "attention has a window"),
        ({"model_type": "mistral", "sliding_window": None}, {}, None),
        ({"model_type": "qwen2", "sliding_window": 4096}, {}, None),
        ({}, {"method": {"kind": "full"}}, "all weights are trained"),
        ({}, {"method": {"dropout": 0.1}}, None),
        ({}, {"method": {"targets": ["q_proj", "lm_head"]}}, "other layers are trained"),
    ],
)
def test_where_another_step_runs_the_reason_is_known(config: dict, parts: dict, reason: str | None) -> None:
    assert unfit(CONFIG | config, recipe(**parts)) == reason


@pytest.mark.parametrize(
    "settings",
    [
        {"model_type": "llama"},
        {"model_type": "qwen3"},
        {"model_type": "qwen2", "sliding_window": 64},
        {"model_type": "mistral"},
        {"model_type": "mistral", "sliding_window": None},
        {"model_type": "olmo2"},
        {"model_type": "llama", "mlp_bias": True},
    ],
    ids=str,
)
def test_the_engine_takes_the_step_that_was_planned(settings: dict, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from lathe.engine import model, step
    from lathe.engine.fused import choice
    from lathe.records import Method
    from tiny_base import write_base

    base = write_base(tmp_path / "base", **settings)
    config = json.loads((base / "config.json").read_text())
    step.register_attention()
    net = model.attach(model.load_base(base, attention=step.ATTENTION), Method(rank=4), 0)
    assert (choice.unfit(net) is None) == (unfit(config, recipe()) is None)


@pytest.mark.parametrize("architecture", ["llama", "qwen3"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(("dropout", "shared"), [(0.0, False), (0.1, False), (0.0, True)])
def test_torch_counts_the_same_bytes(
    architecture: str, precision: str, dropout: float, shared: bool, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    from torch.profiler import ProfilerActivity, profile

    from lathe.engine import model, packs, step
    from lathe.engine.fused.stack import FusedStep
    from lathe.records import Method
    from lathe.text.render import Encoded
    from tiny_base import write_base

    torch.set_num_threads(1)
    wide = {"hidden_size": 128, "intermediate_size": 320, "num_hidden_layers": 5, "head_dim": 32, "vocab_size": 2000}
    base = write_base(tmp_path / "base", model_type=architecture, **wide)
    step.register_attention()
    storage = torch.bfloat16 if precision == "bf16" else torch.float32
    net = model.attach(
        model.load_base(base, dtype=storage, attention=step.ATTENTION), Method(rank=8, dropout=dropout), 0
    )
    fused = FusedStep(net, precision)
    lengths = [300, 200, 150, 120 if shared else 90]
    draw = np.random.default_rng(0)
    begin = [7] * 100 if shared else []
    rows = [
        Encoded(
            np.array([*begin, *draw.integers(9, 99, n - len(begin))], np.int32), np.arange(n) >= n - n // 3, n - n // 3
        )
        for n in [*lengths, *((270, 250) if shared else ())]
    ]
    pack = packs.build_pack(rows, shared=shared)
    assert any(segment.front for segment in pack.segments) == shared
    scored = int(pack.targets_S.numel())
    fused.gradients([pack], scored)  # gradients and tables that stay are there from now on
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        fused.gradients([pack], scored)
    seen.export_chrome_trace(str(tmp_path / "trace.json"))
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    changes = [
        event["args"]["Bytes"]
        for event in sorted(events, key=lambda event: event.get("ts", 0))
        if event.get("name") == "[memory]"
    ]
    peak = int(np.cumsum(changes).max())
    form = Form(2 if precision == "bf16" else 4, 8, EVERY, dropout > 0)
    kept = sum(kept_by_head(one.before, one.before + one.end - one.start, 32) for one in pack.segments)
    last = sum(kept_by_head(row.num_prompt - 1, len(row.ids) - 1, 32) for row in rows)
    model_shapes = shapes(json.loads((base / "config.json").read_text()))
    expected = held(model_shapes, form, Pack(pack.bounds[-1], scored, 4 * kept + last))
    assert expected.peak == pytest.approx(peak, rel=0.04)
