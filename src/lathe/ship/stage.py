"""The shell of the ship stage: writes what the recipe's `ship` names, has it checked, lets it out or holds it back.

Reads train/adapter/, data/test.jsonl and eval/tuned/; writes bundle/KIND/ or withheld/KIND/, and bundle.json last.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

from lathe import plugins
from lathe.contracts import Ability, Exporter, Model, Progress
from lathe.errors import InputError, Unavailable
from lathe.model_folder import is_full_model
from lathe.records import Bundle, Decision, Example, LockedRecipe, ModelCheck, Prediction, ShippedFile, TrainResult
from lathe.runs import RunFolder
from lathe.ship.again import Again, task_check
from lathe.storage import commit_folder, read_rows, sync_folder, writing


def foresee(locked: LockedRecipe) -> dict[str, Exporter]:
    """What writes each kind of the recipe's `ship`.

    Raises Unavailable where one cannot work here, InputError where one cannot hold any model that is trained on this base.
    """
    exporters = {kind: _able(kind) for kind in locked.recipe.ship}
    for kind, exporter in exporters.items():
        try:
            exporter.foresee(Path(locked.base_folder))
        except InputError as error:
            raise InputError(f"ship names {kind}: {error.message}", hint=error.hint) from error
    return exporters


def ship(run: RunFolder, locked: LockedRecipe, inputs: str, progress: Progress, again: Again | None = None) -> Bundle:
    """Writes what the recipe's `ship` names. Without `again` no task is measured on the files.

    Raises Unavailable where an exporter cannot work here, InputError where a format cannot hold this model, StorageError.
    """
    begun = time.monotonic()
    kinds = locked.recipe.ship
    exporters = foresee(locked)
    trained = run.load(run.train_result, TrainResult)
    model = Model.of(locked, run.path / trained.adapter_folder)
    held_out = read_rows(run.rows("test"), Example) if run.rows("test").is_file() else []
    withdraw(run)
    done = []
    for place, (kind, exporter) in enumerate(exporters.items()):
        progress({"stage": "ship", "done": place, "total": len(kinds), "unit": "export", "kind": kind})
        done.append(_release(run, _measured_again(run, _export(run, kind, exporter, model, held_out), model, again)))
    progress({"stage": "ship", "done": len(kinds), "total": len(kinds), "unit": "export"})
    bundle = Bundle(
        inputs=inputs,
        seconds=time.monotonic() - begun,
        shipped=tuple(one for one in done if not one.failed),
        withheld=tuple(one for one in done if one.failed),
    )
    run.commit(run.bundle_record, bundle)
    return bundle


def withdraw(run: RunFolder) -> None:
    """Takes away what was shipped or held back before: files of a model that the run's recipe no longer stands for."""
    with writing(run.bundle_record):
        run.bundle_record.unlink(missing_ok=True)
        for folder in (run.bundle, run.withheld):
            shutil.rmtree(folder, ignore_errors=True)


def _able(kind: str) -> Exporter:
    """The exporter, asked before anything is written."""
    exporter = plugins.load("exports", kind)
    ability = plugins.held(exporter, exporter.ability(), Ability)
    if not ability.ok:
        raise Unavailable(f"export {kind}: {ability.detail}", hint=ability.remedy)
    return exporter


def _export(run: RunFolder, kind: str, exporter: Exporter, model: Model, held_out: list[Example]) -> ShippedFile:
    """One export, committed whole, held back until all is checked."""
    folder = run.withheld / kind
    made: list[ShippedFile] = []

    def write(temporary: Path) -> None:
        made.append(plugins.held(exporter, exporter.export(model, temporary, held_out), ShippedFile))

    commit_folder(folder, write)
    return made[0].model_copy(update={"path": str(folder.relative_to(run.path))})


def _measured_again(run: RunFolder, shipped: ShippedFile, model: Model, again: Again | None) -> ShippedFile:
    """The same with the task measured on it, where it holds other weights than those that were measured."""
    other = _other_weights(run, shipped, model)
    if other is None or again is None or shipped.failed:
        return shipped
    report = again.measure(shipped.kind, other)
    decided = run.load(run.decision, Decision)
    check = task_check(
        decided.primary,
        {gate.text: gate for gate in decided.gates},
        again.judge(report),
        report,
        _answers(run.predictions("tuned")),
        _answers(run.predictions(shipped.kind)),
    )
    return _with(shipped, check).model_copy(update={"arm": shipped.kind})


def _other_weights(run: RunFolder, shipped: ShippedFile, model: Model) -> Model | None:
    """A GGUF file, whole weights from an adapter that was trained on a 4-bit base, and what was measured in 8 bits, which no
    exported folder holds; None for the measured weights themselves."""
    folder = run.path / shipped.path
    if shipped.gguf is not None:
        return Model(model.base_folder, gguf_file=folder / shipped.gguf)
    if is_full_model(folder):
        return Model(folder) if model.quantised or model.precision == "int8" else None
    return replace(model, adapter_folder=folder, precision="fp32") if model.precision == "int8" else None


def _with(shipped: ShippedFile, check: ModelCheck) -> ShippedFile:
    return shipped.model_copy(
        update={"checked": (*shipped.checked, check), "checks": {**shipped.checks, **check.numbers()}}
    )


def _answers(path: Path) -> dict[tuple[str, int], Prediction]:
    return {(one.id, one.sample): one for one in read_rows(path, Prediction)} if path.is_file() else {}


def _release(run: RunFolder, shipped: ShippedFile) -> ShippedFile:
    """Moves an export to the bundle, unless a check failed."""
    if shipped.failed:
        return shipped
    source, target = run.path / shipped.path, run.bundle / shipped.kind
    with writing(target):
        run.bundle.mkdir(exist_ok=True)
        os.replace(source, target)
        sync_folder(run.bundle)
        if not any(run.withheld.iterdir()):
            run.withheld.rmdir()
    return shipped.model_copy(update={"path": str(target.relative_to(run.path))})
