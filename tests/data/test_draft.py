"""`lathe new FILE` writes a recipe that Lathe takes as it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lathe.data.draft import new_recipe, stem_of
from lathe.errors import InputError
from lathe.resolve import read_recipe


def orders(path: Path, asked: str = "prompt", answered: str = "expected_output") -> Path:
    rows = [
        {asked: f"Order {number}: {number % 7} lamps", answered: {"id": number, "lamps": number % 7}}
        for number in range(60)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_the_recipe_is_read_back_with_the_columns_mapped(tmp_path: Path) -> None:
    path = new_recipe(orders(tmp_path / "my orders.jsonl"))
    assert path.name == "my-orders.yaml"
    recipe = read_recipe(path)
    assert (recipe.name, recipe.task) == ("my-orders", "json_extraction")
    assert recipe.data.source == "my orders.jsonl"
    assert recipe.data.fields == {"input": "prompt", "target": "expected_output"}


def test_columns_with_the_tasks_own_names_are_not_mapped(tmp_path: Path) -> None:
    assert read_recipe(new_recipe(orders(tmp_path / "rows.jsonl", "input", "target"))).data.fields == {}


def test_what_was_found_stands_in_the_comments(tmp_path: Path) -> None:
    file = orders(tmp_path / "rows.jsonl")
    with open(file, "a") as rows:
        rows.write(json.dumps({"prompt": "Order 1: 1 lamps", "expected_output": {"id": 2, "lamps": 1}}) + "\n")
    text = new_recipe(file).read_text()
    assert "error: 1 prompts stand with different answers" in text
    assert "the score to beat without a model" in text
    assert "read as prompt-completion (prompt, completion = expected_output)" in text


def test_a_recipe_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    file = orders(tmp_path / "rows.jsonl")
    new_recipe(file)
    with pytest.raises(InputError, match="there already"):
        new_recipe(file)
    assert new_recipe(file, tmp_path / "other.yaml").is_file()


def test_rows_that_no_task_reads_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    file = tmp_path / "chats.jsonl"
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": '{"a": 1}'}]
    file.write_text("".join(json.dumps({"messages": turns}) + "\n" for _ in range(40)))
    with pytest.raises(InputError, match="laid out as messages"):
        new_recipe(file)
    assert not (tmp_path / "chats.yaml").exists()


@pytest.mark.parametrize(
    ("name", "stem"), [("a.jsonl.gz", "a"), ("über rows!.csv", "ber-rows"), ("...", "rows"), ("x.y.jsonl", "x.y")]
)
def test_a_name_is_made_of_what_a_run_may_be_called(name: str, stem: str) -> None:
    assert stem_of(Path(name)) == stem
