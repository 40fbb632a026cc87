"""The reference step's memory is counted by what autograd and the loss hold: torch's profiler counts the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plan_parts import peak_of
from test_parameters import llama

from lathe.plan.architecture import DEFAULTS, shapes
from lathe.plan.memory import training
from lathe.plan.parameters import count
from lathe.plan.reference_step import kernels, of_a_pack
from lathe.plan.setting import Setting

QKVO = ("q_proj", "k_proj", "v_proj", "o_proj")
SETTING = Setting(
    pack_tokens=0, pack_supervised=0, precision="fp32", full=True, rank=8, targets="all-linear", stored_bytes=0
)


@pytest.mark.parametrize("recompute", [False, True], ids=["kept", "again"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    ("full", "words", "tied", "lengths"),
    [
        (True, 6000, True, [300, 200, 150, 90]),
        (True, 6000, False, [900, 1000, 200]),
        (True, 500, True, [300, 200, 150, 90]),
        (False, 6000, True, [900, 1000, 200]),
        (False, 500, True, [300, 200, 150, 90]),
    ],
    ids=["head", "head in chunks", "layers", "adapters and head in chunks", "adapters and layers"],
)
def test_torch_counts_the_same_bytes_under_autograd(
    recompute: bool, precision: str, full: bool, words: int, tied: bool, lengths: list[int], tmp_path: Path
) -> None:
    measured, expected = _under_autograd(tmp_path, "llama", recompute, precision, full, words, tied, lengths)
    assert expected == pytest.approx(measured, rel=0.05)


@pytest.mark.parametrize("full", [False, True], ids=["adapters", "all weights"])
@pytest.mark.parametrize("model_type", [name for name in DEFAULTS if name != "llama"])
def test_torch_counts_the_same_bytes_of_every_architecture(model_type: str, full: bool, tmp_path: Path) -> None:
    measured, expected = _under_autograd(tmp_path, model_type, False, "fp32", full, 500, True, [300, 200, 150, 90])
    assert expected == pytest.approx(measured, rel=0.02)


def _under_autograd(
    folder: Path,
    model_type: str,
    recompute: bool,
    precision: str,
    full: bool,
    words: int,
    tied: bool,
    lengths: list[int],
) -> tuple[int, int]:
    """Bytes of a pack as torch counts them, and as the plan does."""
    torch = pytest.importorskip("torch")

    from lathe.engine import model, packs, step
    from lathe.records import Method
    from lathe.text.render import Encoded
    from tiny_base import write_base

    torch.set_num_threads(1)
    base = write_base(
        folder / "base", model_type=model_type, hidden_size=128, intermediate_size=640, num_hidden_layers=5,
        head_dim=32, vocab_size=words, tie_word_embeddings=tied,
        max_position_embeddings=2048, pad_token_id=0,
    )  # fmt: skip
    step.register_attention()
    method = Method(kind="full") if full else Method(rank=8)
    net = model.load_for_training(
        base, method, 0, precision, torch.device("cpu"), attention=step.ATTENTION, recompute=recompute
    )
    draw = np.random.default_rng(0)
    pack = packs.build_pack(
        [Encoded(draw.integers(9, 99, n).astype(np.int32), np.arange(n) >= n - n // 3, n - n // 3) for n in lengths]
    )
    scored = int(pack.targets_S.numel())
    found = shapes(json.loads((base / "config.json").read_text()))
    setting = replace(
        SETTING, pack_tokens=sum(lengths), pack_supervised=scored, precision=precision, full=full, recompute=recompute
    )
    expected = sum(term.num_bytes for term in of_a_pack(found, setting))
    if full and precision == "bf16" and not recompute:
        expected += 2 * found.body_linear  # the weights' copies, a term of their own
    return peak_of(lambda: step.gradients(net, [pack], scored, precision), folder), expected


def test_a_head_that_learns_leaves_holes_where_its_blocks_lie_in_the_heap() -> None:
    """bench/plan_accuracy.py --shape none --random 20 --seed 5 --only 10: 792 to 822 MB in three trainings; with one block for the
    head's gradient and no holes 677 were planned."""
    config = llama(240, 2, 3, 3, 448, 32_768, True, head_dim=64) | {"model_type": "qwen2"}
    setting = replace(
        SETTING, pack_tokens=512, pack_supervised=167, num_packs=18, has_bitsandbytes=True, stored_bytes=18_000_000
    )
    model = shapes(config)
    terms = {term.name: term.num_bytes for term in training(model, count(model, None), setting)}
    block = 32_768 * 240 * 4
    of_layers = int(18 / (18 + 5) * 0.65 * terms["activations"])
    assert terms["heap"] == of_layers + 2 * block + 167 * 32_768 * 4
    assert sum(terms.values()) == pytest.approx(0.808e9, rel=0.03)
    wide = replace(model, vocab=65_536)
    freed = {term.name: term.num_bytes for term in training(wide, count(wide, None), setting)}["heap"]
    assert freed == of_layers, "blocks of more than 32 MiB are mapped by themselves"


@pytest.mark.parametrize(
    ("kind", "shape", "targets", "precision", "rank", "tokens", "supervised", "packs", "lengths", "measured"),
    [
        ("olmo2", llama(512, 5, 2, 2, 512, 2048, True, head_dim=32), QKVO, "fp32", 8, 1024, 371, 45, 62, 0.706e9),
        ("smollm3", llama(288, 11, 18, 6, 1088, 8192, True, head_dim=64), "all-linear", "fp32", 16, 1947, 597, 4, 57, 2.098e9),
        ("granite", llama(448, 3, 4, 4, 256, 2048, False, head_dim=64), QKVO, "bf16", 8, 1021, 351, 44, 62, 1.169e9),
        ("phi3", llama(144, 8, 9, 3, 640, 2048, False, head_dim=32), ["qkv_proj"], "bf16", 4, 986, 361, 62, 63, 1.163e9),
    ],
    ids=["many packs", "few packs", "compiled products of four layers", "of one"],
)  # fmt: skip
def test_adapters_with_layers_kept_leave_more_in_the_heap_the_more_packs_there_are(
    kind: str, shape: dict, targets: Any, precision: str, rank: int, tokens: int, supervised: int, packs: int, lengths: int,
    measured: float,
) -> None:  # fmt: skip
    """bench/plan_accuracy.py --shape none --threads 1 --seed 301 --only 6,8 and --seed 311 --only 43,5: a share of the activations
    alone made these plans 9 % too low, 23 % too high, 51 and 46 % too low."""
    setting = replace(
        SETTING, full=False, precision=precision, rank=rank, targets=targets, pack_tokens=tokens, pack_supervised=supervised,
        num_packs=packs, row_lengths=lengths, has_bitsandbytes=True,
    )  # fmt: skip
    model = shapes(shape | {"model_type": kind})
    found = training(model, count(model, rank, targets), setting)
    assert sum(term.num_bytes for term in found) == pytest.approx(measured, rel=0.03)


def test_several_threads_leave_more_the_more_packs_there_are_where_layers_are_kept() -> None:
    setting = replace(SETTING, full=False, precision="bf16", pack_tokens=512, pack_supervised=150)
    model = shapes(llama(240, 2, 3, 3, 448, 8192, True, head_dim=64) | {"model_type": "olmo2"})

    def left(packs: int, **more: Any) -> int:
        terms = [kernels(model, replace(setting, num_packs=packs, threads=count, **more)).num_bytes for count in (1, 2)]
        return terms[1] - terms[0]

    assert 100e6 < left(4) < left(20) < left(40) < 280e6
    assert left(4, recompute=True) == left(40, recompute=True)


@pytest.mark.parametrize(
    ("shape", "tokens", "supervised", "packs", "measured"),
    [
        (llama(432, 5, 3, 3, 1024, 8192, True, head_dim=32), 969, 362, 59, 1.109e9),
        (llama(144, 4, 9, 3, 1472, 32_768, True, head_dim=64), 510, 194, 41, 1.043e9),
    ],
    ids=["seed 101, case 15", "seed 77, case 3"],
)
def test_products_that_are_given_up_for_others_leave_holes(
    shape: dict, tokens: int, supervised: int, packs: int, measured: float
) -> None:
    """bench/plan_accuracy.py; without these holes the plans were 15 and 7 % too low."""
    setting = replace(
        SETTING, pack_tokens=tokens, pack_supervised=supervised, num_packs=packs, precision="bf16", full=False, rank=16,
        targets=["q_proj", "k_proj", "v_proj", "o_proj"], recompute=True, has_bitsandbytes=True,
    )  # fmt: skip
    model = shapes(shape)
    found = {term.name: term.num_bytes for term in training(model, count(model, 16, setting.targets), setting)}
    assert found["kernels"] == 256 * 600_000 + 700 * 250_000
    assert sum(found.values()) == pytest.approx(measured, rel=0.06)
    fewer = replace(setting, num_packs=5, row_lengths=20)
    few = {term.name: term.num_bytes for term in training(model, count(model, 16), fewer)}
    assert few["kernels"] == (5 * 20 + 6 * 20) * 600_000
