"""A run folder with a toy task, a byte tokenizer and a runtime that answers from a script: everything but the model is real."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from lathe.contracts import (
    Ability,
    Baseline,
    GenerateSettings,
    ItemVerdict,
    Metric,
    Model,
    Request,
    Room,
    Runtime,
    Service,
    Session,
    Task,
)
from lathe.errors import Interrupted
from lathe.records import (
    Example,
    LockedRecipe,
    Message,
    Prediction,
    TaskSetup,
)
from lathe.runs import RunFolder


class Shouting(Task):
    """A word in, the same word in capitals out."""

    version = "1"
    primary = "exact"
    metrics = (
        Metric("exact", "1 where the answer is the word in capitals.", "proportion"),
        Metric("share", "Share of the letters that are right.", "mean"),
        Metric(
            "vowel",
            "1 where the first letter is right; not measured for words that begin with a consonant.",
            "proportion",
        ),
    )
    slices = ("length", "missing")
    baselines = (
        Baseline("echo", "The word itself.", lambda train, setup: lambda example: example.input),
        Baseline("capitals", "The word in capitals.", lambda train, setup: lambda example: example.input.upper()),
    )
    worked = ()

    def example(self, row: dict[str, Any], setup: TaskSetup) -> Example:
        raise NotImplementedError

    def score(self, example: Example, text: str, setup: TaskSetup) -> ItemVerdict:
        gold = example.completion
        share = sum(a == b for a, b in zip(gold, text, strict=False)) / max(len(gold), len(text))
        vowel = float(text[:1] == gold[0]) if gold[0] in "AEIOU" else None
        return ItemVerdict(
            {"exact": float(text == gold), "share": share, "vowel": vowel}, "" if text == gold else "wrong word"
        )

    def worked_setup(self) -> TaskSetup:
        return TaskSetup()


def example(word: str, **meta: str) -> Example:
    """The toy row of one word."""
    return Example(
        id=f"row-{word}", input=word, messages=(Message(role="user", content=word),), completion=word.upper(), meta=meta
    )


@dataclass
class Script(Runtime):
    """Answers by rule and keeps what it was asked. stop_after: is interrupted when so many answers are out."""

    rule: Callable[[Request], Prediction]
    stop_after: int | None = None
    asked: list[Request] = field(default_factory=list)
    models: list[Model] = field(default_factory=list)
    settings: list[GenerateSettings] = field(default_factory=list)
    closed: int = 0

    def ability(self) -> Ability:
        return Ability(True)

    def open(self, model: Model, threads: int | None = None) -> Session:
        self.models.append(model)
        return ScriptSession(self)

    def serve(self, model: Model, room: Room, threads: int | None = None) -> Service:
        raise NotImplementedError


@dataclass
class ScriptSession(Session):
    script: Script

    def generate(self, requests: Sequence[Request], settings: GenerateSettings) -> Iterator[Prediction]:
        self.script.settings.append(settings)
        # Backwards: a runtime may answer in any order.
        for done, request in enumerate(reversed(requests)):
            if done == self.script.stop_after:
                raise Interrupted("stopped")
            self.script.asked.append(request)
            yield self.script.rule(request)

    def close(self) -> None:
        self.script.closed += 1


def right(request: Request) -> Prediction:
    """The right answer to a toy prompt, in 0.1 to 0.3 seconds."""
    word = request.messages[-1].content
    seconds = 0.1 + 0.05 * (len(word) % 5)
    return Prediction(id=request.id, text=word.upper(), finish="stop", new_tokens=len(word) + 1, seconds=seconds)


def write_base(folder: Path, context: int = 512) -> Path:
    """Tokenizer and configuration of a base whose tokens are bytes."""
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = special + sorted(pre_tokenizers.ByteLevel.alphabet())
    bytewise = tokenizers.Tokenizer(models.BPE(vocab={token: id for id, token in enumerate(alphabet)}, merges=[]))
    bytewise.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytewise.decoder = decoders.ByteLevel()
    bytewise.add_special_tokens(special)
    folder.mkdir(exist_ok=True)
    bytewise.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": special[0]}))
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": context, "eos_token_id": 0}))
    return folder


WORDS = ["alder", "birch", "cedar", "elm", "fir", "hazel", "iris", "larch", "oak", "pine", "rowan", "ulex"]


@dataclass
class World:
    """A prepared run and all that the stage needs."""

    run: RunFolder
    locked: LockedRecipe
    script: Script
    heard: list[dict[str, Any]]

    def progress(self, event: Any) -> None:
        self.heard.append(dict(event))

    def with_evaluate(self, **settings: Any) -> LockedRecipe:
        """The locked recipe with other settings for evaluation."""
        recipe = self.locked.recipe
        changed = recipe.evaluate.model_copy(update=settings)
        return self.locked.model_copy(update={"recipe": recipe.model_copy(update={"evaluate": changed})})
