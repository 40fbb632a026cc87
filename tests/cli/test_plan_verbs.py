"""The planner's verbs as typed: other machines, bare configurations, other trainers' configurations."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lathe.plan.rates import computes_bf16
from small_folder import with_header

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


def test_names_may_have_spaces_around_their_commas(lathe, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    words = ("plan", "--config", "config.json", "--lora-rank", "8", "--json")
    spaced = json.loads(lathe(*words, "--lora-targets", "q_proj, v_proj", "--modules-to-save", " lm_head,").stdout)
    tight = json.loads(lathe(*words, "--lora-targets", "q_proj,v_proj", "--modules-to-save", "lm_head").stdout)
    assert spaced == tight
    assert "targets_without_layer" not in spaced
    for word in ("--lora-targets", "--modules-to-save"):
        empty = lathe(*words, word, ",")
        assert empty.returncode == 2
        assert "got no name" in empty.stdout


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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("demo", "--config", "config.json"), "and RECIPE would do nothing"),
        (
            ("--config", "config.json", "--on", "a100-80gb", "--fit", "--set", "train.epochs=2"),
            "and --set, --on, --fit would do nothing",
        ),
        (("demo", "--lora-rank", "8", "--dora"), "without --config, --lora-rank, --dora would do nothing"),
        (("--config", "config.json", "--precision", "fp32"), "--precision goes with --padded"),
        (("--config", "c/nope.json"), "could not read c/nope.json: No such file"),
        (("--config", "nope.json"), "could not read nope.json: No such file"),
    ],
)
def test_words_that_nothing_would_come_of_are_refused(lathe, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    done = lathe("plan", *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_recipe_below_is_planned_with_the_rows_that_its_configuration_named(lathe, tmp_path: Path) -> None:
    rows = [{"input": f"Order {number} of cups", "target": {"order": number}} for number in range(60)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shutil.copytree(NANO, tmp_path / "base")
    config = FOREIGN | {"base_model": "base", "datasets": [{"path": "rows.jsonl"}], "warmup_steps": 1}
    (tmp_path / "axolotl.json").write_text(json.dumps(config))
    assert lathe("new", "axolotl.json", "--out", "sub/two.yaml").returncode == 0
    planned = lathe("plan", "sub/two.yaml", "--set", "schema.in_prompt=false", "--json")
    assert planned.returncode == 0, planned.stderr
    assert json.loads(planned.stdout)["plan"]["schedule"]["num_examples"] > 30


def test_more_steps_than_can_be_laid_out_are_refused(lathe) -> None:
    done = lathe("plan", "demo", "--set", "data.rows=100", "--set", "train.epochs=1000000")
    assert done.returncode == 2
    assert "expected at most 500,000" in done.stderr


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
    one_core = "import os\nos.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"  # other tests have the others
    done = lathe("doctor", "--probe", "--json", before=one_core, XDG_STATE_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    steps = json.loads(done.stdout)["steps"]
    in_bf16 = {("fused", "bf16")} if computes_bf16() else set()
    assert {(step["step"], step["precision"]) for step in steps} == {("fused", "fp32"), ("reference", "fp32"), *in_bf16}
    # What costs what is told apart by seconds, which other tests disturb: that it costs something is not.
    costs = ("product_seconds", "attention_seconds", "group_seconds", "pack_seconds")
    assert all(min(step[name] for name in costs) >= 0 < sum(step[name] for name in costs) for step in steps)
    assert (tmp_path / "lathe" / "probe.json").is_file()


def test_a_recipe_is_written_for_another_trainer_with_its_rows(lathe, tmp_path: Path) -> None:
    import lathe as package

    base = Path(package.__file__).parent / "assets" / "nano"
    words = ("export-config", "demo", "--smoke", "--to", "trl", "--out", "there")
    refused = lathe(*words)
    assert refused.returncode == 2
    assert "lathe:nano is known to Lathe alone" in refused.stderr
    assert not (tmp_path / "runs").exists(), "what is refused makes no run"
    done = lathe(*words, "--set", f"base={base}", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["configuration"] == "there/trl.yaml"
    row = json.loads((tmp_path / "there" / "train.jsonl").read_text().split("\n")[0])
    assert row["prompt"][-1]["role"] == "user"
    assert row["completion"][0]["role"] == "assistant"
    made = sorted((tmp_path / "runs").iterdir())
    again = lathe(*words, "--set", f"base={base}", "--new")
    assert "is there already" in again.stderr
    assert sorted((tmp_path / "runs").iterdir()) == made
    from_run = lathe("export-config", str(made[-1]), "--to", "trl", "--out", "elsewhere")
    assert from_run.returncode == 0, from_run.stderr
    back = lathe("new", "there/trl.yaml", "--out", "back.yaml", "--json")
    assert back.returncode == 0, back.stderr
    assert json.loads(back.stdout)["facts"]["steps"] == 10


SEVEN = {
    "model_type": "qwen2", "vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
    "num_attention_heads": 28, "num_key_value_heads": 4, "tie_word_embeddings": False, "max_position_embeddings": 32768,
}  # fmt: skip
NANO = Path(__file__).parents[2] / "src" / "lathe" / "assets" / "nano"


def seven_billion(folder: Path) -> Path:
    """A base of 7.6 billion parameters without its weights, and a recipe for it."""
    base = folder / "base"
    base.mkdir()
    (base / "config.json").write_text(json.dumps(SEVEN))
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(NANO / name, base / name)
    rows = [{"input": f"Order {number} of {number % 9} cups", "target": {"order": number}} for number in range(200)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "seven.yaml").write_text(
        "name: seven\nbase: ./base\ntask: json_extraction\ndata: {source: rows.jsonl}\nschema: {in_prompt: false}\n"
    )
    return base


def test_a_plan_needs_no_weights_and_reads_none(lathe, tmp_path: Path) -> None:
    base = seven_billion(tmp_path)
    told = json.loads(lathe("plan", "seven.yaml", "--json").stdout)
    assert told["plan"]["parameters"]["total"] == 7_615_616_512
    assert told["plan"]["stored_bytes"] == 2 * 7_615_616_512
    refused = lathe("train", "seven.yaml")
    assert refused.returncode == 2
    assert "holds no *.safetensors" in refused.stderr
    # 15 GB that take no room; to hash them would take longer than the test may.
    count = 7_615_616_512
    header = json.dumps({"all": {"dtype": "BF16", "shape": [count], "data_offsets": [0, 2 * count]}})
    with open(base / "model.safetensors", "wb") as file:
        file.write(with_header(header, 0))
        file.truncate(8 + len(header) + 2 * count)
    again = json.loads(lathe("plan", "seven.yaml", "--json").stdout)
    assert again["run"] == told["run"]
    locked = json.loads((tmp_path / again["run"] / "recipe.lock.json").read_text())
    assert locked["unread_weight_bytes"] == again["plan"]["stored_bytes"] > 2 * count
    assert [file["path"] for file in locked["base_files"]] == [
        "chat_template.jinja",
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_a_plan_of_a_run_that_was_locked_with_its_weights_keeps_their_digests_and_repeats_nothing(
    lathe, tmp_path: Path
) -> None:
    words = ("demo", "--set", "data.rows=200", "--json")
    prepared = json.loads(lathe("prepare", *words).stdout)
    lock = tmp_path / prepared["run"] / "recipe.lock.json"
    before = json.loads(lock.read_text())
    lathe("plan", *words)
    assert json.loads(lock.read_text()) == before
    assert any("model.safetensors" in file["path"] for file in before["base_files"])
    assert "done before" in lathe("plan", *words[:-1]).stderr
    assert json.loads(lock.read_text()) == before


def test_a_plan_is_of_the_machine_and_the_gates_as_they_are_now_until_training_begins(lathe, tmp_path: Path) -> None:
    """Somebody who closes a browser, probes the machine or corrects a gate asks again; what was foretold of a training stands."""
    words = ("plan", "demo", "--set", "data.rows=200", "--json")
    first = json.loads(lathe(*words).stdout)
    recipe = (*words, "--set", "gates=[{metric: json_exact, at_least: 0.999}]")
    assert {one["id"] for one in json.loads(lathe(*recipe).stdout)["plan"]["findings"]} > {"gate_out_of_reach"}
    again = json.loads(lathe(*words).stdout)
    assert again["run"] == first["run"]
    assert "gate_out_of_reach" not in {one["id"] for one in again["plan"]["findings"]}
    begun = tmp_path / first["run"] / "train" / "metrics.jsonl"
    begun.write_text('{"step": 1}\n')
    stands = (tmp_path / first["run"] / "plan.json").read_text()
    assert "gate_out_of_reach" not in {one["id"] for one in json.loads(lathe(*recipe).stdout)["plan"]["findings"]}
    assert (tmp_path / first["run"] / "plan.json").read_text() == stands


def test_a_probe_is_asked_for_no_ability(lathe) -> None:
    """It would answer 0 for one that is not there."""
    done = lathe("doctor", "--probe", "unsloth")
    assert done.returncode == 2
    assert "unsloth would do nothing" in done.stderr
