"""The tuned model as one ordinary model folder: weights, configuration, tokenizer and chat template.

The adapter is added to the full-precision base in float32 and the sum is cast once, to the base's own dtype.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from lathe.contracts import Ability, Exporter, Model
from lathe.records import Example, ModelCheck, ShippedFile
from lathe.runs import hashed_files

LARGEST_MERGE_ERROR = 1e-4
"""Largest difference of a logit that the order of float32 additions explains in a small model."""
LARGEST_SHARE = 1e-3
"""The same in a large one: as a share of what the adapter changes."""


class Merged(Exporter):
    def ability(self) -> Ability:
        return Ability.with_packages("torch", "transformers", "peft")

    def export(self, model: Model, folder: Path, examples: Sequence[Example] = ()) -> ShippedFile:
        """Writes the merged model, loads what was written, and compares its logits with base + adapter in float32."""
        from lathe.engine import compare
        from lathe.engine.model import TOKENIZER_FILES, load, load_base, load_merged, stored_dtype, write_model

        dtype = stored_dtype(model.base_folder)
        write_model(load_merged(model, dtype=dtype), folder)
        for name in TOKENIZER_FILES:
            if (model.base_folder / name).is_file():
                shutil.copyfile(model.base_folder / name, folder / name)
        tuned, written = load(model), load(Model(folder))
        checks = {
            "dtype": str(dtype).removeprefix("torch."),
            "merge_error": compare.largest_difference(tuned, load_merged(model)),
            "max_logit_difference": compare.largest_difference(tuned, written),
            "max_logit_difference_of_base": compare.largest_difference(tuned, load_base(model.base_folder)),
            "same_next_token": compare.share_of_same_token(tuned, written),
            "prompts_compared": compare.NUM_PROMPTS,
        }
        return ShippedFile(
            kind="merged", path=folder.name, files=hashed_files(folder), checks=checks, checked=(judged(checks),)
        )


def judged(checks: dict[str, object]) -> ModelCheck:
    """The merge is right to float32's last digits, and what was written is nearer to the trained model than its base is."""
    error, written, base = (
        float(str(checks[name])) for name in ("merge_error", "max_logit_difference", "max_logit_difference_of_base")
    )
    ok = error <= max(LARGEST_MERGE_ERROR, LARGEST_SHARE * base) and (written < base or base <= LARGEST_MERGE_ERROR)
    return ModelCheck(
        id="merge",
        ok=ok,
        message=f"logits of the merge differ from base + adapter by {error:.1e} at most, of what was written by {written:.1e}, "
        f"of the base by {base:.1e}",
        fix=None if ok else "The adapter is not in the written weights, or not as it was trained.",
        measured=checks,
    )


EXPORTER = Merged()
