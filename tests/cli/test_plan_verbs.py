"""The planner's verbs as typed: other machines, bare configurations, other trainers' configurations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

CONFIG = {
    "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
    "num_attention_heads": 9, "num_key_value_heads": 3, "tie_word_embeddings": True,
}  # fmt: skip
FOREIGN = {
    "base_model": "org/base", "adapter": "lora", "lora_r": 8, "lora_target_linear": True, "micro_batch_size": 2,
    "gradient_accumulation_steps": 8, "num_epochs": 3, "warmup_steps": 50, "val_set_size": 0.1,
}  # fmt: skip


def test_a_configuration_with_a_padded_batch_names_the_logits(lathe, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    words = ("--lora-rank", "16", "--padded", "8x2048", "--precision", "fp32")
    done = lathe("plan", "--config", "config.json", *words, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["padded"]["largest"].startswith("logits, 12.9 GB")
    assert "most of it: logits" in lathe("plan", "--config", "config.json", *words).stdout


def test_a_plan_for_other_machines_marks_what_is_not_measured(lathe) -> None:
    done = lathe("plan", "demo", "--smoke", "--on", "l4-24gb,cpu", "--json")
    assert done.returncode == 0, done.stderr
    card, here = json.loads(done.stdout)["machines"]
    assert (card["machine"], card["rate_source"], here["machine"]) == ("l4-24gb", "catalogue", "cpu")
    assert card["seconds"]["low"] < card["seconds"]["high"]
    assert "rate: catalogue" in lathe("plan", "demo", "--smoke", "--on", "l4").stdout
    unknown = lathe("plan", "demo", "--on", "l4-24")
    assert unknown.returncode == 2
    assert "Did you mean l4-24gb?" in unknown.stderr


def test_another_trainers_configuration_becomes_a_recipe(lathe, tmp_path: Path) -> None:
    (tmp_path / "axolotl.json").write_text(json.dumps(FOREIGN))
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    done = lathe("new", "axolotl.json", "--rows", "238", "--config", "config.json", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["facts"]["steps"] == 45
    assert told["facts"]["parameters_trainable"] == 2_442_240
    assert [one["id"] for one in told["findings"]] == ["warmup_too_long"]
    assert "warm-up 50 of 45 steps" in (tmp_path / told["recipe"]).read_text()
    again = lathe("new", "axolotl.json")
    assert again.returncode == 2
    assert "is there already" in again.stderr
    shown = lathe("new", "axolotl.json", "--rows", "238", "--out", "b.yaml").stdout
    assert "warm-up 50 of 45 steps" in shown


def test_fit_names_the_setting_for_each_machine(lathe) -> None:
    done = lathe("plan", "demo", "--smoke", "--fit", "--on", "l4", "--json")
    assert done.returncode == 0, done.stderr
    assert {name: one["sets"] for name, one in json.loads(done.stdout)["fit"].items()} == {"cpu": [], "l4-24gb": []}
    assert "cpu: the recipe fits as it is" in lathe("plan", "demo", "--smoke", "--fit").stdout


def test_a_probe_says_how_fast_the_machine_is(lathe, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    done = lathe("doctor", "--probe", "--json", XDG_STATE_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["fp32"] > 1e8
    assert (tmp_path / "lathe" / "probe.json").is_file()


def test_a_recipe_is_written_for_another_trainer_with_its_rows(lathe, tmp_path: Path) -> None:
    import lathe as package

    base = Path(package.__file__).parent / "assets" / "nano"
    words = ("export-config", "demo", "--smoke", "--to", "trl", "--out", "there")
    refused = lathe(*words)
    assert refused.returncode == 2
    assert "lathe:nano is known to Lathe alone" in refused.stderr
    done = lathe(*words, "--set", f"base={base}", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["configuration"] == "there/trl.yaml"
    row = json.loads((tmp_path / "there" / "train.jsonl").read_text().split("\n")[0])
    assert row["prompt"][-1]["role"] == "user"
    assert row["completion"][0]["role"] == "assistant"
    again = lathe(*words, "--set", f"base={base}")
    assert "is there already" in again.stderr
    back = lathe("new", "there/trl.yaml", "--out", "back.yaml", "--json")
    assert back.returncode == 0, back.stderr
    assert json.loads(back.stdout)["facts"]["steps"] == 10
