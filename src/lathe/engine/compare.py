"""Do two models say the same? Their logits on the same few prompts, at every position."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lathe.engine.model import causal

NUM_PROMPTS = 8
PROMPT_TOKENS = 64


def prompts(vocab_size: int) -> Tensor:
    """Ids drawn over the whole vocabulary from a fixed seed, shape (NUM_PROMPTS, PROMPT_TOKENS); no data needs to be at hand."""
    return torch.randint(vocab_size, (NUM_PROMPTS, PROMPT_TOKENS), generator=torch.Generator().manual_seed(0))


def logits(model: nn.Module) -> Tensor:
    """Logits of `prompts`, float32, shape (NUM_PROMPTS, PROMPT_TOKENS, vocabulary)."""
    inner = causal(model)
    with torch.inference_mode():
        return inner(input_ids=prompts(inner.config.vocab_size).to(inner.device), use_cache=False).logits.float()


def largest_difference(first: nn.Module, second: nn.Module) -> float:
    """Largest absolute difference of any logit."""
    return float((logits(first) - logits(second)).abs().max())


def share_of_same_token(first: nn.Module, second: nn.Module) -> float:
    """Share of positions at which both find the same next token most likely."""
    return float((logits(first).argmax(-1) == logits(second).argmax(-1)).float().mean())
