"""The adapter as a PEFT folder: loads with peft on top of the base it was trained on, in 4 bits where that was so trained."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lathe.contracts import Ability, Exporter, Model
from lathe.errors import InputError
from lathe.model_folder import is_full_model
from lathe.records import Example, ModelCheck, ShippedFile
from lathe.storage import file_sha256, hashed_files

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


class Adapter(Exporter):
    def ability(self) -> Ability:
        return Ability.with_packages("torch", "transformers", "peft")

    def export(self, model: Model, folder: Path, examples: Sequence[Example] = ()) -> ShippedFile:
        """Copies the adapter that was measured, byte for byte, then loads the copy and compares its logits with the original's."""
        from lathe.engine import compare
        from lathe.engine.model import load

        if model.adapter_folder is None or is_full_model(model.adapter_folder):
            raise InputError(
                "there is no adapter to ship: the run trained whole weights",
                hint="Use ship: [merged] with method.kind: full.",
            )
        for name in ADAPTER_FILES:
            shutil.copyfile(model.adapter_folder / name, folder / name)
        difference = compare.largest_difference(load(model), load(replace(model, adapter_folder=folder)))
        same = all(file_sha256(model.adapter_folder / name) == file_sha256(folder / name) for name in ADAPTER_FILES)
        checks = {
            "same_bytes_as_measured": same,
            "max_logit_difference": difference,
            "prompts_compared": compare.NUM_PROMPTS,
        }
        checked = ModelCheck(
            id="same_adapter",
            ok=same and difference == 0.0,
            message=f"{'the very' if same else 'not the'} bytes that were measured; logits differ by {difference:.1e} at most",
            measured=checks,
        )
        return ShippedFile(
            kind="adapter", path=folder.name, files=hashed_files(folder), checks=checks, checked=(checked,)
        )


EXPORTER = Adapter()
