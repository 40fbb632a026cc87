"""`lathe check` and `lathe new` as a person types them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Typed = Callable[..., subprocess.CompletedProcess[str]]
ROWS = [
    {"prompt": f"Order {number}: {number % 7} lamps", "completion": {"id": number, "lamps": number % 7}}
    for number in range(40)
]


@pytest.fixture
def typed(tmp_path: Path) -> Typed:
    """A command, run in a folder that holds rows.jsonl."""
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "lathe", *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    return run


def test_clean_rows_end_with_0_and_say_how_they_were_read(typed: Typed) -> None:
    done = typed("check", "rows.jsonl")
    assert done.returncode == 0, done.stderr
    assert "rows.jsonl: 40 rows, read as prompt-completion (prompt, completion)" in done.stdout
    assert "rules without a model" in done.stdout


def test_rows_to_mend_end_with_1_and_the_gravest_is_the_headline(typed: Typed, tmp_path: Path) -> None:
    with open(tmp_path / "rows.jsonl", "a") as file:
        file.write(json.dumps({"prompt": "Order 99", "completion": '{"id": 99, "la'}) + "\n")
    done = typed("check", "rows.jsonl")
    assert done.returncode == 1
    assert done.stdout.strip().startswith("1 of 41 answers are cut off")
    assert "rows.jsonl:41: JSON that ends with" in done.stdout


def test_a_label_that_is_not_declared_is_named(typed: Typed, tmp_path: Path) -> None:
    rows = [{"text": f"Where is parcel {n}?", "label": ("delivery", "refund")[n % 2]} for n in range(60)]
    rows[20]["label"] = "delivry"
    (tmp_path / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "sets").mkdir()
    (tmp_path / "sets" / "intents.json").write_text('["delivery", "refund"]')
    done = typed("check", "labels.jsonl", "--schemas", "sets")
    assert done.returncode == 1
    assert "1 of 60 rows have a label that is not declared" in done.stdout
    assert "'delivry'" in done.stdout


def test_tokens_that_carry_loss_are_shown(typed: Typed) -> None:
    done = typed("check", "rows.jsonl", "--show", "2")
    assert "rows.jsonl:2: " in done.stdout
    assert "tokens carry loss" in done.stdout
    assert "│" in done.stdout


def test_the_json_document_is_the_whole_report(typed: Typed) -> None:
    report = json.loads(typed("check", "rows.jsonl", "--json").stdout)
    assert report["files"][0]["rows"] == 40
    assert report["learnability"]["kind"] == "json"


@pytest.mark.parametrize(
    "words", [("check", "missing.jsonl"), ("check", "rows.jsonl", "--base", "nowhere"), ("new", "missing.jsonl")]
)
def test_what_is_not_there_is_named_with_exit_2(typed: Typed, words: tuple[str, ...]) -> None:
    done = typed(*words)
    assert done.returncode == 2
    assert words[-1] in done.stderr
    assert "Traceback" not in done.stderr


def test_the_base_of_a_check_is_named_as_in_a_recipe(typed: Typed) -> None:
    done = typed("check", "rows.jsonl", "--base", "lathe:nano", "--json")
    assert Path(json.loads(done.stdout)["lengths"]["tokenizer"]).name == "nano"
    done = typed("check", "rows.jsonl", "--base", "lathe:nan")
    assert (done.returncode, "Did you mean lathe:nano?" in done.stderr) == (2, True)


def test_files_have_no_tuned_model_to_ask_and_a_recipe_names_its_earlier_runs_itself(
    typed: Typed, tmp_path: Path
) -> None:
    done = typed("check", "rows.jsonl", "--doubt")
    assert (done.returncode, "Name a run folder" in done.stderr) == (2, True)
    (tmp_path / "recipe.yaml").write_text(
        "name: a\nbase: lathe:nano\ntask: json_extraction\ndata: {source: rows.jsonl}\n"
    )
    done = typed("check", "recipe.yaml", "--against", "earlier")
    assert (done.returncode, "data.against" in done.stderr) == (2, True)
    done = typed("check", "rows.jsonl", "--against", "earlier")
    assert (done.returncode, "earlier/data/train.jsonl is not there" in done.stderr) == (2, True)


def test_words_that_would_do_nothing_are_refused(typed: Typed, tmp_path: Path) -> None:
    done = typed("check", "rows.jsonl", "--set", "data.fields={input: prompt, target: completion}")
    assert (done.returncode, "--set would do nothing without a recipe" in done.stderr) == (2, True)
    (tmp_path / "recipe.yaml").write_text(
        "name: a\nbase: lathe:nano\ntask: json_extraction\ndata: {source: rows.jsonl}\n"
    )
    done = typed("check", "recipe.yaml", "--all")
    assert (done.returncode, "--all would do nothing to a recipe" in done.stderr) == (2, True)


def test_a_new_recipe_is_prepared_as_it_is_and_never_written_over(typed: Typed, tmp_path: Path) -> None:
    assert typed("new", "rows.jsonl").returncode == 0
    assert "source: rows.jsonl" in (tmp_path / "rows.yaml").read_text()
    done = typed("check", "rows.yaml")
    assert done.returncode == 0, done.stderr
    again = typed("new", "rows.jsonl")
    assert again.returncode == 2
    assert "rows.yaml is there already" in again.stderr
