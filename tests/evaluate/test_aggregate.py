"""From items to numbers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lathe.contracts import Metric
from lathe.evaluate import aggregate
from lathe.records import ItemScore

METRICS = (Metric("exact", "", "proportion"), Metric("share", "", "mean"))


def item(number: int, exact: float | None, share: float | None = None, **meta: str) -> ItemScore:
    values = {"exact": exact, "share": share, "latency_seconds": 0.5, "new_tokens": 3.0, "truncated_share": 0.0}
    return ItemScore(id=str(number), values=values, meta=meta)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from([None, 0.0, 1.0]), st.sampled_from(["simple", "complex", None])),
        min_size=1,
        max_size=40,
    )
)
def test_slices_always_add_up_and_nothing_unmeasured_becomes_zero(rows: list[tuple[float | None, str | None]]) -> None:
    scored = [
        item(i, exact, **({"complexity": complexity} if complexity else {}))
        for i, (exact, complexity) in enumerate(rows)
    ]
    whole = aggregate.scores(METRICS, scored, None, 0.95)[0]
    measured = [exact for exact, _ in rows if exact is not None]
    assert (whole.n, whole.not_measured) == (len(measured), len(rows) - len(measured))
    assert whole.value == (pytest.approx(sum(measured) / len(measured)) if measured else None)
    groups = aggregate.slices(METRICS, ("complexity",), scored, 0.95)["complexity"]
    assert sum(scores[0].n for scores in groups.values()) == whole.n
    assert sum(scores[0].not_measured for scores in groups.values()) == whole.not_measured
    assert (aggregate.NOT_STATED in groups) == any(complexity is None for _, complexity in rows)


def test_rows_without_a_label_stay_in_the_table() -> None:
    """SLM-Bench's 20 rows without complexity vanished: 76 + 37 + 25 is not 158."""
    labels = ["simple"] * 76 + ["medium"] * 37 + ["complex"] * 25 + [None] * 20
    scored = [item(i, 1.0, **({"complexity": label} if label else {})) for i, label in enumerate(labels)]
    groups = aggregate.slices(METRICS, ("complexity",), scored, 0.95)["complexity"]
    assert {value: scores[0].n for value, scores in groups.items()} == {
        "simple": 76, "medium": 37, "complex": 25, "unstated": 20,
    }  # fmt: skip


def test_every_score_says_what_it_is_and_how_its_interval_was_made() -> None:
    scored = [item(i, float(i % 2), i / 10) for i in range(10)]
    scores = {score.metric: score for score in aggregate.scores(METRICS, scored, 123, 0.95)}
    assert {name: (score.kind, score.method, score.higher_is_better) for name, score in scores.items()} == {
        "exact": ("proportion", "wilson", True),
        "share": ("mean", "bootstrap", True),
        "truncated_share": ("proportion", "wilson", False),
        "latency_seconds": ("amount", "bootstrap", False),
        "new_tokens": ("amount", "bootstrap", False),
        "tokens_per_second": ("ratio", "bootstrap", True),
        "peak_bytes": ("single", "", False),
    }
    assert scores["share"].value == pytest.approx(0.45)
    assert scores["tokens_per_second"].value == pytest.approx(6.0)
    assert (scores["peak_bytes"].value, scores["peak_bytes"].low) == (123, None)


@pytest.mark.parametrize("n", [0, 1, 4])
def test_a_few_items_have_a_value_but_no_bootstrap_interval(n: int) -> None:
    share = aggregate.scores(METRICS, [item(i, 1.0, 0.5) for i in range(n)], None, 0.95)[1]
    assert (share.value, share.low, share.high, share.method) == (0.5 if n else None, None, None, "")


def test_a_rule_makes_no_tokens_so_its_speed_is_not_measured() -> None:
    scored = [ItemScore(id="1", values={"exact": 1.0, "new_tokens": 0.0, "latency_seconds": 0.1})]
    speed = next(s for s in aggregate.scores(METRICS, scored, None, 0.95) if s.metric == "tokens_per_second")
    assert (speed.value, speed.n, speed.not_measured) == (None, 0, 1)


def test_reasons_are_counted_the_most_frequent_first() -> None:
    scored = [ItemScore(id=str(i), values={}, reason=reason) for i, reason in enumerate(["a", "", "b", "b", ""])]
    assert list(aggregate.reasons(scored).items()) == [("b", 2), ("a", 1)]


@pytest.mark.parametrize(("share", "low", "high"), [(1.0, 0.88, 1.0), (0.0, 0.0, 0.12), (0.5, 0.44, 0.56)])
def test_scores_without_spread_have_an_interval_all_the_same(share: float, low: float, high: float) -> None:
    """A resampling of 31 equal scores gives the same score each time: [1.00, 1.00], as if nothing could be otherwise."""
    scored = [item(i, 1.0, share) for i in range(31)]
    exact, mean = aggregate.scores(METRICS, scored, None, 0.95)[:2]
    assert (mean.low, mean.high, mean.method) == (
        pytest.approx(low, abs=0.01),
        pytest.approx(high, abs=0.01),
        "bounded mean",
    )
    assert exact.low == pytest.approx(0.89, abs=0.01)
    latency = next(
        score for score in aggregate.scores(METRICS, scored, None, 0.95) if score.metric == "latency_seconds"
    )
    assert (latency.low, latency.high, latency.method) == (0.5, 0.5, "bootstrap")
