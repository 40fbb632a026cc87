"""`lathe new`: the recipe that it proposes reads without a fault and prepares the very rows that it was made for."""

# ruff: noqa: E501 - tables of cases read best one case a line

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest
from data_rows import good_row

from lathe.cli.main import main
from lathe.data.check import check_file
from lathe.data.conversations.row_files import FileRows, Found
from lathe.data.new import name_of, proposal, propose
from lathe.data.stage import prepare
from lathe.errors import DataError
from lathe.made_rows import made_rows
from lathe.records import Example, Manifest, Recipe, RejectedRow
from lathe.resolve import find_base, lock, parse_recipe
from lathe.runs import RunFolder
from lathe.storage import read_rows


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def prepared(text: str, folder: Path) -> tuple[Recipe, Manifest]:
    recipe = parse_recipe(text, "new.yaml")
    return recipe, prepare(
        RunFolder(folder / "run"), lock(recipe, folder, find_base(recipe.base, folder)), "", lambda _: None
    )


def renamed(asked: str, answered: str, **more: str) -> list[dict[str, Any]]:
    return [{asked: good_row(n)["input"], answered: good_row(n)["target"], **more} for n in range(80)]


@pytest.mark.parametrize(
    ("rows", "fields"),
    [
        (renamed("input", "target"), {}),
        (renamed("prompt", "expected_output", schema_id="weather"), {"input": "prompt", "target": "expected_output"}),
        (renamed("question", "answer"), {"input": "question", "target": "answer"}),
        (renamed("input", "output", instruction="Extract the weather."), {"target": "output"}),
        ([{"messages": [{"role": "user", "content": r["input"]}, {"role": "assistant", "content": json.dumps(r["target"])}]} for r in map(good_row, range(80))], {}),
        ([{"messages": [{"role": "user", "content": r["input"]}], "completion": json.dumps(r["target"])} for r in map(good_row, range(80))], {}),
        ([{"instruction": r["input"], "output": json.dumps(r["target"])} for r in map(good_row, range(80))], {"input": "instruction", "target": "output"}),
    ],
    ids=["own", "prompt-completion", "question-answer", "alpaca", "messages", "messages-completion", "alpaca-without-input"],
)  # fmt: skip
def test_the_proposed_recipe_reads_and_prepares_the_rows(
    tmp_path: Path, rows: list[dict[str, Any]], fields: dict[str, str]
) -> None:
    text = propose([write(tmp_path / "my rows.jsonl", rows)], tmp_path)
    recipe, manifest = prepared(text, tmp_path)
    assert recipe.task == "json_extraction"
    assert recipe.name == "my-rows"
    assert recipe.data.source == "my rows.jsonl"
    assert recipe.data.fields == fields
    assert sum(side.rows for side in manifest.sides.values()) == 80
    assert ("schema_id" in text) == ("schema_id" in rows[0])


CALLS = [
    {
        "messages": [
            {"role": "user", "content": f"Wake me in {n} minutes"},
            {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "set_timer", "arguments": json.dumps({"minutes": n})}}]},
        ],
        "tools": [{"type": "function", "function": {"name": "set_timer", "description": "Rings.", "parameters": {"type": "object", "properties": {"minutes": {"type": "integer"}}, "required": ["minutes"]}}}],
    }
    for n in range(80)
]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "task"),
    [
        (CALLS, "function_calling"),
        ([{"text": f"Where is parcel {n}?", "category": ("delivery", "refund")[n % 2]} for n in range(80)], "intent"),
        ([{"nl": f"show the first {n} lines of a.txt", "cmd": f"head -n {n} a.txt"} for n in range(80)], "bash"),
    ],
    ids=["function_calling", "intent", "bash"],
)
def test_the_task_is_told_by_the_kind_of_answers(tmp_path: Path, rows: list[dict[str, Any]], task: str) -> None:
    recipe, manifest = prepared(propose([write(tmp_path / "rows.jsonl", rows)], tmp_path), tmp_path)
    assert recipe.task == task
    assert sum(side.rows for side in manifest.sides.values()) + manifest.dropped_from_train == 80


READ_TOGETHER = {
    "alpaca": [
        {"instruction": ("Translate to French", "Say it in French")[n % 2], "input": f"I like tea {n}.", "output": f"J'aime le thé {n}."}
        for n in range(60)
    ],
    "alpaca, one instruction": [
        {"instruction": "Translate to French", "input": f"I like tea {n}.", "output": f"J'aime le thé {n}."} for n in range(60)
    ],
    "alpaca, few inputs": [
        {"instruction": f"Greet guest {n}", "output": f"Welcome, guest {n}."} | ({"input": f"He is {n}."} if n % 3 == 2 else {})
        for n in range(60)
    ],
    "alpaca with system": [
        {"system": f"You are {n}.", "instruction": f"Greet guest {n}", "output": f"Welcome, guest {n}."} for n in range(60)
    ],
    "question with context": [
        {"context": f"Guest {n} is from Brae.", "question": f"Where is guest {n} from?", "answer": f"Guest {n} is from Brae."}
        for n in range(60)
    ],
    "prompt with system": [
        {"system": f"You are {n}.", "prompt": f"Greet guest {n}", "completion": f"Welcome, guest {n}."} for n in range(60)
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", READ_TOGETHER)
def test_no_column_of_a_prompt_that_has_several_is_lost(tmp_path: Path, name: str) -> None:
    rows = READ_TOGETHER[name]
    proposed = proposal([write(tmp_path / "rows.jsonl", rows)], tmp_path)
    recipe, _ = prepared(proposed.text, tmp_path)
    assert (recipe.task, recipe.data.fields, proposed.remarks) == ("chat", {}, ())
    run = RunFolder(tmp_path / "run")
    examples = [one for side in ("train", "validation", "test") for one in read_rows(run.rows(side), Example)]
    prompts = [" ".join(message.content for message in one.messages) for one in examples]
    answered = ("output", "answer", "completion")
    for row in rows:
        assert any(all(value in prompt for key, value in row.items() if key not in answered) for prompt in prompts)


@pytest.mark.parametrize(
    ("more", "remark"),
    [
        ({"context": "It rains.", "prompt": "Greet", "completion": "Good day to you."}, "Left out of the prompt: context. To train with it, write it into the text that is asked"),
        ({"instruction": "Greet.", "input": "Mira", "target": "Good day to you."}, "Left out of the prompt: instruction. To train with it, write"),
        ({"prompt": "Greet:", "input": "Mira", "completion": "Good day to you."}, "Left out of the prompt: input. "),
        ({"prompt": "Greet: Mira", "input": "Mira", "completion": "Good day to you."}, None),
        ({"prompt": "Greet", "completion": "Good day to you.", "source": "web"}, None),
        ({"instruction": "Extract.", "input": "Mira", "output": '{"name": "Mira"}'}, "Left out of the prompt: instruction. To train with it, take the line `fields` out."),
    ],
    ids=["context", "instruction-beside-own-words", "input-beside-prompt", "input-in-prompt", "source", "one-instruction"],
)  # fmt: skip
def test_what_looks_like_a_part_of_the_prompt_and_is_left_out_is_said(
    tmp_path: Path, more: dict[str, str], remark: str | None
) -> None:
    rows = [{key: value.replace("Mira", f"Mira{n}") for key, value in more.items()} for n in range(40)]
    proposed = proposal([write(tmp_path / "rows.jsonl", rows)], tmp_path)
    assert [one[: len(remark or "")] for one in proposed.remarks] == ([] if remark is None else [remark])
    assert all(f"  # {one}\n" in proposed.text for one in proposed.remarks)
    parse_recipe(proposed.text, "new.yaml")


SHORT_TEXTS = {
    "towns": [(f"What is the capital of country {n}?", f"Town{n}") for n in range(60)],
    "numbers": [(f"What is 2 and {n}?", str(n + 2)) for n in range(60)],
    "dates": [(f"When was story {n}?", f"2024-01-{n:02}") for n in range(60)],
    "headlines": [(f"A headline for story {n}", f"Mayor opens bridge {n} in spring") for n in range(60)],
    "lower-case words": [(f"A word for {n}", f"find the way {n}") for n in range(60)],
}


@pytest.mark.parametrize("name", SHORT_TEXTS)
@pytest.mark.parametrize("sharegpt", [False, True])
def test_short_texts_are_not_taken_for_shell_commands(tmp_path: Path, name: str, sharegpt: bool) -> None:
    pairs = SHORT_TEXTS[name]
    rows: list[dict[str, Any]] = [{"question": asked, "answer": said} for asked, said in pairs]
    if sharegpt:
        rows = [{"conversations": [{"from": "human", "value": q}, {"from": "gpt", "value": a}]} for q, a in pairs]
    proposed = proposal([write(tmp_path / "rows.jsonl", rows)], tmp_path)
    assert (proposed.task, proposed.why) == ("chat", "the answers are written text")


@pytest.mark.parametrize(
    ("values", "labels"),
    [((0, 1), {"0", "1"}), ((0.0, 1.0), {"0", "1"}), ((False, True), {"false", "true"}), (("0.0", "1.0"), {"0.0", "1.0"})],
    ids=["whole", "floats of pandas", "truth values", "texts"],
)  # fmt: skip
def test_labels_that_are_no_texts_are_read_alike_by_every_verb(
    tmp_path: Path, values: tuple[Any, Any], labels: set[str]
) -> None:
    path = write(tmp_path / "rows.jsonl", [{"text": f"message {n}", "label": values[n % 2]} for n in range(60)])
    recipe, manifest = prepared(propose([path], tmp_path), tmp_path)
    assert recipe.task == "intent"
    assert set(manifest.sides["train"].slices["label"]) == labels
    assert {row[1].completion for row in FileRows(Found(path)) if not isinstance(row, RejectedRow)} == labels


def test_from_python_a_file_is_named_by_a_text_or_a_path(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [{"text": f"message {n}", "label": "ab"[n % 2]} for n in range(60)])
    assert propose(str(path), str(tmp_path)) == propose([path], tmp_path)
    assert check_file(str(path)).headline == check_file([path]).headline


def test_many_labels_are_told_from_written_text_by_all_rows_of_the_file(tmp_path: Path) -> None:
    """160 labels look like text in the first 200 rows, and the recipe was one for chat."""
    path = write(tmp_path / "rows.jsonl", [{"text": f"message {n}", "label": f"topic {n % 160}"} for n in range(800)])
    proposed = proposal([path], tmp_path)
    assert (proposed.task, proposed.why) == ("intent", "the answers are labels, 160 different in 800 rows")


def test_labels_of_a_long_file_are_said_to_be_those_of_its_first_rows(tmp_path: Path) -> None:
    """A file that is sorted by label has others behind them."""
    rows = [{"text": f"text {n}", "label": f"label-{n // 1000}"} for n in range(5000)]
    proposed = proposal([write(tmp_path / "rows.jsonl", rows)], tmp_path)
    assert proposed.why == "the answers are labels, 4 different in the first 4,000 rows"
    assert "# 5,000 rows of the layout" in proposed.text


def test_a_data_set_of_the_hub_is_not_said_to_be_a_missing_file(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["new", "hub:acme/orders"]) == 2
    said = capfd.readouterr().err
    assert "a data set of the Hub" in said
    assert "data: {source: hub:acme/orders}" in said


def test_the_runs_of_a_recipe_are_named_as_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two data sets have a train.jsonl each; under one name the second would go on in the folder of the first."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "train.jsonl", [{"text": f"text {n}", "label": "ab"[n % 2]} for n in range(40)])
    for words, name in (([], "train"), (["--out", "tickets.yaml"], "tickets")):
        assert main(["new", "train.jsonl", *words]) == 0
        assert f"\nname: {name}\n" in (tmp_path / f"{name}.yaml").read_text()


def test_a_list_of_numbers_is_a_set_of_labels(tmp_path: Path) -> None:
    write(tmp_path / "rows.jsonl", [{"text": f"message {n}", "label": n % 5 + 1} for n in range(200)])
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "stars.json").write_text("[1, 2, 3, 4, 5]")
    text = "name: r\nbase: lathe:nano\ntask: intent\ndata: {source: rows.jsonl, fields: {input: text, target: label}}\n"
    _, manifest = prepared(text + "schema: {from: labels}\n", tmp_path)
    assert set(manifest.sides["train"].slices["label"]) == set("12345")


def test_a_number_that_is_no_label_is_refused_by_every_verb_in_the_same_words(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", [{"text": f"message {n}", "label": n / 7 + 0.1} for n in range(60)])
    says = "expected 'label' to be a label, which is a text, a whole number, true or false; got 0.1"
    with pytest.raises(DataError) as refused:
        propose([path], tmp_path)
    assert says in (refused.value.hint or "")
    (first, *_) = FileRows(Found(path))
    assert isinstance(first, RejectedRow)
    assert first.reason == says


def test_generated_commands_are_told_by_how_they_look(tmp_path: Path) -> None:
    rows = [{"input": row["input"], "target": row["target"]} for row in made_rows("edge_shell", 17, 100)]
    proposed = proposal([write(tmp_path / "rows.jsonl", rows)], tmp_path)
    assert proposed.task == "bash"
    assert proposed.why == "100% of the answers begin as shell commands do, 100% have options, pipes or paths"
    assert f"# {proposed.why}\n" in proposed.text


def test_a_pair_of_files_gets_a_recipe_that_reads_it(tmp_path: Path) -> None:
    (tmp_path / "open.nl").write_text("".join(f"show the first {n} lines of a.txt\n" for n in range(80)))
    (tmp_path / "open.cm").write_text("".join(f"head -n {n} a.txt\n" for n in range(80)))
    recipe, manifest = prepared(propose([tmp_path / "open.nl"], tmp_path), tmp_path)
    assert (recipe.task, recipe.data.fields) == ("bash", {})
    assert sum(side.rows for side in manifest.sides.values()) + manifest.dropped_from_train == 80


@pytest.mark.parametrize("name", ["my rows.jsonl", "-rows.jsonl", 'it\'s "mine".jsonl'])
def test_the_commands_in_a_recipe_can_be_typed_whatever_the_file_is_called(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(
        "".join(json.dumps({"text": f"row {n}", "label": "ab"[n % 2]}) + "\n" for n in range(60))
    )
    text = propose([tmp_path / name], tmp_path)
    command = next(line for line in text.split("\n") if line.startswith("# Before: ")).removeprefix("# Before: ")
    assert Path(shlex.split(command.split("      ")[0])[2]) == Path(name)
    assert ("lathe check ./-" in command) == name.startswith("-")
    assert sum(side.rows for side in prepared(text, tmp_path)[1].sides.values()) == 60


def test_a_file_whose_name_no_recipe_can_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"b\xff.jsonl")
    path.write_text("".join(json.dumps({"text": f"row {n}", "label": "ab"[n % 2]}) + "\n" for n in range(60)))
    with pytest.raises(DataError, match="the name is no UTF-8"):
        propose([path], tmp_path)


def test_files_named_for_their_sides_become_the_sides(tmp_path: Path) -> None:
    rows = renamed("prompt", "completion")
    for name, part in (("train", rows[:50]), ("test", rows[50:])):
        write(tmp_path / "set" / f"{name}.jsonl", part)
    recipe, manifest = prepared(propose([tmp_path / "set"], tmp_path), tmp_path)
    assert (recipe.data.source, recipe.data.train, recipe.data.test) == (None, "set/train.jsonl", "set/test.jsonl")
    assert manifest.sides["test"].rows == 30


def test_a_folder_of_files_without_sides_is_one_source_and_loose_files_are_refused(tmp_path: Path) -> None:
    rows = renamed("prompt", "completion")
    files = [write(tmp_path / "set" / f"{name}.jsonl", part) for name, part in (("a", rows[:50]), ("b", rows[50:]))]
    recipe, manifest = prepared(propose([tmp_path / "set"], tmp_path), tmp_path)
    assert recipe.data.source == "set"
    assert sum(side.rows for side in manifest.sides.values()) == 80
    with pytest.raises(DataError, match="2 files whose names do not say which side each is"):
        propose(files, tmp_path)


def test_rows_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", renamed("prompt", "completion"))
    path.write_text(path.read_text() + "{broken\n")
    assert "# 1 rows cannot be read; see why with: lathe check rows.jsonl" in propose([path], tmp_path)


@pytest.mark.parametrize(
    "rows",
    [
        [{"prompt": "Say hello", "completion": f"Hello to the {n} of you, and welcome."} for n in range(40)],
        [{"prompt": "Write it", "completion": f"def part_{n}(a):\n```python\nx ="} for n in range(40)],
        [
            {
                "messages": [
                    {"role": "user", "content": "a"},
                    {"role": "assistant", "content": f"It is the {n} of the day."},
                ]
            }
            for n in range(40)
        ],
    ],
    ids=["pairs", "cut", "messages"],
)
def test_rows_of_prose_are_for_chat(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    assert "task: chat" in propose([write(tmp_path / "rows.jsonl", rows)], tmp_path)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([{"text": "Once upon a time"}] * 5, "no task reads texts alone .*without answers"),
        ([{"body": "x", "document": "A lamp", "about": {"thing": "lamp"}}] * 5, "no column of answers by a known name, but body, about"),
        ([{"colour": "red"}] * 5, "layout of the rows is not known"),
    ],
)  # fmt: skip
def test_rows_that_no_task_reads_are_told(tmp_path: Path, rows: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(DataError, match=says):
        propose([write(tmp_path / "rows.jsonl", rows)], tmp_path)


def test_a_name_is_made_of_any_file_name() -> None:
    assert name_of(Path("My data (v2).jsonl.gz")) == "My-data-v2"
    assert name_of(Path("x/.hidden")) == "x"
    assert name_of(Path("...")) == "mine"
    assert name_of(Path("Müller è Ngữ.csv")) == "Muller-e-Ngu"


def test_names_whose_letters_no_run_may_have_stay_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Under one name the second recipe would go on in the run of the first."""
    monkeypatch.chdir(tmp_path)
    for file in ("数据.jsonl", "文本.jsonl", "данные 1.jsonl", "тексты 1.jsonl", f"{'д' * 90}.jsonl"):
        write(tmp_path / file, [{"text": f"text {n}", "label": "ab"[n % 2]} for n in range(40)])
        assert main(["new", file]) == 0
    names = [parse_recipe(path.read_text(), str(path)).name for path in tmp_path.glob("*.yaml")]
    assert len(set(names)) == 5
