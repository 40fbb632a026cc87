"""The pretraining loop: random weights and a stream of documents in, a base model out.

    base = pretrain(recipe, documents, folder, progress)       # continues from the newest checkpoint under folder

Compute is bf16 on a copy of the weights, the weights themselves stay float32; each block of the network is compiled
for the window of its phase. Micro-batches are small on purpose: 2,048 tokens of activations stay in the processor's
cache (measured: 9.3 k tokens/s against 7.7 k at 8,192).

The unit of progress is a chunk of documents. Documents, windows, their order and the learning rate are functions of
(recipe, phase, chunk), and a checkpoint falls between chunks, so a killed run repeats at most one chunk and sees the
same data.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.optim import Optimizer
from transformers import LlamaForCausalLM

from lathe import runs
from lathe.engine import optim
from lathe.engine.attention import BLOCKED, PACKED, register_attention
from lathe.engine.base_folder import new_network
from lathe.engine.copying import copy_scores
from lathe.engine.loss import supervised_loss
from lathe.engine.tokenizer_training import PAD, SPECIAL_TOKENS, train_tokenizer
from lathe.engine.windows import Chunk, WeightedText, make_chunk, stretched_positions, thinned
from lathe.errors import Diverged
from lathe.records.pretrain import CopyScore, HeldOut, Phase, PretrainRecipe

Documents = Callable[[int, int, int, float], Iterator[WeightedText]]
"""(seed, first index, longest characters, drill share) -> documents without end."""
Progress = Callable[[Mapping[str, Any]], None]
_LONGEST_BLOCKED_WINDOW = 2048
"""Beyond it torch's flash kernel takes over: the blocked form would be unrolled into too many pieces to compile."""
_ROW_MULTIPLE = 256
_PAD_ID = SPECIAL_TOKENS.index(PAD)
_HELD_OUT_SEED = 1_000_003
_DOCUMENTS_A_CHUNK = 100_000
"""Indices reserved for each chunk; no chunk uses as many."""


@dataclass(frozen=True)
class Position:
    """Where a run stands: all counts since its first step."""

    phase: int = 0
    chunk: int = 0
    """Chunks done in this phase."""
    phase_tokens: int = 0
    tokens: int = 0
    steps: int = 0
    documents: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Base:
    """What pretraining gives back."""

    network: LlamaForCausalLM
    tokenizer: Tokenizer
    position: Position


class Trainee:
    """The float32 weights, their bf16 working copy and the optimisers."""

    def __init__(self, recipe: PretrainRecipe, tokenizer: Tokenizer) -> None:
        register_attention()
        self.master = new_network(recipe.network, tokenizer, recipe.seed)
        self.working = copy.deepcopy(self.master).to(torch.bfloat16)
        self.optimisers: list[Optimizer] = optim.muon_and_adamw(
            self.master.named_parameters(),
            muon_learning_rate=recipe.muon_learning_rate,
            adamw_learning_rate=recipe.adamw_learning_rate,
            weight_decay=recipe.weight_decay,
        )
        self.pairs = list(zip(self.master.parameters(), self.working.parameters(), strict=True))

    @property
    def head_VD(self) -> Tensor:
        """Output weight of the working copy (tied to its embedding)."""
        return self.working.lm_head.weight

    def refresh(self) -> None:
        """Copy the float32 weights into the working copy."""
        with torch.no_grad():
            for master, working in self.pairs:
                working.copy_(master)

    def collect(self) -> None:
        """Add the working copy's gradients to the float32 ones and drop them."""
        for master, working in self.pairs:
            if working.grad is not None:
                if master.grad is None:
                    master.grad = working.grad.float()
                else:
                    master.grad.add_(working.grad)
                working.grad = None

    def step(self, factor: float, max_norm: float) -> float:
        """One optimiser step at `factor` times the base learning rates; returns the gradient norm before clipping."""
        norm = optim.clip_global_norm(self.master.parameters(), max_norm)
        optim.set_learning_rate(self.optimisers, factor)
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.refresh()
        return norm

    def tensors(self) -> dict[str, Tensor]:
        """Weights and optimiser state under flat names."""
        flat = {f"weights.{name}": parameter.detach() for name, parameter in self.master.named_parameters()}
        for number, optimiser in enumerate(self.optimisers):
            for index, state in optimiser.state_dict()["state"].items():
                flat |= {f"optimiser.{number}.{index}.{key}": torch.as_tensor(value) for key, value in state.items()}
        return flat

    def load(self, flat: Mapping[str, Tensor]) -> None:
        """The inverse of `tensors`."""
        with torch.no_grad():
            for name, parameter in self.master.named_parameters():
                parameter.copy_(flat[f"weights.{name}"])
        for number, optimiser in enumerate(self.optimisers):
            states: dict[int, dict[str, Tensor]] = {}
            for name, tensor in flat.items():
                if name.startswith(f"optimiser.{number}."):
                    _, _, index, key = name.split(".", 3)
                    states.setdefault(int(index), {})[key] = tensor
            optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})
        self.refresh()


def pretrain(recipe: PretrainRecipe, documents: Documents, folder: Path, progress: Progress) -> Base:
    """Train the recipe's network on `documents`, with checkpoints under `folder`. Raises Diverged, StorageError."""
    if recipe.threads is not None:
        torch.set_num_threads(recipe.threads)
    tokenizer = _tokenizer(recipe, documents, folder)
    trainee, position = Trainee(recipe, tokenizer), Position()
    checkpoint = folder / "checkpoint"
    if (checkpoint / "state.json").exists():
        position = Position(**json.loads((checkpoint / "state.json").read_text()))
        trainee.load(load_file(checkpoint / "state.safetensors"))
    trainee.working.train()
    while position.phase < len(recipe.phases):
        phase = recipe.phases[position.phase]
        body = compiled_body(trainee.working, phase.window)
        while position.phase_tokens < phase.tokens:
            position = _run_chunk(recipe, phase, position, trainee, body, tokenizer, documents, progress)
            runs.commit_folder(checkpoint, partial(_save, trainee, position))
        position = replace(position, phase=position.phase + 1, chunk=0, phase_tokens=0)
    return Base(trainee.master, tokenizer, position)


def compiled_body(network: LlamaForCausalLM, window: int) -> nn.Module:
    """The network without its head, compiled for one window length."""
    torch._dynamo.reset()
    network.config._attn_implementation = BLOCKED if window <= _LONGEST_BLOCKED_WINDOW else PACKED
    return torch.compile(network.model, dynamic=False)


def _tokenizer(recipe: PretrainRecipe, documents: Documents, folder: Path) -> Tokenizer:
    path = folder / "tokenizer.json"
    if not path.exists():
        stream = documents(recipe.seed, 0, 1500, 0.15)
        tokenizer = train_tokenizer(
            (document.text for document, _ in zip(stream, range(recipe.tokenizer_documents), strict=False)),
            recipe.network.vocabulary,
        )
        runs.commit_text(path, tokenizer.to_str())
    return Tokenizer.from_file(str(path))


def _save(trainee: Trainee, position: Position, folder: Path) -> None:
    save_file(trainee.tensors(), folder / "state.safetensors")
    (folder / "state.json").write_text(json.dumps(asdict(position), indent=2) + "\n")


def _run_chunk(
    recipe: PretrainRecipe,
    phase: Phase,
    position: Position,
    trainee: Trainee,
    body: nn.Module,
    tokenizer: Tokenizer,
    documents: Documents,
    progress: Progress,
) -> Position:
    began = time.monotonic()
    seed = recipe.seed + 1000 * (position.phase + 1)
    stream = documents(seed, position.chunk * _DOCUMENTS_A_CHUNK, phase.longest_characters, phase.drill_share)
    wanted = min(recipe.chunk_tokens, phase.tokens - position.phase_tokens)
    order_seed = seed * 100_003 + position.chunk
    chunk = make_chunk(stream, tokenizer, window=phase.window, tokens=wanted, pad=_PAD_ID, seed=order_seed)
    positions_WT = stretched_positions(
        len(chunk.ids_WT), phase.window, recipe.network.context, phase.stretch, order_seed
    )
    weights_WT = thinned(chunk.weights_WT, order_seed)
    windows_a_step = phase.step_tokens // phase.window
    num_steps = max(1, len(chunk.ids_WT) // windows_a_step)
    losses: list[float] = []
    norm = 0.0
    for step in range(num_steps):
        rows = slice(step * windows_a_step, (step + 1) * windows_a_step)
        loss = accumulate(trainee, body, chunk, positions_WT, weights_WT, rows, phase.micro_tokens // phase.window)
        if not math.isfinite(loss):
            raise Diverged(
                f"the loss became {loss} at step {position.steps + step}",
                hint="Lower muon_learning_rate in the recipe.",
            )
        factor = optim.warmup_stable_decay(
            position.tokens + (step + 1) * phase.step_tokens,
            recipe.total_tokens(),
            recipe.warmup_tokens,
            recipe.decay_tokens,
            recipe.final_factor,
        )
        norm = trainee.step(factor, recipe.max_gradient_norm)
        losses.append(loss)
    tokens = num_steps * phase.step_tokens
    seconds = time.monotonic() - began
    done = replace(
        position,
        chunk=position.chunk + 1,
        phase_tokens=position.phase_tokens + tokens,
        tokens=position.tokens + tokens,
        steps=position.steps + num_steps,
        documents=position.documents + chunk.num_documents,
        seconds=position.seconds + seconds,
    )
    progress(
        {
            "phase": position.phase,
            "tokens": done.tokens,
            "num_tokens": recipe.total_tokens(),
            "step": done.steps,
            "loss": sum(losses) / len(losses),
            "gradient_norm": norm,
            "learning_rate_factor": factor,
            "tokens_per_second": tokens / seconds,
            "left_out": chunk.num_left_out,
            "trainee": trainee,
        }
    )
    return done


def accumulate(
    trainee: Trainee,
    body: nn.Module,
    chunk: Chunk,
    positions_WT: np.ndarray,
    weights_WT: np.ndarray,
    rows: slice,
    micro_windows: int,
) -> float:
    """Gradients of one step's windows, added up over micro-batches; returns the weighted mean loss in nats a
    token."""
    norm = float(weights_WT[rows, 1:].sum()) or 1.0
    total = 0.0
    for start in range(rows.start, rows.stop, micro_windows):
        part = slice(start, min(start + micro_windows, rows.stop))
        ids_BT = torch.from_numpy(chunk.ids_WT[part].astype(np.int64))
        hidden_BTD = body(
            input_ids=ids_BT, position_ids=torch.from_numpy(positions_WT[part]), use_cache=False
        ).last_hidden_state
        loss = weighted_loss(hidden_BTD, trainee.head_VD, ids_BT, torch.from_numpy(weights_WT[part])) / norm
        loss.backward()
        total += loss.item()
        trainee.collect()
    return total


def weighted_loss(hidden_BTD: Tensor, head_VD: Tensor, ids_BT: Tensor, weights_BT: Tensor) -> Tensor:
    """Summed loss of predicting ids_BT[b, t] from hidden_BTD[b, t - 1], times weights_BT[b, t]; rows of weight 0 are
    not scored.

    Rows are filled up with weight 0 to a multiple of 256, because the CPU's matrix kernels are built anew for each
    shape and kept.
    """
    length = ids_BT.shape[1]
    flat = torch.nonzero((weights_BT[:, 1:] != 0).flatten()).squeeze(1)
    flat = flat + flat // (length - 1)  # from rows of length - 1 to rows of length
    num_scored = len(flat)
    flat = torch.cat((flat, flat.new_zeros(-num_scored % _ROW_MULTIPLE)))
    targets, weights = ids_BT.flatten()[flat + 1], weights_BT.flatten()[flat + 1]
    weights[num_scored:] = 0
    return supervised_loss(hidden_BTD.flatten(0, 1), head_VD, flat, targets, weights)


class Examiner:
    """Measures a network on held-out documents and on copying, always on the same material."""

    def __init__(
        self, recipe: PretrainRecipe, documents: Documents, tokenizer: Tokenizer, num_tokens: int = 60_000
    ) -> None:
        register_attention()
        stream = documents(recipe.seed + _HELD_OUT_SEED, 0, 1500, 0.15)
        self.texts: list[WeightedText] = []

        def kept() -> Iterator[WeightedText]:
            for document in stream:
                self.texts.append(document)
                yield document

        self.tokenizer = tokenizer
        self.chunk = make_chunk(
            kept(),
            tokenizer,
            window=min(1024, recipe.network.context),
            tokens=num_tokens,
            pad=_PAD_ID,
            seed=0,
        )
        self.filler = torch.from_numpy(self.chunk.ids_WT.astype(np.int64)).flatten()
        self.filler = self.filler[self.filler >= len(SPECIAL_TOKENS)]
        self.tokens = torch.tensor(
            [
                index
                for index in range(len(SPECIAL_TOKENS) + 256, recipe.network.vocabulary)
                if "\ufffd" not in tokenizer.decode([index])
            ]
        )

    @torch.no_grad()
    def held_out(self, network: LlamaForCausalLM) -> HeldOut:
        """Bits per byte over all windows, and over the tokens of weight 1."""
        pad = self.tokenizer.token_to_id(PAD)
        nats = answer_nats = 0.0
        text_bytes = answer_bytes = 0
        head_VD = network.lm_head.weight
        for ids_T, weights_T in zip(self.chunk.ids_WT, self.chunk.weights_WT, strict=True):
            ids_BT = torch.from_numpy(ids_T.astype(np.int64))[None]
            hidden = network.model(input_ids=ids_BT, use_cache=False).last_hidden_state
            used, answer = (
                torch.from_numpy((ids_T != pad)[None]).float(),
                torch.from_numpy(((weights_T == 1) & (ids_T != pad))[None]).float(),
            )
            nats += float(weighted_loss(hidden, head_VD, ids_BT, used))
            answer_nats += float(weighted_loss(hidden, head_VD, ids_BT, answer))
            text_bytes += self._bytes(ids_T[ids_T != pad])
            answer_bytes += self._bytes(ids_T[(weights_T == 1) & (ids_T != pad)])
        return HeldOut(
            documents=self.chunk.num_documents,
            bits_per_byte=nats / math.log(2) / max(1, text_bytes),
            answer_bits_per_byte=answer_nats / math.log(2) / max(1, answer_bytes),
        )

    def _bytes(self, ids: np.ndarray) -> int:
        return len(self.tokenizer.decode(ids.tolist(), skip_special_tokens=False).encode())

    def copying(
        self,
        network: LlamaForCausalLM,
        lengths: tuple[int, ...],
        distances: tuple[int, ...],
        count: int = 64,
        text: Tensor | None = None,
    ) -> tuple[CopyScore, ...]:
        """Copying scores of the network by length and distance, both in tokens.

        text: ids of a long random text whose stretches are copied; None copies tokens drawn one by one, which no
        tokenizer would ever put side by side.
        """
        mark, close = (self.tokenizer.encode(words, add_special_tokens=False).ids for words in ("copy: <", ">\n"))
        return tuple(
            copy_scores(
                network.model,
                network.lm_head.weight,
                mark=mark,
                close=close,
                filler=self.filler,
                tokens=self.tokens if text is None else text,
                lengths=lengths,
                distances=distances,
                count=count,
                in_order=text is not None,
            )
        )


def viewed(network: LlamaForCausalLM) -> LlamaForCausalLM:
    """The same weights in a network that is not compiled and needs no mask: what examinations run on."""
    config = copy.deepcopy(network.config)
    config._attn_implementation = PACKED
    with torch.device("meta"):
        view = LlamaForCausalLM(config)
    view.load_state_dict(network.state_dict(), assign=True)
    view.tie_weights()
    view.model.rotary_emb = copy.deepcopy(network.model.rotary_emb)
    return view.eval()
