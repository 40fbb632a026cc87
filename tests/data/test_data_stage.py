"""The data stage: from rows to three sides, with nothing lost in silence."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from data_rows import SCHEMA, files_of, good_lines, good_row, locked

from lathe.data.conversations.row_files import FileRows, Found
from lathe.data.preparing.source import read_schemas
from lathe.data.stage import prepare
from lathe.errors import DataError, InputError, TaskMismatch
from lathe.records import Example, Manifest, RejectedRow, SchemaSpec, TaskSetup
from lathe.runs import RunFolder
from lathe.storage import file_sha256, read_rows

Prepared = Callable[..., Manifest]


def put(path: Path, lines: list[bytes]) -> str:
    path.write_bytes(b"\n".join([*lines, b""]))
    return str(path)


def row_line(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def examples(run: RunFolder, side: str) -> list[Example]:
    return read_rows(run.rows(side), Example)


def finding(manifest: Manifest, name: str) -> Any:
    return next((one for one in manifest.findings if one.id == name), None)


def test_every_row_is_on_one_side_in_the_order_of_the_source(
    tmp_path: Path, run: RunFolder, prepared: Prepared
) -> None:
    manifest = prepared({"source": put(tmp_path / "rows.jsonl", good_lines(200))})
    ids = {side: [example.id for example in examples(run, side)] for side in ("train", "validation", "test")}
    assert sorted(one for found in ids.values() for one in found) == sorted(f"row-{number}" for number in range(200))
    for side, found in ids.items():
        assert found == sorted(found, key=lambda one: int(one.removeprefix("row-")))
        assert manifest.sides[side].rows == len(found) > 0
        assert manifest.sides[side].sha256 == file_sha256(run.rows(side))
    assert run.load(run.manifest, Manifest) == manifest
    assert manifest.inputs == "inputs"


def test_the_manifest_counts_the_rows_of_every_slice(tmp_path: Path, run: RunFolder, prepared: Prepared) -> None:
    lines = [
        json.dumps({**json.loads(line), "style": "log" if n % 4 else "mail"}).encode()
        for n, line in enumerate(good_lines(200))
    ]
    manifest = prepared({"source": put(tmp_path / "rows.jsonl", lines)})
    for side, counted in manifest.sides.items():
        styles = Counter(example.meta["style"] for example in examples(run, side))
        assert counted.slices["style"] == styles
        assert styles.total() == counted.rows


def test_all_files_of_the_stage_are_written_and_no_other(tmp_path: Path, run: RunFolder, prepared: Prepared) -> None:
    prepared({"source": put(tmp_path / "rows.jsonl", good_lines(60))})
    names = (
        "dropped.jsonl",
        "manifest.json",
        "rejected.jsonl",
        "setup.json",
        "test.jsonl",
        "train.jsonl",
        "validation.jsonl",
    )
    assert files_of(run) == [f"data/{name}" for name in names]


def test_reordering_and_adding_rows_moves_none(tmp_path: Path, run: RunFolder, prepared: Prepared) -> None:
    prepared({"source": put(tmp_path / "rows.jsonl", good_lines(100))})
    before = {example.id: side for side in ("train", "validation", "test") for example in examples(run, side)}
    prepared({"source": put(tmp_path / "rows.jsonl", list(reversed(good_lines(150))))})
    after = {example.id: side for side in ("train", "validation", "test") for example in examples(run, side)}
    assert {name: after[name] for name in before} == before


def test_the_same_rows_come_from_jsonl_gzip_csv_and_a_folder(
    tmp_path: Path, run: RunFolder, prepared: Prepared
) -> None:
    lines = good_lines(60)
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["id", "input", "target"])
    for number in range(60):
        row = good_row(number)
        writer.writerow([row["id"], row["input"], json.dumps(row["target"])])
    folder = tmp_path / "rows"
    folder.mkdir()
    put(folder / "a.jsonl", lines[:25])
    (folder / "b.jsonl.gz").write_bytes(gzip.compress(b"\r\n".join(lines[25:])))
    (folder / "README.md").write_text("not rows")
    (tmp_path / "rows.csv").write_bytes(b"\xef\xbb\xbf" + table.getvalue().encode())
    (tmp_path / "pretty.json").write_text(json.dumps([good_row(number) for number in range(60)], indent=2))
    (tmp_path / "flat.json").write_bytes(b"\xef\xbb\xbf [" + b",".join(lines) + b"]")
    sources = [put(tmp_path / "rows.jsonl", lines), str(tmp_path / "rows.csv"), str(folder)]
    sources += [str(tmp_path / "pretty.json"), str(tmp_path / "flat.json")]
    manifests = [prepared({"source": source}) for source in sources]
    assert len({json.dumps([side.sha256 for side in m.sides.values()]) for m in manifests}) == 1
    assert [source.num_rows for source in manifests[2].sources] == [25, 35]


def test_a_csv_file_without_a_header_is_told_so_in_the_words_of_lathe_check(tmp_path: Path, prepared: Prepared) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("".join(f'"Where is parcel {number} now?",delivery\n' for number in range(30)))
    said = []
    for read in (lambda: prepared({"source": str(path)}), lambda: list(FileRows(Found(path)))):
        with pytest.raises(DataError, match="as if the first row stood where their names belong") as caught:
            read()
        said.append((caught.value.message, caught.value.hint, caught.value.line))
    assert said[0] == said[1]


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ";"), ("a.csv", "\t"), ("a.tsv", ","), ("a.tsv", ";")])
@pytest.mark.parametrize("first", ["", "sep={}\r\n"])
def test_rows_are_separated_by_what_separates_their_header(
    name: str, delimiter: str, first: str, tmp_path: Path, run: RunFolder, prepared: Prepared
) -> None:
    """A spreadsheet exports what the country writes: semicolons where numbers are written 1,5. Cells hold commas and quotes."""
    table = io.StringIO()
    writer = csv.DictWriter(table, ["id", "input", "target"], delimiter=delimiter)
    writer.writeheader()
    writer.writerows({**good_row(n), "target": json.dumps(good_row(n)["target"])} for n in range(60))
    (tmp_path / name).write_text(first.format(delimiter) + table.getvalue(), newline="")
    sources = [put(tmp_path / "rows.jsonl", good_lines(60)), str(tmp_path / name)]
    one, other = (prepared({"source": source}) for source in sources)
    assert one.sides == other.sides


def test_the_same_rows_come_from_parquet_and_from_a_saved_folder(
    tmp_path: Path, run: RunFolder, prepared: Prepared
) -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    table = arrow.Table.from_pylist([good_row(number) for number in range(60)])
    parquet.write_table(table, tmp_path / "rows.parquet")
    saved = tmp_path / "saved"
    saved.mkdir()
    for name in ("state.json", "dataset_info.json"):
        (saved / name).write_text("{}")
    with (
        arrow.OSFile(str(saved / "data-00000-of-00001.arrow"), "wb") as file,
        arrow.ipc.new_stream(file, table.schema) as out,
    ):
        out.write_table(table)
    sources = [put(tmp_path / "rows.jsonl", good_lines(60)), str(tmp_path / "rows.parquet"), str(saved)]
    manifests = [prepared({"source": source}) for source in sources]
    assert len({json.dumps([side.sha256 for side in m.sides.values()]) for m in manifests}) == 1


def test_separate_files_are_taken_as_given(tmp_path: Path, run: RunFolder, prepared: Prepared) -> None:
    train, test = put(tmp_path / "train.jsonl", good_lines(80)), put(tmp_path / "test.jsonl", good_lines(40, 100))
    manifest = prepared({"train": train, "test": test})
    assert {example.id for example in examples(run, "test")} == {f"row-{number}" for number in range(100, 140)}
    assert manifest.sides["validation"].rows + manifest.sides["train"].rows == 80
    assert manifest.sides["validation"].rows > 0


def test_all_three_files_given_leave_nothing_to_the_hash(tmp_path: Path, run: RunFolder, prepared: Prepared) -> None:
    parts = {
        side: put(tmp_path / f"{side}.jsonl", good_lines(30, first))
        for side, first in (("train", 0), ("validation", 30), ("test", 60))
    }
    manifest = prepared(parts)
    assert [side.rows for side in manifest.sides.values()] == [30, 30, 30]


def test_training_rows_that_are_measured_on_leave_train_counted_and_listed(
    tmp_path: Path, run: RunFolder, prepared: Prepared
) -> None:
    words = " ".join(f"word{number}" for number in range(40))
    leaks = [row_line(input=f"{words} tail", target={"a": 1}), row_line(input="One  TWO three", target={"a": 1})]
    held = [row_line(input=f"{words} other", target={"a": 2}), row_line(input="one two three", target={"a": 1})]
    train = put(tmp_path / "train.jsonl", [*good_lines(50), *leaks])
    test = put(tmp_path / "test.jsonl", [*good_lines(40, 100), *held])
    manifest = prepared(
        {"train": train, "test": test, "validation": put(tmp_path / "validation.jsonl", good_lines(10, 200))}
    )
    assert manifest.sides["train"].rows == 50
    assert manifest.sides["test"].rows == 42
    assert manifest.dropped_from_train == 2
    dropped = read_rows(run.rows("dropped"), RejectedRow)
    assert [row.line for row in dropped] == [51, 52]
    assert dropped[0].reason.startswith("overlaps by 0.95 with")
    assert dropped[1].reason == f"the same text as {test}:42 (test)"
    assert finding(manifest, "exact_duplicate").count == finding(manifest, "near_duplicate").count == 1


def test_a_training_set_that_is_the_test_set_is_refused(tmp_path: Path, run: RunFolder, prepared: Prepared) -> None:
    rows = put(tmp_path / "rows.jsonl", good_lines(40))
    with pytest.raises(DataError, match="no row is left to train on: all"):
        prepared({"train": rows, "test": rows})
    assert files_of(run) == []


def test_repeats_conflicts_and_ids_are_found(tmp_path: Path, run: RunFolder, prepared: Prepared) -> None:
    extra = [
        row_line(id="row-1", input="a new text of its own", target={"a": 1}),
        row_line(input="twice", target={"a": 1}),
        row_line(input="Twice ", target={"a": 1}),
        row_line(input="torn", target={"a": 1}),
        row_line(input="torn", target={"a": 2}),
    ]
    manifest = prepared({"source": put(tmp_path / "rows.jsonl", [*good_lines(100), *extra])})
    assert finding(manifest, "repeated_row").count == 1
    assert finding(manifest, "label_conflict").count == 1
    assert finding(manifest, "label_conflict").examples[0].endswith("rows.jsonl:105")
    ids = [example.id for side in ("train", "validation", "test") for example in examples(run, side)]
    assert len(set(ids)) == len(ids) == 105
    assert "row-1~2" in ids
    # "torn" and "twice" have no id of their own; their prompts give one, and equal prompts the same one.
    assert finding(manifest, "repeated_id").count == 2


def test_two_questions_about_one_text_are_neither_a_repeat_nor_a_contradiction(
    tmp_path: Path, prepared: Prepared
) -> None:
    """They have another schema, so another prompt; the same schema and another answer is a contradiction."""
    (tmp_path / "schemas").mkdir()
    for name in ("order", "price"):
        schema = {"type": "object", "properties": {name: {"type": "integer"}}}
        (tmp_path / "schemas" / f"{name}.json").write_text(json.dumps(schema))
    lines = [
        row_line(input=f"Order {number} came to {number + 7} euros.", schema_id=name, target={name: number})
        for number in range(60)
        for name in ("order", "price")
    ]
    manifest = prepared({"source": put(tmp_path / "rows.jsonl", lines)}, {"from": str(tmp_path / "schemas")})
    assert finding(manifest, "label_conflict") is finding(manifest, "repeated_row") is None
    lines += [row_line(input="ORDER 3 came to 10 euros.", schema_id="price", target={"price": 10}), lines[0]]
    manifest = prepared({"source": put(tmp_path / "rows.jsonl", lines)}, {"from": str(tmp_path / "schemas")})
    assert finding(manifest, "label_conflict").examples == (f"{tmp_path}/rows.jsonl:8, {tmp_path}/rows.jsonl:121",)
    assert finding(manifest, "repeated_row").count == 1


def test_an_object_with_its_keys_in_another_order_is_the_same_answer(tmp_path: Path, prepared: Prepared) -> None:
    lines = [row_line(input="twice", target=target) for target in ({"a": 1, "b": 2}, {"b": 2, "a": 1})]
    manifest = prepared({"source": put(tmp_path / "rows.jsonl", [*good_lines(100), *lines])})
    assert finding(manifest, "label_conflict") is None
    assert finding(manifest, "repeated_row").count == 1


@pytest.mark.parametrize(
    ("column", "value"), [("n", "1"), ("x", "1"), ("half", "0.5"), ("open", "true"), ("kind", "a")]
)
def test_rows_are_chosen_by_numbers_and_truth_values_too(
    tmp_path: Path, prepared: Prepared, column: str, value: str
) -> None:
    """A table writes 1 as 1.0 where the column has gaps."""
    rows = [
        {"n": 1, "x": 1.0, "half": 0.5, "open": True, "kind": "a"},
        {"n": 2, "x": None, "half": 1.5, "open": False, "kind": "A"},
    ]
    lines = [row_line(**good_row(number), **rows[number % 2]) for number in range(80)]
    manifest = prepared({"source": put(tmp_path / "rows.jsonl", lines), "where": {column: value}})
    assert [one.left_out for one in manifest.sources] == [40]


def test_a_condition_that_no_row_meets_is_named(tmp_path: Path, prepared: Prepared) -> None:
    source = put(tmp_path / "rows.jsonl", good_lines(40))
    with pytest.raises(DataError, match=r"none of 40 rows has open: yes, which data\.where asks for"):
        prepared({"source": source, "where": {"open": "yes"}})


def test_rows_in_validation_and_test_are_named(tmp_path: Path, prepared: Prepared) -> None:
    parts = {
        side: put(tmp_path / f"{side}.jsonl", good_lines(35, first))
        for side, first in (("train", 0), ("validation", 50), ("test", 84))
    }
    assert finding(prepared(parts), "validation_in_test").count == 1


def test_few_test_rows_and_no_validation_are_warned_about(tmp_path: Path, prepared: Prepared) -> None:
    manifest = prepared(
        {"source": put(tmp_path / "rows.jsonl", good_lines(40)), "split": {"validation": 0.0, "test": 0.2}}
    )
    assert finding(manifest, "small_test").level == "warning"
    assert finding(manifest, "no_validation").level == "warning"


def test_keys_of_a_generated_corpus_are_said_to_do_nothing_to_rows_of_a_file(
    tmp_path: Path, prepared: Prepared
) -> None:
    parts = {"source": put(tmp_path / "rows.jsonl", good_lines(40)), "rows": 10}
    assert finding(prepared(parts), "no_effect").message.startswith("data.rows: without effect")
    assert "no_effect" not in {one.id for one in prepared({"source": parts["source"]}).findings}


def test_answers_that_break_a_declared_rule_are_found(tmp_path: Path, prepared: Prepared) -> None:
    data = {
        "source": put(tmp_path / "rows.jsonl", good_lines(100)),
        "invariants": {"*": ["degrees < 24", "degrees >= 0"]},
    }
    broken = finding(prepared(data), "invariant")
    assert (broken.level, broken.count) == ("error", 3)
    assert broken.examples[0] == f"{tmp_path}/rows.jsonl:98: degrees < 24 (24.25 < 24, off by 0.25)"
    with pytest.raises(InputError):
        prepared({**data, "invariants": {"*": ["degrees <"]}})


def test_no_test_row_is_an_error(tmp_path: Path, run: RunFolder, prepared: Prepared) -> None:
    with pytest.raises(DataError, match="none of the 20 rows is a test row"):
        prepared({"source": put(tmp_path / "rows.jsonl", good_lines(20)), "split": {"test": 0.0}})
    assert files_of(run) == []


def test_several_bad_rows_are_one_message_that_names_them(tmp_path: Path, prepared: Prepared) -> None:
    lines = good_lines(10)
    lines[3], lines[7] = b"{broken", b'{"input": "a"}'
    with pytest.raises(DataError) as caught:
        prepared({"source": put(tmp_path / "rows.jsonl", lines)})
    assert ":4:2: " in caught.value.message
    assert caught.value.message.endswith("1 more row cannot be used either (line 8)")


def test_rows_that_do_not_fit_the_task_say_so_with_their_line(tmp_path: Path, prepared: Prepared) -> None:
    lines = [row_line(passage=f"text {number}", answer={"a": 1}) for number in range(30)]
    with pytest.raises(TaskMismatch) as caught:
        prepared({"source": put(tmp_path / "rows.jsonl", lines)})
    assert f"{tmp_path}/rows.jsonl:1: json_extraction expects the field 'input'" in caught.value.message
    assert "at least 19 more rows" in caught.value.message
    assert "{input: YOUR_FIELD}" in (caught.value.hint or "")


def test_fields_map_columns(tmp_path: Path, run: RunFolder, prepared: Prepared) -> None:
    lines = [row_line(prompt=f"text {number}", answer={"a": number}) for number in range(60)]
    prepared({"source": put(tmp_path / "rows.jsonl", lines), "fields": {"input": "prompt", "target": "answer"}})
    assert examples(run, "train")[0].target == {"a": 0}
    assert run.load(run.setup, TaskSetup).fields == {"input": "prompt", "target": "answer"}


def test_a_tolerance_lets_a_share_of_bad_rows_pass_and_lists_them(
    tmp_path: Path, run: RunFolder, prepared: Prepared
) -> None:
    lines = good_lines(97)
    source = put(tmp_path / "rows.jsonl", [*lines[:50], b"{broken", b'{"input": 3}', b'"text"', *lines[50:]])
    manifest = prepared({"source": source, "max_rejected": 0.03})
    assert manifest.rejected == 3
    rejected = read_rows(run.rows("rejected"), RejectedRow)
    assert [(row.line, row.column) for row in rejected] == [(51, 2), (52, None), (53, 1)]
    with pytest.raises(InputError, match="2 more rows cannot be used"):
        prepared({"source": source, "max_rejected": 0.02})


def test_the_limit_takes_the_first_rows(tmp_path: Path, prepared: Prepared) -> None:
    manifest = prepared({"source": put(tmp_path / "rows.jsonl", good_lines(100)), "limit": 50})
    assert sum(side.rows for side in manifest.sides.values()) == 50


def test_rows_of_a_generated_corpus_are_chosen_by_their_columns_too(
    tmp_path: Path, run: RunFolder, prepared: Prepared
) -> None:
    manifest = prepared({"source": "lathe:edge_json", "rows": 200, "where": {"complexity": "simple"}})
    kept = [example for side in ("train", "validation", "test") for example in examples(run, side)]
    assert {example.meta["complexity"] for example in kept} == {"simple"}
    assert finding(manifest, "left_out").count == 200 - len(kept) > 0


def test_the_limit_counts_over_the_files_of_a_folder_but_not_over_the_test_file(
    tmp_path: Path, prepared: Prepared
) -> None:
    (tmp_path / "train").mkdir()
    put(tmp_path / "train" / "a.jsonl", good_lines(30))
    put(tmp_path / "train" / "b.jsonl", good_lines(30, 30))
    test = put(tmp_path / "test.jsonl", good_lines(60, 100))
    manifest = prepared({"train": str(tmp_path / "train"), "test": test, "limit": 40})
    assert [source.num_rows for source in manifest.sources] == [30, 10, 60]


def test_line_numbers_are_those_of_an_editor_whatever_the_text_holds(tmp_path: Path, prepared: Prepared) -> None:
    """U+2028, U+0085 and the like are no line ends, though Python's splitlines() takes them for some."""
    odd = '{"input": "a\u2028b\u0085c\u000bd", "target": {}}'.replace("\u000b", "\\u000b").encode()
    lines = [odd, b"", b"   ", *good_lines(3), b"broken"]
    with pytest.raises(DataError, match=r"rows\.jsonl:7:1: "):
        prepared({"source": put(tmp_path / "rows.jsonl", lines)})


def test_a_quoted_cell_with_line_breaks_keeps_line_numbers_true(tmp_path: Path, prepared: Prepared) -> None:
    text = 'input,target\n"one\ntwo\nthree","{""a"": 1}"\nfour,"{""a"": 1}",5\n'
    (tmp_path / "rows.csv").write_text(text)
    with pytest.raises(DataError, match=r"rows\.csv:5: the row has 3 cells"):
        prepared({"source": str(tmp_path / "rows.csv")})


def test_the_last_line_needs_no_line_end_and_a_leading_mark_is_taken(tmp_path: Path, prepared: Prepared) -> None:
    (tmp_path / "rows.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\n".join(good_lines(60)))
    assert sum(side.rows for side in prepared({"source": str(tmp_path / "rows.jsonl")}).sides.values()) == 60


def test_schemas_come_from_a_folder_by_file_name(tmp_path: Path, run: RunFolder, prepared: Prepared) -> None:
    (tmp_path / "schemas" / "deep").mkdir(parents=True)
    (tmp_path / "schemas" / "deep" / "weather.json").write_text(json.dumps(SCHEMA))
    prepared(
        {"source": put(tmp_path / "rows.jsonl", good_lines(60))},
        {"from": str(tmp_path / "schemas"), "in_prompt": False},
    )
    setup = run.load(run.setup, TaskSetup)
    assert setup.schemas == {"weather": SCHEMA}
    assert setup.schema_in_prompt is False


def test_a_list_of_texts_among_the_schemas_is_a_set_of_labels(tmp_path: Path) -> None:
    (tmp_path / "weather.json").write_text('["sunny", "rain"]')
    assert read_schemas(SchemaSpec.model_validate({"from": str(tmp_path)})) == {"weather": {"enum": ["sunny", "rain"]}}


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "no such folder of schemas"),
        ({"schemas": "{}"}, "this is a file, expected a folder of"),
        ({"schemas/a.txt": "{}"}, r"holds no \*\.json schema"),
        ({"schemas/a.json": "{,}"}, "no JSON Schema"),
        ({"schemas/a.json": "[null]"}, "expected an object"),
        ({"schemas/x/a.json": "{}", "schemas/y/a.json": "{}"}, "two schemas are named a"),
    ],
)
def test_schema_folders_that_cannot_be_used(
    tmp_path: Path, run: RunFolder, prepared: Prepared, files: dict[str, str], says: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    source = put(tmp_path / "rows.jsonl", good_lines(60))
    with pytest.raises(DataError, match=says):
        prepared({"source": source}, {"from": str(tmp_path / "schemas")})
    assert files_of(run) == []


def test_a_file_that_changed_since_the_lock_is_refused(tmp_path: Path, run: RunFolder) -> None:
    from lathe.records import FileHash

    source = put(tmp_path / "rows.jsonl", good_lines(60))
    fixed = locked({"source": source})
    fixed = fixed.model_copy(update={"data_files": (FileHash(path=source, sha256="0" * 64, num_bytes=1),)})
    with pytest.raises(DataError, match="has changed since the recipe was locked"):
        prepare(run, fixed, "inputs", lambda _: None)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, run: RunFolder) -> None:
    source = put(tmp_path / "rows.jsonl", good_lines(600))

    def write(_: Any) -> None:
        with open(source, "ab") as file:
            file.write(good_lines(1, 1000)[0] + b"\n")

    with pytest.raises(DataError, match="changed while it was read"):
        prepare(run, locked({"source": source, "limit": 550}), "inputs", write)
    assert files_of(run) == []


def test_a_failed_repeat_leaves_the_earlier_result_whole(tmp_path: Path, run: RunFolder, prepared: Prepared) -> None:
    prepared({"source": put(tmp_path / "rows.jsonl", good_lines(60))})
    before = {path: path.read_bytes() for path in sorted((run.path / "data").iterdir())}
    with pytest.raises(DataError):
        prepared({"source": put(tmp_path / "rows.jsonl", [*good_lines(60), b"{"])})
    assert {path: path.read_bytes() for path in sorted((run.path / "data").iterdir())} == before


def test_progress_ends_with_the_number_of_rows(tmp_path: Path, run: RunFolder) -> None:
    seen: list[dict[str, Any]] = []
    source = put(tmp_path / "rows.jsonl", good_lines(1200))
    prepare(run, locked({"source": source}), "inputs", lambda event: seen.append(dict(event)))
    assert [event["done"] for event in seen] == [256, 512, 768, 1024, 1200, 1200]
    assert all(event["stage"] == "prepare" and event["unit"] == "rows" for event in seen)


def test_variants_stand_behind_the_rows_to_train_on_and_are_counted_apart(
    tmp_path: Path, run: RunFolder, prepared: Prepared
) -> None:
    source = put(tmp_path / "rows.jsonl", good_lines(200))
    plain = prepared({"source": source}).sides
    given = examples(run, "train")
    manifest = prepared({"source": source, "variants": 2})
    rows = examples(run, "train")
    assert rows[: len(given)] == given
    assert [row.made_of for row in rows[len(given) :]] == [row.id for row in given for _ in range(2)]
    train = manifest.sides["train"]
    assert (train.rows, train.made, train.slices) == (3 * len(given), 2 * len(given), plain["train"].slices)
    assert train.given() == plain["train"].rows == len(given)
    assert train.sha256 == file_sha256(run.rows("train"))
    assert {side: manifest.sides[side] for side in ("validation", "test")} == {
        side: plain[side] for side in ("validation", "test")
    }
    said = f"{2 * len(given)} rows to train on were made of {len(given)} by exchanging values"
    assert finding(manifest, "variants").message.startswith(said)


def test_a_variant_that_reads_like_a_held_out_row_is_left_out(
    tmp_path: Path, run: RunFolder, prepared: Prepared
) -> None:
    lines = [
        row_line(input=f"{city} has {n} gates", target={"city": city, "gates": n})
        for n in range(10, 22)
        for city in ("Oslo", "Lima", "Bern", "Rome")
    ]
    prepared({"source": put(tmp_path / "rows.jsonl", lines), "variants": 20})
    held_out = {row.input for side in ("validation", "test") for row in examples(run, side)}
    made = [row for row in examples(run, "train") if row.made_of]
    assert held_out
    assert made
    assert not held_out & {row.input for row in made}


def test_rows_in_which_nothing_can_be_exchanged_are_given_again_and_said(
    tmp_path: Path, run: RunFolder, prepared: Prepared
) -> None:
    lines = [row_line(input=f"the {n}th of them", target={"place": n}) for n in range(100)]
    manifest = prepared({"source": put(tmp_path / "rows.jsonl", lines), "variants": 1})
    given = [row for row in examples(run, "train") if not row.made_of]
    assert [row.input for row in examples(run, "train")] == 2 * [row.input for row in given]
    assert finding(manifest, "variants").level == "warning"


def test_a_task_that_makes_no_variants_says_so_before_a_row_is_read(run: RunFolder, tmp_path: Path) -> None:
    recipe = locked({"source": str(tmp_path / "not there"), "variants": 3})
    recipe = recipe.model_copy(update={"recipe": recipe.recipe.model_copy(update={"task": "bash"})})
    with pytest.raises(InputError, match=r"the task 'bash' makes no variants of its rows, got data\.variants: 3"):
        prepare(run, recipe, "inputs", lambda _: None)
    assert files_of(run) == []
