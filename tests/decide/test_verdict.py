"""The verdict on evidence as it comes: clear, refused, unclear, and as our predecessors had it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reports import arms, manifest, plan, recipe, report, right, trained, verdict

from lathe.contracts import Metric
from lathe.evaluate import aggregate
from lathe.records import DataFinding, Score, SideCount, Validation


def ids(decision) -> list[str]:
    return [finding.id for finding in decision.findings]


# ------------------------------------------------------------------------------------------ deploy, iterate, abort


def test_a_model_that_beats_base_and_rule_is_deployed() -> None:
    decision = verdict(
        arms(report("tuned", right(200, 240)), right(5, 240), right(90, 240)), plan=plan(47), train=trained(49.4)
    )
    assert decision.verdict == "deploy"
    assert [(gate.held, gate.default) for gate in decision.gates] == [(True, True), (True, True)]
    assert decision.line == "DEPLOY  json_exact 0.83 [0.78, 0.88] · base 0.02 · rule 0.38 · planned 47 s, took 49 s"


def test_one_answer_that_no_model_may_give_forbids_a_deploy() -> None:
    tuned = report("tuned", right(200, 240))
    harmful = tuned.items[-1].model_copy(update={"reason": "dangerous"})
    tuned = tuned.model_copy(update={"items": (*tuned.items[:-1], harmful)})
    measured = arms(tuned, right(5, 240), right(90, 240))
    assert verdict(measured).verdict == "deploy", "a task that forbids nothing"
    decision = verdict(measured, forbidden=("dangerous",))
    assert decision.verdict == "iterate"
    assert ids(decision)[0] == "forbidden_answer"
    assert decision.findings[0].message == f"dangerous: 1 of 240 answers, the first to row {harmful.id}"


def test_the_answer_that_forbids_a_deploy_may_be_any_of_several_to_an_item() -> None:
    tuned = report("tuned", right(200, 240), samples=3, temperature=0.7)
    mixed = {"reason": "wrong flag", "reasons": {"wrong flag": 1, "dangerous": 2}}
    tuned = tuned.model_copy(update={"items": (*tuned.items[:-1], tuned.items[-1].model_copy(update=mixed))})
    decision = verdict(arms(tuned, right(5, 240), right(90, 240)), forbidden=("dangerous",))
    assert decision.verdict == "iterate"
    assert decision.findings[0].message == f"dangerous: 2 of 720 answers, the first to row {tuned.items[-1].id}"


def test_means_over_answers_are_judged_by_bounds_for_means() -> None:
    """The same rate by 240 items: half of the answers to each item right, or half of the items."""
    written = recipe(gates=[{"metric": "json_exact", "at_least": 0.4}])
    steady = verdict(arms(report("tuned", [0.5] * 240, samples=4), right(5, 240), right(40, 240)), written=written)
    split = verdict(arms(report("tuned", right(120, 240)), right(5, 240), right(40, 240)), written=written)
    assert steady.verdict == split.verdict == "deploy"
    assert 0.4 < (split.gates[-1].measured or 0) < (steady.gates[-1].measured or 0) < 0.5


def test_a_rule_that_is_nearly_as_good_makes_it_iterate_and_says_how_many_rows_would_decide() -> None:
    # The model gets what the rule gets, loses 20 of them and wins 28 others.
    rule = right(92, 240)
    tuned = [0.0] * 20 + [1.0] * 100 + [0.0] * 120
    decision = verdict(arms(report("tuned", tuned), right(5, 240), rule))
    gate = next(gate for gate in decision.gates if "rule" in gate.text)
    assert decision.verdict == "iterate"
    assert not gate.decidable
    assert gate.rows_needed is not None
    assert gate.rows_needed > 240
    assert decision.line == (
        f"ITERATE  json_exact 0.42 [0.36, 0.48] · base 0.02 · rule 0.38 · next: {gate.rows_needed:,} test rows would decide"
    )
    assert f"cannot be decided with 240 rows (-0.0302); {gate.rows_needed:,} would do" in decision.findings[0].message


def test_the_rows_that_would_decide_do_decide() -> None:
    """The forecast held against the judge: the same rates on so many rows."""
    rule, tuned = right(92, 240), [0.0] * 20 + [1.0] * 100 + [0.0] * 120
    first = verdict(arms(report("tuned", tuned), right(5, 240), rule))
    needed = next(gate.rows_needed for gate in first.gates if gate.rows_needed)
    times = -(-needed // 240)
    again = verdict(arms(report("tuned", tuned * times), right(5, 240) * times, rule * times))
    assert again.verdict == "deploy"
    fewer = max(1, times // 2)
    assert verdict(arms(report("tuned", tuned * fewer), right(5, 240) * fewer, rule * fewer)).verdict == "iterate"


def test_training_that_brought_nothing_is_aborted() -> None:
    decision = verdict(arms(report("tuned", right(4, 240)), right(5, 240), right(0, 240)))
    assert decision.verdict == "abort"
    assert ids(decision)[0] == "no_gain"
    assert "keep the better baseline" in decision.line


def test_a_model_that_a_rule_beats_is_aborted_and_the_rule_is_recommended() -> None:
    """SLM-Bench celebrated 87 of 158 where forty lines without a model get 124."""
    decision = verdict(arms(report("tuned", right(87, 158)), right(3, 158), right(124, 158)))
    assert decision.verdict == "abort"
    wins = next(finding for finding in decision.findings if finding.id == "rule_wins")
    assert "tuned minus rule -0.234" in wins.message
    assert wins.next_action is not None
    assert wins.next_action.startswith("use the rule key_value_rule")


def test_one_gated_quantity_that_is_better_is_reason_enough_to_go_on() -> None:
    """Exact answers fall behind the rule, fields do not."""
    n = 158
    tuned = report("tuned", right(87, n), f1=[0.95] * n)
    rule = report("rule", right(124, n), f1=[0.8 if i % 2 else 0.7 for i in range(n)], prompt_hash="")
    base = report("base-zero", right(3, n), f1=[0.1 if i % 2 else 0.2 for i in range(n)])
    gates = [{"metric": "field_f1", "better_than": "rule"}]
    decision = verdict({"tuned": tuned, "base-zero": base, "rule": rule}, written=recipe(gates=gates))
    assert decision.verdict == "iterate"
    assert [gate.held for gate in decision.gates] == [True, False, True]


# ------------------------------------------------------------------------------------------ evidence that is refused


def test_arms_under_different_scorers_are_refused() -> None:
    """CLI-Tuner's base got 0 % and 97.1 % for the same answers under two definitions."""
    case = arms(report("tuned", right(200, 240)), right(5, 240), right(90, 240))
    case["base-zero"] = report("base-zero", right(5, 240), scorer="json_extraction@2")
    decision = verdict(case)
    assert (decision.verdict, decision.gates, decision.differences) == ("abort", (), ())
    assert "different scorers (json_extraction@1 and json_extraction@2)" in decision.line
    assert decision.line.startswith("ABORT  evidence refused: tuned and base-zero")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"test_hash": "others"}, "different rows"),
        ({"prompt_hash": "kinder"}, "different prompts"),
        ({"items": ()}, "items"),
    ],
)
def test_arms_on_other_rows_prompts_or_items_are_refused(changed: dict, said: str) -> None:
    case = arms(report("tuned", right(200, 240)), right(5, 240), right(90, 240))
    case["base-zero"] = case["base-zero"].model_copy(update=changed)
    decision = verdict(case)
    assert decision.verdict == "abort"
    assert said in decision.findings[0].message


def test_few_shot_prompts_may_differ_since_that_is_what_they_are() -> None:
    case = arms(report("tuned", right(200, 240)), right(5, 240), right(90, 240))
    case["base-few"] = report("base-few", right(20, 240))
    assert verdict(case).verdict == "deploy"


def test_a_leak_in_the_data_is_refused() -> None:
    """20 of 31 test prompts of the unified CLI stood in its training rows."""
    leak = DataFinding(
        id="leak", level="error", message="20 test prompts stand in train", hint="prepare the data again"
    )
    decision = verdict(arms(report("tuned", right(31, 31)), right(0, 31), right(0, 31)), data=manifest(leak))
    assert decision.verdict == "abort"
    assert "evidence refused: the data: 20 test prompts stand in train · next: prepare the data again" in decision.line


def test_rows_of_another_run_are_refused() -> None:
    case = arms(report("tuned", right(200, 240)), right(5, 240), right(90, 240))
    assert verdict(case, data=manifest(test="newer")).verdict == "abort"
    held_out = {"base-zero": report("base-zero", right(9, 50), test_hash="older")}
    decision = verdict(case, validation=held_out)
    assert "base-zero was not measured on the validation rows of this run" in decision.line


@settings(deadline=None, max_examples=15)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_no_two_models_are_each_better_than_the_other(pairs: list[tuple[bool, bool]]) -> None:
    first, second = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
    one = verdict(arms(report("tuned", first), second, [0.0] * len(pairs)))
    other = verdict(arms(report("tuned", second), first, [0.0] * len(pairs)))
    for decision in (one, other):
        assert (decision.verdict == "deploy") == all(gate.held for gate in decision.gates)
    assert "deploy" not in (one.verdict, other.verdict) or one.verdict != other.verdict


def test_without_any_test_row_nothing_is_shown() -> None:
    decision = verdict(arms(report("tuned", []), [], []))
    assert decision.verdict == "abort"
    assert decision.line.startswith("ABORT  json_exact not measured · base not measured")


# ------------------------------------------------------------------------------------------ which base, which looks


def test_the_base_to_beat_is_chosen_on_validation_not_on_test() -> None:
    case = arms(report("tuned", right(60, 240)), right(30, 240), right(0, 240))
    case["base-few"] = report("base-few", right(70, 240))
    held_out = {
        "base-zero": report("base-zero", right(9, 50), test_hash="v"),
        "base-few": report("base-few", right(8, 50), test_hash="v"),
    }
    decision = verdict(case, validation=held_out)
    assert "better than base-zero" in decision.gates[0].text
    assert decision.differences[0].second == "base-zero"
    assert "better than base-few" in verdict(case).gates[0].text, "without validation: the harder one"


def test_each_look_at_the_same_rows_costs_confidence() -> None:
    """The same evidence that deploys at the first look does not at the fifth."""
    tuned = [0.0] * 40 + [1.0] * 100 + [0.0] * 100
    case = arms(report("tuned", tuned), right(5, 240), [0.0] * 20 + [1.0] * 95 + [0.0] * 125)
    case["rule"] = report("rule", [1.0] * 20 + [0.0] * 40 + [1.0] * 55 + [0.0] * 125, prompt_hash="")
    first, fifth = verdict(case, looks=1), verdict(case, looks=200)
    assert first.confidence == pytest.approx(1 - 0.05 * 6 / 9.8696, abs=1e-4)
    assert (first.verdict, fifth.verdict) == ("deploy", "iterate")
    assert "looks" in ids(fifth)
    assert "looks" not in ids(first)


# ------------------------------------------------------------------------------------------ what is said beside it


def test_forecasts_are_scored() -> None:
    written = recipe(expect={"json_exact": [0.6, 0.8], "syntax": [0.9, 1.0], "bleu": [0.1, 0.2]})
    decision = verdict(arms(report("tuned", right(87, 158)), right(3, 158), right(20, 158)), written=written)
    assert decision.forecasts["json_exact"]["inside"] is False
    assert decision.forecasts["syntax"] == {"expected": [0.9, 1.0], "measured": 1.0, "inside": True}
    assert decision.forecasts["bleu"]["inside"] is None
    assert "expected within 0.6 and 0.8 and came out at 0.551" in next(
        finding.message for finding in decision.findings if finding.id == "forecast_missed"
    )


def test_answers_that_were_cut_are_reported_with_their_share() -> None:
    decision = verdict(arms(report("tuned", right(200, 240), cut=12, max_new_tokens=64), right(5, 240), right(90, 240)))
    cut = next(finding for finding in decision.findings if finding.id == "cut_off")
    assert cut.message == "12 of 240 answers (5.0%) were cut at their limit (at most 64 tokens)"


def test_right_answers_that_could_not_be_written_forbid_a_deploy() -> None:
    finding = DataFinding(
        id="answer_cut", level="error", message="19 right answers are longer", hint="Raise the limit.", count=19
    )
    case = arms(report("tuned", right(200, 240), findings=(finding,)), right(5, 240), right(90, 240))
    decision = verdict(case)
    assert decision.verdict == "iterate"
    assert decision.line.endswith("next: raise evaluate.max_new_tokens or leave it out")


@pytest.mark.parametrize(("classes", "gated", "said"), [(40, True, True), (40, False, False), (10, True, False)])
def test_a_gated_macro_f1_over_classes_of_a_few_rows_each_is_said_to_know_less_than_its_interval(
    classes: int, gated: bool, said: bool
) -> None:
    measured = report("tuned", right(90, 100))
    counts = [{"macro": {f"class {number % classes}": (1, 1, 1)}} for number in range(100)]
    items = tuple(item.model_copy(update={"counts": one}) for item, one in zip(measured.items, counts, strict=True))
    score = aggregate.metric_score(Metric("macro", "mean of the F1 of classes", "macro_f1"), items, 0.95)
    tuned = measured.model_copy(update={"items": items, "scores": (*measured.scores, score)})
    written = recipe(gates=[{"metric": "macro", "at_least": 0.5}] if gated else [])
    found = verdict(arms(tuned, right(10, 100), right(10, 100)), written=written).findings
    told = [one.message for one in found if one.id == "thin_classes"]
    assert bool(told) == said
    assert all("40 of 40 classes have fewer than 5 in the test rows" in one for one in told)


def test_a_weak_slice_is_named_with_its_numbers() -> None:
    meta = [{"complexity": "complex" if i >= 200 else "simple"} for i in range(240)]
    case = arms(report("tuned", right(180, 240), meta=meta), right(5, 240), right(90, 240))
    weak = [finding for finding in verdict(case).findings if finding.id == "weak_slice"]
    assert [finding.message for finding in weak] == [
        "json_exact is 0.00 [0.00, 0.09] where complexity is complex (40 items), 0.75 over all"
    ]
    sides = manifest().sides
    counted = SideCount(rows=1320, made=880, sha256="train", slices={"complexity": {"simple": 428, "complex": 12}})
    data = manifest().model_copy(update={"sides": {**sides, "train": counted}})
    weak = [finding for finding in verdict(case, data=data).findings if finding.id == "weak_slice"]
    assert weak[0].message.endswith("0.75 over all; 12 of 440 training rows are like that")


def test_a_slice_that_training_made_worse_is_named() -> None:
    meta = [{"style": "log" if i < 30 else "chat"} for i in range(240)]
    tuned = [0.0] * 30 + [1.0] * 180 + [0.0] * 30
    case = arms(report("tuned", tuned, meta=meta), right(30, 240), [0.0] * 240)
    worse = [finding.message for finding in verdict(case).findings if finding.id == "worse_slice"]
    assert len(worse) == 1
    assert worse[0].startswith("training made json_exact worse where style is log: 30 items lost, 0 won")


def test_the_loss_curve_is_read_only_where_it_says_something() -> None:
    case = arms(report("tuned", right(120, 240)), right(5, 240), right(110, 240))
    falling = [3.0 * 0.98**step for step in range(100)]
    flat = [1.0] * 100
    assert "still_falling" in ids(verdict(case, train=trained(), losses=falling))
    assert "still_falling" not in ids(verdict(case, train=trained(), losses=flat))
    assert "nothing_learned" in ids(verdict(case, train=trained(first=1.0, last=1.1), losses=flat))
    assert "still_falling" not in ids(verdict(case, train=trained(), losses=falling[:10])), "ten steps say nothing"
    earlier = trained().model_copy(update={"num_steps": 100, "chosen_step": 40})
    assert "still_falling" not in ids(verdict(case, train=earlier, losses=falling)), "earlier weights answered better"


def test_a_training_that_ended_early_is_said_so_and_not_held_against_the_plan_of_all_steps() -> None:
    case = arms(report("tuned", right(120, 240)), right(5, 240), right(110, 240))
    line = verdict(case, plan=plan(47), train=trained().model_copy(update={"stop": "early"})).line
    assert ", ended early" in line
    assert "planned" not in line


def test_answers_that_collapsed_after_the_kept_weights_are_a_finding() -> None:
    steps = [
        Validation(
            step=step, score=Score(metric="json_exact", value=value, n=8), answers=8, empty=0, cut=0, new_tokens=80, seconds=1.0,
            collapse="" if value else "json_exact fell to zero after 0.50 at step 10",
        )
        for step, value in ((10, 0.5), (20, 0.0))
    ]  # fmt: skip
    case = arms(report("tuned", right(120, 240)), right(5, 240), right(110, 240))
    train = trained().model_copy(update={"validations": tuple(steps), "chosen_step": 10})
    (found,) = [one for one in verdict(case, train=train).findings if one.id == "answers_collapsed"]
    assert found.message.startswith("the answers collapsed while training: at step 20 json_exact fell to zero")
    late = train.model_copy(update={"chosen_step": 30})
    assert "answers_collapsed" not in ids(verdict(case, train=late)), "later weights answered again"


def test_a_task_without_rules_has_one_default_gate() -> None:
    case = arms(report("tuned", right(200, 240)), right(5, 240), right(90, 240))
    del case["rule"]
    decision = verdict(case)
    assert decision.verdict == "deploy"
    assert [gate.text for gate in decision.gates] == ["json_exact better than base-zero (on the paired lower bound)"]


def test_the_decision_survives_being_written_and_read() -> None:
    decision = verdict(arms(report("tuned", right(200, 240)), right(5, 240), right(90, 240)))
    assert type(decision).from_json(decision.to_json()) == decision
