"""peft's names, imported once for the whole engine: never with a program of the Hub (see `quantised.without_hub_kernels`)."""

from __future__ import annotations

from lathe.engine.quantised import without_hub_kernels

with without_hub_kernels():
    from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
    from peft.tuners.lora import Linear as LoraLinear
    from peft.tuners.lora import LoraLayer
    from peft.utils import CONFIG_NAME, SAFETENSORS_WEIGHTS_NAME

ADAPTER_WEIGHT = "lora_"
"""In the names of the weights that an adapter adds."""

__all__ = [
    "ADAPTER_WEIGHT",
    "CONFIG_NAME",
    "SAFETENSORS_WEIGHTS_NAME",
    "LoraConfig",
    "LoraLayer",
    "LoraLinear",
    "PeftModel",
    "get_peft_model",
    "get_peft_model_state_dict",
]
