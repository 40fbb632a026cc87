"""The shell: records from a run folder, the decision back into it."""

from __future__ import annotations

from pathlib import Path

import pytest
from reports import METRICS, arms, manifest, plan, recipe, report, right, trained

from lathe.decide import decide
from lathe.errors import InputError
from lathe.evaluate import aggregate
from lathe.records import Decision, EvalReport, LockedRecipe, Recipe
from lathe.runs import RunFolder


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A measured run: tuned 0.83, base 0.02, rule 0.38."""
    folder = RunFolder(tmp_path / "run")
    case = arms(report("tuned", right(200, 240)), right(5, 240), right(90, 240))
    case["base-few"] = report("base-few", right(7, 240))
    for arm, measured in case.items():
        folder.commit(folder.eval_report(arm), measured)
    for arm, k in (("base-zero", 3), ("base-few", 1)):
        folder.commit(
            folder.eval_report(arm, "validation"), report(arm, right(k, 50), test_hash="v", side="validation")
        )
    folder.commit(folder.manifest, manifest())
    return folder


def locked(written: Recipe | None = None) -> LockedRecipe:
    return LockedRecipe(inputs="recipe", recipe=written or recipe(), base_folder="base")


def test_the_decision_stands_on_disk_under_its_inputs(run: RunFolder) -> None:
    run.commit(run.plan, plan(47))
    run.commit(run.train_result, trained(49))
    decision = decide(run, locked(), "abc", 1)
    assert decision.line == "DEPLOY  json_exact 0.83 [0.78, 0.88] · base 0.02 · rule 0.38 · planned 47 s, took 49 s"
    assert run.done(run.decision, Decision, "abc") == decision
    assert "better than base-zero" in decision.gates[0].text, "chosen on validation, where it was the better one"


def test_the_loss_curve_is_read_up_to_a_torn_line(run: RunFolder) -> None:
    run.commit(run.train_result, trained())
    lines = [f'{{"step": {step}, "loss": {3 * 0.98**step}}}' for step in range(100)]
    run.metrics.write_text("\n".join(lines) + '\n{"step": 100, "lo')
    assert "still_falling" in {finding.id for finding in decide(run, locked(), "abc", 1).findings}


def test_an_arm_that_is_missing_is_named_and_nothing_is_decided(run: RunFolder) -> None:
    run.eval_report("rule").unlink()
    with pytest.raises(InputError, match=r"eval/rule/report\.json is not there"):
        decide(run, locked(), "abc", 1)
    assert not run.decision.exists()


def test_a_gate_may_name_any_measured_arm(run: RunFolder) -> None:
    gates = [{"metric": "json_exact", "better_than": "base-few", "by": 0.5}]
    assert decide(run, locked(recipe(gates=gates)), "abc", 1).gates[-1].held
    gates[0]["better_than"] = "gguf-q8_0"
    with pytest.raises(InputError, match="gguf-q8_0"):
        decide(run, locked(recipe(gates=gates)), "abc", 1)


def seen(measured: EvalReport, rows: int) -> EvalReport:
    """The same report where an earlier run was trained on the first rows."""
    known, others = measured.items[:rows], measured.items[rows:]
    return measured.model_copy(
        update={
            "seen_before": tuple(item.id for item in known),
            "clean_scores": aggregate.scores(METRICS, others, measured.peak_bytes, 0.95),
        }
    )


def test_rows_that_an_earlier_run_was_trained_on_do_not_count_for_the_verdict(run: RunFolder) -> None:
    # All that tuned gets right it has seen: 150 of the first 150 rows, 0 of the other 90.
    case = arms(report("tuned", right(150, 240)), right(5, 240), right(90, 240, offset=120))
    for arm, measured in case.items():
        run.commit(run.eval_report(arm), measured)
    assert decide(run, locked(), "abc", 1).verdict == "deploy"
    for arm, measured in (case | {"base-few": report("base-few", right(7, 240))}).items():
        run.commit(run.eval_report(arm), seen(measured, 150))
    decision = decide(run, locked(), "abc", 1)
    assert decision.verdict == "abort"
    assert decision.line.startswith("ABORT  json_exact 0.00 [0.00, 0.04] · base 0.00 · rule 0.67")
    said = {finding.id: finding.message for finding in decision.findings}
    assert said["leaked_rows"] == "150 of 240 test rows trained an earlier run; the verdict rests on the other 90"


def test_where_all_rows_were_trained_on_the_evidence_is_refused(run: RunFolder) -> None:
    for arm in ("tuned", "base-zero", "base-few", "rule"):
        run.commit(run.eval_report(arm), seen(run.load(run.eval_report(arm), EvalReport), 240))
    decision = decide(run, locked(), "abc", 1)
    assert decision.verdict == "abort"
    assert decision.line.startswith("ABORT  evidence refused: all 240 test rows were trained on by an earlier run")
