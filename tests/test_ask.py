"""A tuned model that is loaded is asked with the prompt of its measurement, and its answers are read as they were scored."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path

import pytest

import lathe
from lathe.ask import Specialist
from lathe.cli.main import main
from lathe.errors import InputError
from lathe.pipeline import Run
from lathe.records import EvalReport, Example, Prediction
from lathe.storage import read_rows
from tiny_run import quiet

pytestmark = pytest.mark.usefixtures("one_thread")

RECIPE = """\
name: {name}
base: {base}
task: {task}
data: {{source: rows.jsonl, split: {{validation: 0.2, test: 0.3}}}}
schema: {{in_prompt: false, {schema}}}
method: {{kind: lora, rank: 8}}
train: {{epochs: {epochs}, examples_per_step: 8, token_budget: 2000, learning_rate: 0.02, threads: 1}}
evaluate: {{few_shot: 0, max_new_tokens: 40}}
"""
COLOURS = {"red": "alpha", "blue": "beta"}


def finished(folder: Path, base: Path, task: str, rows: list[dict[str, object]], epochs: int, schema: str = "") -> Run:
    """A run that is trained and measured, of short rows that two layers can learn."""
    folder.mkdir()
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "r.yaml").write_text(RECIPE.format(name=task, base=base, task=task, epochs=epochs, schema=schema))
    run = Run.start(folder / "r.yaml", root=folder / "runs")
    for stage in (run.prepare, run.plan, run.train):
        stage(quiet)
    run.evaluate("tuned", progress=quiet)
    return run


@pytest.fixture(scope="module")
def labels(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    rng = random.Random(0)
    folder = tmp_path_factory.mktemp("runs")
    (folder / "labels").mkdir()
    (folder / "labels" / "colours.json").write_text(json.dumps(sorted(COLOURS.values())))
    rows = [
        {"input": f"{word} {rng.randint(0, 99)}", "target": COLOURS[word]} for word in rng.choices([*COLOURS], k=60)
    ]
    return finished(folder / "run", tiny_base, "intent", rows, 30, f"from: {folder / 'labels'}")


@pytest.fixture(scope="module")
def objects(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    rng = random.Random(0)
    rows = [{"input": f"{word} {rng.randint(0, 99)}", "target": {"is": word}} for word in rng.choices([*COLOURS], k=60)]
    return finished(tmp_path_factory.mktemp("runs") / "run", tiny_base, "json_extraction", rows, 60)


def loaded(run: Run) -> Specialist:
    return lathe.load(run.folder.path)


def test_it_answers_the_test_rows_with_the_very_texts_of_the_measurement(labels: Run, objects: Run) -> None:
    for run in (labels, objects):
        measured = {one.id: one for one in read_rows(run.folder.predictions("tuned"), Prediction)}
        rows = read_rows(run.folder.rows("test"), Example)
        answers = loaded(run).answers([row.input for row in rows])
        assert [(answer.text, answer.finish) for answer in answers] == [
            (measured[row.id].text, measured[row.id].finish) for row in rows
        ]


def test_a_label_is_one_of_the_set_or_nothing(labels: Run) -> None:
    model = loaded(labels)
    said = [model.classify(f"{word} {number}") for word in COLOURS for number in (3, 14)]
    assert said == ["alpha", "alpha", "beta", "beta"]
    assert {answer.value for answer in model.answers(["zzzzz", "?"])} <= {"alpha", "beta", None}


def test_json_comes_as_a_value(objects: Run) -> None:
    model = loaded(objects)
    assert model.extract("red 7") == {"is": "red"}
    assert json.loads(model.generate("blue 7")) == {"is": "blue"}


def test_the_wrong_method_says_which_is_right(labels: Run, objects: Run) -> None:
    with pytest.raises(InputError) as caught:
        loaded(labels).extract("red 7")
    assert caught.value.hint == "Call classify instead."
    with pytest.raises(InputError, match="whose answers are of the kind json"):
        loaded(objects).classify("red 7")


def test_a_text_that_leaves_no_room_for_an_answer_is_refused_with_its_length(labels: Run) -> None:
    with pytest.raises(InputError, match="the model reads 512 with its answer"):
        loaded(labels).generate("red " * 200)


def test_the_answer_may_be_as_long_as_it_was_when_it_was_measured(labels: Run) -> None:
    report = labels.folder.load(labels.folder.eval_report("tuned"), EvalReport)
    assert labels.specialist()._questions.max_new_tokens == report.max_new_tokens == 40


def test_a_schema_that_is_not_there_is_named(labels: Run) -> None:
    with pytest.raises(InputError, match="no schema 'shapes'"):
        loaded(labels).generate("red 7", schema="shapes")


def test_of_a_run_without_schemas_none_can_be_named(objects: Run) -> None:
    with pytest.raises(InputError, match="no schema 'shapes'") as refused:
        loaded(objects).generate("red 7", schema="shapes")
    assert refused.value.hint == "The recipe of this run names no schemas: leave it out."


def test_a_field_that_the_task_would_not_read_is_named(labels: Run) -> None:
    model = loaded(labels)
    with pytest.raises(InputError, match="the task intent reads no field 'frm'") as refused:
        model.generate("a text", frm="mail")
    assert refused.value.hint == "Did you mean 'form'?"
    with pytest.raises(InputError, match="reads no field 'target'"):
        model.answers(["a text"], target="lost")


def test_base_and_tuned_model_are_asked_the_same(labels: Run) -> None:
    answers = labels.ask("red 7")
    assert (answers["tuned"], answers["schema"]) == ("alpha", "colours")
    assert answers["base"] != answers["tuned"]


def test_an_answer_that_ended_at_its_limit_is_said_to_be_cut(labels: Run, capfd: pytest.CaptureFixture[str]) -> None:
    """A base of random weights finds no end."""
    assert labels.ask("red 7")["cut"] == ["base"]
    assert main(["ask", str(labels.folder.path), "red 7"]) == 0
    said = capfd.readouterr().out.split("\n")
    assert "base, cut at the token limit" in said
    assert "tuned" in said


def test_the_document_names_what_was_cut_in_a_list_and_the_schema_that_was_asked_for(
    labels: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["ask", str(labels.folder.path), "red 7", "--json"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert {name: said[name] for name in ("tuned", "schema", "cut")} == {
        "tuned": "alpha",
        "schema": "colours",
        "cut": ["base"],
    }


def stdin(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), "utf-8"))


def test_a_text_from_stdin_is_asked_as_the_same_text_in_the_command_is(
    labels: Run, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """`echo TEXT | lathe ask RUN -`: the line end is echo's, and the mark that Windows puts before a text is no part of it."""
    told = []
    for word, data in (("blue 41", b""), ("-", b"blue 41\n"), ("-", b"\xef\xbb\xbfblue 41\r\n")):
        stdin(monkeypatch, data)
        assert main(["ask", str(labels.folder.path), word, "--json"]) == 0
        told.append(json.loads(capfd.readouterr().out))
    assert told[0] == told[1] == told[2]


@pytest.mark.parametrize("word", ["-", "red\nM\udcfcnchen"])
def test_bytes_that_are_no_text_are_named_with_their_place_and_the_way_out(
    word: str, labels: Run, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    stdin(monkeypatch, "red\nMünchen".encode("latin-1"))
    assert main(["ask", str(labels.folder.path), word]) == 2
    said = capfd.readouterr().err
    assert f"{'stdin' if word == '-' else 'the text'}, line 2, column 2: byte 0xfc is no UTF-8" in said
    assert "iconv -f WINDOWS-1252 -t UTF-8" in said


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_text_is_refused_in_words_for_the_one_who_asks(text: str, labels: Run) -> None:
    with pytest.raises(InputError, match="nothing to ask: the text is empty") as found:
        labels.ask(text)
    assert found.value.hint == 'lathe ask RUN "TEXT"; with - for TEXT it is read from stdin.'


@pytest.mark.parametrize("text", ["", None, 7])
def test_what_is_no_text_is_refused_in_words_for_the_one_who_asks(text: str, labels: Run) -> None:
    """Not in those for a file of rows."""
    with pytest.raises(InputError, match="expected a text that says something, got") as found:
        loaded(labels).generate(text)
    assert (found.value.hint or "").startswith("Ask with a text.")


def test_no_texts_have_no_answers_and_one_text_is_no_list_of_them(labels: Run) -> None:
    assert loaded(labels).answers([]) == []
    with pytest.raises(InputError, match="a list of texts, got one text"):
        loaded(labels).answers("red 7")


def test_a_base_that_changed_since_the_run_is_refused_before_anything_answers(labels: Run) -> None:
    weights = Path(labels.locked.base_folder) / "model.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    try:
        again = Run.open(labels.folder.path)
        for ask in (again.specialist, lambda: again.ask("red 7"), lambda: again.probe("labels"), again.ship):
            with pytest.raises(InputError, match=r"model\.safetensors is not the file that the run was made with"):
                ask()
    finally:
        weights.write_bytes(content)
    assert labels.ask("red 7")["tuned"] == "alpha"


def test_a_bundled_base_is_found_where_lathe_is_installed_now(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"input": "red 1", "target": {"is": "red"}}\n' * 9)
    (tmp_path / "r.yaml").write_text(
        "name: moved\nbase: lathe:nano\ntask: json_extraction\ndata: {source: rows.jsonl}\n"
    )
    run = Run.start(tmp_path / "r.yaml", root=tmp_path / "runs", weights=False)
    moved = run.locked.model_copy(update={"base_folder": str(tmp_path / "gone")})
    run.folder.commit(run.folder.lock_record, moved)
    assert Run.open(run.folder.path).locked.base_folder == run.locked.base_folder


def test_a_run_without_a_model_says_how_to_go_on(tiny_base: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"input": "red 1", "target": {"is": "red"}}\n' * 9)
    (tmp_path / "r.yaml").write_text(
        RECIPE.format(name="early", base=tiny_base, task="json_extraction", epochs=1, schema="")
    )
    run = Run.start(tmp_path / "r.yaml", root=tmp_path / "runs")
    with pytest.raises(InputError) as caught:
        loaded(run)
    assert str(run.folder.path) in (caught.value.hint or "")
    with pytest.raises(InputError, match="no run folder"):
        lathe.load(tmp_path)
