"""Every contradiction in a recipe is found before anything is spent, with its numbers and its fix."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lathe import stats
from lathe.plan.findings import detectable_gain, does_not_fit
from lathe.records import Plan

PlanOf = Callable[..., Plan]
QUIET = {"train": {"checkpoint_every": 10}, "method": {"rank": 16}}


def test_a_sound_recipe_has_no_findings(plan_of: PlanOf) -> None:
    assert plan_of(**QUIET).findings == ()


CASES = [
    ({"train": {"checkpoint_every": 50}}, "train.checkpoint_every 50 is more than the 30 steps"),
    (
        {"train": {"max_steps": 500, "checkpoint_every": 10}},
        "train.max_steps 500 is never reached: 3 epochs are 30 steps",
    ),
    (
        {"train": {"max_steps": 12, "examples_per_step": 20, "checkpoint_every": 5}},
        "the 12 steps end before every row was seen once: an epoch is 16 steps",
    ),
    ({"train": {"examples_per_step": 999, "checkpoint_every": 1}}, "is more than the 320 training rows"),
    ({"train": {"examples_per_step": 160, "checkpoint_every": 1}}, "6 steps are very few"),
    ({"train": {"warmup_share": 0.9, "checkpoint_every": 10}}, "warm-up takes 27 of 30 steps"),
    (
        {"train": {"max_tokens": 4096, "checkpoint_every": 10}},
        "train.max_tokens 4096 is beyond the base's context of 512",
    ),
    (
        {"train": {"token_budget": 40, "checkpoint_every": 10}},
        "the longest row has 50 tokens and train.token_budget is 40",
    ),
    ({"method": {"rank": 48}}, "method.rank 48 is larger than a side of k_proj, v_proj"),
    ({"test_rows": 12}, "with 12 test rows a share is known to within 25 points only"),
    ({"test_rows": 0}, "there are no test rows"),
    ({"evaluate": {"max_new_tokens": 8}}, "evaluate.max_new_tokens 8 is below the longest right answer of 20 tokens"),
    ({"truncated_rows": 3}, "3 of 320 rows are cut at their end"),
    (
        {"gates": [{"metric": "json_exact", "at_least": 0.995}]},
        "the gate json_exact at_least 0.995 cannot be passed: with all 400 test rows right the lower bound is 0.990",
    ),
    ({"train": {"processes": 9, "checkpoint_every": 10}}, "9 processes on 2 processor cores wait for each other"),
    ({"free_bytes": 5 * 10**8, "train": {"threads": 1, "checkpoint_every": 10}}, "the largest term is process"),
    (
        {"train": {"validate": {"every": 500}, "checkpoint_every": 10}},
        "train.validate.every 500 is more than the 30 steps: only the end is measured, so nothing is chosen; set it to 7",
    ),
    (
        {"train": {"validate": {"every": 10, "patience": 2}, "checkpoint_every": 10}},
        "2 validations of train.validate.patience after the first one need 30 steps, and there are 30",
    ),
    (
        {"train": {"validate": {"every": 10, "rows": 101}, "checkpoint_every": 10}},
        "train.validate.rows 101 is more than the 100 validation rows: all of them are answered",
    ),
    (
        {"ship": ["merged", "gguf_q8_0", "gguf_q5_k_m"]},
        "ship names gguf_q5_k_m: no row of the base's matrices fits its blocks: they are 64, 160 wide, expected a multiple of 256",
    ),
]


@pytest.mark.parametrize(("parts", "said"), CASES, ids=[said for _, said in CASES])
def test_a_contradiction_is_named_with_its_numbers(plan_of: PlanOf, parts: dict, said: str) -> None:
    found = plan_of(**{**QUIET, **parts}).findings
    assert len(found) == 1, found
    assert said in str(found[0])
    assert found[0].id
    assert found[0].fix


@pytest.mark.parametrize("trainer", ["native", "trl", "unsloth"])
def test_a_plan_for_another_trainer_says_whose_peak_it_tells(plan_of: PlanOf, trainer: str) -> None:
    told = [str(one) for one in plan_of(**{**QUIET, "trainer": trainer}).findings]
    assert bool(told) == (trainer != "native")
    for one in told:
        assert f"packs and peak are those of the native trainer; {trainer} lays rows out in its own way" in one
        assert "1.2 to 1.6 times" in one


def test_all_contradictions_are_named_at_once(plan_of: PlanOf) -> None:
    """A predecessor's recipe: 50 warm-up steps of 45, no checkpoint before the end."""
    found = plan_of(
        lengths=[50] * 238,
        test_rows=10,
        train={"examples_per_step": 16, "checkpoint_every": 500, "warmup_share": 0.99},
        method={"rank": 512},
    ).findings
    assert len(found) == 4


@pytest.mark.parametrize(
    ("train", "fix", "mended"),
    [
        ({"max_steps": 5}, "raise train.max_steps", {"max_steps": 12}),
        (
            {"max_steps": 5, "epochs": 0.6},
            "raise train.max_steps, and lower train.examples_per_step or raise train.epochs",
            {"max_steps": 12, "epochs": 2},
        ),
        ({"epochs": 0.5}, "lower train.examples_per_step or raise train.epochs", {"epochs": 2}),
    ],
)
def test_few_steps_are_mended_by_what_makes_them_few(plan_of: PlanOf, train: dict, fix: str, mended: dict) -> None:
    (one,) = [one for one in plan_of(train=train).findings if one.id == "few_steps"]
    assert one.fix == fix
    assert "few_steps" not in {one.id for one in plan_of(train={**train, **mended}).findings}


def test_rows_that_the_base_itself_cuts_are_not_mended_by_a_higher_limit(plan_of: PlanOf) -> None:
    (at_context,) = plan_of(**QUIET, truncated_rows=3).findings
    assert "take a base whose context is above 512 tokens" in at_context.fix
    (at_limit,) = plan_of(train={"checkpoint_every": 10, "max_tokens": 64}, truncated_rows=3).findings
    assert at_limit.fix == "raise train.max_tokens or remove them"


def test_full_training_has_no_rank_to_complain_about(plan_of: PlanOf) -> None:
    assert plan_of(**{**QUIET, "method": {"kind": "full", "rank": 512}}).findings == ()


def test_ids_are_stable_words(plan_of: PlanOf) -> None:
    found = plan_of(lengths=[50] * 238, test_rows=10, train={"checkpoint_every": 500, "warmup_share": 0.99}).findings
    assert [one.id for one in found] == ["warmup_too_long", "no_checkpoint", "few_test_rows"]


def test_a_plan_of_an_older_lathe_is_read(plan_of: PlanOf) -> None:
    older = plan_of(**QUIET).dump() | {"findings": ["12 steps are very few; raise train.epochs"]}
    (one,) = Plan.model_validate(older).findings
    assert str(one) == "12 steps are very few; raise train.epochs"


def test_a_cache_that_does_not_fit_is_named(plan_of: PlanOf) -> None:
    made = plan_of(**QUIET)
    terms = tuple(t.model_copy(update={"num_bytes": 10**11}) if "cache" in t.name else t for t in made.evaluate_memory)
    (one,) = does_not_fit(made.model_copy(update={"evaluate_memory": terms}))
    assert one.id == "evaluation_does_not_fit"
    assert "key-value cache with 100.00 GB" in one.message


def test_a_gain_that_the_test_rows_would_likely_miss_is_named(plan_of: PlanOf) -> None:
    """80 rows show 15 points four times in five, at the 97 % that a first look is held at; 181 show ten."""
    gates = {"gates": [{"metric": "json_exact", "better_than": "base", "by": 0.02}]}
    (one,) = [one for one in plan_of(**QUIET, **gates, test_rows=80).findings if one.id == "gain_unseen"]
    assert "less than 17 points" in one.message
    assert "181 test rows" in one.fix
    judged_at = 1 - stats.spent(0.05, 1)
    assert detectable_gain(181, judged_at) <= 0.1 < detectable_gain(180, judged_at)
    assert "gain_unseen" not in {one.id for one in plan_of(**QUIET, **gates, test_rows=181).findings}


@pytest.mark.parametrize(
    ("gate", "enough"),
    [
        ({"at_least": 0.98}, 208),
        ({"at_least": 0.5}, 7),
        ({"at_most": 0.01, "metric": "truncated_share"}, 417),
        ({"at_least": 0.98, "judge": "lower_bound"}, 208),
    ],
)
def test_a_gate_is_out_of_reach_exactly_where_all_right_answers_would_not_pass_it(
    plan_of: PlanOf, gate: dict, enough: int
) -> None:
    """Held against the very bound, and at the confidence, that the verdict of a first look takes."""
    parts = {**QUIET, "gates": [{"metric": "json_exact", **gate}]}
    (one,) = [one for one in plan_of(**parts, test_rows=enough - 1).findings if one.id == "gate_out_of_reach"]
    assert f"use {enough} test rows or more" in one.fix
    assert "gate_out_of_reach" not in {one.id for one in plan_of(**parts, test_rows=enough).findings}
    low = stats.clopper_pearson(enough, enough, 1 - stats.spent(0.05, 1)).low
    limit = gate.get("at_least", 1 - gate.get("at_most", 0.0))
    assert low >= limit > stats.clopper_pearson(enough - 1, enough - 1, 1 - stats.spent(0.05, 1)).low


def test_a_gate_that_asks_for_proof_of_perfection_is_not_sent_for_more_rows(plan_of: PlanOf) -> None:
    gates = {"gates": [{"metric": "json_exact", "at_least": 1.0}, {"metric": "truncated_share", "at_most": 0.0}]}
    fixes = [one.fix for one in plan_of(**QUIET, **gates).findings]
    assert fixes == [
        "no number of rows is enough; set a limit below 1, or judge: value",
        "no number of rows is enough; set a limit above 0, or judge: value",
    ]


def test_a_limit_on_an_amount_says_nothing_about_rows(plan_of: PlanOf) -> None:
    """A speed of one token a second is no share of the test rows."""
    gates = {
        "gates": [
            {"metric": "tokens_per_second", "at_least": 1.0},
            {"metric": "latency_seconds", "at_most": 0.001},
            {"metric": "latency_seconds", "better_than": "base"},
        ]
    }
    assert plan_of(**QUIET, **gates, test_rows=100).findings == ()


def test_so_few_rows_that_even_winning_all_of_them_shows_nothing(plan_of: PlanOf) -> None:
    """Six heads in a row come up once in 32 times: too often for the verdict."""
    gates = {"gates": [{"metric": "json_exact", "better_than": "rule"}]}
    assert "gate_out_of_reach" in {one.id for one in plan_of(**QUIET, **gates, test_rows=6).findings}
    assert "gate_out_of_reach" not in {one.id for one in plan_of(**QUIET, **gates, test_rows=7).findings}


def test_a_margin_that_nobody_can_show_on_so_few_rows_is_out_of_reach(plan_of: PlanOf) -> None:
    gates = {"gates": [{"metric": "json_exact", "better_than": "rule", "by": 0.7}]}
    found = {one.id: one for one in plan_of(**QUIET, **gates, test_rows=8).findings}
    assert "even a model that wins all 8 test rows" in found["gate_out_of_reach"].message
    assert "gain_unseen" not in found
