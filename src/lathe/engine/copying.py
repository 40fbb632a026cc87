"""How well a base copies: random strings, again after a distance, token by token.

    copy_scores(model, filler_ids, lengths=(16,), distances=(512,))   # one CopyScore for each pair

The string is drawn from ordinary tokens, so nothing but its first occurrence tells it. It counts as copied when each
of its tokens is the likeliest one given the true ones before: that is the same as greedy generation giving it back
without a fault.

    <mark> string <end of mark> ... filler ... <mark> string
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from lathe.records.pretrain import CopyScore


def copy_prompts(
    mark: Sequence[int],
    close: Sequence[int],
    filler: Tensor,
    length: int,
    distance: int,
    count: int,
    tokens: Tensor,
    seed: int,
    in_order: bool = False,
) -> Tensor:
    """`count` sequences of ids that end in the repeated string: shape count, len(mark) + distance + length.

    `filler` is a long vector of ids of ordinary text; `tokens` the ids strings are drawn from: each by itself, or
    `in_order` as a stretch of them. `distance` counts from string to string.
    """
    generator = torch.Generator().manual_seed(seed)
    gap = distance - length - len(close) - len(mark)
    rows = []
    for _ in range(count):
        if in_order:
            first = int(torch.randint(len(tokens) - length, (1,), generator=generator))
            string = tokens[first : first + length]
        else:
            string = tokens[torch.randint(len(tokens), (length,), generator=generator)]
        start = int(torch.randint(max(1, len(filler) - gap), (1,), generator=generator))
        rows.append(
            torch.cat(
                (
                    torch.tensor(mark),
                    string,
                    torch.tensor(close),
                    filler[start : start + gap],
                    torch.tensor(mark),
                    string,
                )
            )
        )
    return torch.stack(rows)


@torch.no_grad()
def exact_share(body: nn.Module, head_VD: Tensor, ids_BT: Tensor, length: int) -> float:
    """Share of rows whose last `length` tokens are each the likeliest one. `body` gives hidden states, `head_VD` the
    output weight."""
    correct = 0
    for ids_T in ids_BT.to(head_VD.device).split(max(1, 8192 // ids_BT.shape[1])):
        hidden = body(input_ids=ids_T, use_cache=False).last_hidden_state[:, -length - 1 : -1]
        guesses = (hidden.to(head_VD.dtype) @ head_VD.T).argmax(-1)
        correct += int((guesses == ids_T[:, -length:]).all(dim=1).sum())
    return correct / len(ids_BT)


def copy_scores(
    body: nn.Module,
    head_VD: Tensor,
    *,
    mark: Sequence[int],
    close: Sequence[int],
    filler: Tensor,
    tokens: Tensor,
    lengths: Sequence[int],
    distances: Sequence[int],
    count: int,
    seed: int = 0,
    in_order: bool = False,
) -> Iterator[CopyScore]:
    """A score for each pair of length and distance that has room for the string; fewer strings at long distances (at
    least 8)."""
    for distance in distances:
        for length in lengths:
            if distance < length + len(mark) + len(close):
                continue
            tries = max(8, min(count, count * 256 // distance))
            ids_BT = copy_prompts(mark, close, filler, length, distance, tries, tokens, seed, in_order)
            yield CopyScore(
                strings="words" if in_order else "tokens",
                length=length,
                distance=distance,
                exact=exact_share(body, head_VD, ids_BT, length),
                num_strings=tries,
            )
