"""The pretraining loop: random weights, or bases, and a stream of documents in, a base model out.

    base = pretrain(recipe, documents, folder, progress)       # continues from the newest checkpoint under folder

It takes training's steps, the fused one on a CPU and the reference on a GPU: windows are rows of a pack, and every token is
scored by its weight. Products are bf16 where the machine multiplies that, the weights stay float32. On a CPU micro-batches are
small on purpose: 2,048 tokens of activations stay in the processor's cache (measured, by an engine before: 9.3 k tokens/s against
7.7 k at 8,192).

Several processes of one thread each beat one process of several threads wherever the machine also does something else: they
wait for one another once a step, threads once a matrix product. Which computes which windows is fixed, and so is the order in which
their sums are added: the weights do not depend on who was faster.

The unit of progress is a chunk of documents. Documents, windows, their order and the learning rate are functions of
(recipe, phase, chunk), and a checkpoint falls between chunks, so a killed run repeats at most one chunk and sees the
same data.
"""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.optim import Optimizer
from transformers import LlamaConfig, LlamaForCausalLM

from lathe import storage
from lathe.engine import optim
from lathe.engine.attention import PACKED, register_attention
from lathe.engine.base_folder import WEIGHTS, network_config, new_network
from lathe.engine.devices import computes_bf16, pick_device, pick_precision, threads
from lathe.engine.fused.choice import step_of
from lathe.engine.model import trainable
from lathe.engine.packs import Pack, pack_of_windows
from lathe.engine.rare_tokens import DOCUMENTS, TokenKinds, spread_out, with_swaps
from lathe.engine.step import Step, gradients
from lathe.engine.step_in_processes import StepInProcesses, piped
from lathe.engine.tokenizer_training import PAD, SPECIAL_TOKENS, train_tokenizer
from lathe.engine.windows import Chunk, Documents, encoded, make_chunk, stretched_positions, thinned
from lathe.errors import Diverged, InputError
from lathe.records.pretrain import Mix, Phase, PretrainRecipe

Progress = Callable[[Mapping[str, Any]], None]
_PAD_ID = SPECIAL_TOKENS.index(PAD)
_TOKENIZED = Mix(longest_characters=1500)
"""Documents that a tokenizer is trained on."""
_COUNTED_TOKENS, _COUNTED_SEED = 750_000, 500_009
"""Tokens of documents that are counted, to tell rare ones, and what is added to the recipe's seed for these."""
_OF_A_NETWORK = (
    "model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "max_position_embeddings", "rope_parameters", "rms_norm_eps", "attention_bias", "mlp_bias",
    "tie_word_embeddings",
)  # fmt: skip
"""Keys of a config.json that decide what weights mean."""
_TOKENIZER = "tokenizer.json"
_RECIPE = "recipe.json"
"""What a checkpoint was trained with."""
_FREE = {"name", "workers"}
"""Keys of a recipe that change nothing of what is trained."""
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
    kinds: TokenKinds


@dataclass(frozen=True)
class Text:
    """Where windows come from."""

    recipe: PretrainRecipe
    documents: Documents
    tokenizer: Tokenizer
    kinds: TokenKinds

    def windows(self, position: Position) -> tuple[Chunk, NDArray[np.int64], NDArray[np.float32]]:
        """The next chunk, with the positions and weights of its windows; a function of recipe, phase and chunk."""
        recipe, phase = self.recipe, self.recipe.phases[position.phase]
        seed = recipe.seed + 1000 * (position.phase + 1)
        order_seed = seed * 100_003 + position.chunk
        wanted = min(recipe.chunk_tokens, phase.tokens - position.phase_tokens)
        documents = self.documents(seed, position.chunk * _DOCUMENTS_A_CHUNK, phase)
        stream = encoded(documents, self.tokenizer, wanted)
        stream = with_swaps(stream, self.kinds, phase.swap_share, order_seed)
        chunk = make_chunk(stream, window=phase.window, pad=_PAD_ID, seed=order_seed)
        count = len(chunk.ids_WT)
        positions_WT = stretched_positions(count, phase.window, recipe.network.context, phase.stretch, order_seed)
        return chunk, positions_WT, thinned(chunk.weights_WT, order_seed)


class Trainee:
    """The float32 weights and their optimisers."""

    def __init__(self, recipe: PretrainRecipe, master: LlamaForCausalLM) -> None:
        self.master = master
        self.optimisers: list[Optimizer] = optim.muon_and_adamw(
            self.master.named_parameters(),
            muon_learning_rate=recipe.muon_learning_rate,
            adamw_learning_rate=recipe.adamw_learning_rate,
            weight_decay=recipe.weight_decay,
        )

    def step(self, factor: float, max_norm: float) -> float:
        """One optimiser step at `factor` times the base learning rates; returns the gradient norm before clipping."""
        norm = optim.clip_global_norm(self.master.parameters(), max_norm)
        optim.set_learning_rate(self.optimisers, factor)
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
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


def pretrain(
    recipe: PretrainRecipe, documents: Documents, folder: Path, progress: Progress, starts: Sequence[Path] = ()
) -> Base:
    """Train the recipe's network on `documents`, with checkpoints under `folder`.

    starts: the folders of the bases to begin with, as the recipe names them. Raises Diverged, InputError, StorageError.
    """
    _check_starts(recipe, starts)  # before their tokenizer is kept under `folder`
    tokenizer = _tokenizer(recipe, documents, folder, starts)
    counted = encoded(documents(recipe.seed + _COUNTED_SEED, 0, DOCUMENTS), tokenizer, _COUNTED_TOKENS)
    text = Text(recipe, documents, tokenizer, TokenKinds.counted(counted, tokenizer))
    trainee, position = Trainee(recipe, _network(text, starts).to(pick_device())), Position()
    checkpoint = folder / "checkpoint"
    if (checkpoint / "state.json").exists():
        position = Position(**json.loads((checkpoint / "state.json").read_text(encoding="utf-8")))
        _check_continued(recipe, checkpoint, position)
        trainee.load(load_file(checkpoint / "state.safetensors"))
    with shared_step(trainee.master, recipe.workers) as take:
        while position.phase < len(recipe.phases):
            phase = recipe.phases[position.phase]
            while position.phase_tokens < phase.tokens:
                position = _run_chunk(text, position, trainee, take, progress)
                storage.commit_folder(checkpoint, partial(_save, recipe, trainee, position))
            position = replace(position, phase=position.phase + 1, chunk=0, phase_tokens=0)
    return Base(trainee.master, tokenizer, position, text.kinds)


def _check_starts(recipe: PretrainRecipe, starts: Sequence[Path]) -> None:
    """Raises InputError where a start's network is not the recipe's, or its tokenizer not the first one's."""
    ours = network_config(recipe.network).to_dict()
    for name, start in zip(recipe.start, starts, strict=True):
        theirs = json.loads((start / "config.json").read_text(encoding="utf-8"))
        for key in _OF_A_NETWORK:
            if theirs.get(key) != ours[key]:
                raise InputError(
                    f"the network of start {name!r} has {key} {theirs.get(key)!r}, the recipe's {ours[key]!r}",
                    hint=f"Write network in the recipe as {start / 'config.json'} has it.",
                )
        if (start / _TOKENIZER).read_bytes() != (starts[0] / _TOKENIZER).read_bytes():
            raise InputError(
                f"start {name!r} has another tokenizer than start {recipe.start[0]!r}",
                hint="The mean of two bases needs one meaning of every token: begin with one of them.",
            )


def _check_continued(recipe: PretrainRecipe, checkpoint: Path, position: Position) -> None:
    """Raises InputError where what is done was done by another recipe. Phases that have not begun may differ."""
    before = PretrainRecipe.model_validate_json((checkpoint / _RECIPE).read_text(encoding="utf-8"))
    begun = position.phase + (position.phase_tokens > 0)
    done, asked = ({**dict(one), "phases": one.phases[:begun]} for one in (before, recipe))
    changed = [key for key, value in asked.items() if key not in _FREE and value != done[key]]
    if changed:
        raise InputError(
            f"{checkpoint.parent} was begun with another recipe: {', '.join(changed)}",
            hint=f"Take back what was changed (phases after the first {begun} may change), or delete that folder.",
        )


def _network(text: Text, starts: Sequence[Path]) -> LlamaForCausalLM:
    """The float32 network to begin with: the mean of the starts, or random weights."""
    recipe = text.recipe
    network = new_network(recipe.network, text.tokenizer, recipe.seed)
    if not starts:
        return network
    weights = _mean([load_file(start / WEIGHTS) for start in starts])
    embedding_VD = weights["model.embed_tokens.weight"].float()
    if any(phase.swap_share for phase in recipe.phases):
        embedding_VD = spread_out(embedding_VD, text.kinds, recipe.seed)
    network.load_state_dict({**weights, "model.embed_tokens.weight": embedding_VD, "lm_head.weight": embedding_VD})
    return network


def _mean(weights: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of some bases' weights, in their own number format, as a base of it would be written."""
    return {
        name: torch.stack([one[name].float() for one in weights]).mean(0).to(w.dtype) for name, w in weights[0].items()
    }


def _tokenizer(recipe: PretrainRecipe, documents: Documents, folder: Path, starts: Sequence[Path]) -> Tokenizer:
    path = folder / _TOKENIZER
    if not path.exists():
        storage.commit_text(
            path, (starts[0] / _TOKENIZER).read_text(encoding="utf-8") if starts else _new_tokenizer(recipe, documents)
        )
    return Tokenizer.from_file(str(path))


def _new_tokenizer(recipe: PretrainRecipe, documents: Documents) -> str:
    texts = (document.text for document in islice(documents(recipe.seed, 0, _TOKENIZED), recipe.tokenizer_documents))
    return train_tokenizer(texts, recipe.network.vocabulary).to_str()


def _save(recipe: PretrainRecipe, trainee: Trainee, position: Position, folder: Path) -> None:
    save_file(trainee.tensors(), folder / "state.safetensors")
    (folder / _RECIPE).write_text(recipe.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (folder / "state.json").write_text(json.dumps(asdict(position), indent=2) + "\n", encoding="utf-8")


@contextlib.contextmanager
def shared_step(master: LlamaForCausalLM, workers: int) -> Iterator[Step]:
    """What forms the gradients of a network's weights: the GPU where they lie on one, else this process, or so many of one
    thread each."""
    if master.device.type != "cpu":
        yield reference_step(master)
        return
    with threads(1 if workers > 1 else torch.get_num_threads()), piped(workers - 1) as helpers:
        helpers.build(partial(_in_a_helper, master.config))
        take, parameters = _built(master)
        yield StepInProcesses(take, parameters, helpers)


def reference_step(network: LlamaForCausalLM) -> Step:
    """The reference on the device where the network lies."""
    register_attention()
    network.set_attn_implementation(PACKED)
    device = network.device
    precision = pick_precision("auto", device)
    return lambda packs, weight: gradients(network, (pack.to(device) for pack in packs), weight, precision)


def _in_a_helper(config: LlamaConfig) -> tuple[Step, dict[str, nn.Parameter]]:
    torch.set_num_threads(1)
    return _built(LlamaForCausalLM(config))


def _built(network: LlamaForCausalLM) -> tuple[Step, dict[str, nn.Parameter]]:
    return step_of(network, "fused", "bf16" if computes_bf16() else "fp32"), trainable(network)


def _run_chunk(text: Text, position: Position, trainee: Trainee, take: Step, progress: Progress) -> Position:
    """Takes the steps of the next chunk. Returns where the run stands after them."""
    began = time.monotonic()
    recipe, phase = text.recipe, text.recipe.phases[position.phase]
    chunk, positions_WT, weights_WT = text.windows(position)
    windows_a_step = phase.step_tokens // phase.window
    num_steps = max(1, len(chunk.ids_WT) // windows_a_step)
    losses: list[float] = []
    norm = 0.0
    for step in range(num_steps):
        rows = slice(step * windows_a_step, (step + 1) * windows_a_step)
        loss = take(*step_packs(chunk, positions_WT, weights_WT, rows, phase))
        if not math.isfinite(loss):
            raise Diverged(
                f"the loss became {loss} at step {position.steps + step}",
                hint="Lower muon_learning_rate in the recipe.",
            )
        done_tokens = (step + 1) * phase.step_tokens
        share = (position.phase_tokens + done_tokens) / phase.tokens
        factor = optim.rise(position.tokens + done_tokens, recipe.warmup_tokens) * optim.between(*phase.rate, share)
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


def step_packs(
    chunk: Chunk, positions_WT: NDArray[np.int64], weights_WT: NDArray[np.float32], rows: slice, phase: Phase
) -> tuple[list[Pack], float]:
    """The micro-batches of one step's windows, and the sum of their weights, which divides the loss."""
    count = phase.micro_tokens // phase.window
    starts = range(rows.start, min(rows.stop, len(chunk.ids_WT)), count)
    places = [slice(start, min(start + count, rows.stop)) for start in starts]
    packs = [pack_of_windows(chunk.ids_WT[place], positions_WT[place], weights_WT[place]) for place in places]
    return packs, float(weights_WT[rows, 1:].sum()) or 1.0
