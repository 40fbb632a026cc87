"""The task measured again on a shipped file: what that says about the file. Pure, but for the two functions that it is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lathe.contracts import Model
from lathe.records import Decision, EvalReport, GateResult, ModelCheck, Prediction


@dataclass(frozen=True)
class Again:
    """How the task is measured and judged anew.

    measure(arm, model): answers of a model to the test rows, under a name of their own. judge(report): the run's gates with that
    report in the trained model's place.
    """

    measure: Callable[[str, Model], EvalReport]
    judge: Callable[[EvalReport], Decision]


def task_check(
    primary: str,
    trained: Mapping[str, GateResult],
    judged: Decision,
    report: EvalReport,
    texts: Mapping[tuple[str, int], Prediction],
    again: Mapping[tuple[str, int], Prediction],
) -> ModelCheck:
    """Every gate that the trained model held, the file must hold as well.

    trained: the run's gates by their words. texts, again: answers of the trained model and of the file, by row and number; drawn
    ones are not held against each other.
    """
    lost = [gate for gate in judged.gates if not gate.held and gate.text in trained and trained[gate.text].held]
    score = report.score(primary)
    same = (
        # A decoder may drop the space that a text begins with; llama.cpp's and the one of `tokenizers` differ in that.
        sum(again[place].text.strip() == answer.text.strip() for place, answer in texts.items() if place in again)
        / len(texts)
        if texts and not report.temperature
        else None
    )
    measured = {
        "score": score.value if score else None,
        "low": score.low if score else None,
        "high": score.high if score else None,
        "same_texts": same,
        "tokens_per_second": value(report, "tokens_per_second"),
    }
    said = f"{primary} {_number(measured['score'])} [{_number(measured['low'])}, {_number(measured['high'])}] on {report.n} rows"
    if same is not None:
        said += f", {same:.0%} of answers identical to the trained model's"
    if not lost:
        return ModelCheck(id="task", ok=True, message=said, measured=measured)
    first = lost[0]
    number = "not measured" if first.measured is None else f"{first.measured:.3g} against {first.limit:.3g}"
    return ModelCheck(
        id="task",
        ok=False,
        message=f"the file misses a gate that the trained model held: {first.text}: {number}; {said}",
        fix="Ship a larger format (gguf_q8_0, gguf_f16), or train until the gate has more room.",
        measured=measured,
    )


def value(report: EvalReport, metric: str) -> float | None:
    """The value of one metric, or None where it was not measured."""
    score = report.score(metric)
    return None if score is None else score.value


def _number(value: object) -> str:
    return "not measured" if value is None else f"{value:.3f}"
