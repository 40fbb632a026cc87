"""Unsloth, from the configuration and the rows that `lathe export-config` writes."""

from lathe.trainers._elsewhere import Elsewhere

TRAINER = Elsewhere(
    "unsloth",
    "unsloth>=2026",
    "2026.10 asks for trl<=1.15, transformers<=5.17 and datasets<5, and for a GPU",
    "call FastLanguageModel.from_pretrained, get_peft_model and SFTTrainer with the keys of unsloth.yaml",
)
