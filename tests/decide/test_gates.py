"""One gate at a time, over every kind of quantity."""

from __future__ import annotations

import math

import numpy as np
import pytest
from reports import arms, recipe, report, right, verdict

from lathe.decide.gates import hold
from lathe.records import GateResult, GateSpec
from lathe.stats import careful


def held(gate: dict, tuned, confidence: float = 0.95, **others) -> GateResult:
    return hold(GateSpec.model_validate(gate), {"tuned": tuned, **others}, "base-zero", confidence)


def test_thirty_one_of_thirty_one_cannot_show_ninety_eight_percent() -> None:
    """The unified CLI deployed on 31/31 against 98 %; the true rate may be 0.89."""
    case = arms(report("tuned", right(31, 31)), right(0, 31), right(0, 31))
    decision = verdict(case, written=recipe(gates=[{"metric": "json_exact", "at_least": 0.98}]))
    gate = decision.gates[-1]
    assert decision.verdict == "iterate"
    assert (gate.held, gate.decidable) == (False, False)
    assert gate.measured == pytest.approx(0.87, abs=0.01)
    # All right so far: the lower bound tail^(1/m) reaches 0.98.
    assert gate.rows_needed == math.ceil(math.log((1 - decision.confidence) / 2) / math.log(0.98))
    assert decision.line.endswith(f"next: {gate.rows_needed} test rows would decide")


def test_thirty_one_perfect_means_cannot_show_it_either() -> None:
    gate = held({"metric": "field_f1", "at_least": 0.98}, report("tuned", right(31, 31)))
    assert (gate.held, gate.decidable) == (False, False)


def test_a_metric_that_was_not_measured_never_holds() -> None:
    """CLI-Tuner's syntax check was null because the checker was missing, and its gate was green."""
    tuned = report("tuned", right(200, 240), syntax=[None] * 240)
    written = recipe(gates=[{"metric": "syntax", "at_most": 1.0}])
    decision = verdict(arms(tuned, right(5, 240), right(90, 240)), written=written)
    gate = decision.gates[-1]
    assert (gate.held, gate.measured, decision.verdict) == (False, None, "iterate")
    assert "not measured, so it does not hold" in decision.findings[0].message


@pytest.mark.parametrize("metric", ["bleu", "file_bytes"])
def test_a_quantity_that_nobody_measures_never_holds(metric: str) -> None:
    tuned = report("tuned", right(20, 24))
    assert not held({"metric": metric, "at_most": 1e12}, tuned).held
    assert not held({"metric": metric, "better_than": "base"}, tuned, **{"base-zero": tuned}).held


def test_an_arm_that_was_not_measured_is_not_beaten() -> None:
    gate = held({"metric": "json_exact", "better_than": "gguf-q8_0"}, report("tuned", right(20, 24)))
    assert (gate.held, gate.measured) == (False, None)


def test_a_limit_is_held_against_the_end_that_is_harder_to_hold() -> None:
    tuned = report("tuned", right(100, 240), cut=5)
    low, high = 0.3535, 0.4819
    assert held({"metric": "json_exact", "at_least": 0.36}, tuned).measured == pytest.approx(low, abs=1e-3)
    assert not held({"metric": "json_exact", "at_least": 0.36}, tuned).held
    assert held({"metric": "json_exact", "at_least": 0.35}, tuned).held
    assert held({"metric": "json_exact", "at_most": 0.47}, tuned).measured == pytest.approx(high, abs=1e-3)
    assert held({"metric": "json_exact", "at_least": 0.41, "judge": "value"}, tuned).held
    assert held({"metric": "truncated_share", "at_most": 0.06}, tuned).held
    assert not held({"metric": "truncated_share", "at_most": 0.03}, tuned).held


def test_a_clear_miss_is_decided_and_asks_for_no_rows() -> None:
    gate = held({"metric": "json_exact", "at_least": 0.6}, report("tuned", right(100, 240)))
    assert (gate.held, gate.decidable, gate.rows_needed) == (False, True, None)


def test_seconds_bytes_and_tokens_per_second_can_be_gated() -> None:
    draw = np.random.default_rng(0)
    tuned = report("tuned", right(20, 60), seconds=list(draw.uniform(0.4, 0.6, 60)), peak_bytes=900)
    base = report("base-zero", right(2, 60), seconds=list(draw.uniform(0.8, 1.2, 60)), peak_bytes=1000)
    others = {"base-zero": base}
    assert held({"metric": "latency_seconds", "at_most": 0.55}, tuned).held
    assert not held({"metric": "latency_seconds", "at_most": 0.5}, tuned).held
    assert held({"metric": "peak_bytes", "at_most": 900}, tuned).held
    assert not held({"metric": "peak_bytes", "at_most": 899}, tuned).held
    assert held({"metric": "tokens_per_second", "at_least": 18}, tuned).held
    assert held({"metric": "latency_seconds", "better_than": "base", "by": 0.4}, tuned, **others).held
    assert not held({"metric": "latency_seconds", "better_than": "base", "by": 0.55}, tuned, **others).held
    assert held({"metric": "tokens_per_second", "better_than": "base", "by": 5}, tuned, **others).held
    assert held({"metric": "peak_bytes", "better_than": "base", "by": 99}, tuned, **others).held
    assert not held({"metric": "latency_seconds", "better_than": "base"}, base, **{"base-zero": tuned}).held


def test_better_by_a_margin_is_judged_on_the_paired_lower_bound() -> None:
    tuned, base = report("tuned", right(100, 240)), report("base-zero", right(5, 240))
    gate = {"metric": "json_exact", "better_than": "base", "by": 0.3}
    assert held(gate, tuned, **{"base-zero": base}).held
    short = held(gate | {"by": 0.36}, tuned, **{"base-zero": base})
    assert (short.held, short.decidable) == (False, False)
    assert not held(gate | {"by": 0.5}, tuned, **{"base-zero": base}).held


def test_five_items_that_speak_one_way_do_not_show_a_difference() -> None:
    """The score interval alone would lie above zero; the exact test says p = 0.06."""
    assert careful(5, 0, 20, 0.95) == (0.0, pytest.approx(0.4687, abs=1e-3))
    tuned, base = report("tuned", right(5, 20)), report("base-zero", right(0, 20))
    gate = held({"metric": "json_exact", "better_than": "base"}, tuned, **{"base-zero": base})
    assert (gate.held, gate.decidable, gate.rows_needed is not None) == (False, False, True)


def test_five_means_that_speak_one_way_do_not_show_a_difference_either() -> None:
    """Resampling equal differences has no spread at all: the interval is [0.4, 0.4], and the test says p = 0.03."""
    tuned, base = report("tuned", [0.0] * 5, f1=[0.9] * 5), report("base-zero", [0.0] * 5, f1=[0.5] * 5)
    gate = held({"metric": "field_f1", "better_than": "base"}, tuned, 0.99, **{"base-zero": base})
    assert (gate.held, gate.decidable, gate.measured) == (False, False, 0.0)


def test_equal_arms_are_never_decided_by_more_rows() -> None:
    tuned, base = report("tuned", right(12, 24)), report("base-zero", right(12, 24))
    gate = held({"metric": "json_exact", "better_than": "base"}, tuned, **{"base-zero": base})
    assert (gate.held, gate.rows_needed) == (False, None)


def test_models_no_better_than_the_base_are_passed_less_often_than_the_budget_allows() -> None:
    """The paired gate under its null hypothesis, twenty looks each, at several disagreement rates."""
    from functools import cache

    from lathe.stats import spent

    @cache
    def passed(wins: int, losses: int, n: int, look: int) -> bool:
        return careful(wins, losses, n, 1 - spent(0.05, look)).low > 0

    for n, rate in ((40, 0.1), (240, 0.02), (240, 0.2)):
        draws = np.random.default_rng(6).multinomial(n, [rate / 2, rate / 2, 1 - rate], (400, 20))
        wrong = [any(passed(int(w), int(lost), n, look) for look, (w, lost, _) in enumerate(row, 1)) for row in draws]
        assert np.mean(wrong) <= 0.05


def test_four_questions_about_each_document_decide_less_than_as_many_documents() -> None:
    """The same values; only what they come from differs. Twelve documents, of which five are got right, show no rate of 0.3."""
    values = [value for value in right(5, 12) for _ in range(10)]
    alone = report("tuned", values)
    items = [item.model_copy(update={"document": f"document-{i // 10}"}) for i, item in enumerate(alone.items)]
    together = alone.model_copy(update={"items": tuple(items)})
    gates = ({"metric": "json_exact", "at_least": 0.3}, {"metric": "json_exact", "better_than": "rule"})
    base = {"base-zero": report("base-zero", right(0, 120)), "rule": report("rule", right(30, 120))}
    for gate in gates:
        assert held(gate, alone, **base).held
        result = held(gate, together, **base)
        assert (result.held, result.decidable) == (False, False)
    assert (result.rows_needed or 0) > 120
