"""The same planted faults, in a file that Lathe would ship and in one that another tool made: each is caught by both."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from gguf_base import LLAMA_LIKE, write_adapter
from lathe import inspect_model, plugins
from lathe.cli.main import main
from lathe.contracts import Model
from lathe.errors import InputError
from lathe.records import Inspection, LockedRecipe
from lathe.resolve.base import bundled
from lathe.runs import RunFolder
from planted_faults import PLANTED, ROWS, shipped_with, teach
from tiny_base import CHATML

pytestmark = pytest.mark.usefixtures("one_thread")
pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, LockedRecipe]:
    return teach(tmp_path_factory.mktemp("taught"))


def failed(found: Inspection) -> list[str]:
    return [check.id for check in found.checks if check.ok is False]


def test_a_right_file_is_released_and_nothing_is_wrong_with_it(taught: tuple[RunFolder, LockedRecipe]) -> None:
    run, recipe = taught
    bundle = shipped_with(run, recipe, None)
    assert not bundle.withheld
    (file,) = bundle.shipped
    assert file.path == "bundle/gguf_f16"
    assert file.checks["chat_ids.equal"] == 20  # ten fixed chats and ten prompts
    assert file.checks["next_tokens.same"] >= 0.99
    path = run.path / file.path / str(file.gguf)
    assert not run.withheld.exists()
    found = inspect_model.inspect(Path(recipe.base_folder), ROWS, adapter=run.adapter, gguf=path, threads=1)
    assert failed(found) == [], found.checks
    answers = {check.id: check for check in found.checks if check.id.endswith("_answers")}
    assert answers["adapter_answers"].measured["adapter_right"] > answers["adapter_answers"].measured["base_right"]
    assert answers["gguf_answers"].measured["gguf_right"] == answers["gguf_answers"].measured["adapter_right"]
    alone = inspect_model.inspect(Path(recipe.base_folder), ROWS, gguf=path, threads=1)
    assert failed(alone) == [], alone.checks


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_caught_by_both(fault: str, taught: tuple[RunFolder, LockedRecipe], tmp_path: Path) -> None:
    run, recipe = taught
    plant, check = PLANTED[fault]
    bundle = shipped_with(run, recipe, plant)
    (held,) = bundle.withheld
    assert not bundle.shipped
    assert check in [one.id for one in held.failed]
    assert not (run.bundle / held.kind).exists()
    assert (run.path / held.path / str(held.gguf)).is_file()
    for one in held.failed:
        assert one.message
        assert one.fix
    path = Path(shutil.copyfile(run.path / held.path / str(held.gguf), tmp_path / "model.gguf"))
    found = inspect_model.inspect(Path(recipe.base_folder), ROWS[:4], adapter=run.adapter, gguf=path, threads=1)
    assert check in failed(found), found.checks
    if fault == "dropped adapter":  # the other three do not look at the adapter
        found = inspect_model.inspect(Path(recipe.base_folder), ROWS[:4], gguf=path, threads=1)
        assert check in failed(found), found.checks


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("wrong template", "template"),
        ("lost end token", "template"),
        ("dropped adapter", "adapter_applied"),
        ("double bos", "one_bos"),
    ],
)
def test_the_same_faults_show_in_an_adapter_folder(
    fault: str, check: str, taught: tuple[RunFolder, LockedRecipe], tmp_path: Path
) -> None:
    """As other trainers leave it: with the tokenizer and template that were trained with."""
    run, recipe = taught
    base, folder = Path(recipe.base_folder), tmp_path / "adapter"
    if fault == "dropped adapter":
        write_adapter(base, folder, std=0.0)
    else:
        shutil.copytree(run.adapter, folder)
    template = {"wrong template": CHATML, "double bos": "{{ '<|endoftext|>' }}" + LLAMA_LIKE}.get(fault, LLAMA_LIKE)
    if fault == "lost end token":
        template = template.replace("<|im_end|>", "\n")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(base / name, folder / name)
    (folder / "chat_template.jinja").write_text(template)
    assert check in failed(inspect_model.inspect(base, ROWS, adapter=folder, threads=1))


def test_an_adapter_of_which_only_a_part_is_read_is_named(
    taught: tuple[RunFolder, LockedRecipe], tmp_path: Path
) -> None:
    """peft leaves out what adapter_config.json does not speak of, and says nothing."""
    run, recipe = taught
    folder = Path(shutil.copytree(run.adapter, tmp_path / "adapter"))
    told = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(told | {"target_modules": ["q_proj"]}))
    found = inspect_model.inspect(Path(recipe.base_folder), ROWS[:4], adapter=folder, threads=1)
    (check,) = [one for one in found.checks if one.id == "adapter_whole"]
    assert not check.ok
    assert "left out is" in check.message
    whole = inspect_model.inspect(Path(recipe.base_folder), ROWS[:4], adapter=run.adapter, threads=1)
    assert [one.ok for one in whole.checks if one.id == "adapter_whole"] == [True]


def test_an_adapter_that_is_broken_says_what_of_it(taught: tuple[RunFolder, LockedRecipe], tmp_path: Path) -> None:
    run, recipe = taught
    folder = Path(shutil.copytree(run.adapter, tmp_path / "adapter"))
    weights = load_file(folder / "adapter_model.safetensors")
    name = min(weights)
    save_file(weights | {name: weights[name] * float("nan")}, folder / "adapter_model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match="values that are no numbers in 1 weights"):
        inspect_model.inspect(Path(recipe.base_folder), ROWS[:4], adapter=folder, threads=1)
    save_file(weights, folder / "adapter_model.safetensors", {"format": "pt"})
    told = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(told | {"r": 3}))
    with pytest.raises(InputError, match="size mismatch for"):
        inspect_model.inspect(Path(recipe.base_folder), ROWS[:4], adapter=folder, threads=1)


def test_a_model_that_never_learned_to_stop_is_named(taught: tuple[RunFolder, LockedRecipe], tmp_path: Path) -> None:
    base = Path(taught[1].base_folder)
    found = inspect_model.inspect(base, ROWS, adapter=write_adapter(base, tmp_path / "adapter"), threads=1)
    assert failed(found) == ["learned_to_stop"]


def test_the_verb_says_each_fault_with_its_fix(
    taught: tuple[RunFolder, LockedRecipe], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    base = Path(taught[1].base_folder)
    rows: list[dict[str, Any]] = [{"prompt": row.input, "completion": row.completion} for row in ROWS]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    adapter = str(write_adapter(base, tmp_path / "adapter", std=0.0))
    words = [
        "inspect",
        "--base",
        str(base),
        "--adapter",
        adapter,
        "--test",
        str(tmp_path / "rows.jsonl"),
        "--threads",
        "1",
    ]
    assert main(words) == 1
    said = capfd.readouterr().out
    assert "wrong  adapter_applied" in said
    assert "→ It changes nothing" in said
    assert main([*words, "--json"]) == 1
    document = json.loads(capfd.readouterr().out)
    assert document["ok"] is False
    assert document["rows"] == 10


@pytest.mark.parametrize(
    ("base", "more", "said"),
    [
        ("base", [], "nothing to inspect"),
        ("base", ["--gguf", "rows.jsonl"], "no GGUF file"),
        ("base", ["--adapter", "none"], "is not a folder"),
        ("none", ["--adapter", "none"], "base 'none' is no folder"),
        ("lathe:nanoo", ["--adapter", "none"], "Did you mean lathe:nano?"),
    ],
)
def test_what_cannot_be_inspected_is_bad_usage(
    base: str, more: list[str], said: str, taught: tuple[RunFolder, LockedRecipe], tmp_path: Path,
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    named = taught[1].base_folder if base == "base" else base
    assert main(["inspect", "--base", named, "--test", "rows.jsonl", *more]) == 2
    assert said in capfd.readouterr().err


def test_a_file_of_another_base_is_named_as_such(taught: tuple[RunFolder, LockedRecipe]) -> None:
    """Of a smaller vocabulary llama.cpp refused the base's prompts, of a larger one an index was out of bounds."""
    run, recipe = taught
    (file,) = shipped_with(run, recipe, None).shipped
    found = inspect_model.inspect("lathe:nano", ROWS, gguf=run.path / file.path / str(file.gguf), threads=1)
    (check,) = [one for one in found.checks if one.id == "vocabulary"]
    assert "the base 3,072" in check.message
    assert not found.ok
    larger = run.path.parent / "nano.gguf"
    plugins.load("exports", "gguf_f16").write(Model(bundled("lathe:nano")), larger)
    assert "token_ids" in failed(inspect_model.inspect(recipe.base_folder, ROWS, gguf=larger, threads=1))


def test_a_base_is_named_as_in_a_recipe(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    adapter = write_adapter(bundled("lathe:nano"), tmp_path / "adapter", std=0.0)
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "Say yes.", "completion": "yes"}\n')
    words = ["inspect", "--base", "lathe:nano", "--adapter", str(adapter), "--test", str(rows), "--threads", "1"]
    assert main([*words, "--json"]) == 1
    found = json.loads(capfd.readouterr().out)
    assert found["base"] == "lathe:nano"
    assert "adapter_applied" in [check["id"] for check in found["checks"] if check["ok"] is False]


def test_the_runtime_answers_as_the_file_does(taught: tuple[RunFolder, LockedRecipe]) -> None:
    from lathe import plugins

    with pytest.raises(InputError, match="none was named"):
        plugins.load("runtimes", "llama_cpp").open(Model(Path(taught[1].base_folder)))
