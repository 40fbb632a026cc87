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
from lathe.pretraining.recipe import PretrainingCorpus, pretraining_corpus, read_pretrain_recipe
from lathe.resolve.base import find_base

if TYPE_CHECKING:
    from lathe.engine.pretrain import Base
    from lathe.engine.windows import Documents
    from lathe.records.pretrain import PretrainRecipe, PretrainRecord, Start

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
    report = _reporter(recipe, documents, work, progress or silent, examine_every)
    start = None if recipe.start is None else find_base(recipe.start, Path(recipe_path).resolve().parent).folder
    base = engine.pretrain(recipe, documents, work, report, start)
    storage.commit_folder(folder, lambda temporary: _write(temporary, recipe, base, corpus, start))
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


def _write(folder: Path, recipe: PretrainRecipe, base: Base, corpus: PretrainingCorpus, start: Path | None) -> None:
    """Measures the finished base and writes its folder: weights, tokenizer, card, and pretrain.json last."""
    from lathe.engine.base_folder import WEIGHTS, write_base
    from lathe.engine.examine import Examiner, examined
    from lathe.records.pretrain import PretrainRecord

    view, examiner = examined(base.network), Examiner(recipe, corpus.documents, base.tokenizer)
    distances = tuple(distance for distance in COPY_DISTANCES if distance < recipe.network.context)
    write_base(folder, base.network, base.tokenizer)
    record = PretrainRecord(
        name=recipe.name,
        recipe=recipe,
        num_params=sum(p.numel() for p in base.network.parameters()),
        file_bytes=(folder / WEIGHTS).stat().st_size,
        start=None if start is None else _start(start),
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
    (folder / "pretrain.json").write_text(record.to_json(), encoding="utf-8")


def _start(folder: Path) -> Start:
    """What a training began with; how it was trained is known where `lathe pretrain` made it."""
    from lathe.engine.base_folder import WEIGHTS
    from lathe.records.pretrain import PretrainRecord, Start

    made = folder / "pretrain.json"
    before = PretrainRecord.from_json(made.read_text(encoding="utf-8")) if made.exists() else None
    return Start(
        sha256=storage.file_sha256(folder / WEIGHTS),
        tokens=None if before is None else before.tokens + (before.start.tokens or 0 if before.start else 0),
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
