"""What each tool does where a configuration says nothing.

    DEFAULTS["Axolotl"].epochs   ->  1.0

Read from the tools' own sources: trl 1.16, transformers 5.23, peft's LoraConfig, Axolotl's schemas/training.py, schemas/config.py
and core/builders/base.py, LLaMA-Factory's hparams.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Defaults:
    """One tool's own values."""

    epochs: float
    micro_batch: int
    learning_rate: float | None
    """None: the tool does not begin without one."""
    schedule: str
    rank: int
    alpha: float | None
    """None: twice the rank."""
    dropout: float
    max_tokens: int
    seed: int = 42


TRL = Defaults(
    epochs=3.0, micro_batch=8, learning_rate=2e-5, schedule="linear", rank=16, alpha=32.0, dropout=0.05,
    max_tokens=1024,
)  # fmt: skip
"""SFTConfig, and ModelConfig, whose names begin with `lora_`."""
PEFT = replace(TRL, rank=8, alpha=8.0, dropout=0.0)
"""SFTConfig, and LoraConfig of peft, whose names do not."""
DEFAULTS: Mapping[str, Defaults] = {
    "Axolotl": Defaults(
        epochs=1.0,
        micro_batch=1,
        learning_rate=None,
        schedule="cosine",
        rank=8,
        alpha=None,
        dropout=0.0,
        max_tokens=512,
    ),
    "LLaMA-Factory": Defaults(
        epochs=3.0,
        micro_batch=8,
        learning_rate=5e-5,
        schedule="linear",
        rank=8,
        alpha=None,
        dropout=0.0,
        max_tokens=2048,
    ),
    "transformers or TRL": TRL,
}
