# ruff: noqa: E501 - the card is a page of prose
"""Pretrain a base model from random weights: the stage behind `lathe pretrain`.

    record = pretrain("nano", Path("bases/nano"))      # a shipped recipe's name or a YAML file

The folder can be used as `base:` of a recipe, and loads in transformers as it is. Repeating the command continues a
killed run; a finished one is left alone.
"""

from __future__ import annotations

import itertools
import json
import platform
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lathe import plugins, storage
from lathe.errors import Fault, InputError, RecipeError

if TYPE_CHECKING:
    from lathe.engine.pretrain import Base
    from lathe.engine.windows import Documents
    from lathe.records.pretrain import PretrainRecipe, PretrainRecord

Progress = Callable[[Mapping[str, Any]], None]

COPY_LENGTHS = (4, 16, 64)
COPY_DISTANCES = (128, 512, 1024, 2048, 4096, 8000)
COPY_WORDS = 20_000


def read_pretrain_recipe(recipe: str | Path) -> PretrainRecipe:
    """The recipe of a YAML file, or of the shipped recipe of that name. Raises InputError, RecipeError."""
    import yaml
    from pydantic import ValidationError

    from lathe.records.pretrain import PretrainRecipe

    shipped = resources.files("lathe") / "recipes" / "pretrain" / f"{recipe}.yaml"
    source = shipped if shipped.is_file() else Path(recipe)
    if not source.is_file():
        raise InputError(
            f"there is no pretraining recipe {str(recipe)!r}: neither a file nor a shipped name",
            hint="The shipped one is: nano.",
        )
    try:
        return PretrainRecipe.model_validate(yaml.safe_load(source.read_text(encoding="utf-8")))
    except ValidationError as error:
        faults = [Fault(".".join(map(str, fault["loc"])), fault["msg"]) for fault in error.errors()]
        raise RecipeError(str(source), faults) from error
    except yaml.YAMLError as error:
        raise RecipeError(str(source), [Fault("", f"not YAML: {error}")]) from error


def pretrain(
    recipe_path: str | Path,
    out_dir: str | Path,
    progress: Progress | None = None,
    examine_every: int = 6,
) -> PretrainRecord:
    """Train the base that a recipe describes into `out_dir` and give back its record.

    recipe_path: a YAML file or the name of a shipped recipe. out_dir: becomes the model folder; the work in progress
    is kept in `OUT_DIR.work` beside it. progress: called after each chunk. examine_every: chunks between
    measurements on the way.
    """
    from lathe.engine import pretrain as engine
    from lathe.records.pretrain import PretrainRecord

    recipe, folder = read_pretrain_recipe(recipe_path), Path(out_dir)
    done = folder / "pretrain.json"
    if done.exists():
        record = PretrainRecord.from_json(done.read_text(encoding="utf-8"))
        if record.recipe == recipe:
            return record
        raise InputError(f"{folder} holds a base of another recipe", hint="Give another folder, or delete this one.")
    work = folder.with_name(folder.name + ".work")
    work.mkdir(parents=True, exist_ok=True)
    corpus = pretraining_corpus(recipe.corpus)
    documents = corpus.documents
    report = _reporter(recipe, documents, work, progress or (lambda _: None), examine_every)
    base = engine.pretrain(recipe, documents, work, report)
    storage.commit_folder(folder, lambda temporary: _write(temporary, recipe, base, corpus))
    return PretrainRecord.from_json(done.read_text(encoding="utf-8"))


def _reporter(
    recipe: PretrainRecipe, documents: Documents, work: Path, progress: Progress, examine_every: int
) -> Progress:
    """Takes the numbers of each chunk, adds measurements to every `examine_every`th, and passes them on to work/progress.jsonl
    and to `progress`."""
    from lathe.engine.examine import Examiner, examined

    calls = itertools.count(1)
    examiner: Examiner | None = None

    def report(numbers: Mapping[str, Any]) -> None:
        nonlocal examiner
        line = {key: value for key, value in numbers.items() if key != "trainee"}
        if next(calls) % examine_every == 0:
            examiner = examiner or Examiner(recipe, documents, _tokenizer(work))
            view = examined(numbers["trainee"].master)
            held_out = examiner.held_out(view)
            line |= {"bits_per_byte": held_out.bits_per_byte, "answer_bits_per_byte": held_out.answer_bits_per_byte}
            line |= {
                f"copy_{s.length}_at_{s.distance}": s.exact
                for s in examiner.copying(view, (8, 32), (128, 512, 2048), 32)
            }
        storage.append_line(work / "progress.jsonl", json.dumps(line))
        progress(line)

    return report


def _write(folder: Path, recipe: PretrainRecipe, base: Base, corpus: PretrainingCorpus) -> None:
    """Measures the finished base and writes its folder: weights, tokenizer, card, and pretrain.json last."""
    from lathe.engine.base_folder import write_base
    from lathe.engine.examine import Examiner, examined
    from lathe.records.pretrain import PretrainRecord

    view, examiner = examined(base.network), Examiner(recipe, corpus.documents, base.tokenizer)
    distances = tuple(distance for distance in COPY_DISTANCES if distance < recipe.network.context)
    write_base(folder, base.network, base.tokenizer)
    record = PretrainRecord(
        name=recipe.name,
        recipe=recipe,
        num_params=sum(p.numel() for p in base.network.parameters()),
        file_bytes=(folder / "model.safetensors").stat().st_size,
        tokens=base.position.tokens,
        documents=base.position.documents,
        steps=base.position.steps,
        seconds=base.position.seconds,
        held_out=examiner.held_out(view),
        copying=(
            *examiner.copying(view, COPY_LENGTHS, distances, words=corpus.words(recipe.seed, COPY_WORDS)),
            *examiner.copying(view, COPY_LENGTHS, distances),
        ),
        versions=_versions(),
        sha256={path.name: storage.file_sha256(path) for path in sorted(folder.iterdir()) if path.is_file()},
    )
    (folder / "CARD.md").write_text(card(record), encoding="utf-8")
    (folder / "pretrain.json").write_text(record.to_json(), encoding="utf-8")


class PretrainingCorpus(Protocol):
    """What a corpus needs besides rows to be pretrained on."""

    def documents(self, seed: int, start: int, longest: int, drill_share: float, lookup_share: float) -> Iterator[Any]:
        """Documents `start`, `start + 1` and so on, without end, each with its text and weights."""

    def words(self, seed: int, n: int) -> str:
        """`n` coined words in a row, to be copied."""


def pretraining_corpus(corpus: str) -> PretrainingCorpus:
    """The corpus of that name. Raises InputError where it has no text to pretrain on."""
    found: Any = plugins.load("corpora", corpus)
    if found.task:
        raise InputError(
            f"corpus {corpus!r} makes rows of the task {found.task}, not text to pretrain on",
            hint="Use structured_text.",
        )
    pretraining: PretrainingCorpus = found
    return pretraining


def _tokenizer(work: Path) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(work / "tokenizer.json"))


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "transformers", "tokenizers")},
    }


def _leaks(record: PretrainRecord) -> str:
    leaks = record.leaks
    if leaks is None:
        return "Shared text with judged data: not measured."
    judged = f"{leaks.judged_files} files of judged data and the generated corpora {', '.join(leaks.judged_corpora)}"
    return (
        f"Shared text, {leaks.documents:,} documents against {judged}: {leaks.shared_lines} lines of five words or more, "
        f"{leaks.shared_runs} runs of thirteen words, {leaks.shared_key_sets} key sets of three keys or more."
    )


def _copying(record: PretrainRecord, strings: str) -> str:
    """The table of copying scores of one kind."""
    scores = {(score.length, score.distance): score for score in record.copying if score.strings == strings}
    lengths, distances = sorted({length for length, _ in scores}), sorted({distance for _, distance in scores})
    rows = [
        [f"{length}", *(f"{scores[length, d].exact:.2f}" if (length, d) in scores else "" for d in distances)]
        for length in lengths
    ]
    table = [["tokens", *(f"{distance:,}" for distance in distances)], ["---"] * (len(distances) + 1), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in table)


def card(record: PretrainRecord) -> str:
    """The base's CARD.md: every number from the record."""
    shape = record.recipe.network
    phases = "\n".join(
        f"| {p.tokens:,} | {p.window:,} | {p.step_tokens:,} | {p.drill_share:.2f} | {p.lookup_share:.2f} | {p.stretch:.2f} |"
        for p in record.recipe.phases
    )
    return f"""---
library_name: transformers
license: apache-2.0
tags: [lathe, base, structured-text]
---

# {record.name}: a small base for records, tables and JSON

A Llama-architecture model of {record.num_params:,} parameters ({record.file_bytes / 1e6:.1f} MB in bf16), trained from random weights on generated text only, to be
fine-tuned. It has read no book, no web page and no data set: it knows how records look, how to copy out of a context into JSON, and next to
nothing about the world. Do not ask it for facts.

- shape: {shape.layers} layers of {shape.hidden}, {shape.heads} heads ({shape.kv_heads} key-value), feed-forward {shape.intermediate}, vocabulary {shape.vocabulary:,}, tied embeddings,
  context {shape.context:,}, rope base {shape.rope_theta:,.0f}
- tokenizer: byte-level BPE, SmolLM's pre-tokenizer (llama.cpp name `smollm`); no token is added before a text; ChatML turns end in `<|im_end|>`
- corpus: `{record.recipe.corpus}`, seed {record.recipe.seed}: {record.documents:,} documents, each with its own random schema
- training: {record.tokens:,} tokens, {record.steps:,} steps, {record.seconds:,.0f} seconds ({record.tokens / max(record.seconds, 1e-9):,.0f} tokens a second), Muon {record.recipe.muon_learning_rate} and
  AdamW {record.recipe.adamw_learning_rate}

| tokens | window | tokens a step | share of copying drills | share of lookup drills | share of stretched windows |
|---|---|---|---|---|---|
{phases}

## Measured

Held-out documents (another seed, {record.held_out.documents:,} of them): **{record.held_out.bits_per_byte:.3f} bits per byte** over all text (most of it random by construction), **{record.held_out.answer_bits_per_byte:.3f}** over
the stretches that follow from their context.

Copying: share of random strings given back without a fault, by length (rows) and distance (columns), both in tokens. Stretches of coined words:

{_copying(record, "words")}

Single tokens drawn at random, which no text holds side by side:

{_copying(record, "tokens")}

{_leaks(record)}

Versions: {", ".join(f"{name} {version}" for name, version in record.versions.items())}.
Made by `lathe pretrain`; the recipe stands in `pretrain.json` beside this card.
"""
