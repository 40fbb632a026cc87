"""Rows of every usual layout go through the data stage as they are: no column is renamed, and nothing is lost in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from data_rows import CITIES

from lathe.data.check import check_file, conversation_of
from lathe.data.conversations.row_files import FileRows, Found
from lathe.errors import DataError, TaskMismatch
from lathe.records import Example, Manifest, Message
from lathe.runs import RunFolder
from lathe.storage import read_rows

Prepared = Callable[..., Manifest]
Make = Callable[[str, str], dict[str, Any]]
LAYOUTS: dict[str, Make] = {
    "messages": lambda asked, said: {
        "messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": said}]
    },
    "openai": lambda asked, said: {
        "messages": [
            {"role": "user", "content": asked},
            {"role": "assistant", "content": said, "weight": 1},
            {"role": "user", "content": "Thanks."},
            {"role": "assistant", "content": "You are welcome.", "weight": 0},
        ]
    },
    "sharegpt": lambda asked, said: {
        "conversations": [{"from": "human", "value": asked}, {"from": "gpt", "value": said}]
    },
    "alpaca": lambda asked, said: {"instruction": asked, "output": said},
    "question-answer": lambda asked, said: {"question": asked, "answer": said},
    "prompt-completion": lambda asked, said: {"prompt": asked, "completion": said},
    "prompt-completion (prompt = messages": lambda asked, said: {
        "messages": [{"role": "user", "content": asked}],
        "completion": said,
    },
    "text": lambda asked, said: {
        "text": f"<|im_start|>user\n{asked}<|im_end|>\n<|im_start|>assistant\n{said}<|im_end|>\n"
    },
    "interaction": lambda asked, said: interaction(asked, said),
}


def interaction(asked: str, said: str, role: str = "coder", status: str = "success") -> dict[str, Any]:
    turns = [{"role": "system", "content": "You are logged."}, {"role": "user", "content": asked}]
    return {"agent": {"role": role}, "execution": {"status": status, "input_messages": turns, "output": said}}


def said(number: int) -> tuple[str, str]:
    city = CITIES[number % len(CITIES)]
    return f"Station {number} in {city} says {number} degrees.", json.dumps({"city": city, "degrees": number})


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def examples(run: RunFolder) -> list[Example]:
    return [one for side in ("train", "validation", "test") for one in read_rows(run.rows(side), Example)]


def finding(manifest: Manifest, name: str) -> Any:
    return next((one for one in manifest.findings if one.id == name), None)


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_same_questions_and_answers_come_from_every_layout(
    name: str, tmp_path: Path, run: RunFolder, prepared: Prepared
) -> None:
    source = write(tmp_path / "rows.jsonl", [LAYOUTS[name](*said(number)) for number in range(80)])
    manifest = prepared({"source": source})
    assert {(one.input, json.dumps(one.target)) for one in examples(run)} == {said(number) for number in range(80)}
    layout = manifest.sources[0].layout
    assert layout is not None
    assert layout.startswith(name)
    assert finding(manifest, "layout").message == f"rows read as {layout}"


def test_rows_in_the_words_of_the_task_are_left_as_they_are(tmp_path: Path, run: RunFolder, prepared: Prepared) -> None:
    rows = [
        {"instruction": "Extract.", "input": asked, "output": "unused", "target": json.loads(answer)}
        for asked, answer in map(said, range(60))
    ]
    manifest = prepared({"source": write(tmp_path / "rows.jsonl", rows)})
    assert {one.input for one in examples(run)} == {said(number)[0] for number in range(60)}
    assert manifest.sources[0].layout is None
    assert finding(manifest, "layout") is None


def test_the_files_of_a_run_are_read_as_the_run_itself_is_checked(
    tmp_path: Path, run: RunFolder, prepared: Prepared
) -> None:
    rows = [{"input": asked, "target": answer, "schema_id": "weather"} for asked, answer in map(said, range(80))]
    prepared({"source": write(tmp_path / "rows.jsonl", rows)})
    for side in ("train", "validation", "test"):
        found = list(FileRows(Found(run.rows(side))))
        assert found == list(enumerate(map(conversation_of, read_rows(run.rows(side), Example)), start=1))


def test_a_mapping_of_columns_wins_over_what_the_columns_tell(
    tmp_path: Path, run: RunFolder, prepared: Prepared
) -> None:
    rows = [{"question": "wrong", "answer": "wrong", "a": asked, "b": answer} for asked, answer in map(said, range(60))]
    prepared({"source": write(tmp_path / "rows.jsonl", rows), "fields": {"input": "a", "target": "b"}})
    assert {one.input for one in examples(run)} == {said(number)[0] for number in range(60)}


def test_failed_interactions_are_left_out_and_counted(tmp_path: Path, run: RunFolder, prepared: Prepared) -> None:
    rows = [interaction(*said(number), status="success" if number % 4 else "error") for number in range(80)]
    manifest = prepared({"source": write(tmp_path / "log.jsonl", rows)})
    assert len(examples(run)) == 60
    assert manifest.sources[0].left_out == finding(manifest, "left_out").count == 20


def test_where_keeps_rows_with_these_values_in_any_layout(tmp_path: Path, run: RunFolder, prepared: Prepared) -> None:
    rows = [{"input": asked, "target": answer, "lang": "en" if number % 2 else "de"} for number, (asked, answer) in
            enumerate(map(said, range(120)))]  # fmt: skip
    manifest = prepared({"source": write(tmp_path / "rows.jsonl", rows), "where": {"lang": "en"}, "limit": 50})
    assert len(examples(run)) == 50
    assert manifest.sources[0].left_out == 50
    log = [interaction(*said(number), role=("coder", "tester")[number % 2]) for number in range(120)]
    prepared({"source": write(tmp_path / "log.jsonl", log), "where": {"agent.role": "tester"}})
    assert {one.meta["schema"] for one in examples(run)} == {"unstated"}
    assert len(examples(run)) == 60


def test_the_system_prompt_of_a_role_stands_before_the_prompt_of_the_task(
    tmp_path: Path, run: RunFolder, prepared: Prepared
) -> None:
    rows = [interaction(*said(number), role=("coder", "tester")[number % 2]) for number in range(80)]
    prepared({"source": write(tmp_path / "log.jsonl", rows), "system": {"coder": "You extract."}})
    for one in examples(run):
        coder = int(one.input.split()[1]) % 2 == 0
        assert [message.role for message in one.messages] == ["system", "user"]
        assert one.messages[0].content == ("You extract." if coder else "You are logged.")
        assert one.messages[1].content.startswith("Extract as JSON")


@pytest.mark.parametrize(
    ("asked", "answered", "column", "fields"),
    [
        ("input", "target", "system", {}),
        ("prompt", "completion", "system", {}),
        ("prompt", "completion", "system", {"input": "prompt", "target": "completion"}),
        ("a", "b", "persona", {"input": "a", "target": "b", "system": "persona"}),
    ],
    ids=["the task's own words", "a layout", "columns that are mapped", "a column of another name"],
)
def test_the_system_prompt_of_a_row_is_trained_however_its_columns_are_called(
    tmp_path: Path, run: RunFolder, prepared: Prepared, asked: str, answered: str, column: str, fields: dict[str, str]
) -> None:
    rows = [{column: f"You are {number}.", asked: q, answered: a} for number, (q, a) in enumerate(map(said, range(80)))]
    prepared({"source": write(tmp_path / "rows.jsonl", rows), "fields": fields})
    for one in examples(run):
        assert [message.role for message in one.messages] == ["system", "user"]
        assert one.messages[0].content == f"You are {one.input.split()[1]}."


def test_a_column_called_system_that_is_mapped_as_something_else_is_no_system_prompt(
    tmp_path: Path, run: RunFolder, prepared: Prepared
) -> None:
    rows = [{"system": asked, "answer": answer} for asked, answer in map(said, range(80))]
    prepared({"source": write(tmp_path / "rows.jsonl", rows), "fields": {"input": "system", "target": "answer"}})
    assert {message.role for one in examples(run) for message in one.messages} == {"user"}


def test_a_part_of_the_prompt_that_the_first_row_lacks_is_read_where_it_stands(
    tmp_path: Path, run: RunFolder, prepared: Prepared
) -> None:
    pairs = [said(number) for number in range(80)]
    rows = [
        {"instruction": "Extract.", "input": asked, "output": answer}
        if number % 3
        else {"instruction": asked, "output": answer}
        for number, (asked, answer) in enumerate(pairs)
    ]
    prepared({"source": write(tmp_path / "rows.jsonl", rows)})
    wanted = {asked if number % 3 == 0 else f"Extract.\n\n{asked}" for number, (asked, _) in enumerate(pairs)}
    assert {one.input for one in examples(run)} == wanted


def test_a_system_prompt_that_no_row_could_have_is_refused(tmp_path: Path, prepared: Prepared) -> None:
    source = write(tmp_path / "rows.jsonl", [LAYOUTS["sharegpt"](*said(number)) for number in range(60)])
    with pytest.raises(DataError, match="no log of interactions"):
        prepared({"source": source, "system": {"coder": "You extract."}})


def test_of_several_answers_the_last_is_trained_and_that_is_said_by_prepare_and_by_check(
    tmp_path: Path, run: RunFolder, prepared: Prepared
) -> None:
    rows = []
    for number in range(80):
        (first, one), (second, two) = said(number), said(number + 100)
        turns = [("user", first), ("assistant", one), ("user", second), ("assistant", two)]
        rows.append({"messages": [{"role": role, "content": text} for role, text in turns[2 * (number % 4 == 0) :]]})
    source = write(tmp_path / "rows.jsonl", rows)
    manifest = prepared({"source": source})
    assert {json.dumps(one.target) for one in examples(run)} == {said(number + 100)[1] for number in range(80)}
    assert finding(manifest, "earlier_answers").message == (
        "of 60 conversations with several answers the last one is trained; the others are its prompt"
    )
    report = check_file(Path(source))
    assert report.lengths.rows == 80
    (told,) = [one for one in report.findings if one.id == "earlier_answers"]
    assert (told.level, told.count) == ("info", 60)
    assert told.message.startswith("60 of 80 conversations have several answers: a run trains the last of each")


def test_of_a_prepared_row_only_the_completion_is_learned() -> None:
    turns = [("user", "Hello"), ("assistant", "Good day."), ("user", "Well?")]
    messages = tuple(Message(role=role, content=text) for role, text in turns)
    row = Example(id="1", input="Well?", messages=messages, completion="It is.", target="It is.")
    assert [answer.content for _, answer in conversation_of(row).answers()] == ["It is."]


def test_a_conversation_without_an_answer_to_learn_says_so_with_its_line(tmp_path: Path, prepared: Prepared) -> None:
    rows = [LAYOUTS["openai"](*said(number)) for number in range(60)]
    for turn in rows[6]["messages"]:
        turn |= {"weight": 0}
    with pytest.raises(DataError, match=r"rows\.jsonl:7: no answer of the row is to be learned"):
        prepared({"source": write(tmp_path / "rows.jsonl", rows)})


def test_an_answer_that_the_task_cannot_use_is_named_with_its_line(tmp_path: Path, prepared: Prepared) -> None:
    rows = [LAYOUTS["sharegpt"](*said(number)) for number in range(60)]
    rows[3]["conversations"][1]["value"] = "It is warm."
    with pytest.raises(TaskMismatch, match=r"rows\.jsonl:4: json_extraction expects 'target' to be JSON"):
        prepared({"source": write(tmp_path / "rows.jsonl", rows)})
