"""A recipe as the configuration of another trainer, for the same job: the reverse of `foreign.adopt`.

    made = exported(recipe, plan, "trl", "train.jsonl", "validation.jsonl")
    made.text, made.without

The rows are those that `lathe prepare` wrote, as conversations (`row`): they hold the prompts that Lathe trains on. What the other
tool cannot be told is listed; where that would change what is learned, nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from lathe.errors import Fault, RecipeError
from lathe.plan.foreign.lint import axolotl_steps
from lathe.records import Example, Plan, Recipe

Tool = Literal["axolotl", "trl", "unsloth"]
TOOLS: tuple[Tool, ...] = ("axolotl", "trl", "unsloth")
MICRO_BATCHES = (8, 4, 2, 1)
BETA = 0.95
"""Decay of AdamW's second moment in Lathe's engine; other trainers take 0.999 unless they are told."""

OPTIMISERS = {"adamw": "adamw_torch", "adamw8bit": "adamw_bnb_8bit"}
"""A recipe's optimisers by the names of transformers."""

WITHOUT: Mapping[str, str] = {
    "task": "what a right answer is; the rows hold the prompts already",
    "schema": "the rows' prompts hold it already",
    "evaluate": "Lathe measures, with `lathe evaluate`",
    "gates": "Lathe decides",
    "expect": "Lathe holds forecasts against results",
    "ship": "Lathe writes what was measured",
    "train.token_budget": "rows are padded to batches there; that bounds memory and changes no result",
    "train.group_by_prefix": "rows come in a random order there, as with another seed",
    "train.recompute": "rows are padded to batches there; that bounds memory and changes no result",
    "train.threads": "a matter of the machine",
    "train.processes": "a matter of the machine",
    "train.shard": "a matter of the machine",
    "train.truncate": "TRL and Unsloth cut longer rows always; without it there are none, or the plan had refused them",
    "seed": "given, but rows are shuffled by another rule, so weights differ as between two seeds",
    "train.warmup_share": "given as steps; there the first step learns at rate 0, here at a share of the peak",
}
"""Parts of a recipe that have no counterpart, or not quite, and why that is no other job."""


@dataclass(frozen=True)
class Exported:
    """A configuration: its text, and the recipe's keys that it cannot say."""

    text: str
    without: Mapping[str, str]


def exported(recipe: Recipe, plan: Plan, tool: Tool, train_file: str, validation_file: str | None) -> Exported:
    """The recipe in the other tool's words. plan: of this recipe; its steps and its longest row are written down.

    Raises RecipeError, with every reason, where the other tool would do another job.
    """
    refuse_unsayable(recipe, tool)
    say = {"axolotl": _axolotl, "trl": _trl, "unsloth": _unsloth}[tool]
    said = say(recipe, plan, train_file, validation_file)
    header = [
        f"# The recipe {recipe.name} for {tool}, written by lathe export-config: {plan.schedule.num_steps:,} steps of",
        f"# {recipe.train.examples_per_step} rows on one device, and one more device multiplies that.",
        "# Without counterpart, or not quite:",
        *(f"#   {key}: {why}" for key, why in WITHOUT.items()),
    ]
    text = "\n".join(header) + "\n\n" + yaml.safe_dump(said, sort_keys=False, allow_unicode=True)
    return Exported(text, WITHOUT)


def row(example: Example, tool: Tool) -> dict[str, Any]:
    """A row as a conversation: for TRL and Unsloth in two parts, of which the second carries loss, else as messages."""
    prompt = [{"role": message.role, "content": message.content} for message in example.messages]
    answer = [{"role": "assistant", "content": example.completion}]
    return {"messages": prompt + answer} if tool == "axolotl" else {"prompt": prompt, "completion": answer}


def refuse_answered(examples: Iterable[Example], tool: Tool) -> None:
    """Raises RecipeError where a prompt holds earlier answers, which Axolotl would train on too."""
    if tool != "axolotl":
        return
    answered = sum(any(message.role == "assistant" for message in example.messages) for example in examples)
    if answered:
        fault = Fault(
            "data", f"{answered} prompts hold earlier answers, and all of them would carry loss", hint="Use trl"
        )
        raise RecipeError("rows", [fault])


def refuse_unsayable(recipe: Recipe, tool: Tool) -> None:
    """Raises RecipeError, with every reason, where the other tool would do another job."""
    if faults := list(_unsayable(recipe, tool)):
        raise RecipeError(recipe.name, faults)


def _unsayable(recipe: Recipe, tool: Tool) -> Iterator[Fault]:
    if recipe.train.validate_.every is not None:
        yield Fault(
            "train.validate",
            f"the weights that answer validation rows best are kept here, and {tool} cannot be told so",
            hint="Leave it out: the last weights are then kept by both",
        )
    if recipe.base.startswith("lathe:"):
        yield Fault("base", f"{recipe.base} is known to Lathe alone", hint="Name a folder or a Hub id")
    if recipe.method.kind == "full" and tool != "trl":
        yield Fault(
            "method.kind",
            f"full training keeps its weights in fp32 here, and {tool} would train them in bf16",
            hint="Use lora, or --to trl",
        )


def _batch(recipe: Recipe) -> tuple[int, int]:
    """Rows computed at once, and how often before a step: their product is the recipe's."""
    rows = recipe.train.examples_per_step
    micro = next(size for size in MICRO_BATCHES if rows % size == 0)
    return micro, rows // micro


def _length(recipe: Recipe, plan: Plan, epochs: str) -> dict[str, Any]:
    """The end of training: in epochs, or in steps where the recipe's limit comes first."""
    limited = recipe.train.max_steps is not None and plan.schedule.num_steps == recipe.train.max_steps
    return {"max_steps": recipe.train.max_steps} if limited else {epochs: recipe.train.epochs}


def _axolotl_length(recipe: Recipe, plan: Plan) -> dict[str, Any]:
    """The end in steps too where Axolotl would make fewer of the same epochs."""
    own = axolotl_steps(plan.schedule.num_examples, recipe.train.epochs, recipe.train.examples_per_step)
    if own != plan.schedule.num_steps:
        return {"max_steps": plan.schedule.num_steps}
    return _length(recipe, plan, "num_epochs")


def _decay(recipe: Recipe, plan: Plan) -> str:
    """The schedule in transformers' words, where `constant` has no warm-up."""
    schedule = recipe.train.schedule
    return "constant_with_warmup" if schedule == "constant" and plan.schedule.warmup_steps else schedule


def _shared(recipe: Recipe, plan: Plan) -> dict[str, Any]:
    """Keys that all three tools know by the same names."""
    train = recipe.train
    return {
        "learning_rate": train.learning_rate,
        "warmup_steps": plan.schedule.warmup_steps,
        "weight_decay": train.weight_decay,
        "max_grad_norm": train.clip_norm or 0.0,
        "adam_beta2": BETA,
        "save_strategy": "steps",
        "save_steps": train.checkpoint_every,
        "save_total_limit": train.keep_checkpoints,
        "seed": recipe.seed,
    }


def _trainer(recipe: Recipe, plan: Plan) -> dict[str, Any]:
    """What transformers' TrainingArguments take, for TRL and Unsloth."""
    micro, accumulation = _batch(recipe)
    return {
        "per_device_train_batch_size": micro,
        "gradient_accumulation_steps": accumulation,
        **_length(recipe, plan, "num_train_epochs"),
        "optim": OPTIMISERS[recipe.train.optimiser],
        "lr_scheduler_type": _decay(recipe, plan),
        **_shared(recipe, plan),
        "bf16": recipe.train.precision != "fp32",
        "completion_only_loss": True,
        "packing": False,
    }


def _adapter(recipe: Recipe) -> dict[str, Any]:
    method = recipe.method
    return {"lora_alpha": method.alpha, "lora_dropout": method.dropout}


def _targets(recipe: Recipe) -> str | list[str]:
    targets = recipe.method.targets
    return targets if isinstance(targets, str) else list(targets)


def _files(train_file: str, validation_file: str | None) -> dict[str, str]:
    return {"train_file": train_file} | ({"validation_file": validation_file} if validation_file else {})


def _limit(recipe: Recipe, plan: Plan) -> int:
    """Longest row in tokens. Where rows are not cut, none is longer than the longest."""
    return recipe.train.max_tokens or plan.schedule.longest_row


def _trl(recipe: Recipe, plan: Plan, train_file: str, validation_file: str | None) -> dict[str, Any]:
    """Keys of SFTConfig, ModelConfig and of a data set made from two files."""
    said: dict[str, Any] = {"model_name_or_path": recipe.base, "run_name": recipe.name}
    if recipe.method.kind == "full":
        said["dtype"] = "float32"
    else:
        said |= {
            "use_peft": True,
            "lora_r": recipe.method.rank,
            **_adapter(recipe),
            "lora_target_modules": _targets(recipe),
        }
        if recipe.method.kind == "qlora":
            said["load_in_4bit"] = True
        elif recipe.train.precision == "fp32":
            said["dtype"] = "float32"
    return said | _files(train_file, validation_file) | {"max_length": _limit(recipe, plan)} | _trainer(recipe, plan)


def _unsloth(recipe: Recipe, plan: Plan, train_file: str, validation_file: str | None) -> dict[str, Any]:
    """Keyword arguments of FastLanguageModel.from_pretrained and get_peft_model, then of SFTConfig."""
    model = {
        "model_name": recipe.base,
        "max_seq_length": _limit(recipe, plan),
        "load_in_4bit": recipe.method.kind == "qlora",
        "r": recipe.method.rank,
        **_adapter(recipe),
        "target_modules": _targets(recipe),
        "run_name": recipe.name,
    }
    return model | _files(train_file, validation_file) | _trainer(recipe, plan)


def _axolotl(recipe: Recipe, plan: Plan, train_file: str, validation_file: str | None) -> dict[str, Any]:
    micro, accumulation = _batch(recipe)
    targets = _targets(recipe)

    def rows(file: str) -> list[dict[str, Any]]:
        form = {"ds_type": "json", "type": "chat_template", "field_messages": "messages"}
        return [{"path": file, **form, "roles_to_train": ["assistant"], "train_on_eos": "turn"}]

    return {
        "base_model": recipe.base,
        "adapter": recipe.method.kind,
        "load_in_4bit": recipe.method.kind == "qlora",
        "lora_r": recipe.method.rank,
        **_adapter(recipe),
        **({"lora_target_linear": True} if targets == "all-linear" else {"lora_target_modules": targets}),
        "datasets": rows(train_file),
        **({"test_datasets": rows(validation_file)} if validation_file else {}),
        "sequence_len": _limit(recipe, plan),
        # Left out, longer rows would be dropped without a word.
        "excess_length_strategy": "truncate" if recipe.train.truncate else "raise",
        "sample_packing": False,
        "micro_batch_size": micro,
        "gradient_accumulation_steps": accumulation,
        **_axolotl_length(recipe, plan),
        "optimizer": OPTIMISERS[recipe.train.optimiser],
        "lr_scheduler": _decay(recipe, plan),
        **_shared(recipe, plan),
        "bf16": {"auto": "auto", "bf16": True, "fp32": False}[recipe.train.precision],
        "wandb_run_name": recipe.name,
    }
