"""Items that go together, slices that weigh otherwise, and what a test can find: laws, and coverage by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lathe import stats


def outcomes(
    draw: np.random.Generator, clusters: int, size: int, win: float, loss: float, alike: float
) -> NDArray[np.float64]:
    """Differences of two arms, shape (clusters, size): an item does what its document does with chance `alike`."""
    of_document = draw.choice([1.0, -1.0, 0.0], p=[win, loss, 1 - win - loss], size=(clusters, 1))
    of_item = draw.choice([1.0, -1.0, 0.0], p=[win, loss, 1 - win - loss], size=(clusters, size))
    return np.where(draw.random((clusters, size)) < alike, of_document, of_item)


# ------------------------------------------------------------------------------------------ clusters


def test_items_of_their_own_have_no_design_effect_and_copies_count_once() -> None:
    values = [1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0] * 30
    assert stats.design_effect(values, range(300), 0.95) == 1.0
    four_times, documents = [v for v in values for _ in range(4)], [d for d in range(300) for _ in range(4)]
    assert stats.design_effect(four_times, documents, 0.95) == pytest.approx(4.0, rel=0.02)


def test_where_nothing_varies_each_document_counts_as_one_item() -> None:
    assert stats.design_effect([0.0] * 12, [0, 1, 2] * 4, 0.95) == 4.0
    assert stats.design_effect([1.0, 0.0, 1.0], ["one"] * 3, 0.95) == 3.0


@pytest.mark.parametrize(
    ("clusters", "size", "alike"), [(10, 2, 0.5), (20, 5, 0.5), (40, 5, 1.0), (100, 5, 0.3), (300, 10, 0.5)]
)
def test_tangos_interval_of_so_many_fewer_items_covers_as_often_as_it_says(
    clusters: int, size: int, alike: float
) -> None:
    """n from 20 to 3,000. The interval that takes items for independent covers less than 0.93 in each of these."""
    draw, times, win, loss = np.random.default_rng(6), 600, 0.3, 0.1
    documents = [document for document in range(clusters) for _ in range(size)]
    covered, naive = 0, 0
    for _ in range(times):
        differences = outcomes(draw, clusters, size, win, loss, alike).ravel()
        wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
        each = stats.design_effect(differences.tolist(), documents, 0.95)
        bounds = stats.tango(wins / each, losses / each, len(differences) / each, 0.95)
        covered += bounds.low <= win - loss <= bounds.high
        alone = stats.tango(wins, losses, len(differences), 0.95)
        naive += alone.low <= win - loss <= alone.high
    # 600 samples: two standard errors are 0.018. With twenty items it covers more often, 0.977.
    assert 0.93 <= covered / times <= 0.98
    assert naive / times < 0.93


def test_the_bootstrap_of_documents_covers_where_that_of_items_does_not() -> None:
    draw, times = np.random.default_rng(7), 120
    documents = [document for document in range(30) for _ in range(6)]
    covered, naive = 0, 0
    for _ in range(times):
        values = (draw.normal(0.5, 1.0, (30, 1)) + draw.normal(0.0, 1.0, (30, 6))).ravel().tolist()
        found, alone = stats.bootstrap_clustered(values, documents, 0.95), stats.bootstrap_mean(values, 0.95)
        assert found is not None
        covered += found.low <= 0.5 <= found.high
        naive += alone.low <= 0.5 <= alone.high
    assert 0.92 <= covered / times <= 0.98
    assert naive / times < 0.85


def test_of_four_documents_nothing_is_resampled() -> None:
    assert stats.bootstrap_clustered([0.0, 1.0] * 20, [0, 1, 2, 3] * 10, 0.95) is None


# ------------------------------------------------------------------------------------------ slices


def test_one_slice_is_itself_and_equal_slices_are_narrower_than_each() -> None:
    one = stats.Stratum(3.0, 0.2, stats.tango(9, 3, 30, 0.95))
    estimate, bounds = stats.stratified([one])
    assert (estimate, *bounds) == pytest.approx((0.2, *one.bounds))
    estimate, halved = stats.stratified([one] * 4)
    assert estimate == pytest.approx(0.2)
    assert halved.high - halved.low == pytest.approx((bounds.high - bounds.low) / 2)


@pytest.mark.parametrize("n", [20, 100, 1000])
def test_the_mean_over_slices_covers_as_often_as_it_says(n: int) -> None:
    """Three slices, the last of them rare and different, all of one weight: 0.6, 0.3 and 0.1 of the rows."""
    draw, times = np.random.default_rng(8), 600
    rates, shares = ((0.4, 0.1), (0.2, 0.2), (0.1, 0.3)), (0.5, 0.3, 0.2)
    truth, covered = sum(win - loss for win, loss in rates) / 3, 0
    for _ in range(times):
        strata = []
        for (win, loss), share in zip(rates, shares, strict=True):
            m = round(n * share)
            wins, losses, _ = draw.multinomial(m, [win, loss, 1 - win - loss])
            strata.append(stats.Stratum(1.0, (wins - losses) / m, stats.tango(int(wins), int(losses), m, 0.95)))
        _, bounds = stats.stratified(strata)
        covered += bounds.low <= truth <= bounds.high
    # With slices of four to ten rows it covers more often, 0.98.
    assert 0.93 <= covered / times <= 0.98


# ------------------------------------------------------------------------------------------ what a test can find


@pytest.mark.parametrize(("n", "discordant"), [(100, 0.4), (213, 0.3), (1000, 0.1), (3000, 0.05)])
def test_what_is_called_detectable_is_found_about_four_times_in_five(n: int, discordant: float) -> None:
    """By the score test; exact McNemar, which never errs more often than it says, finds it a little less often."""
    difference = stats.detectable(n, discordant, 0.95)
    assert difference is not None
    win, loss = (discordant + difference) / 2, (discordant - difference) / 2
    counts = np.random.default_rng(9).multinomial(n, [win, loss, 1 - win - loss], size=2000)[:, :2]
    score = np.mean([abs(w - b) / max(1, w + b) ** 0.5 > 1.96 for w, b in counts])
    exact = np.mean([stats.mcnemar(int(w), int(b)) < 0.05 for w, b in counts])
    assert 0.77 <= score <= 0.83
    assert 0.70 <= exact <= score


def test_where_hardly_anything_differs_no_difference_can_be_found() -> None:
    assert stats.detectable(20, 0.02, 0.95) is None
    assert stats.detectable(500, 0.0, 0.95) is None


def test_more_rows_or_fewer_disagreements_show_smaller_differences() -> None:
    few, many, calm = (stats.detectable(*case, 0.95) for case in ((200, 0.3), (800, 0.3), (200, 0.1)))
    assert few is not None
    assert many is not None
    assert calm is not None
    assert many == pytest.approx(few / 2, rel=0.03)
    assert calm < few
