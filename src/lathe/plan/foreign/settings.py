"""Another trainer's configuration as one set of values: read, sorted into meant, without effect, unknown and refused.

told = read(Path("axolotl.yaml"))
told.tool, told.values["rank"], told.without_effect, told.unknown
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lathe.errors import Fault, InputError, RecipeError
from lathe.plan.foreign.defaults import DEFAULTS, PEFT, Defaults
from lathe.plan.foreign.keys import AS_HERE, MARKS, MEANT, REFUSED, WITHOUT_EFFECT
from lathe.plan.foreign.tree import flat, load

OFF: tuple[Any, ...] = (None, False, 0, 0.0, "", "none", "no", [], {})
"""Values under which a refused key does nothing."""
ADAPTERS = ("lora", "peft")
"""Inner mappings whose keys are those of an adapter."""
LOADERS = ("json", "csv", "text", "parquet", "arrow")
"""What Axolotl and the package datasets call a reader of files; the files are named beside it."""
SUFFIXES = (".yaml", ".yml", ".json")
MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class Told:
    """What a configuration says. values: by Lathe's words of `keys.SETTINGS`; keys: the name each was written under."""

    tool: str
    values: Mapping[str, Any]
    keys: Mapping[str, str]
    without_effect: Mapping[str, str]
    """Keys and why each has no effect."""
    unknown: tuple[str, ...]

    def number(self, setting: str) -> float | None:
        """A value as a number. Raises InputError where it is none, or no finite one."""
        value = self.values.get(setting)
        if value is None:
            return None
        with contextlib.suppress(TypeError, ValueError):
            number = float(value)  # YAML reads 2e-4 as text
            if math.isfinite(number) and not isinstance(value, bool):
                return number
        raise InputError(f"{self.keys[setting]}: got {value!r}, expected a number")

    def whole(self, setting: str) -> int | None:
        """A value as a whole number; None where it is not given or not whole (the lint names it)."""
        number = self.number(setting)
        return None if number is None or number != int(number) else int(number)

    def flag(self, setting: str) -> bool:
        """A value as yes or no."""
        value = self.values.get(setting)
        return bool(value) and str(value).lower() not in ("false", "no", "none", "auto", "do_not_pad")

    @property
    def defaults(self) -> Defaults:
        """What the tool does where nothing is said."""
        of_peft = self.tool not in ("Axolotl", "LLaMA-Factory") and not self.keys.get("rank", "lora_").startswith(
            "lora_"
        )
        return PEFT if of_peft else DEFAULTS[self.tool]

    @property
    def packs(self) -> bool:
        """Whether its micro batch counts packs of several rows."""
        return self.flag("packing") or self.flag("neat_packing")

    @property
    def quantises(self) -> bool:
        """Whether a 4-bit base is meant. LLaMA-Factory and TRL have no word but LoRA for it; Axolotl has, and means it."""
        method = str(self.values.get("method", "")).lower()
        return method == "qlora" or (self.flag("four_bit") and not (self.tool == "Axolotl" and method == "lora"))

    def files(self, setting: str) -> tuple[str, ...]:
        """The data sets that a setting names. LLaMA-Factory writes several with commas."""
        given = self.values.get(setting)
        named = [name for one in (given if isinstance(given, list) else [given]) for name in _named(one)]
        texts = [one for one in named if isinstance(one, str)]
        if self.tool == "LLaMA-Factory":
            texts = [part.strip() for text in texts for part in text.split(",")]
        return tuple(text for text in texts if text)


def _named(data_set: Any) -> list[Any]:
    """The files or the repository that an entry names."""
    if not isinstance(data_set, Mapping):
        return [data_set]
    files = data_set.get("data_files") if data_set.get("path") in LOADERS else data_set.get("path")
    return files if isinstance(files, list) else [files]


def is_foreign(path: Path) -> bool:
    """Whether a file is another trainer's configuration, and not one of rows.

    Raises InputError for YAML that cannot be read, or that has no key of another trainer: rows are never YAML.
    """
    if path.suffix not in SUFFIXES or not path.is_file() or path.stat().st_size > MOST_BYTES:
        return False
    may_be_rows = path.suffix == ".json"
    try:
        known = bool(MARKS & load(path).keys())
    except (OSError, InputError):
        if may_be_rows:
            return False
        raise
    if not known and not may_be_rows:
        hint = "Expected one such as base_model or model_name_or_path. For a recipe: lathe check, lathe plan."
        raise InputError(f"{path} has no key of another trainer's configuration", hint=hint)
    return known


def read(path: Path) -> Told:
    """Reads a configuration.

    Raises InputError where it cannot be read, RecipeError with every key whose meaning would be lost.
    """
    try:
        tree = load(path)
    except OSError as error:
        raise InputError(f"could not read {path}: {error.strerror}") from error
    found = dict(flat(tree))
    values: dict[str, Any] = {}
    keys: dict[str, str] = {}
    without: dict[str, str] = {}
    unknown: list[str] = []
    faults: list[Fault] = []
    for key, value in (*found.items(), *_of_rows(tree)):
        if key in MEANT:
            setting = MEANT[key]
            before = values.get(setting)
            if before is None:
                values[setting], keys[setting] = value, key
            elif value is not None and value != before:
                said = f"got {value!r}, and {keys[setting]} says {before!r}: both are one setting here"
                faults.append(Fault(key, said, hint=_one_of(keys[setting], key)))
        elif reason := _said_of(key, REFUSED):
            if value is None or value in AS_HERE.get(key, OFF):
                without[key] = "as it is here" if key in AS_HERE and value is not None else "switched off"
            else:
                faults.append(
                    Fault(key, f"{value!r} changes what is learned: {reason}", hint="Remove it, or keep that tool")
                )
        elif key == "stage":
            if value != "sft":
                faults.append(
                    Fault(key, f"got {value!r}, expected sft: preference training and pretraining are other methods")
                )
        elif reason := _said_of(key, WITHOUT_EFFECT):
            without[key] = reason
        elif key.startswith("wandb"):
            without[key] = WITHOUT_EFFECT["wandb"]
        else:
            unknown.append(key)
    told = Told(_tool(found), {k: v for k, v in values.items() if v is not None}, keys, without, tuple(unknown))
    faults += _unsayable(told)
    if faults:
        raise RecipeError(str(path), faults)
    return told


def _said_of(key: str, table: Mapping[str, str]) -> str:
    """What a table says of a key or of the mapping that it stands in; empty where it says nothing."""
    outer, _, inner = key.partition(".")
    name = inner if outer in ADAPTERS else key
    while name and name not in table:
        name = name.rpartition(".")[0]
    return table[name] if name else ""


def _one_of(before: str, key: str) -> str:
    """What to do about two names of one setting. Axolotl's `batch_size` is the product of the other two."""
    if "batch_size" in (before, key):
        return "Say the rows of a step as micro_batch_size x gradient_accumulation_steps, and leave batch_size out."
    return f"Keep {before} or {key}."


SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant", "constant_with_warmup": "constant"}
METHODS = {"lora": "lora", "qlora": "qlora", "full": "full", "": "full"}


ABOVE_ZERO = ("rank", "alpha", "epochs", "micro_batch", "accumulation", "learning_rate", "max_tokens")
NOT_BELOW_ZERO = (
    "dropout", "warmup_steps", "warmup_share", "weight_decay", "clip_norm", "save_steps", "eval_steps", "validation_share", "limit",
    "seed",
)  # fmt: skip
WHOLE = ("rank", "max_tokens", "limit", "seed")
"""Settings of which a part is nothing; of others a finding says so."""


def _out_of_range(told: Told) -> Iterator[Fault]:
    """Numbers that no tool trains with."""
    for setting in (*ABOVE_ZERO, *NOT_BELOW_ZERO):
        number = told.number(setting)
        whole = "whole number" if setting in WHOLE else "number"
        if number is None:
            continue
        if number < 0 or (number == 0 and setting in ABOVE_ZERO) or (setting in WHOLE and number != int(number)):
            least = "above 0" if setting in ABOVE_ZERO else "of at least 0"
            yield Fault(told.keys[setting], f"got {told.values[setting]!r}, expected a {whole} {least}")


def _unsayable(told: Told) -> Iterator[Fault]:
    """Values of known keys that a recipe cannot say."""
    yield from _out_of_range(told)
    schedule = str(told.values.get("schedule", "cosine")).lower()
    if schedule not in SCHEDULES:
        yield Fault(told.keys["schedule"], f"got {schedule!r}, expected one of: {', '.join(SCHEDULES)}")
    optimiser = str(told.values.get("optimiser", "adamw")).lower()
    if "adamw" not in optimiser:
        yield Fault(
            told.keys["optimiser"], f"got {optimiser!r}, expected a form of adamw: another optimiser learns otherwise"
        )
    method = str(told.values.get("method", "lora")).lower()
    if method not in METHODS:
        yield Fault(told.keys["method"], f"got {method!r}, expected lora, qlora or full")
    yield from _several(told)
    bits = told.keys.get("four_bit")
    if bits == "quantization_bit" and told.flag("four_bit") and told.whole("four_bit") != 4:
        yield Fault(
            bits, f"got {told.values['four_bit']!r}, expected 4: another base in fewer bits is not trained here"
        )
    base = told.values.get("base")
    if base is not None and not isinstance(base, str):
        yield Fault(told.keys["base"], f"got {base!r}, expected a folder or a Hub id")
    if base is None:
        yield Fault("", "names no base model", hint="Expected base_model, model_name_or_path or model")


def _several(told: Told) -> Iterator[Fault]:
    """Settings that name more data sets than a recipe reads."""
    for setting in ("datasets", "train_file", "test_datasets", "validation_file"):
        files = told.files(setting)
        if len(files) > 1:
            side = "validation" if setting in ("test_datasets", "validation_file") else "train"
            yield Fault(
                told.keys[setting],
                f"got {len(files)} data sets ({', '.join(files)}), expected one: a recipe names one file of each side",
                hint=f"Put rows of the same fields into one file and name that: cat {' '.join(files)} > {side}.jsonl",
            )


def _tool(found: Mapping[str, Any]) -> str:
    if {"finetuning_type", "cutoff_len", "quantization_bit"} & found.keys():
        return "LLaMA-Factory"
    if "base_model" in found or "micro_batch_size" in found:
        return "Axolotl"
    return "transformers or TRL"


def _of_rows(tree: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What is said of single data sets beside where they are, with `datasets.` in front."""
    for setting in ("datasets", "test_datasets"):
        given = tree.get(setting)
        for one in given if isinstance(given, list) else []:
            for key, value in flat(one) if isinstance(one, Mapping) else ():
                place = key == "path" or (key == "data_files" and one.get("path") in LOADERS)
                if not place and key != "type":  # the lint reads a type
                    yield f"datasets.{key}", value
