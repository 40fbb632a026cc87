"""TRL's SFTTrainer on the same job: rows, masks, steps, first adapters and learning rates are those of the native trainer.

    trainer: trl            # in a recipe; needs the extra `trl`

Rows are padded to batches there, so it is slower than `native` and needs more memory; its checkpoints are TRL's own.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

from lathe.contracts import Ability, Progress, Trainer

if TYPE_CHECKING:
    from lathe.records import TrainJob, TrainResult

PACKAGES = ("torch", "transformers", "peft", "safetensors", "accelerate", "datasets", "trl")
SERIES = "1.16."
"""Versions whose handling of rows and labels is known; a new one is held against the masks first."""
INSTALL = "pip install 'lathe-slm[trl]'"


class Trl(Trainer):
    def ability(self) -> Ability:
        able = Ability.with_packages(*PACKAGES)
        if not able.ok:
            return Ability(False, able.detail, INSTALL)
        try:
            found = version("trl")
        except PackageNotFoundError:
            return Ability(False, "trl is not installed as a package", INSTALL)
        if not found.startswith(SERIES):
            return Ability(False, f"trl {found} is installed, expected {SERIES}x", INSTALL)
        return Ability(True, f"{able.detail}; trl {found}")

    def train(self, job: TrainJob, progress: Progress) -> TrainResult:
        # Here and not above, so that finding the trainer and asking for its ability stay cheap.
        from lathe.engine.quantised import without_hub_kernels

        with without_hub_kernels():
            from lathe.trainers import _trl

        return _trl.train(job, progress)


TRAINER = Trl()
