"""Intents: labels read strictly, nothing dropped, the linear model beside the language model and recommended where it wins."""

from __future__ import annotations

import pytest

from lathe import plugins
from lathe.contracts import ItemVerdict
from lathe.decide import Evidence, judge, paired
from lathe.errors import TaskMismatch
from lathe.evaluate import aggregate
from lathe.records import EvalReport, Example, ItemScore, Manifest, Prediction, Recipe, SideCount, TaskSetup
from lathe.tasks.intent import REASONS

TASK = plugins.load("tasks", "intent")
LABELS = ["arrival", "lost", "top_up", "pin"]
SETUP = TaskSetup(schemas={"cards": {"enum": LABELS}})
OPEN = TaskSetup(fields={"input": "text", "target": "category"})


def example(number: int, gold: str, setup: TaskSetup = SETUP) -> Example:
    names = (
        {"text": f"text {number}", "category": gold} if setup is OPEN else {"input": f"text {number}", "target": gold}
    )
    return TASK.example({"id": str(number), **names}, setup)


def judged(gold: str, answer: str, setup: TaskSetup = SETUP) -> ItemVerdict:
    return TASK.score(example(0, gold, setup), answer, setup)


def report(arm: str, golds: list[str], answers: list[str], **fields: str) -> EvalReport:
    """A report of one arm as the evaluate stage makes it."""
    examples = [example(number, gold) for number, gold in enumerate(golds)]
    answered = [Prediction(id=one.id, text=text, finish="stop") for one, text in zip(examples, answers, strict=True)]
    scored = aggregate.items(TASK, SETUP, examples, answered)
    return EvalReport(
        inputs=arm, arm=arm, test_hash="rows", prompt_hash="" if arm == "rule" else "prompts", scorer="intent@1",
        n=len(scored), scores=aggregate.scores(TASK.metrics, scored, None, 0.95),
        slices=aggregate.slices(TASK.metrics, TASK.slices, scored, 0.95), reasons=aggregate.reasons(scored),
        confusion=aggregate.confusion(scored), items=tuple(scored), **fields,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("arrival", ""),
        ("lost", "wrong label"),
        ("Arrival", "other spelling"),
        ("top-up", "other spelling"),
        ("It is arrival.", "label among other words"),
        ("arrivals", "outside the set"),
        ("  ", "nothing said"),
    ],
)
def test_a_label_is_read_strictly_and_what_is_wrong_has_its_name(answer: str, reason: str) -> None:
    verdict = judged("arrival", answer)
    assert verdict.reason == reason
    assert reason in ("", *REASONS)
    assert verdict.values["intent_accuracy"] == (reason == "")


def test_an_answer_outside_the_set_counts_against_accuracy_and_against_the_f1_of_its_label() -> None:
    golds = ["arrival", "arrival", "lost", "lost"]
    found = {score.metric: score for score in report("tuned", golds, ["arrival", "no idea", "lost", "lost"]).scores}
    assert (found["intent_accuracy"].value, found["intent_accuracy"].n) == (0.75, 4)
    assert found["intent_macro_f1"].value == pytest.approx((2 * 1 / 3 + 1) / 2)
    assert found["in_set"].value == 0.75


def test_without_a_set_any_label_is_taken_and_being_in_it_is_not_measured() -> None:
    assert judged("card_arrival", "card_linking", OPEN).values["in_set"] is None
    assert judged("card_arrival", "card_linking", OPEN).reason == "wrong label"
    assert judged("card_arrival", "card_arrival", OPEN).values["intent_accuracy"] == 1
    assert "one of" not in example(0, "card_arrival", OPEN).messages[0].content


def test_the_prompt_names_the_labels_unless_the_recipe_says_no() -> None:
    assert ", ".join(LABELS) in example(0, "pin").messages[0].content
    silent = SETUP.model_copy(update={"schema_in_prompt": False})
    assert "lost" not in example(0, "pin", silent).messages[0].content
    assert TASK.score(example(0, "pin", silent), "lost", silent).values["in_set"] == 1


@pytest.mark.parametrize(("value", "label"), [(7, "7"), (7.0, "7"), (True, "true"), (False, "false")])
def test_numbers_and_truth_values_as_labels_are_texts(value: float, label: str) -> None:
    assert TASK.example({"input": "x", "target": value}, TaskSetup()).completion == label


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"input": "x", "target": "arival"}, "not among the 4"),
        ({"input": "x", "target": ["arrival"]}, "to be a label"),
        ({"input": "x", "target": 0.5}, "a whole number, true or false"),
        ({"input": "x", "target": None}, "to be a label"),
        ({"input": "", "target": "arrival"}, "says something"),
        ({"text": "x", "target": "arrival"}, "the row has 'text'"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_in_words(row: dict[str, object], said: str) -> None:
    with pytest.raises(TaskMismatch, match=said):
        TASK.example(dict(row), SETUP)


def test_the_confusion_says_what_was_taken_for_what() -> None:
    golds = ["arrival", "arrival", "arrival", "lost", "pin"]
    scored = report("tuned", golds, ["arrival", "lost", "lost", "lost", "?"]).confusion
    assert scored == {"arrival": {"arrival": 1, "lost": 2}, "lost": {"lost": 1}, "pin": {"": 1}}


def test_macro_f1_is_compared_item_by_item_with_its_own_interval() -> None:
    golds = LABELS * 20
    good = report("tuned", golds, golds)
    weak = report("base-zero", golds, [gold if n % 3 else "lost" for n, gold in enumerate(golds)])
    difference = paired(good, weak, "intent_macro_f1", 0.95)
    assert difference.method == "paired bootstrap"
    assert difference.low is not None
    assert 0 < difference.low < (difference.difference or 0)
    assert difference.wins > 0 == difference.losses


def decision(tuned: EvalReport, linear: EvalReport, *gates: dict[str, object]):  # type: ignore[no-untyped-def]
    base = report("base-zero", LABELS * 25, [""] * 100)
    recipe = Recipe.model_validate(
        {"name": "r", "base": "b", "task": "intent", "data": {"source": "lathe:edge_intent"}, "gates": list(gates)}
    )
    sides = {
        side: SideCount(rows=1, sha256=sha) for side, sha in {"train": "t", "validation": "v", "test": "rows"}.items()
    }
    evidence = Evidence(
        {"tuned": tuned, "base-zero": base, "rule": linear}, Manifest(inputs="", sources=(), sides=sides)
    )
    return judge(recipe, evidence, TASK.primary, 1, "inputs")


def test_where_the_linear_model_wins_the_verdict_recommends_it() -> None:
    golds = LABELS * 25
    tuned = report("tuned", golds, [gold if n % 2 else "lost" for n, gold in enumerate(golds)])
    linear = report("rule", golds, golds, chosen="linear")
    found = decision(tuned, linear)
    assert found.verdict == "abort"
    assert any("use the rule linear" in (finding.next_action or "") for finding in found.findings)


def test_a_gate_on_macro_f1_is_held_on_its_bound() -> None:
    golds = LABELS * 25
    tuned = report("tuned", golds, [gold if n % 20 else "lost" for n, gold in enumerate(golds)])
    linear = report("rule", golds, [gold if n % 2 else "" for n, gold in enumerate(golds)], chosen="linear")
    for limit, held in ((0.8, True), (0.97, False)):
        found = decision(tuned, linear, {"metric": "intent_macro_f1", "at_least": limit})
        gate = next(gate for gate in found.gates if not gate.default)
        assert gate.held is held
        assert gate.measured is not None
        assert 0.8 < gate.measured < 0.96


def test_the_linear_rule_learns_what_words_say() -> None:
    rows = [(f"{filler} {word}", label) for filler in ("my", "the", "some", "a") for label, word in WORDS.items()]
    learned = [example_of(text, label) for text, label in rows]
    rule = next(one for one in TASK.baselines if one.name == "linear").fit(learned, SETUP)
    assert [rule(example_of(f"please {word} now", "pin")) for word in WORDS.values()] == list(WORDS)


WORDS = {"arrival": "delivery", "lost": "missing", "top_up": "recharge", "pin": "secret"}


def example_of(text: str, label: str) -> Example:
    return TASK.example({"input": text, "target": label}, SETUP)


def test_an_old_report_without_counts_still_opens() -> None:
    assert ItemScore.model_validate({"id": "1", "values": {"x": 1.0}}).counts == {}


@pytest.mark.parametrize(("label", "answer"), [(3, "3"), (4.0, "4"), (True, "true"), (" with blanks ", "with blanks")])
def test_a_set_of_labels_is_read_as_the_labels_of_rows_are(label: object, answer: str) -> None:
    """A list of 1 to 5 stars was taken for no list of labels, and as an enum for no set at all."""
    setup = TaskSetup(schemas={"set": {"enum": [1, 2.0, 3, 4.0, 3, True, " with blanks "]}})
    asked = TASK.example({"input": "text", "target": label}, setup)
    assert list(TASK.labels(asked, setup)) == ["1", "2", "3", "4", "true", "with blanks"]
    assert TASK.score(asked, answer, setup).values == {"intent_accuracy": 1.0, "intent_macro_f1": 1.0, "in_set": 1.0}


def test_a_set_of_truth_values_is_not_one_of_ones_and_noughts() -> None:
    sets = {"numbers": {"enum": [1, 0]}, "truths": {"enum": [True, False]}}
    rows = [{"input": "text", "target": value, "schema_id": name} for name, value in (("numbers", 1), ("truths", True))]
    found = [list(TASK.labels(TASK.example(row, setup), setup)) for setup in [TaskSetup(schemas=sets)] for row in rows]
    assert found == [["1", "0"], ["true", "false"]]


def test_labels_with_commas_in_them_stand_on_lines_of_their_own() -> None:
    setup = TaskSetup(schemas={"set": {"enum": ["billing, invoices", "refund"]}})
    asked = TASK.example({"input": "text", "target": "refund"}, setup).messages[0].content
    assert "one of:\nbilling, invoices\nrefund\n\nText" in asked
    assert "one of:\narrival, lost, top_up, pin\n" in example(0, "pin").messages[0].content
