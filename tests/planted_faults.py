"""A tiny base that was taught ten answers, and four ways to write a file of it that answers otherwise than it was trained to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf
import pytest

from gguf_base import LLAMA_LIKE, write_gguf_base
from lathe import ship as shipping
from lathe import train as training
from lathe.engine import model as engine_model
from lathe.engine.fidelity import adapter_folder, gguf_file  # noqa: F401 - loaded now, or they would keep what is planted
from lathe.records import Bundle, LockedRecipe, TrainSpec
from lathe.runs import RunFolder
from lathe.storage import commit_rows
from tiny_base import CHATML, examples
from tiny_run import locked, new_run, quiet

ROWS = examples(10)
Plant = Callable[[pytest.MonkeyPatch], None]


def teach(folder: Path) -> tuple[RunFolder, LockedRecipe]:
    """A run that was trained on ROWS, with the same rows held out, ready to be shipped as gguf_f16."""
    base = write_gguf_base(folder / "base", template=LLAMA_LIKE, adds_bos=True)
    train = TrainSpec(epochs=25, examples_per_step=4, token_budget=400, learning_rate=2e-2, threads=1)
    recipe = locked(base, train=train, ship=("gguf_f16",))
    run = new_run(folder / "run", rows=10)
    commit_rows(run.rows("test"), ROWS)
    training.train(run, recipe, "inputs", quiet)
    return run, recipe


def write_template(text: str) -> Plant:
    """The file gets another template than training had."""
    write = gguf.GGUFWriter.add_chat_template
    return lambda patch: patch.setattr(gguf.GGUFWriter, "add_chat_template", lambda writer, _: write(writer, text))


def lose_end(patch: pytest.MonkeyPatch) -> None:
    """The end token becomes ordinary text under another name, as converters have done."""
    tokens, types = gguf.GGUFWriter.add_token_list, gguf.GGUFWriter.add_token_types
    end, normal = gguf.GGUFWriter.add_eos_token_id, int(gguf.TokenType.NORMAL)
    patch.setattr(gguf.GGUFWriter, "add_token_list", lambda w, all: tokens(w, [*all[:2], "<|turn_end|>", *all[3:]]))
    patch.setattr(gguf.GGUFWriter, "add_token_types", lambda w, all: types(w, [*all[:2], normal, *all[3:]]))
    patch.setattr(gguf.GGUFWriter, "add_eos_token_id", lambda w, _: end(w, 0))


def drop_adapter(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(engine_model, "load_merged", lambda tuned, **how: engine_model.load_base(tuned.base_folder, **how))


PLANTED: dict[str, tuple[Plant, str]] = {
    "wrong template": (write_template(CHATML), "chat_ids"),
    "lost end token": (lose_end, "stop_tokens"),
    "dropped adapter": (drop_adapter, "adapter_in_file"),
    "double bos": (write_template("{{ '<|endoftext|>' }}" + LLAMA_LIKE), "one_bos"),
}


def shipped_with(run: RunFolder, recipe: LockedRecipe, plant: Plant | None) -> Bundle:
    """What is shipped where the fault is planted; None = none."""
    with pytest.MonkeyPatch.context() as patch:
        if plant is not None:
            plant(patch)
        return shipping.ship(run, recipe, "inputs", quiet)
