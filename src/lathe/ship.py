"""Stage: the trained model in each form that the recipe asks for, each checked after it was written.

Reads train/adapter/, writes bundle/KIND/, and bundle.json last.
"""

from __future__ import annotations

import time
from pathlib import Path

from lathe import plugins
from lathe.contracts import Exporter, Model, Progress
from lathe.errors import Unavailable
from lathe.records import Bundle, LockedRecipe, ShippedFile, TrainResult
from lathe.runs import RunFolder, commit_folder


def ship(run: RunFolder, locked: LockedRecipe, inputs: str, progress: Progress) -> Bundle:
    """Writes what the recipe's `ship` names. Raises Unavailable where an exporter cannot work here, StorageError."""
    begun = time.monotonic()
    kinds = locked.recipe.ship
    exporters = {kind: _able(kind) for kind in kinds}
    trained = run.load(run.train_result, TrainResult)
    model = Model(base_folder=Path(locked.base_folder), adapter_folder=run.path / trained.adapter_folder)
    shipped = []
    for done, (kind, exporter) in enumerate(exporters.items()):
        progress({"stage": "ship", "done": done, "total": len(kinds), "unit": "export", "kind": kind})
        shipped.append(_export(run, kind, exporter, model))
    progress({"stage": "ship", "done": len(kinds), "total": len(kinds), "unit": "export"})
    bundle = Bundle(inputs=inputs, seconds=time.monotonic() - begun, shipped=tuple(shipped))
    run.commit(run.bundle_record, bundle)
    return bundle


def _able(kind: str) -> Exporter:
    """The exporter, asked before anything is written."""
    exporter = plugins.load("exports", kind)
    ability = exporter.ability()
    if not ability.ok:
        raise Unavailable(f"export {kind}: {ability.detail}", hint=ability.remedy)
    return exporter


def _export(run: RunFolder, kind: str, exporter: Exporter, model: Model) -> ShippedFile:
    """One export, committed whole."""
    folder = run.bundle / kind
    made: list[ShippedFile] = []
    commit_folder(folder, lambda temporary: made.append(exporter.export(model, temporary)))
    return made[0].model_copy(update={"path": str(folder.relative_to(run.path))})
