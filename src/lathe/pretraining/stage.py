"""Pretrain a base model: the stage behind `lathe pretrain`."""

from __future__ import annotations

import itertools
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lathe import storage
from lathe.contracts import Progress, silent
from lathe.errors import InputError
from lathe.pretraining.card import card
from lathe.pretraining.recipe import (
    Making,
    PretrainingCorpus,
    find_pretrain_recipe,
    makings,
    pretraining_corpus,
    read_pretrain_recipe,
)

if TYPE_CHECKING:
    from lathe.engine.pretrain import Base
    from lathe.engine.windows import Documents
    from lathe.records.pretrain import PretrainRecipe, PretrainRecord, Start

RECORD = "pretrain.json"
COPY_LENGTHS = (4, 16, 64)
COPY_DISTANCES = (128, 512, 1024, 2048, 4096, 8000)
COPY_WORDS = 20_000


def pretrain(
    recipe_path: str | Path,
    out_dir: str | Path,
    progress: Progress | None = None,
    examine_every: int = 6,
) -> PretrainRecord:
    """Train the base that a recipe describes into `out_dir` and give back its record.

    recipe_path: a YAML file or the name of a shipped recipe. out_dir: becomes the model folder; the work in progress
    is kept in `OUT_DIR.work` beside it, with the bases that have to be made first. progress: called after each
    chunk. examine_every: chunks between measurements on the way.
    """
    source, folder = find_pretrain_recipe(str(recipe_path)), Path(out_dir)
    if record := _made(read_pretrain_recipe(source), folder):
        return record
    found = list(makings(source, folder, _work(folder) / "starts"))  # all of them, before the first takes its hours
    for making in found:
        record = _made(making.recipe, making.folder) or _make(making, progress or silent, examine_every)
    assert record is not None, "the recipe's own base comes last"
    return record


def _work(folder: Path) -> Path:
    return folder.with_name(folder.name + ".work")


def _made(recipe: PretrainRecipe, folder: Path) -> PretrainRecord | None:
    """The record of the base that `folder` holds, if any. Raises InputError where another recipe made it."""
    from lathe.records.pretrain import PretrainRecord

    if not (folder / RECORD).exists():
        return None
    record = PretrainRecord.from_json((folder / RECORD).read_text(encoding="utf-8"))
    if record.recipe == recipe:
        return record
    raise InputError(f"{folder} holds a base of another recipe", hint="Give another folder, or delete this one.")


def _make(making: Making, progress: Progress, examine_every: int) -> PretrainRecord:
    """Trains, measures and writes a base."""
    from lathe.engine import pretrain as engine
    from lathe.records.pretrain import PretrainRecord

    recipe, folder, work = making.recipe, making.folder, _work(making.folder)
    with storage.writing(work):
        work.mkdir(parents=True, exist_ok=True)
    corpus = pretraining_corpus(recipe.corpus)
    report = _reporter(recipe, corpus.documents, work, progress, examine_every)
    base = engine.pretrain(recipe, corpus.documents, work, report, making.starts)
    storage.commit_folder(folder, lambda temporary: _write(temporary, making, base, corpus))
    return PretrainRecord.from_json((folder / RECORD).read_text(encoding="utf-8"))


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
        line = {"base": recipe.name, **{key: value for key, value in numbers.items() if key != "trainee"}}
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


def _write(folder: Path, making: Making, base: Base, corpus: PretrainingCorpus) -> None:
    """Measures the finished base and writes its folder: weights, tokenizer, card, and pretrain.json last."""
    from lathe.engine.base_folder import WEIGHTS, write_base
    from lathe.engine.examine import Examiner, examined
    from lathe.records.pretrain import PretrainRecord

    recipe = making.recipe
    view, examiner = examined(base.network), Examiner(recipe, corpus.documents, base.tokenizer)
    distances = tuple(distance for distance in COPY_DISTANCES if distance < recipe.network.context)
    write_base(folder, base.network, base.tokenizer)
    record = PretrainRecord(
        name=recipe.name,
        recipe=recipe,
        num_params=sum(p.numel() for p in base.network.parameters()),
        file_bytes=(folder / WEIGHTS).stat().st_size,
        start=tuple(map(_start, recipe.start, making.starts)),
        tokens=base.position.tokens,
        documents=base.position.documents,
        steps=base.position.steps,
        seconds=base.position.seconds,
        held_out=examiner.held_out(view),
        copying=(
            *examiner.copying(view, COPY_LENGTHS, distances, words=corpus.words(recipe.seed, COPY_WORDS)),
            *examiner.copying(view, COPY_LENGTHS, distances),
        ),
        rare=examiner.rare(view, base.kinds),
        versions={**_versions(), recipe.corpus: corpus.version},
        sha256={path.name: storage.file_sha256(path) for path in sorted(folder.iterdir()) if path.is_file()},
    )
    (folder / "CARD.md").write_text(card(record), encoding="utf-8")
    (folder / RECORD).write_text(record.to_json(), encoding="utf-8")


def _start(name: str, folder: Path) -> Start:
    """A base that a training began with; how it was trained is known where `lathe pretrain` made it."""
    from lathe.engine.base_folder import WEIGHTS
    from lathe.records.pretrain import PretrainRecord, Start

    made = folder / RECORD
    before = PretrainRecord.from_json(made.read_text(encoding="utf-8")) if made.exists() else None
    return Start(
        name=name,
        sha256=storage.file_sha256(folder / WEIGHTS),
        tokens=None if before is None else before.all_tokens(),
        leaks=None if before is None else before.leaks,
    )


def _tokenizer(work: Path) -> Any:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(work / "tokenizer.json"))


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "transformers", "tokenizers")},
    }
