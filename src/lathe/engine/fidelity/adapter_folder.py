"""Checks of a PEFT adapter against its base: is it applied, can it be merged, was it trained with the base's own template?"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lathe.contracts import Model
from lathe.engine import compare
from lathe.engine.adapters import ADAPTER_WEIGHT, PeftModel, get_peft_model_state_dict
from lathe.engine.devices import pick_device
from lathe.engine.fidelity import predictions
from lathe.engine.fidelity.texts import chats_for, one_bos
from lathe.engine.model import load, load_base, load_merged
from lathe.model_folder import stored_tensors
from lathe.records import Example, ModelCheck
from lathe.text import render, tokenizer
from lathe.text.tokenizer import Tokenizer

LARGEST_MERGE_ERROR = 1e-4
"""Largest difference of a logit that the order of float32 additions explains in a small model."""
LARGEST_SHARE = 1e-3
"""The same in a large one: as a share of what the adapter changes."""
NO_CHANGE = 1e-6


def tokenizer_of(model: Model) -> Tokenizer:
    """The tokenizer of training: the adapter folder's own where it brings one, as most trainers save it; else the base's."""
    adapter = model.adapter_folder
    return tokenizer.load(adapter if adapter and (adapter / "tokenizer.json").is_file() else model.base_folder)


def check_adapter_folder(model: Model, examples: Sequence[Example]) -> list[ModelCheck]:
    """Read as a whole, applied, mergeable, ends its answers. Raises InputError where the adapter does not fit the base."""
    tuned, merged, base = load(model), load_merged(model), load_base(model.base_folder)
    changed, error = compare.largest_difference(tuned, base), compare.largest_difference(tuned, merged)
    places = predictions.places(render.encode_all(tokenizer_of(model), examples))
    return [
        *_whole(model, tuned),
        _applied(changed),
        check_merge(error, changed),
        *predictions.check_ending(predictions.endings_of_model(places, merged)),
    ]


def check_other_base(model: Model) -> list[ModelCheck]:
    """What it does to an adapter that was trained on a 4-bit base to be folded into the published one; nothing where it was not.

    A number and no verdict: whether the task is still done is measured on the file itself.
    """
    if not model.quantised or model.adapter_folder is None:
        return []
    trained, merged = load(model), load_merged(model).to(pick_device())
    same, difference = compare.share_of_same_token(trained, merged), compare.largest_difference(trained, merged)
    return [
        ModelCheck(
            id="other_base",
            ok=None,
            message="trained and measured on the base in NF4, folded into the base as published: "
            f"{same:.1%} of next tokens are the same, logits differ by {difference:.1e} at most",
            fix="Look at what the task says of this file: it was measured on the test rows again.",
            measured={"same_token_as_on_nf4": same, "largest_difference_from_nf4": difference},
        )
    ]


def _whole(model: Model, tuned: torch.nn.Module) -> list[ModelCheck]:
    """Whether every weight of the file has a place in the model and every place its weight: peft leaves others out in silence."""
    if not isinstance(tuned, PeftModel) or model.adapter_folder is None:
        return []
    stored = {name for name in stored_tensors(model.adapter_folder) if ADAPTER_WEIGHT in name}
    placed = {name for name in get_peft_model_state_dict(tuned, save_embedding_layers=False) if ADAPTER_WEIGHT in name}
    if not stored and not placed:  # an adapter of another kind, whose names say nothing here
        return []
    unused, empty = stored - placed, placed - stored
    ok = not unused and not empty
    return [
        ModelCheck(
            id="adapter_whole",
            ok=ok,
            message=f"{len(stored & placed)} of {len(stored)} weights of the file have their place"
            + (f"; {len(empty)} places get none" if empty else "")
            + (f"; left out is {min(unused)}" if unused else ""),
            fix=None
            if ok
            else "adapter_config.json does not fit the weights: take target_modules, layers and names as they were in training.",
            measured={"weights": len(stored), "left_out": len(unused), "without_weight": len(empty)},
        )
    ]


def _applied(changed: float) -> ModelCheck:
    ok = changed > NO_CHANGE
    return ModelCheck(
        id="adapter_applied",
        ok=ok,
        message=f"the adapter moves logits of the base by {changed:.2g} at most",
        fix=None
        if ok
        else "It changes nothing: its B matrices are zero, or its weights bear names that this base does not have.",
        measured={"adapter_changes": changed},
    )


def check_merge(error: float, changed: float) -> ModelCheck:
    """error: largest difference of a logit between base + adapter and the merged weights; changed: what the adapter moves."""
    ok = error <= max(LARGEST_MERGE_ERROR, LARGEST_SHARE * changed)
    return ModelCheck(
        id="merge",
        ok=ok,
        message=f"logits of the merged model differ from base + adapter by {error:.1e} at most",
        fix=None if ok else "Merge in float32 from the full-precision base, and cast once.",
        measured={"merge_error": error},
    )


def check_template(model: Model) -> list[ModelCheck]:
    """The tokenizer of training renders chats as the base does, with one bos, and has a pad of its own."""
    trained, base = tokenizer_of(model), tokenizer.load(model.base_folder)
    return [_same_chats(trained, base), one_bos(trained, render.prompts(trained, chats_for(trained))), _pad(trained)]


def _same_chats(trained: Tokenizer, base: Tokenizer) -> ModelCheck:
    chats = chats_for(base)
    pairs = list(zip(render.prompts(trained, chats), render.prompts(base, chats), strict=True))
    differing = sum(mine != its for mine, its in pairs)
    measured = {"chats": len(pairs), "equal": len(pairs) - differing}
    if not differing and trained.turn_end_id == base.turn_end_id:
        return ModelCheck(
            id="template", ok=True, message=f"chats are rendered as the base's own template does ({len(pairs)} of {len(pairs)})",
            measured=measured,
        )  # fmt: skip
    return ModelCheck(
        id="template",
        ok=False,
        message=f"{differing} of {len(pairs)} chats are rendered unlike the base's own template; "
        f"turns end with {trained.token(trained.turn_end_id)}, the base's with {base.token(base.turn_end_id)}",
        fix="Whoever runs base + adapter with the base's tokenizer gets another prompt. Train with the base's template, or ship "
        "the adapter folder's tokenizer and chat_template.jinja with every copy.",
        measured=measured,
    )


def _pad(tok: Tokenizer) -> ModelCheck:
    same = tok.pad_id in (tok.eos_id, tok.turn_end_id)
    end = tok.token(tok.pad_id)
    message = (
        f"pad is {end}, the end token itself: a trainer that masks pads never trains the end"
        if same
        else f"pad is {end}"
    )
    return ModelCheck(id="pad", ok=None if same else True, message=message, measured={"pad": tok.pad_id})
