"""A shipped file is held against the gates that the trained model held; one that the model missed as well is no reproach."""

from __future__ import annotations

from reports import arms, recipe, report, right, verdict

from lathe.records import EvalReport, Prediction
from lathe.ship.again import task_check

GATED = recipe(gates=[{"metric": "json_exact", "at_least": 0.6, "judge": "lower_bound"}])


def check(model: EvalReport, file: EvalReport, texts: tuple[str, ...] = (), again: tuple[str, ...] = ()):
    trained = verdict(arms(model, right(10, 100), right(20, 100)), written=GATED)
    judged = verdict(arms(file, right(10, 100), right(20, 100)), written=GATED)
    return task_check(
        "json_exact", {gate.text: gate for gate in trained.gates}, judged, file, answers(texts), answers(again)
    )


def answers(texts: tuple[str, ...]) -> dict[str, Prediction]:
    return {str(i): Prediction(id=str(i), text=text, finish="stop") for i, text in enumerate(texts)}


def test_a_file_as_good_as_its_model_passes_with_its_numbers() -> None:
    found = check(report("tuned", right(80, 100)), report("gguf_f16", right(80, 100)), ("a", "b"), ("a", "c"))
    assert found.ok
    assert found.measured["score"] == 0.8
    assert found.measured["same_texts"] == 0.5
    assert found.measured["tokens_per_second"] == 20.0
    assert "json_exact 0.800 [0.711, 0.867] on 100 rows, 50% of answers identical" in found.message


def test_a_file_that_loses_a_gate_says_which_and_by_how_much() -> None:
    found = check(report("tuned", right(80, 100)), report("gguf_q4_0", right(60, 100)))
    assert found.ok is False
    assert "json_exact at least 0.6 (on its lower bound): 0.487 against 0.6" in found.message
    assert found.fix is not None


def test_a_space_that_a_decoder_drops_makes_no_other_answer() -> None:
    found = check(report("tuned", right(80, 100)), report("gguf_f16", right(80, 100)), ("a b", "b"), (" a b", "bb"))
    assert found.measured["same_texts"] == 0.5


def test_a_gate_that_the_model_missed_is_not_held_against_the_file() -> None:
    assert check(report("tuned", right(60, 100)), report("gguf_q4_0", right(58, 100))).ok


def test_nothing_in_common_is_not_called_identical() -> None:
    found = check(report("tuned", right(80, 100)), report("gguf_f16", right(80, 100)))
    assert found.measured["same_texts"] is None
    assert "identical" not in found.message


def test_drawn_answers_are_not_held_against_each_other() -> None:
    """Two draws differ whatever the file is; its gates are judged as ever."""
    drawn = report("gguf_f16", right(80, 100)).model_copy(update={"temperature": 0.7})
    found = check(report("tuned", right(80, 100)), drawn, ("a", "b"), ("a", "c"))
    assert found.ok
    assert found.measured["same_texts"] is None
