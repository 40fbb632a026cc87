"""The time of a pack follows from what the engine computes of it, filled up as it fills up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from plan_parts import CONFIG

from lathe.plan import fused_attention, fused_step, pack_work
from lathe.plan.architecture import shapes
from lathe.plan.parameters import count
from lathe.schedule.prefixes import Alike, Stretch, stretches

MODEL = shapes(CONFIG | {"num_hidden_layers": 3})
COUNTED = count(MODEL, 4)
PRODUCTS, ATTENTION, GROUPS, LAYERS = range(4)


def work(lengths: list[int], supervised: list[int], step: str = "fused", again: bool = False) -> NDArray[np.float64]:
    stretches = [Stretch(0, length, -1, place, last=True) for place, length in enumerate(lengths)]
    return work_of([(range(len(lengths)), stretches)], lengths, supervised, step, again)


def work_of(
    laid: fused_step.Laid, lengths: list[int], supervised: list[int], step: str = "fused", again: bool = False
) -> NDArray[np.float64]:
    scored = np.array(supervised)
    _, attention = fused_attention.of_packs(
        laid, np.array(lengths), scored, MODEL.num_layers - 1, tiles=step == "in tiles"
    )
    known = None if step == "reference" else attention
    return pack_work.of_packs(MODEL, COUNTED, laid, scored, known, recompute=again)[0]


def test_a_pack_of_the_fused_step_takes_the_time_of_its_rounded_tokens_and_scored_positions() -> None:
    assert work([200], [90])[PRODUCTS] == work([256], [128])[PRODUCTS] < work([257], [128])[PRODUCTS]
    assert work([200], [90])[PRODUCTS] < work([200], [129])[PRODUCTS]
    assert work([200], [90], "reference")[PRODUCTS] < work([256], [128], "reference")[PRODUCTS]


def test_where_no_product_is_compiled_less_is_filled_up() -> None:
    pack = Stretch(0, 200, -1, 0, last=True)
    _, attention = fused_attention.of_packs([([0], [pack])], np.array([200]), np.array([90]), 2, tiles=False)
    found = [
        pack_work.of_packs(MODEL, COUNTED, [([0], [pack])], np.array([90]), attention, steps=steps)[0]
        for steps in (fused_step.PLAIN, fused_step.COMPILED)
    ]
    assert found[0][PRODUCTS] < found[1][PRODUCTS]
    assert list(found[0][ATTENTION:]) == list(found[1][ATTENTION:])


def test_layers_that_are_computed_again_take_one_forward_more() -> None:
    once, again = work([200], [90], "reference"), work([200], [90], "reference", again=True)
    assert again[PRODUCTS] - once[PRODUCTS] == 200 * 2 * (MODEL.body_linear + COUNTED.trainable)
    assert again[ATTENTION] * 7 == once[ATTENTION] * 9
    assert list(again[GROUPS:]) == list(once[GROUPS:]) == [3, 3]


@pytest.mark.parametrize(
    "lengths", [[89, 149, 157, 211, 271, 331, 389, 449], [1023, 1023], [64] * 32, [1], [1400, 650], [5000]]
)
def test_blocks_and_groups_of_attention_are_those_that_the_engine_forms(lengths: list[int]) -> None:
    pytest.importorskip("torch")
    from lathe.engine.fused import attention
    from lathe.engine.fused import batches as engine
    from lathe.engine.packs import build_pack
    from lathe.text.render import Encoded

    supervised = [max(1, length // 4) * (length > 1) for length in lengths]
    rows = [
        Encoded(np.zeros(length, np.int32), np.arange(length) >= length - scored, length - scored)
        for length, scored in zip(lengths, supervised, strict=True)
    ]
    pack = build_pack(rows)
    everywhere = engine.batches(pack.segments, None)
    scored = engine.batches(pack.segments, pack.scored_S.numpy())
    found = work(lengths, supervised)
    assert found[GROUPS] == 2 * len(everywhere) + len(scored)
    products = [
        [
            (6 if batch.num_keys <= attention._KEPT_KEYS else 7) * batch.num_queries * len(batch.keys_BC)
            for batch in several
        ]
        for several in (everywhere, scored)
    ]
    assert found[ATTENTION] == 2 * MODEL.queries * (2 * sum(products[0]) + sum(products[1]))


@given(lengths=st.lists(st.integers(1, 700), min_size=1, max_size=6), share=st.floats(0, 1))
def test_in_tiles_every_row_is_set_up_once_and_scores_are_those_of_stretches_of_64_queries(
    lengths: list[int], share: float
) -> None:
    supervised = [int(share * (length - 1)) for length in lengths]

    def scores(begin: int, end: int) -> int:
        """Queries and keys of each stretch as `tiles.cpp` takes them, each filled up to 32."""
        total, first = 0, begin
        while first < end:
            count = min(64, end - first)
            total += -(-count // 32) * 32 * (-(-(first + count) // 32) * 32)
            first += count
        return total

    everywhere = sum(scores(0, length) for length in lengths)
    scored = sum(scores(length - many - 1, length - 1) for length, many in zip(lengths, supervised, strict=True))
    found = work(lengths, supervised, "in tiles")
    assert found[GROUPS] == 3 * len(lengths)
    assert found[ATTENTION] == 2 * MODEL.queries * 7 * (2 * everywhere + scored)
    assert found[PRODUCTS] == work(lengths, supervised)[PRODUCTS]


def test_what_rows_share_is_attended_to_by_its_own_blocks_once() -> None:
    alike = Alike([0, 1], [300, 330], [128])
    shared = work_of([([0, 1], stretches(alike))], [300, 330], [50, 50])
    apart = work([300, 330], [50, 50])
    assert shared[PRODUCTS] < apart[PRODUCTS]
    # Of 128 tokens: blocks that see 64 and 128 keys, in both layers that compute all positions.
    assert apart[ATTENTION] - shared[ATTENTION] == 2 * 6 * 2 * 64 * MODEL.queries * (64 + 128)


def test_costs_are_found_from_packs_that_differ_and_none_is_below_zero() -> None:
    rows = [
        work([300] * 6, [75] * 6),
        work([1000, 800], [250, 200]),
        work([64] * 28, [16] * 28),
        work([90, 140], [20, 30]),
    ]
    seen = np.array(rows)
    costs = np.array([4e-12, 5e-12, 3e-4, 2e-3])
    assert pack_work.least(seen, seen @ costs) == pytest.approx(costs)
    free = np.array([4e-12, 0.0, 3e-4, 2e-3])
    assert pack_work.least(seen, seen @ free) == pytest.approx(free, abs=1e-16)
    disturbed = pack_work.least(seen, np.array([1.0, 0.1, 2.0, 0.1]))
    assert disturbed.min() >= 0
    assert disturbed.max() > 0
