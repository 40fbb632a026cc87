"""Parameters of a model that exists as shapes only: the class of transformers on the meta device, and peft's adapter on it.

    python -m lathe.engine.meta_count      reads a question from stdin, writes an answer to stdout, both as one JSON object

    {"config": {...}, "rank": 8, "targets": "all-linear", "dora": false, "modules_to_save": []}
    -> {"total": 4300079472, "trainable": 11898880, "by_group": {"embedding": ..., "vision": ..., ...}, "context": 131072}
    -> {"fault": "what cannot be counted"}

No weights, no network, and no code that a configuration brings along. For the planner, which asks in a child process.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

GROUPS = (
    ("vision", ("vision", "multi_modal", "visual", "image")),
    ("embedding", ("embed", "wte", "wpe")),
    ("head", ("lm_head", "embed_out")),
    ("norm", ("norm", "ln_")),
    ("attention", ("attn", "attention")),
    ("mlp", ("mlp", "experts", "feed_forward", "ffn")),
)
"""Group of a parameter by the first of these words that its name holds."""


def count(question: Mapping[str, Any]) -> dict[str, Any]:
    """Counts of a configuration. Raises ValueError where transformers or peft refuse it."""
    import torch

    with torch.device("meta"):
        model = _build(question["config"])
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    groups: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        group = next((group for group, words in GROUPS if any(word in name for word in words)), "other")
        groups[group] = groups.get(group, 0) + parameter.numel()
    total = sum(groups.values())
    trainable = total
    if question["rank"] is not None:
        trainable = _adapted(model, question)
        groups["adapter"] = trainable
    return {"total": total, "trainable": trainable, "by_group": groups, "context": context}


def _build(config: Mapping[str, Any]) -> Any:
    """The model of the class that the configuration names, else of the one that writes text."""
    import transformers

    fields = {key: value for key, value in config.items() if not key.startswith("_") and key != "auto_map"}
    built = transformers.AutoConfig.for_model(**fields)
    for name in config.get("architectures") or ():
        named = getattr(transformers, str(name), None)
        if named is not None and str(name).endswith(("ForCausalLM", "ForConditionalGeneration")):
            return named._from_config(built)
    return transformers.AutoModelForCausalLM.from_config(built)


def _adapted(model: Any, question: Mapping[str, Any]) -> int:
    import torch

    from lathe.engine.quantised import without_hub_kernels

    with without_hub_kernels():
        import peft

    setting = peft.LoraConfig(
        r=question["rank"],
        target_modules=question["targets"],
        use_dora=question["dora"],
        modules_to_save=question["modules_to_save"] or None,
        task_type="CAUSAL_LM",
    )
    with torch.device("meta"):
        adapted = peft.get_peft_model(model, setting)
    return sum(parameter.numel() for parameter in adapted.parameters() if parameter.requires_grad)


def main() -> int:
    """One question, one answer. A configuration that cannot be counted is an answer too."""
    question = json.load(sys.stdin)
    try:
        answer = count(question)
    except Exception as error:
        # transformers lists every model that it knows behind its first sentence.
        answer = {"fault": f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:160]}"}
    json.dump(answer, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
