"""The tuned model as one ordinary model folder: weights, configuration, tokenizer and chat template.

The adapter is added to the full-precision base in float32 and the sum is cast once, to the base's own dtype. So is one that was
trained on a 4-bit base; the difference is said then, and the task measured again on what was written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lathe.contracts import Ability, Exporter, Model
from lathe.records import Example, ModelCheck, ShippedFile
from lathe.storage import hashed_files


class Merged(Exporter):
    def ability(self) -> Ability:
        return Ability.with_packages("torch", "transformers", "peft")

    def export(self, model: Model, folder: Path, examples: Sequence[Example] = ()) -> ShippedFile:
        """Writes the merged model, loads what was written, and compares its logits with base + adapter in float32."""
        from lathe.engine import compare
        from lathe.engine.fidelity.adapter_folder import check_merge, check_other_base
        from lathe.engine.model import copy_tokenizer, load, load_base, load_merged, stored_dtype, write_model

        dtype = stored_dtype(model.base_folder)
        write_model(load_merged(model, dtype=dtype), folder)
        copy_tokenizer(model.base_folder, folder)
        tuned, written = load(replace(model, quantised=False)), load(Model(folder))
        checks: dict[str, Any] = {
            "dtype": str(dtype).removeprefix("torch."),
            "merge_error": compare.largest_difference(tuned, load_merged(model)),
            "max_logit_difference": compare.largest_difference(tuned, written),
            "same_next_token": compare.share_of_same_token(tuned, written),
            "prompts_compared": compare.NUM_PROMPTS,
        }
        base = compare.largest_difference(tuned, load_base(model.base_folder))
        checked = (
            check_merge(checks["merge_error"], base),
            same_model(checks["max_logit_difference"], base),
            *check_other_base(model),
        )
        return ShippedFile(kind="merged", path=folder.name, files=hashed_files(folder), checks=checks, checked=checked)


def same_model(written: float, base: float) -> ModelCheck:
    """written, base: largest difference of a logit from the trained model's, of what was written and of the base."""
    ok = written < base or written == 0.0
    return ModelCheck(
        id="written",
        ok=ok,
        message=f"logits of what was written differ by {written:.1e} at most, the base's by {base:.1e}",
        fix=None if ok else "The adapter is not in the written weights, or not as it was trained.",
    )


EXPORTER = Merged()
