"""Recipes: all faults at once, in words, with the line; nothing of the libraries below shows through."""

# ruff: noqa: E501 - tables of cases read best one case a line

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lathe.errors import Exit, InputError, RecipeError
from lathe.resolve import find_recipe, json_schema, parse_recipe, read_recipe, shipped_recipes

GOOD = """\
name: test
base: lathe:nano
task: json_extraction
data:
  source: rows.jsonl
  split: {validation: 0.1, test: 0.2}
method: {kind: lora, rank: 8}
train:
  epochs: 2
  learning_rate: 1e-4
gates:
  - {metric: json_exact, at_least: 0.3}
expect: {json_exact: [0.3, 0.6]}
ship: [adapter]
"""


def faults(text: str, *sets: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(text, "r.yaml", sets)
    assert caught.value.exit_code == Exit.USAGE
    for word in ("pydantic", "http", "Traceback", "validation error", "Input should"):
        assert word not in caught.value.message
    return [fault.text("r.yaml") for fault in caught.value.faults]


def test_a_good_recipe_is_read_with_its_types() -> None:
    recipe = parse_recipe(GOOD, "r.yaml")
    assert recipe.train.learning_rate == 1e-4
    assert recipe.train.epochs == 2.0
    assert recipe.expect == {"json_exact": (0.3, 0.6)}
    assert recipe.method.targets == "all-linear"


# What stands in the recipe -> what the one fault must say. Each replaces a line of GOOD.
BAD = {
    "unknown-key": ("epochs: 2", "epoch: 2", "r.yaml:9: train.epoch: unknown key. Did you mean `epochs`?"),
    "unknown-part": ("ship: [adapter]", "shipping: [adapter]", "r.yaml:14: shipping: unknown key. Did you mean `ship`?"),
    "key-of-another-part": ("ship: [adapter]", "rank: 8", "r.yaml:14: rank: unknown key. Did you mean `method.rank`?"),
    "number-as-text": ("epochs: 2", "epochs: '2'", "r.yaml:9: train.epochs: got '2', expected a number"),
    "negative": ("epochs: 2", "epochs: -2", "r.yaml:9: train.epochs: got -2, expected a number above 0"),
    "seed-beyond-64-bits": ("ship: [adapter]", "seed: 18446744073709551616", "r.yaml:14: seed: got 18446744073709551616, expected a number below 9.2"),
    "zero-count": ("rank: 8", "rank: 0", "r.yaml:7: method.rank: got 0, expected a number of at least 1"),
    "fraction-for-count": ("rank: 8", "rank: 8.5", "r.yaml:7: method.rank: got 8.5, expected a whole number"),
    "bool-for-count": ("rank: 8", "rank: true", "r.yaml:7: method.rank: got true, expected a whole number"),
    "no-is-text": ("epochs: 2", "truncate: no", "r.yaml:9: train.truncate: got 'no', expected true or false"),
    "clock-is-text": ("epochs: 2", "epochs: 12:30:00", "r.yaml:9: train.epochs: got '12:30:00', expected a number"),
    "octal-is-text": ("rank: 8", "rank: 010", "r.yaml:7: method.rank: got '010', expected a whole number"),
    "our-own-name": ("ship: [adapter]", "schema: {from_: x}", "r.yaml:14: schema.from_: unknown key. Did you mean `from`?"),
    "one-bad-item": ("kind: lora", "targets: [q_proj, 3]", "r.yaml:7: method.targets[1]: got 3, expected text"),
    "infinite": ("epochs: 2", "epochs: .inf", "r.yaml:9: train.epochs: got '.inf', expected a number"),
    "overflow": ("epochs: 2", "epochs: 1e999", "r.yaml:9: train.epochs: got '1e999', expected a number"),
    "null": ("epochs: 2", "epochs:", "r.yaml:9: train.epochs: got null, expected a number"),
    "none-for-null": ("epochs: 2", "clip_norm: none", "r.yaml:9: train.clip_norm: got 'none', expected a number or null"),
    "list-for-mapping": ("method: {kind: lora, rank: 8}", "method: [lora]", 'r.yaml:7: method: got ["lora"], expected a mapping of keys'),
    "text-for-list": ("ship: [adapter]", "ship: adapter", "r.yaml:14: ship: got 'adapter', expected a list"),
    "unknown-choice": ("kind: lora", "kind: lore", "r.yaml:7: method.kind: got 'lore', expected lora or qlora or full. Did you mean lora?"),
    "eight-of-four-bits": ("method: {kind: lora, rank: 8}", "method: {kind: qlora, rank: 8}\nevaluate: {precision: int8}", "r.yaml: `evaluate.precision: int8` puts matrices into 8 bits"),
    "bad-name": ("name: test", "name: ../up", "r.yaml:1: name: got '../up', expected a name of 1 to 80 letters"),
    "hidden-name": ("name: test", "name: .x", "r.yaml:1: name: got '.x', expected a name of"),
    "shares-too-large": ("test: 0.2", "test: 0.95", "r.yaml:6: data.split: validation and test together must leave rows"),
    "share-is-one": ("test: 0.2", "test: 1", "r.yaml:6: data.split.test: got 1, expected a number below 1"),
    "two-origins": ("source: rows.jsonl", "source: rows.jsonl\n  train: t.jsonl", "r.yaml:4: data: expected exactly one of `source` and `train`"),
    "two-conditions": ("at_least: 0.3}", "at_least: 0.3, at_most: 1}", "r.yaml:12: gates[0]: expected exactly one of at_least, at_most, better_than"),
    "unknown-metric": ("metric: json_exact", "metric: json_exct", "r.yaml:12: gates[0].metric: there is no metric 'json_exct'. Did you mean json_exact?"),
    "percent-for-share": ("at_least: 0.3}", "at_least: 30}", "r.yaml:12: gates[0].at_least: got 30, and json_exact is from 0 to 1. Is 0.3 meant? Shares"),
    "share-that-all-keep": ("json_exact, at_least: 0.3}", "truncated_share, at_most: 5}", "r.yaml:12: gates[0].at_most: got 5, and truncated_share is from 0 to 1. Is 0.05"),
    "forecast-in-percent": ("[0.3, 0.6]", "[0.3, 60]", "r.yaml:13: expect.json_exact: got 60, and json_exact is from 0 to 1. Is 0.6 meant?"),
    "unknown-rival": ("at_least: 0.3}", "better_than: bass}", "r.yaml:12: gates[0].better_than: there is no arm 'bass'. Did you mean base?"),
    "unknown-forecast": ("expect: {json_exact:", "expect: {exact:", "r.yaml:13: expect.exact: there is no metric 'exact'. Did you mean json_exact?"),
    "forecast-backwards": ("[0.3, 0.6]", "[0.6, 0.3]", "r.yaml:13: expect.json_exact: got [0.6, 0.3], expected the lower end first"),
    "forecast-short": ("[0.3, 0.6]", "[0.3]", "r.yaml:13: expect.json_exact[1]: is missing"),
    "forecast-long": ("[0.3, 0.6]", "[0.3, 0.4, 0.5]", "r.yaml:13: expect.json_exact: got [0.3, 0.4, 0.5], expected at most 2 values"),
    "unknown-task": ("task: json_extraction", "task: json_extractoin", "r.yaml:3: task: there is no task 'json_extractoin'. Did you mean json_extraction?"),
    "unknown-export": ("ship: [adapter]", "ship: [adapter, adaptr]", "r.yaml:14: ship[1]: there is no export 'adaptr'. Did you mean adapter?"),
    "unknown-trainer": ("ship: [adapter]", "trainer: nativ", "r.yaml:14: trainer: there is no trainer 'nativ'. Did you mean native?"),
    "unknown-corpus": ("source: rows.jsonl", "source: lathe:structured_txt", "r.yaml:5: data.source: there is no corpus lathe:structured_txt. Did you mean lathe:structured_text?"),
    "corpus-as-file": ("source: rows.jsonl", "train: lathe:edge_json", "r.yaml:5: data.train: got lathe:edge_json, expected a file"),
    "pretraining-corpus": ("source: rows.jsonl", "source: lathe:structured_text", "r.yaml:5: data.source: lathe:structured_text does not fit the task json_extraction"),
    "invariant": ("source: rows.jsonl", "source: rows.jsonl\n  invariants:\n    invoice:\n      - total == a\n      - total = a", "r.yaml:9: data.invariants.invoice[1]: the invariant `total = a`"),
    "unread-field": ("source: rows.jsonl", "source: rows.jsonl\n  fields: {inptu: question, id: key, system: persona}", "r.yaml:6: data.fields.inptu: there is no field 'inptu'. Did you mean input?"),
    "duplicate-key": ("epochs: 2", "epochs: 2\n  epochs: 3", "r.yaml:10: train.epochs: the key stands twice, first on line 9"),
    "alias": ("epochs: 2", "epochs: *e", "r.yaml:9: train.epochs: aliases (*e) are not part of a recipe"),
    "tag": ("epochs: 2", "epochs: !!int 2", "r.yaml:9: train.epochs: tags (tag:yaml.org,2002:int) are not part of a recipe"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_fault_is_named_with_line_key_got_expected_and_the_nearest(name: str) -> None:
    before, after, says = BAD[name]
    assert before in GOOD
    found = faults(GOOD.replace(before, after, 1))
    assert any(one.startswith(says) for one in found), found
    if name not in ("alias",):
        assert len(found) == 1, found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "r.yaml: the recipe is empty"),
        ("# nothing\n", "r.yaml: the recipe is empty"),
        ("- a\n- b\n", "r.yaml:1: expected keys and values"),
        ("just text\n", "r.yaml:1: expected keys and values"),
        ("a: [1\n", "is not closed"),
        ("name: a\n\tbase: b\n", "r.yaml:2: a tab"),
        ("{}", "name: is missing"),
    ],
)
def test_text_that_is_no_recipe(text: str, says: str) -> None:
    assert says in "\n".join(faults(text))


def test_all_faults_are_told_at_once_in_the_order_of_the_file() -> None:
    text = (
        GOOD.replace("epochs: 2", "epochs: -2")
        .replace("rank: 8", "rnk: 8")
        .replace("task: json_extraction", "task: x")
        .replace("[adapter]", "[x, x]")
    )
    lines = [int(one.split(":")[1]) for one in faults(text)]
    assert lines == [3, 7, 9, 14, 14]


def test_missing_keys_say_what_they_are_for() -> None:
    found = faults("name: a\n")
    assert any(one.startswith("r.yaml: base: is missing. It says lathe:nano, a folder") for one in found)
    assert len(found) == 3


def test_a_set_is_checked_like_the_file_and_named_as_the_option() -> None:
    assert parse_recipe(GOOD, "r.yaml", ["train.epochs=1", "ship=[adapter, merged]"]).train.epochs == 1.0
    assert parse_recipe(GOOD, "r.yaml", ["gates.0.at_least=0.5"]).gates[0].at_least == 0.5
    assert parse_recipe(GOOD, "r.yaml", ["schema.in_prompt=false"]).schema_.in_prompt is False
    assert parse_recipe(GOOD, "r.yaml", ["data.source=null", "data.train=a.jsonl"]).data.train == "a.jsonl"
    found = faults(
        GOOD, "train.epochs=-1", "train.epoch=1", "nonsense", "name.x=1", "gates.4.by=1", "train.epochs=[", "=3"
    )
    assert "r.yaml: --set train.epoch: unknown key. Did you mean `epochs`?" in found
    assert "r.yaml: --set train.epochs: got -1, expected a number above 0" in found
    assert "r.yaml: --set nonsense: expected key=value. Such as --set train.epochs=1" in found
    assert "r.yaml: --set name.x: name is a single value and has no keys" in found
    assert "r.yaml: --set gates.4.by: gates is a list of 1, expected a position from 0 to 0" in found
    assert len(found) == 7


def test_a_set_that_names_an_unknown_metric_is_named_as_the_option() -> None:
    assert faults(GOOD, "gates.0.metric=exact")[0].startswith(
        "r.yaml: --set gates[0].metric: there is no metric 'exact'"
    )


def test_a_path_given_on_the_command_line_is_meant_from_where_the_person_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recipe.yaml").write_text(GOOD)
    (tmp_path / "here" / "base").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    recipe = read_recipe(tmp_path / "recipe.yaml", ["data.source=my rows.jsonl", "schema.from=../schemas", "base=base"])
    assert recipe.data.source == str(tmp_path / "here" / "my rows.jsonl")
    assert recipe.schema_.from_ == str(tmp_path / "here" / "../schemas")
    assert recipe.base == str(tmp_path / "here" / "base")
    assert read_recipe(tmp_path / "recipe.yaml").data.source == "rows.jsonl"
    for kept in ("lathe:edge_json", "mirror:edgejson/train_v3.jsonl", "/abs.jsonl"):
        assert read_recipe(tmp_path / "recipe.yaml", [f"data.source={kept}"]).data.source == kept
    assert read_recipe(tmp_path / "recipe.yaml", ["base=lathe:nano", "data.limit=5"]).base == "lathe:nano"


# files ------------------------------------------------------------------------------------------------


def test_a_recipe_is_found_by_path_by_run_folder_and_by_name(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(GOOD)
    assert find_recipe(str(tmp_path)) == find_recipe(str(tmp_path / "recipe.yaml")) == tmp_path / "recipe.yaml"
    assert find_recipe("demo").name == "demo.yaml"


def test_a_folder_without_a_recipe_hides_no_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("demo").mkdir()
    Path("other").mkdir()
    assert find_recipe("demo") == shipped_recipes()["demo"]
    with pytest.raises(InputError, match=r"the folder other holds no recipe\.yaml"):
        find_recipe("other")
    Path("demo/recipe.yaml").write_text(GOOD)
    assert find_recipe("demo") == Path("demo/recipe.yaml")


@pytest.mark.parametrize(
    ("asked", "hint"),
    [("dmo", "Did you mean demo?"), ("{here}/recpe.yaml", "recipe.yaml"), ("nothing-like-it", "Shipped recipes: ")],
)
def test_a_recipe_that_is_not_there_is_answered_with_the_nearest(tmp_path: Path, asked: str, hint: str) -> None:
    (tmp_path / "recipe.yaml").write_text(GOOD)
    with pytest.raises(InputError) as caught:
        find_recipe(asked.format(here=tmp_path))
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (GOOD.replace("test", "caf\u00e9").encode("latin-1"), "r.yaml:1: byte 0xe9 is no UTF-8"),
        (GOOD.encode("utf-16"), "r.yaml:1: byte 0xff is no UTF-8"),
        (b"a: " + b"x" * 300_000, "larger than"),
        (GOOD.encode().replace(b"test", b"te\x00st"), "U+0000"),
        (b"", "empty"),
    ],
    ids=["latin-1", "utf-16", "large", "nul", "empty"],
)
def test_a_file_that_is_no_text_is_refused_with_its_line(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "r.yaml").write_bytes(data)
    with pytest.raises(RecipeError) as caught:
        read_recipe(tmp_path / "r.yaml")
    assert says in caught.value.message


def test_a_byte_order_mark_is_taken(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert read_recipe(tmp_path / "r.yaml").name == "test"


def test_a_folder_or_a_pipe_is_no_recipe(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "missing.yaml"):
        with pytest.raises(InputError, match="is not a file"):
            read_recipe(path)


@pytest.mark.parametrize("name", sorted(shipped_recipes()))
def test_shipped_recipes_begin_with_a_comment_that_says_where_they_were_measured(name: str) -> None:
    text = shipped_recipes()[name].read_text()
    assert text.startswith("# ")
    assert "Measured on:" in text


def test_the_json_schema_knows_every_key_and_says_what_it_means() -> None:
    import jsonschema

    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(
        {"name": "a", "base": "b", "task": "c", "data": {"source": "d"}, "schema": {"from": "x"}}, schema
    )
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"name": "a", "base": "b", "task": "c", "data": {"source": "d"}, "trian": {}}, schema)
    undescribed = [
        key
        for part in [schema, *schema["$defs"].values()]
        for key, node in part.get("properties", {}).items()
        if "description" not in node and "$ref" not in json.dumps(node)
    ]
    assert undescribed == []


def test_several_samples_without_a_temperature_are_refused() -> None:
    (fault,) = faults(GOOD + "evaluate: {samples: 5}\n")
    assert "5 samples at temperature 0 are one answer; set evaluate.temperature" in fault
    assert parse_recipe(GOOD + "evaluate: {samples: 5, temperature: 0.7}\n", "r.yaml").evaluate.samples == 5


def test_a_trainer_that_cannot_answer_validation_rows_is_named_where_the_recipe_asks_for_them() -> None:
    validating = GOOD.replace("  epochs: 2", "  epochs: 2\n  validate: {every: 5}")
    assert parse_recipe(validating, "r.yaml").train.validate_.every == 5
    assert faults(validating + "trainer: trl\n") == [
        "r.yaml:10: train.validate.every: the trainer trl cannot answer validation rows while it trains. "
        "Set trainer: native, or leave train.validate out."
    ]
    assert parse_recipe(GOOD + "trainer: trl\n", "r.yaml", ["train.validate.patience=2"]).trainer == "trl"


def test_a_trainer_of_one_process_is_named_where_the_recipe_asks_for_several() -> None:
    several = GOOD.replace("  epochs: 2", "  epochs: 2\n  processes: 2")
    assert parse_recipe(several, "r.yaml").train.processes == 2
    (fault,) = faults(several + "trainer: trl\n")
    assert "train.processes: the trainer trl trains in one process, got 2. Set trainer: native" in fault


def test_all_weights_are_shipped_merged_and_not_as_an_adapter() -> None:
    full = GOOD.replace("ship: [adapter]\n", "").replace("method: {kind: lora, rank: 8}", "method: {kind: full}")
    assert parse_recipe(full, "r.yaml").ship == ("merged",)
    assert parse_recipe(full, "r.yaml", ["method.kind=lora"]).ship == ("adapter",)
    (fault,) = faults(full + "ship: [adapter, merged]\n")
    assert "method.kind: full` trains all weights; ship: [merged]" in fault
