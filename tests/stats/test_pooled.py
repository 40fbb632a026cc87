"""F1 over a set by class: by hand, and with intervals that hold what they say."""

from __future__ import annotations

import numpy as np
import pytest

from lathe.stats import pooled
from lathe.stats.pooled import Counts


def answered(gold: str, said: str) -> Counts:
    """An item of one class and the class that was said; "" = an answer of no class."""
    right = int(gold == said)
    return {gold: (right, 1, right), **({said: (0, 0, 1)} if said and not right else {})}


PAIRS = [("a", "a"), ("a", "a"), ("a", "b"), ("b", "b"), ("b", ""), ("c", "a")]


def test_macro_f1_is_the_mean_of_the_classes_that_gold_has() -> None:
    counts = [answered(*pair) for pair in PAIRS]
    a, b, c = 2 * 2 / (3 + 3), 2 * 1 / (2 + 2), 0.0
    assert pooled.score(counts, "macro_f1", 0.95).value == pytest.approx((a + b + c) / 3)


def test_micro_f1_pools_all_counts() -> None:
    counts = [answered(*pair) for pair in PAIRS]
    assert pooled.score(counts, "micro_f1", 0.95).value == pytest.approx(2 * 3 / (6 + 5))


def test_an_answer_outside_the_set_is_a_miss_and_no_class() -> None:
    inside, outside = [answered("a", "b"), answered("b", "b")], [answered("a", ""), answered("b", "b")]
    assert pooled.score(outside, "macro_f1", 0.95).value == pytest.approx(0.5)
    assert pooled.score(inside, "macro_f1", 0.95).value == pytest.approx(1 / 3), "the wrong b costs the class b as well"


@pytest.mark.parametrize(("counts", "value"), [([{}], 1.0), ([{"a": (0, 0, 2)}], 0.0)])
@pytest.mark.parametrize("average", ["macro_f1", "micro_f1"])
def test_where_nothing_is_to_be_found_saying_nothing_is_right(
    counts: list[Counts], value: float, average: pooled.Average
) -> None:
    assert pooled.score(counts, average, 0.95).value == value


@pytest.mark.parametrize("n", [1, 4])
def test_a_few_items_have_a_value_and_no_interval(n: int) -> None:
    assert pooled.score([answered("a", "a")] * n, "macro_f1", 0.95).bounds is None


def drawn(generator: np.random.Generator, n: int) -> list[Counts]:
    """Items of four classes, unevenly many; each class has its own rate of right answers."""
    classes = generator.choice(list("abcd"), size=n, p=[0.4, 0.3, 0.2, 0.1])
    rates = {"a": 0.9, "b": 0.7, "c": 0.6, "d": 0.5}
    others = generator.choice(list("abcd"), size=n)
    return [
        answered(gold, gold if generator.random() < rates[gold] else other)
        for gold, other in zip(classes, others, strict=True)
    ]


def test_the_interval_covers_the_macro_f1_of_the_population_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(3)
    truth = pooled.score(drawn(generator, 20_000), "macro_f1", 0.95).value
    found = [pooled.score(drawn(generator, 200), "macro_f1", 0.95).bounds for _ in range(60)]
    assert sum(one is not None and one.low <= truth <= one.high for one in found) >= 53, "0.95 x 60 is 57"


@pytest.mark.parametrize("said", ["common", "gold"])
def test_rare_classes_leave_no_resample_so_that_the_value_lies_in_its_interval(said: str) -> None:
    """Sixteen classes of one item each, all wrong or all right, beside one of sixty: the interval of 0.046 was [0.049, 0.109]."""
    rare = [answered(f"rare {n}", said if said == "common" else f"rare {n}") for n in range(16)]
    common = [answered("common", "common" if n % 5 else "") for n in range(60)]
    found = pooled.score([*rare, *common], "macro_f1", 0.95)
    assert found.bounds is not None
    assert found.bounds.low <= found.value <= found.bounds.high


def test_the_difference_of_an_arm_with_itself_is_nothing_and_of_a_better_one_is_seen() -> None:
    first = [answered(*pair) for pair in PAIRS * 20]
    second = [answered(gold, "") for gold, _ in PAIRS * 20]
    same, better = (pooled.difference(first, other, "macro_f1", 0.95) for other in (first, second))
    assert same.bounds is not None
    assert better.bounds is not None
    assert (same.value, same.bounds.low, same.bounds.high) == (0, 0, 0)
    assert better.bounds.low > 0.2
    assert better.bounds.p_value < 0.01


def test_the_same_items_give_the_same_interval() -> None:
    counts = [answered(*pair) for pair in PAIRS * 5]
    assert pooled.score(counts, "macro_f1", 0.95) == pooled.score(counts, "macro_f1", 0.95)


def test_as_many_right_answers_as_there_are_prove_no_certainty() -> None:
    """Resampling 33 right answers shows no spread; exact bounds on 33 of 33 begin at 0.894."""
    bounds = pooled.score([answered("a", "a"), answered("b", "b"), answered("c", "c")] * 11, "macro_f1", 0.95).bounds
    assert bounds is not None
    assert bounds.low == pytest.approx(0.025 ** (1 / 33), abs=0.01)
    assert bounds.high == 1.0
