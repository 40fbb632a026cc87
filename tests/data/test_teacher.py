"""A teacher's rows, asked for from a server on this machine: what is sent, what is kept, what is refused, and what it costs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lathe import endpoint as endpoints
from lathe import plugins
from lathe.data.teaching.lesson import PATIENCE
from lathe.errors import DataError, Exit, InputError, LatheError, OverBudget, RecipeError, RunInUse, Unavailable
from lathe.locks import alone
from lathe.pipeline import Run
from lathe.pipeline.smoke import smoke_recipe
from lathe.records import Example, Manifest, TaskSetup
from lathe.records.teacher import RefusedRow, TeachRecord
from lathe.storage import read_rows
from local_endpoint import Answer, Server, said

Rule = Callable[[int, dict[str, Any]], Answer]
LABELS = ["late", "lost", "broken"]
SUBJECTS = ("parcel", "letter", "bike", "lamp", "chair", "boat", "clock", "phone", "shirt", "radio")
COMPLAINTS = [f"My {subject} number {number} is {LABELS[number % 3]}." for number, subject in enumerate(SUBJECTS)]
PRICES = {"input": 1000.0, "output": 1000.0}
"""A server's 7 tokens read and 3 written cost 0.01."""


def judged(_: int, body: dict[str, Any]) -> Answer:
    """The label that the text names."""
    text = body["messages"][-1]["content"].partition("Text:\n")[2]
    return said(next(label for label in LABELS if label in text))


class World:
    """A recipe for the complaints, its files, and the servers that were started for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers: list[Server] = []
        (folder / "labels").mkdir()
        (folder / "labels" / "kinds.json").write_text(json.dumps(LABELS))
        self.lines("texts.txt", COMPLAINTS)
        self.rows(
            "test.jsonl", [{"input": f"Test {n}: it is {LABELS[n % 3]}", "target": LABELS[n % 3]} for n in range(6)]
        )

    def lines(self, name: str, lines: list[str]) -> None:
        (self.folder / name).write_text("".join(f"{line}\n" for line in lines))

    def rows(self, name: str, rows: list[dict[str, Any]]) -> None:
        self.lines(name, [json.dumps(row) for row in rows])

    def serve(self, rule: Rule) -> Server:
        self.servers.append(Server(rule))
        return self.servers[-1]

    def recipe(self, server: Server, task: str = "intent", data: dict[str, Any] | None = None, **teacher: Any) -> Path:
        recipe = {
            "name": "taught",
            "base": "lathe:nano",
            "task": task,
            "data": data or {"train": "teacher", "test": "test.jsonl", "split": {"validation": 0.2}},
            "teacher": {"endpoint": server.url, "model": "big", **(teacher or {"inputs": "texts.txt"})},
            **({"schema": {"from": "labels"}} if task == "intent" else {}),
        }
        path = self.folder / "recipe.yaml"
        path.write_text(json.dumps(recipe))
        return path

    def run(self, recipe: Path, *sets: str, **how: Any) -> Run:
        return Run.start(recipe, sets, root=self.folder / "runs", weights=False, **how)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setattr(endpoints, "LONGEST_PAUSE", 0.01)
    made = World(tmp_path)
    yield made
    for server in made.servers:
        server.close()


def taught(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.folder.taught.read_text().split("\n")[:-1]]


def asked(run: Run) -> TeachRecord:
    record = run.teach()
    assert record is not None
    return record


def finding(run: Run, name: str) -> Any:
    manifest = run.folder.load(run.folder.manifest, Manifest)
    return next((one for one in manifest.findings if one.id == name), None)


def rows_of(*rows: dict[str, Any]) -> Answer:
    return said(json.dumps({"rows": rows}))


# ------------------------------------------------------------------------------------------ texts that are answered


def test_texts_are_answered_and_become_rows_to_train_on_beside_a_persons_test_rows(world: World) -> None:
    server = world.serve(judged)
    run = world.run(world.recipe(server))
    record = asked(run)
    manifest = run.prepare()
    assert (record.rows, record.requests, record.sent, record.refused) == (10, 10, 10, {})
    assert {row["input"]: row["target"] for row in taught(run)} == {
        text: LABELS[number % 3] for number, text in enumerate(COMPLAINTS)
    }
    assert manifest.sides["test"].rows == 6
    assert manifest.sides["train"].rows + manifest.sides["validation"].rows == 10
    assert finding(run, "teacher_test") is None


def test_the_teacher_is_asked_with_the_very_prompt_that_the_tuned_model_gets(world: World) -> None:
    server = world.serve(judged)
    run = world.run(world.recipe(server, inputs="texts.txt", instructions="Judge the last sentence."))
    run.teach()
    run.prepare()
    prompts = {body["messages"][-1]["content"] for body in server.asked}
    rows = [*read_rows(run.folder.rows("train"), Example), *read_rows(run.folder.rows("validation"), Example)]
    assert {row.messages[-1].content for row in rows} == prompts
    assert {body["messages"][0]["content"] for body in server.asked} == {"Judge the last sentence."}
    assert {body["temperature"] for body in server.asked} == {0.0}


def test_every_row_says_who_wrote_it_and_the_card_will_cite_it(world: World) -> None:
    server = world.serve(judged)
    run = world.run(world.recipe(server))
    run.teach()
    origins = [row["teacher"] for row in taught(run)]
    host = server.url.removeprefix("http://").removesuffix("/v1")
    assert {(one["model"], one["host"]) for one in origins} == {("big", host)}
    assert len({one["request"] for one in origins}) == 10
    assert all(re.fullmatch(r"20\d\d-\d\d-\d\dT.*\+00:00", one["time"]) for one in origins)
    source = run.prepare().sources[0]
    assert source.citation is not None
    assert f"10 rows answered by the model big, asked at {host}" in source.citation
    assert source.licence is None


def test_thinking_in_front_of_an_answer_is_not_part_of_it(world: World) -> None:
    server = world.serve(lambda number, body: said("<think>\nlate? No.\n</think>\n\nlost"))
    run = world.run(world.recipe(server))
    run.teach()
    assert {row["target"] for row in taught(run)} == {"lost"}


def test_columns_of_the_texts_stay_and_an_old_answer_gives_way(world: World) -> None:
    world.rows("texts.jsonl", [{"id": "a-1", "input": "It is lost", "form": "short", "target": "late"}])
    server = world.serve(judged)
    run = world.run(world.recipe(server, inputs="texts.jsonl"))
    run.teach()
    row = taught(run)[0]
    assert (row["id"], row["form"], row["target"]) == ("a-1", "short", "lost")


def test_texts_that_are_measured_on_or_stand_twice_or_hold_a_secret_are_never_sent(world: World) -> None:
    secret = "token = 9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c is lost"
    world.lines("texts.txt", ["It is lost", "it  is LOST", "Test 1: it is lost", secret])
    server = world.serve(judged)
    run = world.run(world.recipe(server))
    record = asked(run)
    assert len(server.asked) == record.rows == 1
    assert record.refused == {
        "same text as an earlier row": 1, "same text as a row of validation or test": 1, "holds a secret": 1,
    }  # fmt: skip
    run.prepare()
    assert finding(run, "teacher_refused").level == "warning"
    assert finding(run, "teacher_short") is None
    assert "9f8a7b6c" not in "".join(path.read_text() for path in run.folder.path.glob("data/*.json*"))


def test_texts_with_personal_data_are_spoken_of_before_they_are_sent(world: World) -> None:
    world.lines("texts.txt", ["It is lost, says bob@acme.io", "It is late"])
    server = world.serve(judged)
    forecast = world.run(world.recipe(server)).teaching()
    assert forecast is not None
    assert [one.id for one in forecast.findings] == ["teacher_personal_data"]
    assert "1 of 2 texts for 127.0.0.1" in forecast.findings[0].message
    assert "e-mail address" in forecast.findings[0].message


# ------------------------------------------------------------------------------------------ rows that are invented


SHAPE = {"instructions": "Complaints to a shop.", "rows": 6, "rows_per_request": 3}


def invented(number: int, body: dict[str, Any]) -> Answer:
    """A row for each label that the form names; no two requests get the same texts."""
    form = body["response_format"]["json_schema"]["schema"]["properties"]["rows"]["items"]
    place = re.search(r"This is request (\d+)", body["messages"][-1]["content"])
    assert place is not None
    labels = form["properties"]["target"]["enum"]
    return rows_of(*({"input": f"Case {place[1]}, {label}", "target": label} for label in labels))


def test_rows_are_invented_in_the_form_of_the_tasks_schema(world: World) -> None:
    server = world.serve(invented)
    run = world.run(world.recipe(server, **SHAPE))
    assert asked(run).rows == 6
    assert sorted(row["target"] for row in taught(run)) == sorted(2 * LABELS)
    body = server.asked[0]
    assert "Complaints to a shop." in body["messages"][-1]["content"]
    assert body["temperature"] == 1.0
    form = body["response_format"]["json_schema"]["schema"]
    assert form["properties"]["rows"]["items"]["required"] == ["input", "target"]
    assert (form["properties"]["rows"]["minItems"], form["properties"]["rows"]["maxItems"]) == (3, 3)


def test_each_request_is_about_the_next_labels_so_that_none_is_forgotten(world: World) -> None:
    server = world.serve(invented)
    run = world.run(world.recipe(server, **SHAPE | {"rows_per_request": 2}))
    run.teach()
    forms = [body["response_format"]["json_schema"]["schema"] for body in server.asked]
    enums = sorted(form["properties"]["rows"]["items"]["properties"]["target"]["enum"] for form in forms)
    assert enums == sorted([["late", "lost"], ["broken", "late"], ["lost", "broken"]])


def test_an_endpoint_that_holds_no_answer_to_a_schema_is_asked_without(world: World) -> None:
    def rule(number: int, body: dict[str, Any]) -> Answer:
        if "response_format" in body:
            return 400, {"error": {"message": "response_format json_schema is not supported"}}
        return said(f'Here you are:\n```json\n[{{"input": "Row {number}", "target": "lost"}}]\n```')

    server = world.serve(rule)
    run = world.run(world.recipe(server, **SHAPE | {"rows": 1}))
    assert asked(run).rows == 1


def test_columns_that_nobody_asked_for_are_left_out(world: World) -> None:
    """`messages` would put turns of the teacher's before a row's own prompt."""
    row = {
        "input": "Hello",
        "target": "Good day to you.",
        "messages": [{"role": "user", "content": "Obey."}],
        "id": "1",
    }
    server = world.serve(lambda number, body: rows_of({**row, "input": f"Hello {number}"}))
    data = {"source": "teacher"}
    run = world.run(world.recipe(server, "chat", data, instructions="Greetings.", rows=1))
    run.teach()
    assert set(taught(run)[0]) == {"id", "input", "target", "teacher"}
    assert taught(run)[0]["id"] != "1"


def test_seeds_are_shown_and_are_rows_to_train_on(world: World) -> None:
    world.rows("seeds.jsonl", [{"input": f"Seed {n} is lost", "target": "lost"} for n in range(5)])
    server = world.serve(invented)
    run = world.run(world.recipe(server, **SHAPE, seeds="seeds.jsonl"))
    run.teach()
    run.prepare()
    shown = [set(re.findall(r"Seed \d is lost", body["messages"][-1]["content"])) for body in server.asked]
    assert all(len(one) == 4 for one in shown)
    assert set.union(*shown) == {f"Seed {n} is lost" for n in range(5)}
    train = {row.input for row in read_rows(run.folder.rows("train"), Example)}
    assert set.union(*shown) <= train


def test_each_schema_is_asked_for_in_turn_with_seeds_of_its_own(world: World) -> None:
    (world.folder / "schemas").mkdir()
    for name, key in (("person", "age"), ("place", "size")):
        schema = {"type": "object", "properties": {key: {"type": "integer"}}, "required": [key]}
        (world.folder / "schemas" / f"{name}.json").write_text(json.dumps(schema))
    world.rows("seeds.jsonl", [
        {"input": "Mira is 7", "target": {"age": 7}, "schema_id": "person"},
        {"input": "Lunde is 9 wide", "target": {"size": 9}, "schema_id": "place"},
    ])  # fmt: skip

    def rule(number: int, body: dict[str, Any]) -> Answer:
        content = body["messages"][-1]["content"]
        key, seed, other = ("age", "Mira", "Lunde") if '"age"' in content else ("size", "Lunde", "Mira")
        assert seed in content
        assert other not in content
        return rows_of({"input": f"{key} of {number}: {number}", "target": {key: number}})

    server = world.serve(rule)
    terms = {"instructions": "Sizes.", "rows": 4, "rows_per_request": 1, "seeds": "seeds.jsonl"}
    run = world.run(
        world.recipe(server, "json_extraction", {"source": "teacher"}, **terms),
        f"schema.from={world.folder / 'schemas'}",
    )
    run.teach()
    assert sorted(row["schema_id"] for row in taught(run)) == ["person", "person", "place", "place"]


def test_a_seed_that_is_measured_on_is_never_shown(world: World) -> None:
    world.rows(
        "seeds.jsonl", [{"input": "It is late", "target": "late"}, {"input": "test 1: it is lost", "target": "lost"}]
    )
    server = world.serve(invented)
    run = world.run(world.recipe(server, **SHAPE, seeds="seeds.jsonl"))
    with pytest.raises(DataError, match=r"1 seeds are rows of validation or test as well \(row 2\)"):
        run.teach()
    assert server.asked == []


# ------------------------------------------------------------------------------------------ every task


def right_rows(name: str) -> tuple[TaskSetup, list[dict[str, Any]], dict[str, str]]:
    """A task's worked examples as rows of a file, and the right answer by prompt."""
    task = plugins.load("tasks", name)
    setup = task.worked_setup()
    rows = list({json.dumps(dict(one.row), sort_keys=True): dict(one.row) for one in task.worked}.values())
    examples = [task.example(row, setup) for row in rows]
    return setup, rows, {example.messages[-1].content: example.completion for example in examples}


@pytest.mark.parametrize("name", plugins.names("tasks"))
def test_a_teacher_that_knows_the_right_answers_makes_rows_of_any_task(world: World, name: str) -> None:
    setup, rows, answers = right_rows(name)
    (world.folder / "schemas").mkdir()
    for schema, content in setup.schemas.items():
        (world.folder / "schemas" / f"{schema}.json").write_text(json.dumps(content))
    world.rows("texts.jsonl", [{key: value for key, value in row.items() if key != "target"} for row in rows])
    server = world.serve(lambda number, body: said(answers[body["messages"][-1]["content"]]))
    sets = [f"schema.from={world.folder / 'schemas'}"] if setup.schemas else []
    run = world.run(world.recipe(server, name, {"source": "teacher"}, inputs="texts.jsonl"), *sets)
    record = asked(run)
    assert record.rows > 0
    assert set(record.refused) <= {"same text as an earlier row"}


@pytest.mark.parametrize("name", plugins.names("tasks"))
def test_rows_of_any_task_can_be_invented(world: World, name: str) -> None:
    """Without seeds the form has the columns that all worked examples of the task have."""
    setup, rows, _ = right_rows(name)
    (world.folder / "schemas").mkdir()
    for schema, content in setup.schemas.items():
        (world.folder / "schemas" / f"{schema}.json").write_text(json.dumps(content))
    server = world.serve(lambda number, body: rows_of(*rows))
    sets = [f"schema.from={world.folder / 'schemas'}"] if setup.schemas else []
    run = world.run(world.recipe(server, name, {"source": "teacher"}, instructions="Any.", rows=1), *sets)
    assert asked(run).rows == 1


# ------------------------------------------------------------------------------------------ what is refused


BAD = {
    "cut": said('{"rows": [{"input": "Ha', "length"),
    "filtered": said(None, "content_filter"),
    "words": said("I cannot do that."),
    "broken": said('{"rows": [{"input": "a", "target": ]}'),
    "other": said('{"lines": []}'),
    "wipe": rows_of({"input": "Clean up everything", "target": "rm -rf / --no-preserve-root"}),
    "prose": rows_of({"input": "Show the date", "target": "You can use date for that, it prints the date."}),
    "empty": rows_of({"input": "Show the time", "target": ""}),
    "secret": rows_of({"input": "Log in", "target": "login --token ghp_abcdefghijklmnopqrstuvwxyz0123456789AB"}),
    "seed": rows_of({"input": "LIST  the files", "target": "ls"}),
    "test": rows_of({"input": "where am i", "target": "pwd"}),
    "twice": rows_of({"input": "Who am I", "target": "whoami"}, {"input": "who am I", "target": "id -un"}),
}
REASON = {
    "cut": "answer cut at teacher.max_new_tokens",
    "filtered": "no answer",
    "words": "answer without rows",
    "broken": "answer without rows",
    "other": "answer without rows",
    "wipe": "dangerous command",
    "prose": "not right by the task's own measures",
    "empty": "does not fit the task",
    "secret": "holds a secret",
    "seed": "same text as a seed",
    "test": "same text as a row of validation or test",
    "twice": "same text as an earlier row",
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_a_row_is_refused_by_reason_and_asked_for_anew(world: World, kind: str) -> None:
    world.rows("seeds.jsonl", [{"input": "List the files", "target": "ls"}])
    world.rows("test.jsonl", [{"input": "Where am I", "target": "pwd"}])
    good = iter(range(100))
    server = world.serve(
        lambda number, _: (
            BAD[kind] if number == 1 else rows_of({"input": f"Show line {next(good)}", "target": "head -n 1"})
        )
    )
    wanted = 2 if kind == "twice" else 1
    recipe = world.recipe(
        server, "bash", instructions="Shell.", rows=wanted, rows_per_request=wanted, seeds="seeds.jsonl"
    )
    run = world.run(recipe)
    record = asked(run)
    assert (record.rows, record.refused, record.requests) == (wanted, {REASON[kind]: 1}, 2)
    refused = read_rows(run.folder.refused, RefusedRow)
    assert [one.reason for one in refused] == [REASON[kind]]
    run.prepare()
    assert REASON[kind] in finding(run, "teacher_refused").message
    written = "".join(path.read_text() for path in run.folder.path.glob("data/*") if path.name != "answers.jsonl")
    assert "ghp_" not in written
    assert "rm -rf" not in run.folder.taught.read_text()


def test_a_second_round_says_which_texts_are_there_and_a_teacher_that_repeats_itself_is_given_up(world: World) -> None:
    server = world.serve(lambda number, body: rows_of({"input": "Always this one", "target": "lost"}))
    run = world.run(world.recipe(server, **SHAPE | {"rows": 2, "rows_per_request": 1}))
    record = asked(run)
    assert (record.rows, record.requests) == (1, PATIENCE * 2)
    assert "- Always this one" in server.asked[-1]["messages"][-1]["content"]
    assert "- Always this one" not in server.asked[0]["messages"][-1]["content"]
    run.prepare()
    assert finding(run, "teacher_short").message == "the teacher gave 1 of 2 rows"


def test_where_no_row_passes_the_reasons_are_the_error(world: World) -> None:
    server = world.serve(lambda number, body: said("perhaps"))
    run = world.run(world.recipe(server))
    with pytest.raises(DataError, match="no row of the teacher big passed: 10 the task reads no answer in it"):
        run.teach()
    assert not run.folder.taught.is_file()


def test_test_rows_that_the_teacher_answered_are_warned_of(world: World) -> None:
    world.lines("texts.txt", [f"Number {n} is lost" for n in range(40)])
    server = world.serve(judged)
    run = world.run(world.recipe(server, data={"source": "teacher"}))
    run.teach()
    run.prepare()
    warned = finding(run, "teacher_test")
    assert warned.level == "warning"
    assert "the answers of the test rows are those of big" in warned.message


# ------------------------------------------------------------------------------------------ what it costs


def test_a_forecast_sends_nothing_and_says_what_asking_may_cost(world: World) -> None:
    server = world.serve(judged)
    recipe = world.recipe(server, inputs="texts.txt", price_per_million=PRICES, max_cost=1000.0, max_new_tokens=10)
    run = world.run(recipe)
    forecast = run.teaching()
    assert forecast is not None
    assert server.asked == []
    assert (forecast.requests, forecast.kept, forecast.rows, forecast.spent) == (10, 0, 10, 0.0)
    assert forecast.cost is not None
    assert 0 < forecast.cost.low < forecast.cost.value < forecast.cost.high
    assert forecast.new_tokens.high == 100
    assert forecast.affordable()
    run.teach()
    assert run.teaching() is None
    assert world.run(recipe).teaching() is None
    more = world.run(world.recipe(server, inputs="texts.txt", price_per_million=PRICES, max_new_tokens=9)).teaching()
    assert more is not None
    assert (more.requests, more.kept) == (10, 0)  # another limit may give another answer


def test_a_request_that_could_exceed_the_budget_is_not_sent_and_more_money_continues(world: World) -> None:
    server = world.serve(judged)
    terms = {"inputs": "texts.txt", "price_per_million": PRICES, "max_new_tokens": 10}
    run = world.run(world.recipe(server, **terms, max_cost=0.12))
    with pytest.raises(OverBudget, match=r"could exceed teacher.max_cost: 0\.\d+ of 0.12 is spent") as stopped:
        run.teach()
    assert stopped.value.exit_code == Exit.NO
    sent = len(server.asked)
    assert 0 < sent < 10
    assert f"{sent} of 10 rows are there" in stopped.value.message
    assert stopped.value.hint is not None
    assert f"teacher.rows={sent}" in stopped.value.hint
    content = world.run(world.recipe(server, **terms, max_cost=0.12, rows=sent))
    assert asked(content).cost == pytest.approx(0.01 * sent)
    assert len(server.asked) == sent
    rich = world.run(world.recipe(server, **terms, max_cost=5.0))
    record = asked(rich)
    assert (record.rows, record.sent, len(server.asked)) == (10, 10 - sent, 10)
    assert record.cost == pytest.approx(0.1)


def test_another_budget_or_price_makes_nothing_anew_but_the_bill(world: World) -> None:
    server = world.serve(judged)
    run = world.run(world.recipe(server))
    run.teach()
    before = run.hashes
    dearer = world.run(world.recipe(server, inputs="texts.txt", price_per_million=PRICES, max_cost=50.0))
    record = asked(dearer)
    assert record.cost == pytest.approx(0.1)
    assert (record.sent, len(server.asked)) == (0, 10)
    assert {name for name in before if before[name] != dearer.hashes[name]} == {"teach"}


def test_tokens_that_an_endpoint_does_not_count_are_estimated_and_said(world: World) -> None:
    server = world.serve(lambda number, body: (200, {"choices": [{"message": {"content": "lost"}}]}))
    run = world.run(world.recipe(server, inputs="texts.txt", price_per_million=PRICES))
    record = asked(run)
    assert not record.counted
    assert record.cost is not None
    assert record.cost > 0.01 * 10
    assert "10 answers" in next(one.message for one in record.findings if one.id == "teacher_uncounted")


def test_a_teacher_that_answers_under_another_models_name_is_warned_of(world: World) -> None:
    server = world.serve(lambda number, body: (200, judged(number, body)[1] | {"model": "small"}))
    record = asked(world.run(world.recipe(server)))
    told = next(one for one in record.findings if one.id == "other_model")
    assert told.message == "asked for big, the endpoint answered as small (10)"


# ------------------------------------------------------------------------------------------ going on, and going wrong


def test_what_was_answered_is_not_asked_again_and_the_rows_are_the_same_bytes(world: World) -> None:
    """The key is refused after six answers; the same call later asks for the other four."""
    refusing = True
    server = world.serve(
        lambda number, body: (401, {"error": "expired"}) if refusing and number > 6 else judged(number, body)
    )
    recipe = world.recipe(server)
    with pytest.raises(Unavailable, match="refused the key: expired"):
        world.run(recipe).teach()
    run = world.run(recipe)
    kept = run.folder.teacher_answers.read_text().count("\n")
    with run.folder.teacher_answers.open("a") as file:
        file.write('{"request": "torn by a ki')
    refusing = False
    record = asked(run)
    assert 3 <= kept <= 6
    assert (record.requests, record.sent, record.rows) == (10, 10 - kept, 10)
    first = run.folder.taught.read_bytes()
    run.folder.taught.unlink()
    again = world.run(recipe)
    assert asked(again).sent == 0
    assert again.folder.taught.read_bytes() == first


def test_a_file_of_answers_serves_several_runs_one_at_a_time(world: World) -> None:
    server = world.serve(judged)
    recipe = world.recipe(server, inputs="texts.txt", answers="kept/answers.jsonl")
    world.run(recipe).teach()
    assert asked(world.run(recipe, new=True)).sent == 0
    assert len(server.asked) == 10
    path = world.folder / "kept" / "answers.jsonl"
    with (
        alone(path, path.with_name(".answers.jsonl.lock")),
        pytest.raises(RunInUse, match="is in use by"),
    ):
        world.run(recipe, new=True).teach()


def test_rows_that_were_changed_by_hand_are_made_again_from_the_answers(world: World) -> None:
    server = world.serve(judged)
    recipe = world.recipe(server)
    run = world.run(recipe)
    run.teach()
    whole = run.folder.taught.read_bytes()
    run.folder.taught.write_bytes(whole.replace(b"lost", b"late"))
    again = world.run(recipe)
    again.teach()
    assert again.folder.taught.read_bytes() == whole
    assert len(server.asked) == 10


def test_a_busy_or_failing_endpoint_is_asked_again_as_long_as_it_asks_for(world: World) -> None:
    def rule(number: int, body: dict[str, Any]) -> Answer:
        if number == 1:
            return 429, {"error": {"message": "slow down"}}, {"Retry-After": "3600"}
        return (500, b"oops") if number == 2 else judged(number, body)

    server = world.serve(rule)
    assert asked(world.run(world.recipe(server))).rows == 10
    assert len(server.asked) == 12


def test_a_request_that_is_not_taken_costs_a_row_and_not_the_run(world: World) -> None:
    """A text that is too long, or that a filter stops; it is not kept, and asked for again the next time."""

    def rule(number: int, body: dict[str, Any]) -> Answer:
        text = body["messages"][-1]["content"]
        return (400, {"error": {"message": "filtered"}}) if "boat" in text else judged(number, body)

    server = world.serve(rule)
    run = world.run(world.recipe(server))
    record = asked(run)
    assert (record.rows, record.requests, record.refused) == (9, 9, {"the endpoint took no such request": 1})
    assert run.folder.teacher_answers.read_text().count("\n") == 9
    assert "filtered" in read_rows(run.folder.refused, RefusedRow)[0].detail


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        ((500, b"oops"), Unavailable, "stays busy .HTTP 500.: oops"),
        ((404, {"detail": "no such model"}), Unavailable, "does not have that"),
        ((200, b"<html>"), Unavailable, "no chat completion"),
        ((400, {"error": {"message": "too long"}}), InputError, "refused the request .HTTP 400.: too long"),
    ],
)
def test_an_endpoint_that_fails_for_good_is_told_in_words(
    world: World, answer: Answer, kind: type[LatheError], says: str
) -> None:
    server = world.serve(lambda number, body: answer)
    with pytest.raises(kind, match=says):
        world.run(world.recipe(server)).teach()


def test_the_key_goes_into_one_header_and_into_no_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where the server writes it into its answer."""
    monkeypatch.setenv("OPENAI_API_KEY", "the-key-of-a-person")
    server = world.serve(lambda number, body: said("It is the-key-of-a-person." if number == 1 else "lost"))
    run = world.run(world.recipe(server))
    run.teach()
    run.prepare()
    assert set(server.keys) == {"Bearer the-key-of-a-person"}
    files = [path for path in run.folder.path.rglob("*") if path.is_file()]
    assert run.folder.teacher_answers in files
    assert not [path for path in files if b"the-key-of-a-person" in path.read_bytes()]


def test_rows_are_prepared_only_after_the_teacher_was_asked(world: World) -> None:
    server = world.serve(judged)
    recipe = world.recipe(server)
    with pytest.raises(InputError, match="the teacher of the recipe was not asked"):
        world.run(recipe).prepare()
    world.run(recipe).teach()
    with pytest.raises(InputError, match="the teacher of the recipe was not asked"):
        world.run(world.recipe(server, inputs="texts.txt", instructions="Otherwise.")).prepare()


def test_a_smoke_run_asks_for_few_rows(world: World) -> None:
    server = world.serve(judged)
    run = world.run(world.recipe(server, **SHAPE | {"rows": 100_000}))
    teacher = smoke_recipe(run.locked.recipe).teacher
    assert teacher is not None
    assert teacher.rows == 40
    world.lines("texts.txt", [f"Number {n} is lost" for n in range(100)])
    assert asked(world.run(world.recipe(server), smoke=True)).rows == 40


# ------------------------------------------------------------------------------------------ recipes


@pytest.mark.parametrize(
    ("data", "teacher", "says"),
    [
        ({"source": "lathe:edge_intent"}, {"inputs": "texts.txt"}, "teacher: no rows are asked of it"),
        ({"train": "teacher", "test": "teacher"}, {"inputs": "texts.txt"}, "data.test: got teacher, expected a file"),
        ({"source": "teacher"}, None, "the recipe has no part `teacher`"),
        (
            {"source": "teacher"},
            {"endpoint": "localhost:80", "inputs": "texts.txt"},
            "teacher.endpoint: 'localhost:80' is no address",
        ),
        ({"source": "teacher"}, {"rows": 5}, "expected `inputs` .texts to answer., or `instructions` and `rows`"),
        ({"source": "teacher"}, {"inputs": "texts.txt", "max_cost": 1.0}, "`max_cost` needs `price_per_million`"),
        ({"source": "teacher"}, {"inputs": "texts.txt", "row": 3}, "teacher.row: unknown key. Did you mean `rows`"),
        ({"source": "teacher"}, {"inputs": "texts.txt", "rows": 0}, "got 0, expected a number of at least 1"),
    ],
)
def test_faults_of_a_teacher_are_told_in_words(
    world: World, data: dict[str, Any], teacher: dict[str, Any] | None, says: str
) -> None:
    recipe = {"name": "taught", "base": "lathe:nano", "task": "intent", "data": data}
    if teacher is not None:
        recipe["teacher"] = {"endpoint": "http://localhost/v1", "model": "big", **teacher}
    path = world.folder / "faulty.yaml"
    path.write_text(json.dumps(recipe, indent=1))
    with pytest.raises(RecipeError, match=says):
        world.run(path)
