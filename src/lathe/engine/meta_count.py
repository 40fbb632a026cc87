"""Parameters of a model that exists as shapes only: the class of transformers on the meta device, and peft's adapter on it.

    python -m lathe.engine.meta_count      reads a question from stdin, writes an answer to stdout, both as one JSON object

    {"config": {...}, "rank": 8, "targets": "all-linear", "dora": false, "modules_to_save": []}
    -> {"total": 4300079472, "trainable": 11898880, "by_group": {"embedding": ..., "vision": ..., ...}, "context": 131072,
        "without_layer": []}
    -> {"fault": "what cannot be counted", "hint": "what to do", "is_missing": false}

No weights, no network, and no code that a configuration brings along. For the planner, which asks in a child process.
"""

from __future__ import annotations

import difflib
import json
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from lathe.errors import InputError, did_you_mean
from lathe.garbage import left_at_exit, seldom_collected

GROUPS = (
    ("vision", ("vision", "multi_modal", "visual", "image")),
    ("embedding", ("embed", "wte", "wpe")),
    ("head", ("lm_head", "embed_out")),
    ("norm", ("norm", "ln_")),
    ("attention", ("attn", "attention")),
    ("mlp", ("mlp", "experts", "feed_forward", "ffn")),
)
"""Group of a parameter by the first of these words that its name holds."""


NOT_COUNTED = ("auto_map", "attn_implementation")
"""Keys that change no parameter: code that comes with a model, and a kernel that need not be here."""
OWN_CODE = "Code that a configuration brings along is never run."
WHOLE = f"Is it the whole config.json of the model? {OWN_CODE}"
SAID = 240
"""Characters of what a library says that are repeated."""


def count(question: Mapping[str, Any]) -> dict[str, Any]:
    """Counts of a configuration. Raises InputError on a name that matches nothing, and what transformers or peft raise where they
    refuse it."""
    import torch

    with torch.device("meta"):
        model = _build(question["config"])
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    groups: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        group = next((group for group, words in GROUPS if any(word in name for word in words)), "other")
        groups[group] = groups.get(group, 0) + parameter.numel()
    total = sum(groups.values())
    trainable, without_layer = total, list[str]()
    if question["rank"] is not None:
        trainable, without_layer = _adapted(model, question)
        groups["adapter"] = trainable
    return {
        "total": total, "trainable": trainable, "by_group": groups, "context": context, "without_layer": without_layer
    }  # fmt: skip


def _build(config: Mapping[str, Any]) -> Any:
    """The model of the class that the configuration names, else of the one that writes text."""
    import transformers

    kind = str(config["model_type"])
    if kind not in transformers.CONFIG_MAPPING:
        near = difflib.get_close_matches(kind.lower(), list(transformers.CONFIG_MAPPING), n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise InputError(f"transformers {transformers.__version__} knows no such type", hint=f"{hint}{OWN_CODE}")
    fields = {key: value for key, value in config.items() if not key.startswith("_") and key not in NOT_COUNTED}
    built = transformers.AutoConfig.for_model(**fields)
    for name in config.get("architectures") or ():
        named = getattr(transformers, str(name), None)
        if named is not None and str(name).endswith(("ForCausalLM", "ForConditionalGeneration")):
            return named._from_config(built)
    return transformers.AutoModelForCausalLM.from_config(built)


def _adapted(model: Any, question: Mapping[str, Any]) -> tuple[int, list[str]]:
    """Trained parameters, and the targets that peft passes over. Raises InputError where it would pass over all of them, or over a
    module to save."""
    import torch

    from lathe.engine.quantised import without_hub_kernels

    with without_hub_kernels():
        import peft
    names = [name for name, _ in model.named_modules()]
    for module in question["modules_to_save"]:
        if not any(name.endswith(module) for name in names):
            raise InputError(f"the module to save {module!r} matches nothing of it", hint=_there(module, names))
    setting = peft.LoraConfig(
        r=question["rank"],
        target_modules=question["targets"],
        use_dora=question["dora"],
        modules_to_save=question["modules_to_save"] or None,
        task_type="CAUSAL_LM",
    )
    asked = [] if question["targets"] == "all-linear" else question["targets"]
    lost = [target for target in asked if not any(name == target or name.endswith(f".{target}") for name in names)]
    try:
        with torch.device("meta"):
            adapted = peft.get_peft_model(model, setting)
    except ValueError as error:
        if lost and len(lost) == len(asked):
            said = ", ".join(map(repr, lost))
            raise InputError(
                f"the adapter target {said} matches no layer of it", hint=_there(lost[0], names)
            ) from error
        raise
    # Names of experts that peft has put in another place are no targets any more.
    kept = adapted.peft_config["default"].target_modules
    trained = sum(parameter.numel() for parameter in adapted.parameters() if parameter.requires_grad)
    return trained, [target for target in lost if target in kept]


def _there(name: str, names: Sequence[str]) -> str:
    """The nearest of the last parts of these names, or all of them."""
    last = sorted({part for one in names if not (part := one.rpartition(".")[2]).isdecimal() and part})
    return did_you_mean(name, last)


def main() -> int:
    """One question, one answer. A configuration that cannot be counted is an answer too."""
    left_at_exit()
    question = json.load(sys.stdin)
    answer: dict[str, Any]
    try:
        with seldom_collected():
            answer = count(question)
    except InputError as error:
        answer = {"fault": error.message, "hint": error.hint}
    except Exception as error:
        said = " ".join(str(error).split())
        is_missing = isinstance(error, ImportError)
        fault = said if is_missing else f"{type(error).__name__}: {said}"
        answer = {"fault": textwrap.shorten(fault, SAID, placeholder=" ..."), "hint": WHOLE, "is_missing": is_missing}
    json.dump(answer, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
