"""`lathe check FILE` on real files: what is wrong is said first, and nothing has to be configured."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_learnability import topics

from lathe import plugins
from lathe.data.baselines.rules import Item
from lathe.data.baselines.task_rules import as_rule, right_by
from lathe.data.check import Looking, check_file
from lathe.data.conversations.row_files import FileRows, Found, Reading, find, side_named
from lathe.errors import DataError
from lathe.files import row_files
from lathe.records import Json, TaskSetup
from lathe.records.check import CheckReport

INTERACTIONS = Path(__file__).parents[3] / "shared" / "data" / "interactions"
Write = Callable[[str, list[dict[str, Any]]], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, rows: list[dict[str, Any]]) -> Path:
        path = tmp_path / name
        path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")
        return path

    return write


def counts(report: CheckReport) -> dict[str, int]:
    return {finding.id: finding.count for finding in report.findings}


QUESTIONS = [
    {
        "prompt": f"What is the capital of country number {number}, which lies in the east of the sea?",
        "completion": f"City number {number}.",
    }
    for number in range(40)
]


def test_clean_rows_have_nothing_to_mend(write: Write) -> None:
    rows = [
        {"prompt": " ".join(f"w{number}x{place}" for place in range(12)), "completion": f"City {number}."}
        for number in range(40)
    ]
    report = check_file(write("rows.jsonl", rows))
    assert report.headline == "40 rows, nothing found that must be mended"
    assert not report.blocks()
    assert report.files[0].said == "prompt-completion (prompt, completion)"
    assert report.lengths is not None
    assert report.lengths.tokenizer == "lathe:nano"


def test_the_headline_names_the_gravest_first(write: Write) -> None:
    broken = [
        *QUESTIONS,
        {"prompt": "Write code", "completion": "```python\ndef f("},
        {"prompt": "Anything", "completion": "TODO"},
    ]
    broken += [{"prompt": "Help me", "completion": "Could you please provide more information?"}]
    report = check_file(write("rows.jsonl", broken))
    assert report.headline.startswith("1 of 43 answers are cut off; 1 mock answer; 1 answer asking back")
    assert report.blocks()
    cut = report.findings[0]
    assert cut.examples[0].endswith("rows.jsonl:41: a code fence is opened and never closed")


def test_files_named_for_sides_are_held_against_each_other(write: Write) -> None:
    train = write("train.jsonl", QUESTIONS[:30])
    near = {
        **QUESTIONS[3],
        "prompt": QUESTIONS[3]["prompt"].replace("sea", "ocean") + " Say it in one word please, not in many of them.",
    }
    write("val.jsonl", [QUESTIONS[35], {**QUESTIONS[1], "prompt": QUESTIONS[1]["prompt"].upper()}])
    write("test.jsonl", [QUESTIONS[0], QUESTIONS[36], QUESTIONS[35], near])
    report = check_file(train.parent)
    found = counts(report)
    assert (found["test_in_train"], found["validation_in_train"], found["test_in_validation"]) == (1, 1, 1)
    assert report.headline.startswith("1 of 4 test rows are in train; 1 of 2 validation rows are in train")
    assert {file.side for file in report.files} == {"train", "validation", "test"}
    assert next(one for one in report.findings if one.id == "test_in_train").examples[0].endswith("train.jsonl:1")


def test_the_same_rows_in_files_without_such_names_are_one_set(write: Write) -> None:
    report = check_file([write("a.jsonl", QUESTIONS), write("b.jsonl", QUESTIONS[:2])])
    assert counts(report)["repeated_row"] == 2
    assert "test_in_train" not in counts(report)


def test_labels_that_contradict_or_look_wrong_or_are_unknown_are_named(write: Write) -> None:
    rows = [{"text": item.input, "label": item.answer} for item in topics(120)]
    rows[7]["label"] = next(label for label in ("food", "weather") if label != rows[7]["label"])
    rows += [{"text": rows[0]["text"], "label": "Weather"}, {"text": rows[0]["text"].upper(), "label": "travel"}]
    report = check_file(write("rows.jsonl", rows), looking=Looking(labels=["weather", "food", "travel"]))
    found = counts(report)
    assert report.kind == "label"
    assert found["label_conflict"] == 1
    assert found["label_unknown"] == 1
    assert found["label_variant"] == 1
    assert report.suspects
    assert any(suspect.place.endswith(":8") for suspect in report.suspects)
    best = report.learnability.best() if report.learnability else None
    assert best is not None
    assert best.exact > 0.9
    assert found["trivial_rule"] == len(rows)


def test_an_answer_in_another_order_is_a_repeat_and_no_contradiction(write: Write) -> None:
    """Without a recipe, where nobody says what a list is: those of a graph and of calls have no order."""
    graph = {"entities": ["Mira", "Lunde"], "hyperedges": [{"members": ["Mira", "Lunde"], "description": "home"}]}
    turned = {"hyperedges": [{"description": "home", "members": ["Lunde", "Mira"]}], "entities": ["Lunde", "Mira"]}
    rows = [{"input": "Mira of Lunde", "target": one} for one in (graph, turned)]
    found = counts(check_file(write("rows.jsonl", rows)))
    assert (found.get("label_conflict"), found.get("repeated_row")) == (None, 1)
    other = {"input": "Mira of Lunde", "target": {**graph, "entities": ["Mira"]}}
    assert counts(check_file(write("rows.jsonl", [*rows, other])))["label_conflict"] == 1
    calls = [{"name": "light", "arguments": {"room": room}} for room in ("hall", "attic")]
    found = counts(check_file(write("calls.jsonl", [{"input": "both", "target": one} for one in (calls, calls[::-1])])))
    assert (found.get("label_conflict"), found.get("repeated_row")) == (None, 1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, 2, 3], [3, 2, 1]),
        ({"sorted": [1, 2]}, {"sorted": [2, 1]}),
        ({"relations": [["Mira", "knows", "Theo"]]}, {"relations": [["Theo", "knows", "Mira"]]}),
    ],
)
def test_an_order_that_is_the_answer_contradicts_another(write: Write, one: Json, other: Json) -> None:
    rows = [{"input": "Sort: 2 3 1", "target": target} for target in (one, other)]
    found = counts(check_file(write("rows.jsonl", rows)))
    assert (found.get("label_conflict"), found.get("repeated_row")) == (1, None)


def test_another_system_prompt_makes_another_question(write: Write) -> None:
    rows = [
        {"system": f"Answer {how}.", "prompt": f"What is the colour of stone number {number}?", "completion": how}
        for number in range(40)
        for how in ("briefly", "at length")
    ]
    assert (
        not {"answer_conflict", "label_conflict", "repeated_row"} & counts(check_file(write("rows.jsonl", rows))).keys()
    )


def test_answers_that_are_not_read_are_said(write: Write) -> None:
    """Other right answers, and columns beside a text that is taken for all there is."""
    several = [{"question": f"Who wrote book {n}?", "answers": [f"Mira {n}", f"M. {n}"]} for n in range(30)]
    several += [{"question": f"Who read book {n}?", "answers": ["Theo", "Theo"]} for n in range(30)]
    assert counts(check_file(write("several.jsonl", several)))["several_answers"] == 30
    plain = [
        {"text": f"Order {n} is late.", "schema_id": "order", "what_came": {"order": n}, "note": ""} for n in range(40)
    ]
    (note,) = check_file(write("plain.jsonl", plain)).notes
    assert "plain.jsonl: rows are read as texts alone, without schema_id, what_came." in note
    assert check_file(write("texts.jsonl", [{"text": row["text"]} for row in plain])).notes == ()


def test_a_label_that_reads_like_a_mock_answer_is_a_label(write: Write) -> None:
    rows = [
        {"text": f"{word} number {number}", "label": label}
        for number in range(20)
        for word, label in (("red", "none"), ("blue", "todo"))
    ]
    assert "answer_mock" not in counts(check_file(write("rows.jsonl", rows)))


def test_secrets_are_counted_and_shown_nowhere(write: Write) -> None:
    secret = "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZ012345"
    long = "It goes well. " * 30 + f"The token is {secret} and then the text"
    report = check_file(
        write("rows.jsonl", [*QUESTIONS, {"prompt": f"Use {secret}", "completion": long}]), looking=Looking()
    )
    assert counts(report)["secret"] == 1
    assert secret not in report.to_json()


def test_broken_invariants_are_found_where_rules_are_declared(write: Write) -> None:
    rows = [
        {
            "prompt": f"Order {number}: 2 + {number}",
            "completion": {"a": 2, "b": number, "sum": 2 + number + (number == 5)},
        }
        for number in range(40)
    ]
    report = check_file(write("rows.jsonl", rows), looking=Looking(rules={"*": ["sum == a + b"]}))
    (finding,) = (one for one in report.findings if one.id == "invariant")
    assert (finding.count, finding.level) == (1, "error")
    assert "sum == a + b (8 == 7, off by 1)" in finding.examples[0]


def test_answers_that_do_not_fit_their_schema_are_found_where_schemas_are_given(write: Write) -> None:
    rows = [
        {"prompt": f"Order {n} of 3 lamps", "completion": {"lamps": 3 if n != 5 else "three"}, "schema_id": "order"}
        for n in range(40)
    ]
    schema = {"type": "object", "properties": {"lamps": {"type": "integer"}}}
    report = check_file(write("rows.jsonl", rows), looking=Looking(schemas={"order": schema, "other": False}))
    (finding,) = (one for one in report.findings if one.id == "schema_invalid")
    assert finding.count == 1
    assert "rows.jsonl:6: the target does not fit the schema 'order' at lamps" in finding.examples[0]


def test_rows_that_cannot_be_read_are_named_with_line_and_reason(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps(row) for row in QUESTIONS]
    lines[4] = '{"prompt": "a", "prompt": "b", "completion": "c"}'
    lines[9] = '{"prompt": "a", "completion": 3.5e999}'
    lines[12] = '{"prompt": "a"}'
    path.write_text("\n".join(lines) + "\n")
    report = check_file(path)
    (finding,) = (one for one in report.findings if one.id == "rejected_row")
    assert finding.count == 3
    assert [example.split(": ")[0][-3:] for example in finding.examples] == ["l:5", ":10", ":13"]
    assert (report.files[0].read, report.files[0].rejected, report.files[0].rows) == (40, 3, 37)


def test_among_json_answers_one_that_is_none_is_named_and_so_is_an_empty_prompt(write: Write) -> None:
    rows = [{"prompt": f"Order {n}", "completion": {"n": n}} for n in range(40)]
    rows += [{"prompt": "Order 40", "completion": text} for text in ('{"n": NaN}', "forty", '{"n": 1, "n": 2}')]
    found = counts(check_file(write("rows.jsonl", [*rows, {"prompt": " ", "completion": {"n": 1}}])))
    assert (found["answer_not_json"], found["prompt_empty"]) == (3, 1)


def test_a_row_that_no_tokenizer_takes_is_named_and_spoils_no_other(write: Write) -> None:
    report = check_file(write("rows.jsonl", [*QUESTIONS, {"prompt": "bad \ufdd0 sign", "completion": "b"}]))
    (finding,) = (one for one in report.findings if one.id == "rejected_row")
    assert (finding.count, finding.examples[0].split(": ")[0][-3:]) == (1, ":41")
    assert "U+FDD0" in finding.examples[0]
    assert report.lengths is not None
    assert report.lengths.rows == 40


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b'{"foo": 1}\n', "the layout of the rows is not known"),
        (b'{"prompt": "a", "completion": 1e999}\n', "no row can be used"),
        (b"\xff\xfe{\x00", "UTF-16"),
    ],
)
def test_a_file_of_which_nothing_can_be_used_is_a_data_error_with_its_name(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"rows\.jsonl") as caught:
        check_file(path)
    assert said in caught.value.message


def test_a_missing_file_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        check_file(tmp_path / "rows.jsonl")


def test_rows_are_shown_token_by_token_as_many_as_asked(write: Write) -> None:
    report = check_file(write("rows.jsonl", QUESTIONS), looking=Looking(show=2))
    assert len(report.shown) == 2
    answer = "".join(token.text for token in report.shown[0].tokens if token.supervised)
    assert answer.startswith("City number 0.")


def test_csv_gzip_and_text_are_read_like_lines_of_json(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("question,answer\n" + "".join(f"why {n} of them?,because {n}\n" for n in range(40)))
    (tmp_path / "b.jsonl.gz").write_bytes(
        gzip.compress(b"".join(json.dumps(row).encode() + b"\n" for row in QUESTIONS))
    )
    (tmp_path / "c.jsonl").write_text(
        "".join(json.dumps({"text": f"Once upon a time, {n}."}) + "\n" for n in range(40))
    )
    assert [check_file(tmp_path / name).files[0].format for name in ("a.csv", "b.jsonl.gz", "c.jsonl")] == [
        "question-answer", "prompt-completion", "text",
    ]  # fmt: skip


def test_conditions_leave_rows_out_and_say_how_many(write: Write) -> None:
    rows = [{**row, "status": "ok" if number % 4 else "bad"} for number, row in enumerate(QUESTIONS)]
    rows_read = FileRows(Found(write("rows.jsonl", rows)), Reading(where={"status": "ok"}))
    assert len(list(rows_read)) == 30
    assert (rows_read.record().left_out, rows_read.record().rows) == (10, 30)


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("train.jsonl", "train"), ("my-test-set.csv", "test"), ("val.jsonl", "validation"), ("dev.tsv", "validation"),
        ("train-00000-of-00002.parquet", "train"), ("contest.jsonl", None), ("latest.jsonl", None), ("trainer.jsonl", None),
    ],
)  # fmt: skip
def test_a_side_is_a_word_of_the_file_name(name: str, side: str | None) -> None:
    assert side_named(name) == side


def test_of_a_folder_with_sides_the_other_files_are_left_out_and_named(write: Write) -> None:
    for name in ("train.jsonl", "test.jsonl", "everything.jsonl"):
        path = write(name, QUESTIONS)
    found, passed_over = find([path.parent])
    assert [one.side for one in found] == ["test", "train"]
    assert [one.said() for one in passed_over] == ["left out, for others are named for sides: everything.jsonl"]


def test_a_folder_is_checked_whole_as_a_run_reads_it(write: Write) -> None:
    """Tables, lines and pairs may lie side by side, and names may be in capitals; what is not read is named."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    folder = write("a.jsonl", QUESTIONS).parent
    parquet.write_table(arrow.Table.from_pylist(QUESTIONS), folder / "b.PARQUET")
    (folder / "C.CSV").write_text("prompt,completion\nis it read?,yes\n")
    (folder / "open.nl").write_text("list files\n")
    (folder / "open.cm").write_text("ls\n")
    (folder / "dataset_info.json").write_text('{"features": {}}')
    report = check_file(folder)
    read = {Path(one.name).name: one.rows for one in report.files}
    assert read == {"C.CSV": 1, "a.jsonl": len(QUESTIONS), "b.PARQUET": len(QUESTIONS), "open.nl": 1}
    assert [note for note in report.notes if "dataset_info.json" in note]
    (folder / "dataset_info.json").unlink()
    assert [file.name for file in row_files(folder)] == ["C.CSV", "a.jsonl", "b.PARQUET", "open.nl"]


def test_the_sample_is_the_same_rows_in_any_order(write: Write) -> None:
    rows = [{"text": item.input, "label": item.answer} for item in topics(200)]
    first, second = (
        check_file(write(f"{n}.jsonl", order), looking=Looking(sample=100))
        for n, order in enumerate((rows, rows[::-1]))
    )
    assert first.learnability is not None
    assert first.learnability.rows == 100
    assert sorted(one.text for one in first.suspects) == sorted(one.text for one in second.suspects)
    assert first.notes == ("rules were learned on 100 of 200 rows, chosen by their content",)


def test_generated_rows_are_clean_and_the_rule_of_their_task_is_measured(write: Write) -> None:
    rows = list(plugins.load("corpora", "edge_json").rows(0, 60))
    report = check_file(write("rows.jsonl", rows))
    assert not report.blocks()
    assert report.kind == "json"
    assert "key_value_rule" in {one.name for one in report.learnability.baselines} if report.learnability else False


def test_commands_in_a_file_are_held_against_the_rules_that_a_recipe_for_them_has(write: Write) -> None:
    rows = [{"prompt": f"list the {n} newest files", "completion": f"ls -t | head -n {n}"} for n in range(40)]
    learnability = check_file(write("rows.jsonl", rows)).learnability
    assert learnability is not None
    assert {one.name: one.exact for one in learnability.baselines}["nearest_with_values"] == 1.0


def test_rules_are_shown_the_functions_that_a_row_offers() -> None:
    """Without them keyword_rule called nothing and had the score of the rows for which no function fits."""
    task, setup = plugins.load("tasks", "function_calling"), plugins.load("tasks", "function_calling").worked_setup()
    rule = as_rule(task, next(one for one in task.baselines if one.name == "keyword_rule"), setup)
    offered = "Functions:\nset_timer(minutes: integer) - starts a timer\n\nText:\nA timer of 8 minutes"
    said = rule.fit([])(Item("A timer of 8 minutes", [], prompt=offered))
    assert said == [{"name": "set_timer", "arguments": {"minutes": 8}}]


def test_a_graph_is_right_in_any_order_and_in_any_notation() -> None:
    """As text each of these rules had no graph right, and the score to beat was said too low."""
    task, setup = plugins.load("tasks", "graph_extraction"), TaskSetup()
    gold = {
        "entities": [{"text": "Mira", "type": "Person"}, {"text": "Lunde", "type": "Town"}],
        "relations": [],
        "hyperedges": [],
    }
    item = Item("Mira of Lunde.", gold, meta={"kind": "text"})
    right = right_by(task, setup)
    assert right(item, {**gold, "entities": gold["entities"][::-1]})
    assert not right(item, {**gold, "entities": gold["entities"][:1]})
    dictionary = next(one for one in task.baselines if one.name == "dictionary_all_pairs")
    assert as_rule(task, dictionary, setup).fit([item])(item) == gold


def test_texts_read_alone_say_which_columns_are_not_read(write: Write) -> None:
    rows = [{"document": f"Invoice {n}", "fields": {"number": n}} for n in range(5)]
    assert check_file(write("rows.jsonl", rows)).notes == (
        "rows.jsonl: rows are read as texts alone, without fields. Where answers stand in another column, say in a recipe which: "
        "data: {fields: {input: document, target: fields}}",
    )


def test_it_needs_neither_torch_nor_transformers(write: Write) -> None:
    path = write("rows.jsonl", QUESTIONS)
    code = (
        "import sys; from pathlib import Path; from lathe.data.check import check_file; "
        f"check_file(Path({str(path)!r})); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'sklearn', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.skipif(not INTERACTIONS.is_dir(), reason="the interactions are not beside the repository")
def test_the_leaks_of_a_published_split_and_its_cut_answers_are_found() -> None:
    split = counts(check_file(INTERACTIONS))
    assert (split["test_in_train"], split["validation_in_train"]) == (20, 11)
    report = check_file(INTERACTIONS / "interactions_20251001.jsonl")
    assert report.headline.startswith("64 of 298 answers are cut off; 1 mock answer")
    assert (report.files[0].read, report.files[0].left_out) == (302, 4)
