"""What is dropped in front of an adapter depends on seed, step, row, layer and position, and on nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lathe.engine.dropout import SPAN, RowDropout, Rows, Span, dropping, rows_of
from lathe.engine.packs import build_pack
from lathe.text.render import Encoded

WIDTH = 24


def row(*ids: int) -> Encoded:
    return Encoded(np.array(ids, np.int32), np.array([False] * (len(ids) - 1) + [True]), len(ids) - 1)


A, B, C = row(1, 2, 3, 4, 5), row(6, 7), row(8, 9, 10)


def kept(rows: list[Encoded], dropout: RowDropout, seed: int = 3, num_tokens: int | None = None) -> list[torch.Tensor]:
    """The mask of each row in a pack."""
    torch.manual_seed(seed)
    mask = dropout.kept(rows_of(build_pack(rows), num_tokens), WIDTH)
    return list(mask[: sum(len(one.ids) for one in rows)].split([len(one.ids) for one in rows]))


def test_a_row_has_the_same_mask_in_every_pack() -> None:
    one = RowDropout(0.5, 0)
    together, alone, other_order = kept([A, B, C], one), kept([B], one, num_tokens=256), kept([C, B, A], one)
    assert torch.equal(together[1], alone[0])
    assert all(torch.equal(mask, again) for mask, again in zip(together, reversed(other_order), strict=True))


@pytest.mark.parametrize("changed", ["seed", "row", "adapter"])
def test_another_step_row_or_adapter_has_another_mask(changed: str) -> None:
    mask = kept([A], RowDropout(0.5, 0))[0]
    other = {
        "seed": lambda: kept([A], RowDropout(0.5, 0), seed=4),
        "row": lambda: kept([row(9, 2, 3, 4, 5)], RowDropout(0.5, 0)),
        "adapter": lambda: kept([A], RowDropout(0.5, 1)),
    }[changed]()[0]
    assert 0.3 < float((mask == other).float().mean()) < 0.7


def test_rows_that_begin_alike_drop_alike_until_the_span_after_they_part() -> None:
    """So a stretch that they share can be computed once; what follows is masked anew from the next span on."""
    one = RowDropout(0.5, 0)
    shared = [*range(SPAN), *range(10)]
    first, other = (kept([row(*shared, *rest)], one)[0] for rest in (range(100, 200), range(200, 300)))
    assert torch.equal(first[: 2 * SPAN], other[: 2 * SPAN])
    assert 0.3 < float((first[2 * SPAN :] == other[2 * SPAN :]).float().mean()) < 0.7
    assert 0.3 < float((first[:SPAN] == first[SPAN : 2 * SPAN]).float().mean()) < 0.7


def test_what_is_laid_down_once_is_masked_as_in_each_row() -> None:
    one = RowDropout(0.5, 3)
    rows = [row(*range(90), *rest) for rest in (range(100, 170), [7, 8], range(300, 305))]
    torch.manual_seed(3)
    pack = build_pack(rows, shared=True)
    mask = one.kept(rows_of(pack), WIDTH)
    alone = {tuple(mask_row.flatten().tolist()) for mask_row in kept(rows, one)}
    ends = [segment for segment in pack.segments if segment.front]
    assert len(ends) == 3
    found = {tuple(torch.cat([mask[start:end] for start, end in segment.seen]).flatten().tolist()) for segment in ends}
    assert found == alone


def test_the_share_is_met_and_the_mean_stays() -> None:
    dropout = RowDropout(0.1, 2)
    long = row(*range(2000))
    mask = kept([long], dropout)[0]
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert float(mask.mean()) == pytest.approx(0.9, abs=4 * (0.09 / mask.numel()) ** 0.5)
    assert float(mask.mean()) * dropout.scale == pytest.approx(1.0, abs=0.01)


def test_a_mask_of_some_positions_is_that_part_of_the_whole() -> None:
    dropout, rows = RowDropout(0.5, 0), Rows((Span(b"k", 0, 0, 4), Span(b"l", 4, 3, 8)), 16)
    places = torch.tensor([1, 3, 8, 12])
    assert torch.equal(dropout.kept(rows.at(places), WIDTH), dropout.kept(rows, WIDTH)[places])


def test_in_a_pack_the_module_multiplies_by_the_mask_elsewhere_it_is_torch_s_own_dropout() -> None:
    dropout = RowDropout(0.5, 0)
    pack, hidden = build_pack([A, B]), torch.ones(1, 7, WIDTH)
    with dropping(dropout, pack):
        found = [dropout(hidden) for _ in range(2)]
        mask = dropout.kept(rows_of(pack), WIDTH)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0][0], 2 * mask)
    assert not torch.equal(dropout(hidden), dropout(hidden))
    assert torch.equal(dropout.eval()(hidden), hidden)
    with dropping(dropout, pack):
        assert torch.equal(dropout(hidden), hidden)
