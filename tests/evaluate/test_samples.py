"""Several answers to an item: what is asked, what is kept, and what the numbers then mean."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from shouting_world import WORDS, World, right

from lathe import stats
from lathe.contracts import Metric, Request
from lathe.errors import Interrupted
from lathe.evaluate import aggregate, evaluate, regrade
from lathe.records import EvalReport, ItemScore, Prediction
from lathe.storage import read_rows

EXACT = Metric("exact", "1 where right", "proportion")


def measure(world: World, arm: str = "tuned", inputs: str = "a", **settings: object) -> EvalReport:
    world.locked = world.with_evaluate(**settings)
    return evaluate(world.run, world.locked, arm, "test", inputs, world.progress)  # type: ignore[arg-type]


def by_seed(world: World, wrong: dict[int, set[str]]) -> None:
    """Answers rightly but for the words that are named for a seed."""

    def rule(request: Request) -> Prediction:
        said, word = right(request), request.messages[-1].content
        bad = word in wrong.get(world.script.settings[-1].seed, set())
        return said.model_copy(update={"text": "?"}) if bad else said

    world.script.rule = rule


# ------------------------------------------------------------------------------------------ what is asked and kept


def test_each_item_is_asked_with_one_seed_after_the_other(world: World) -> None:
    report = measure(world, samples=3, temperature=0.7)
    assert [(one.seed, one.temperature) for one in world.script.settings] == [(0, 0.7), (1, 0.7), (2, 0.7)]
    kept = read_rows(world.run.predictions("tuned"), Prediction)
    assert sorted((one.id, one.sample) for one in kept) == sorted(
        (item.id, n) for item in report.items for n in range(3)
    )
    assert (report.n, report.samples, report.temperature, report.finish) == (12, 3, 0.7, {"stop": 36})
    assert (world.heard[-1]["done"], world.heard[-1]["total"], world.heard[-1]["unit"]) == (36, 36, "answers")


def test_more_samples_keep_those_that_are_there_and_fewer_ask_nothing(world: World) -> None:
    measure(world, samples=2, temperature=0.7)
    world.script.settings.clear()
    assert measure(world, samples=4, temperature=0.7).samples == 4
    assert [one.seed for one in world.script.settings] == [2, 3]
    asked = len(world.script.asked)
    assert measure(world, samples=1, temperature=0.7).finish == {"stop": 12}
    assert len(world.script.asked) == asked == 48


def test_another_temperature_starts_afresh(world: World) -> None:
    measure(world, samples=2, temperature=0.7)
    world.script.asked.clear()
    measure(world, samples=2, temperature=0.9)
    assert len(world.script.asked) == 24


def test_what_was_interrupted_between_samples_is_continued(world: World) -> None:
    by_seed(world, {1: {"elm"}})
    whole = measure(world, "base-zero", samples=3, temperature=0.7)
    world.script.stop_after = 5
    for _ in range(2):
        with pytest.raises(Interrupted):
            measure(world, samples=3, temperature=0.7)
    world.script.stop_after = None
    report = measure(world, samples=3, temperature=0.7)
    kept = read_rows(world.run.predictions("tuned"), Prediction)
    assert len({(one.id, one.sample) for one in kept}) == len(kept) == 36
    assert [item.values["exact"] for item in report.items] == [item.values["exact"] for item in whole.items]


def test_regrading_reads_all_answers_again(world: World) -> None:
    by_seed(world, {1: {"elm", "oak"}})
    report = measure(world, samples=2, temperature=0.7)
    again = regrade(world.run, world.locked, "tuned", "test", "b")
    assert (again.scores, again.items, again.spread) == (report.scores, report.items, report.spread)


# ------------------------------------------------------------------------------------------ what the numbers mean


def test_an_items_score_is_the_mean_over_its_answers_and_n_counts_items(world: World) -> None:
    by_seed(world, {0: {"elm"}, 1: {"elm", "oak"}, 2: {"elm", "oak", "fir"}, 3: {"elm"}})
    report = measure(world, samples=4, temperature=0.7)
    exact = report.score("exact")
    assert exact is not None
    assert (exact.n, exact.kind, exact.method) == (12, "mean", "bounded mean")
    assert exact.value == pytest.approx((9 + 0 + 0.5 + 0.75) / 12)
    items = {item.id: item for item in report.items}
    assert items["row-fir"].values["exact"] == 0.75
    assert (items["row-fir"].reason, items["row-fir"].sample) == ("wrong word", 2)
    assert (items["row-oak"].reasons, items["row-pine"].reasons) == ({"wrong word": 2}, {})
    assert report.reasons == {"wrong word": 7}


def test_items_right_in_any_and_in_all_answers_are_counted(world: World) -> None:
    by_seed(world, {0: {"elm"}, 1: {"elm", "oak"}, 2: {"elm", "oak", "fir"}})
    report = measure(world, samples=3, temperature=0.7)
    spread = next(one for one in report.spread if one.metric == "exact")
    assert spread.values == pytest.approx((11 / 12, 10 / 12, 9 / 12))
    assert spread.standard_deviation == pytest.approx(statistics.stdev(spread.values))  # type: ignore[arg-type]
    assert spread.in_any is not None
    assert spread.in_all is not None
    assert (spread.in_any.value, spread.in_all.value) == (11 / 12, 9 / 12)
    assert (spread.in_any.method, spread.in_any.n) == ("wilson", 12)
    share = next(one for one in report.spread if one.metric == "share")
    assert share.in_any is share.in_all is None


def test_one_answer_is_right_or_wrong_as_ever(world: World) -> None:
    report = measure(world)
    exact = report.score("exact")
    assert exact is not None
    assert (exact.kind, exact.method, report.samples, report.temperature, report.spread) == (
        "proportion", "wilson", 1, 0.0, (),
    )  # fmt: skip
    drawn = measure(world, samples=1, temperature=0.7)
    assert (drawn.score("exact").kind, drawn.temperature) == ("proportion", 0.7)  # type: ignore[union-attr]


def test_a_rule_answers_once(world: World) -> None:
    report = measure(world, "rule", samples=3, temperature=0.7)
    assert (report.samples, report.temperature, report.finish) == (1, None, {"stop": 12})


def test_counts_by_class_are_added_up_over_answers() -> None:
    passes = [
        [ItemScore(id="a", values={"f1": 1.0}, counts={"f1": {"x": (1, 1, 1)}})],
        [ItemScore(id="a", values={"f1": 0.0}, counts={"f1": {"x": (0, 1, 0), "y": (0, 0, 1)}}, reason="wrong class")],
    ]
    (item,) = aggregate.over_samples(passes)
    assert item.counts == {"f1": {"x": (1, 2, 1), "y": (0, 0, 1)}}
    assert (item.values, item.samples) == ({"f1": 0.5}, 2)


@pytest.mark.parametrize("truth", [0.04, 0.4])
def test_the_interval_holds_what_it_says_although_answers_to_an_item_go_together(truth: float) -> None:
    """300 sets of 60 items with 5 answers each. Taking 300 answers for 300 items would cover far too rarely."""
    draw = np.random.default_rng(11)
    n, k, sets = 60, 5, 300
    ours = naive = 0
    for _ in range(sets):
        rates = draw.beta(truth, 1 - truth, n)
        answers = (draw.random((k, n)) < rates).astype(float)
        passes = [
            [ItemScore(id=str(place), values={"exact": value}) for place, value in enumerate(one)] for one in answers
        ]
        score = aggregate.metric_score(EXACT, aggregate.over_samples(passes), 0.95)
        assert score.low is not None
        assert score.high is not None
        ours += score.low <= truth <= score.high
        low, high = stats.wilson(float(answers.sum()), n * k, 0.95)
        naive += low <= truth <= high
    assert ours / sets >= 0.93
    assert naive / sets < 0.8


def test_items_that_are_all_wrong_leave_room_for_some_that_would_not_be(world: World) -> None:
    by_seed(world, {seed: set(WORDS) for seed in range(3)})
    exact = measure(world, samples=3, temperature=0.7).score("exact")
    assert exact is not None
    assert (exact.value, exact.low) == (0.0, 0.0)
    assert exact.high == pytest.approx(stats.clopper_pearson(0, 12, 0.95).high, abs=0.02)


def test_answers_to_one_document_go_together_over_samples_too() -> None:
    passes = [
        [ItemScore(id=str(place), values={"exact": float(place % 2)}, document=f"d{place // 4}") for place in range(80)]
        for _ in range(2)
    ]
    alike = [
        [one.model_copy(update={"values": {"exact": float(int(one.document[1:]) % 2)}}) for one in some]
        for some in passes
    ]
    apart, together = (aggregate.metric_score(EXACT, aggregate.over_samples(one), 0.95) for one in (passes, alike))
    assert apart.value == together.value == 0.5
    assert together.high - together.low > 1.5 * (apart.high - apart.low)  # type: ignore[operator]
