"""The tuned model as one ordinary model folder: weights, configuration, tokenizer and chat template.

The adapter is added to the full-precision base in float32 and the sum is cast once, to the base's own dtype.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from lathe.contracts import Ability, Exporter, Model
from lathe.records import FileHash, ShippedFile
from lathe.runs import file_sha256


class Merged(Exporter):
    def ability(self) -> Ability:
        return Ability.with_packages("torch", "transformers", "peft")

    def export(self, model: Model, folder: Path) -> ShippedFile:
        """Writes the merged model, loads what was written, and compares its logits with base + adapter in float32."""
        from lathe.engine import compare
        from lathe.engine.model import TOKENIZER_FILES, load, load_merged, stored_dtype, write_model

        dtype = stored_dtype(model.base_folder)
        write_model(load_merged(model, dtype=dtype), folder)
        for name in TOKENIZER_FILES:
            if (model.base_folder / name).is_file():
                shutil.copyfile(model.base_folder / name, folder / name)
        tuned, written = load(model), load(Model(folder))
        difference = compare.largest_difference(tuned, written)
        files = tuple(
            FileHash(path=str(path.relative_to(folder)), sha256=file_sha256(path), num_bytes=path.stat().st_size)
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        )
        checks = {
            "dtype": str(dtype).removeprefix("torch."),
            "max_logit_difference": difference,
            "same_next_token": compare.share_of_same_token(tuned, written),
            "prompts_compared": compare.NUM_PROMPTS,
        }
        return ShippedFile(kind="merged", path=folder.name, files=files, checks=checks)


EXPORTER = Merged()
