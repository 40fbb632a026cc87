"""The models once more with each answer held to its form: what a model knows of the form and what of the answer are told apart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import lathe
from lathe import plugins
from lathe.cli.main import main
from lathe.conformity import conforms
from lathe.errors import InputError
from lathe.evaluate import evaluate
from lathe.pipeline import Run
from lathe.records import (
    EvalReport,
    EvaluateSpec,
    Json,
    LockedRecipe,
    Manifest,
    Prediction,
    RunRecord,
    Score,
    Side,
    SideCount,
    TaskSetup,
)
from lathe.report.form_effect import words
from lathe.report.html import page
from lathe.report.story import gather
from lathe.runs import RunFolder
from lathe.storage import commit_rows, read_rows
from tiny_base import write_base
from tiny_run import locked, quiet

pytestmark = pytest.mark.usefixtures("one_thread")

THING: Json = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["name", "count"],
}
ROOM = EvaluateSpec(max_new_tokens=150)
"""An untrained model writes characters of many tokens."""
LABELS = ["card_arrival", "card_linking", "lost_card", "card"]
WORDS = ("nut", "bolt", "pin", "cup")


def things(*more: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"id": f"row-{n}", "input": f"{n} {word}s", "target": {"name": word, "count": n}, "schema_id": "thing"}
        for n, word in enumerate(WORDS)
    ] + [{"id": f"more-{n}", "input": f"more {n}", "target": one, "schema_id": "thing"} for n, one in enumerate(more)]


def measured(
    folder: Path,
    task: str,
    rows: Sequence[dict[str, Any]],
    schemas: dict[str, Json],
    *,
    known: Sequence[dict[str, Any]] | None = None,
    how: EvaluateSpec = ROOM,
) -> tuple[RunFolder, LockedRecipe]:
    """A run of an untrained base that has answered all test rows. known: rows of training and validation; None = the same."""
    base = write_base(folder / "base", "llama", sliding_window=None)
    run, leaf = RunFolder(folder / "run"), plugins.load("tasks", task)
    setup = TaskSetup(schemas=schemas, schema_in_prompt=False)
    of_sides: dict[Side, Sequence[dict[str, Any]]] = {"train": known or rows, "validation": known or rows, "test": rows}
    sides = {
        side: SideCount(rows=len(some), sha256=commit_rows(run.rows(side), [leaf.example(row, setup) for row in some]))
        for side, some in of_sides.items()
    }
    run.commit(run.setup, setup)
    run.commit(run.manifest, Manifest(inputs="data", sources=(), sides=sides))
    run.commit(run.run_record, RunRecord(id="run", name="toy", created="now", lathe_version="0"))
    fixed = locked(base)
    fixed = fixed.model_copy(update={"recipe": fixed.recipe.model_copy(update={"task": task, "evaluate": how})})
    run.commit(run.lock_record, fixed)
    evaluate(run, fixed, "base-zero", "test", Run(run, fixed).hashes["base-zero"], quiet)
    return run, fixed


def score(report: EvalReport, metric: str) -> Score:
    found = report.score(metric)
    assert found is not None
    return found


def test_answers_are_held_to_the_schema_of_their_row_and_stand_beside_the_free_ones(tmp_path: Path) -> None:
    run, fixed = measured(tmp_path, "json_extraction", things(), {"thing": THING})
    free_bytes = run.eval_report("base-zero").read_bytes()
    found = Run(run, fixed).constrain()
    assert run.eval_report("base-zero").read_bytes() == free_bytes, "no verdict changes by it"

    free, held = (run.load(run.eval_report(arm), EvalReport) for arm in ("base-zero", "base-zero-constrained"))
    assert held.arm == "base-zero-constrained"
    assert (held.prompt_hash, held.max_new_tokens, held.scorer) == (free.prompt_hash, free.max_new_tokens, free.scorer)
    assert score(free, "schema_valid").value == 0.0
    assert score(held, "schema_valid").value == 1.0
    for answer in read_rows(run.predictions("base-zero-constrained"), Prediction):
        assert answer.finish == "stop"
        assert conforms(THING, json.loads(answer.text))

    (arm,) = found.arms
    gaps = {gap.metric: gap for gap in arm.differences}
    assert (gaps["schema_valid"].difference, gaps["schema_valid"].wins, arm.cut) == (1.0, 4, 0)
    assert gaps["schema_valid"].method == "tango and exact mcnemar"
    assert words(arm, "json_exact") == (
        "of 4 wrong answers 0 come right by the form alone and 4 are wrong in what they say"
    )
    assert run.load(run.form_effect, type(found)) == found


def test_the_two_are_arms_that_can_be_compared_as_any_others(tmp_path: Path) -> None:
    run, fixed = measured(tmp_path, "json_extraction", things(), {"thing": THING})
    Run(run, fixed).constrain()
    free, held = f"{run.path}:base-zero", f"{run.path}:base-zero-constrained"
    assert lathe.compare([free, held], metric="schema_valid").pairs[0].difference.difference == 1.0
    with pytest.raises(InputError, match="has no arm 'tunde'") as caught:
        lathe.compare([free, f"{run.path}:tunde"])
    assert "base-zero-constrained" in str(caught.value.hint)


def test_what_was_measured_is_not_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, fixed = measured(tmp_path, "json_extraction", things(), {"thing": THING})
    found = Run(run, fixed).constrain()
    known = plugins.load
    monkeypatch.setattr(plugins, "load", lambda kind, name: known(kind, name) if kind != "runtimes" else None)
    assert Run(run, fixed).constrain() == found


def test_labels_are_chosen_from_the_set(tmp_path: Path) -> None:
    rows = [
        {"id": f"row-{n}", "input": f"where is card {n}", "target": LABELS[n % 4], "schema_id": "cards"}
        for n in range(6)
    ]
    run, fixed = measured(tmp_path, "intent", rows, {"cards": {"enum": LABELS}})
    Run(run, fixed).constrain()
    held = run.load(run.eval_report("base-zero-constrained"), EvalReport)
    assert score(held, "in_set").value == 1.0
    assert score(run.load(run.eval_report("base-zero"), EvalReport), "in_set").value == 0.0


TOOLS = [
    {
        "name": "set_timer",
        "parameters": {
            "type": "object",
            "properties": {"minutes": {"type": "integer", "minimum": 1}, "sound": {"enum": ["bell", "bird"]}},
            "required": ["minutes"],
        },
    },
    {"name": "stop", "parameters": {"type": "object", "properties": {}}},
]


def calls(*more: dict[str, Any]) -> list[dict[str, Any]]:
    timer = {"name": "set_timer", "arguments": {"sound": "bell", "minutes": 10}}
    targets = ([], [timer], [{"name": "stop", "arguments": {}}, timer])
    rows = [
        {"id": f"calls-{n}", "input": f"{n} calls", "tools": TOOLS, "target": target}
        for n, target in enumerate(targets)
    ]
    return [*rows, *more]


def test_calls_are_of_functions_that_the_item_offers_with_arguments_of_their_schemas(tmp_path: Path) -> None:
    alone = {"id": "alone", "input": "stop it", "tools": TOOLS[1:], "target": [{"name": "stop", "arguments": {}}]}
    nothing = {"id": "nothing", "input": "fly", "tools": [], "target": []}
    run, fixed = measured(tmp_path, "function_calling", calls(alone, nothing), {})
    Run(run, fixed).constrain()
    answers = {one.id: one for one in read_rows(run.predictions("base-zero-constrained"), Prediction)}
    assert len(answers) == 5
    written = {id: json.loads(one.text) for id, one in answers.items() if one.finish == "stop"}
    assert written["nothing"] == []
    parameters = {one["name"]: one["parameters"] for one in TOOLS}
    for id, said in written.items():
        assert all(set(call) == {"name", "arguments"} for call in said)
        assert all(conforms(parameters[call["name"]], call["arguments"]) for call in said)
        assert id != "alone" or {call["name"] for call in said} <= {"stop"}
    held = run.load(run.eval_report("base-zero-constrained"), EvalReport)
    assert not {"no JSON", "not a call", "function not offered"} & set(held.reasons)


def test_what_a_functions_schema_says_in_vain_is_left_out_and_named_once(tmp_path: Path) -> None:
    tool = {
        "name": "write",
        "parameters": {"type": "object", "properties": {"to": {"type": "string", "format": "email"}}},
    }
    rows = [
        {
            "id": f"mail-{n}",
            "input": f"{n}",
            "tools": [tool],
            "target": [{"name": "write", "arguments": {"to": f"by post {n}"}}],
        }
        for n in range(3)
    ]
    run, fixed = measured(tmp_path, "function_calling", rows, {})
    (finding,) = Run(run, fixed).constrain().arms[0].findings
    assert (finding.count, finding.examples) == (3, ("format",))


def test_a_recipe_that_asks_for_it_holds_its_arms_and_says_so(tmp_path: Path) -> None:
    how = ROOM.model_copy(update={"constrained": True})
    run, fixed = measured(tmp_path, "json_extraction", things(), {"thing": THING}, how=how)
    held = run.load(run.eval_report("base-zero"), EvalReport)
    assert (held.constrained, score(held, "schema_valid").value) == (True, 1.0)
    assert "while they were written: the answers of base." in page(gather(run, fixed))
    with pytest.raises(InputError, match="all answers of this run are held to their form"):
        Run(run, fixed).constrain()


def test_no_form_is_made_of_the_test_rows_and_a_right_answer_beyond_it_is_counted(tmp_path: Path) -> None:
    beyond = {"id": "beyond", "input": "a", "target": {"name": "x" * 200, "count": 3}, "schema_id": "thing"}
    how = ROOM.model_copy(update={"constrained": True})
    run, _ = measured(tmp_path, "json_extraction", [*things(), beyond], {"thing": THING}, known=things(), how=how)
    found = {finding.id: finding for finding in run.load(run.eval_report("base-zero"), EvalReport).findings}
    assert found["right_answer_of_another_form"].examples == ("beyond",)


def test_a_form_that_only_a_test_row_has_and_no_grammar_can_follow_is_named(tmp_path: Path) -> None:
    schemas = {"thing": THING, "far": {"$ref": "https://example.com/far"}}
    far = {"id": "far-off", "input": "a", "target": {}, "schema_id": "far"}
    with pytest.raises(InputError, match="no answer can be held to the form of 'far-off'"):
        how = ROOM.model_copy(update={"constrained": True})
        measured(tmp_path, "json_extraction", [far], schemas, known=things(), how=how)


LINES = """### Entities:
1. [Person] Mira
2. [Town] Lunde @14-19

### Relations:
1. Mira --[lives_in]--> Lunde

### Hyperedges:
1. [visit] Mira (guest) + Lunde"""
NO_LINES = "### Entities:\nNone found.\n\n### Relations:\nNone found.\n\n### Hyperedges:\nNone found."
EDGES = [["Mira", "Theo"], ["Theo", "Ilse"]]
GRAPHS: list[dict[str, Any]] = [
    {"id": "lines", "input": "Mira lives at Lunde.", "target": LINES.replace(" @14-19", "")},
    {"id": "no lines", "input": "It rained.", "target": NO_LINES},
    {
        "id": "spans",
        "input": "Mira lives in Lunde",
        "target": {"entities": [{"text": "Mira", "type": "Person", "start": 0, "end": 4}]},
    },
    {
        "id": "json",
        "input": "Theo met Ilse.",
        "target": {"entities": [["Theo", "Person"]], "hyperedges": [["Theo", "Ilse"]]},
    },
    {
        "id": "shared",
        "graph": EDGES,
        "question": "What do e1 and e2 share?",
        "ask": {"kind": "shared", "edges": ["e1", "e2"]},
    },
    {"id": "size", "graph": EDGES, "question": "How large is e1?", "ask": {"kind": "cardinality", "edge": "e1"}},
    {
        "id": "in",
        "graph": EDGES,
        "question": "Is Ilse in e1?",
        "ask": {"kind": "membership", "entity": "Ilse", "edge": "e1"},
    },
]


@pytest.mark.parametrize("schemas", [{}, {"named": {"type": "object", "properties": {"entities": {"items": {"properties": {"type": {
    "enum": ["Person", "Town", 'in "$1" [or 2]']}}}}}}}], ids=["any names", "named types"])  # fmt: skip
def test_graphs_are_held_to_the_notation_of_their_row_and_answers_to_the_four_that_there_are(
    tmp_path: Path, schemas: dict[str, Json]
) -> None:
    run, fixed = measured(tmp_path, "graph_extraction", GRAPHS, schemas)
    Run(run, fixed).constrain()
    held = run.load(run.eval_report("base-zero-constrained"), EvalReport)
    cut = {one.id for one in read_rows(run.predictions("base-zero-constrained"), Prediction) if one.finish == "length"}
    reasons = {item.id: item.reason for item in held.items if item.id not in cut}
    assert {"size", "in"} <= set(reasons)
    assert not {"no graph", "a line that cannot be read", "no answer", "invalid JSON"} & set(reasons.values())


def test_a_keyword_that_a_right_answer_breaks_is_left_out_and_named(tmp_path: Path) -> None:
    """By the standard `format` asserts nothing, so a row that breaks it is a right one."""
    schema = {
        **THING,
        "properties": {**THING["properties"], "sent": {"type": "string", "format": "email", "minLength": 3}},
    }
    rows = things({"name": "lid", "count": 3, "sent": "by post"})
    run, fixed = measured(tmp_path, "json_extraction", rows, {"thing": schema})
    (finding,) = Run(run, fixed).constrain().arms[0].findings
    assert finding.id == "left_out_of_grammar"
    assert finding.message.startswith("left out of the grammar of thing: format;")


def test_what_is_left_out_of_many_forms_is_said_once(tmp_path: Path) -> None:
    schemas = {
        f"kind-{n}": {"type": "object", "properties": {f"to-{n}": {"type": "string", "format": "email"}}}
        for n in range(5)
    }
    rows = [
        {"id": f"row-{n}", "input": f"{n}", "target": {f"to-{n}": "by post"}, "schema_id": f"kind-{n}"}
        for n in range(5)
    ]
    run, fixed = measured(tmp_path, "json_extraction", rows, schemas)
    (finding,) = Run(run, fixed).constrain().arms[0].findings
    assert finding.message.startswith("left out of the grammar of kind-0, kind-1, kind-2 and 2 more schemas: format;")
    assert finding.count == 5


@pytest.mark.parametrize(("around", "where"), [(("' ' + ", ""), "in front of"), (("", " + ' '"), "behind")])
def test_a_template_that_puts_blanks_around_answers_is_named_as_what_stands_against_their_form(
    tmp_path: Path, around: tuple[str, str], where: str
) -> None:
    rows = [{"id": f"row-{n}", "input": f"{n}", "target": LABELS[n % 4], "schema_id": "cards"} for n in range(6)]
    run, fixed = measured(tmp_path, "intent", rows, {"cards": {"enum": LABELS}})
    template = Path(fixed.base_folder) / "chat_template.jinja"
    asked = "<|im_start|>' + message['role'] + '\n' + message['content']"
    turn = f"<|im_start|>' + message['role'] + '\n' + {around[0]}message['content']{around[1]}"
    text = template.read_text()
    assert asked in text
    template.write_text(text.replace(asked, turn))
    with pytest.raises(InputError, match=f"puts a blank {where} answers"):
        Run(run, fixed).constrain()


def test_a_right_answer_that_its_own_form_refuses_stops_it_before_a_model_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """llguidance lets no raw DEL into a string, and json.dumps writes one."""
    run, fixed = measured(tmp_path, "json_extraction", things({"name": "a\x7fb", "count": 3}), {"thing": THING})
    known = plugins.load
    monkeypatch.setattr(plugins, "load", lambda kind, name: known(kind, name) if kind != "runtimes" else None)
    with pytest.raises(
        InputError, match=r"right answer to 'more-0' cannot be written .* refused after '\{\"name\": \"a'"
    ):
        Run(run, fixed).constrain()
    assert not run.eval_report("base-zero-constrained").exists()


@pytest.mark.parametrize(
    ("task", "rows", "schemas"),
    [
        ("chat", [{"input": "how are you", "target": "well"}], {}),
        ("bash", [{"input": "list the files", "target": "ls"}], {}),
        ("intent", [{"input": "where is it", "target": "card"}], {}),
        ("json_extraction", [{"input": "3 nuts", "target": {"count": 3}}], {}),
    ],
)
def test_answers_without_a_form_are_said_to_have_none(
    tmp_path: Path, task: str, rows: list[dict[str, Any]], schemas: dict[str, Json]
) -> None:
    run, fixed = measured(tmp_path, task, rows, schemas)
    with pytest.raises(InputError, match=f"{task} has no form") as refused:
        Run(run, fixed).constrain()
    assert "json_extraction with schemas" in str(refused.value.hint)


def test_the_verb_shows_both_side_by_side_and_names_the_missing_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    run, _ = measured(tmp_path, "json_extraction", things(), {"thing": THING})
    with monkeypatch.context() as patch:
        patch.setattr("lathe.engine.grammar.find_spec", lambda name: None)
        assert main(["evaluate", str(run.path), "--probe", "constrained"]) == 69
        assert "pip install 'lathe-slm[constrain]'" in capfd.readouterr().err
    assert main(["evaluate", str(run.path), "--probe", "constrained"]) == 0
    said = capfd.readouterr().out
    assert "written freely" in said
    assert "base-zero, json_exact: of 4 wrong answers" in said
    assert main(["evaluate", str(run.path), "--probe", "constrained", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["arms"][0]["arm"] == "base-zero"


def test_the_report_shows_it_as_long_as_the_free_answers_are_those_it_stands_beside(tmp_path: Path) -> None:
    run, fixed = measured(tmp_path, "json_extraction", things(), {"thing": THING})
    Run(run, fixed).constrain()
    shown = page(gather(run, fixed))
    assert "Knows the form, or knows the answer" in shown
    assert "of 4 wrong answers 0 come right by the form alone" in shown
    free = run.load(run.eval_report("base-zero"), EvalReport)
    run.commit(run.eval_report("base-zero"), free.model_copy(update={"inputs": "another"}))
    assert "Knows the form" not in page(gather(run, fixed))
