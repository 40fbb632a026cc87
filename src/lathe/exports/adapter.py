"""The adapter as a PEFT folder: loads with peft on top of the base it was trained on."""

from __future__ import annotations

import shutil
from pathlib import Path

from lathe.contracts import Ability, Exporter, Model
from lathe.errors import InputError
from lathe.model_folder import is_full_model
from lathe.records import FileHash, ShippedFile
from lathe.runs import file_sha256

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


class Adapter(Exporter):
    def ability(self) -> Ability:
        return Ability.with_packages("torch", "transformers", "peft")

    def export(self, model: Model, folder: Path) -> ShippedFile:
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
        difference = compare.largest_difference(load(model), load(Model(model.base_folder, folder)))
        files = tuple(
            FileHash(path=name, sha256=file_sha256(folder / name), num_bytes=(folder / name).stat().st_size)
            for name in ADAPTER_FILES
        )
        same = all(file_sha256(model.adapter_folder / name) == file_sha256(folder / name) for name in ADAPTER_FILES)
        checks = {
            "same_bytes_as_measured": same,
            "max_logit_difference": difference,
            "prompts_compared": compare.NUM_PROMPTS,
        }
        return ShippedFile(kind="adapter", path=folder.name, files=files, checks=checks)


EXPORTER = Adapter()
