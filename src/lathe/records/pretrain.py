"""The recipe and the record of `lathe pretrain`: a small base model.

recipe = PretrainRecipe.model_validate(yaml.safe_load(text))
recipe.num_params(), recipe.total_tokens()            # exact, before anything is computed
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, model_validator

from lathe.records.base import Record, Written


class NetworkShape(Written):
    """A Llama-architecture network with tied embeddings."""

    vocabulary: int = Field(4096, ge=260, description="token ids, special tokens and the 256 bytes included")
    hidden: int = Field(256, ge=8, description="width of the residual stream")
    layers: int = Field(6, ge=1, description="transformer blocks")
    heads: int = Field(4, ge=1, description="query heads of hidden / heads numbers each")
    kv_heads: int = Field(2, ge=1, description="key-value heads; divides heads")
    intermediate: int = Field(512, ge=8, description="width inside the gated feed-forward part")
    context: int = Field(8192, ge=16, description="longest text in tokens that the position code is made for")
    rope_theta: float = Field(100_000.0, gt=1, description="base of the rotary position code")

    @model_validator(mode="after")
    def _divisible(self) -> NetworkShape:
        if self.hidden % self.heads or self.heads % self.kv_heads:
            raise ValueError(
                f"hidden {self.hidden} must be a multiple of heads {self.heads}, and heads of kv_heads {self.kv_heads}"
            )
        if self.head_width % 2:
            raise ValueError(
                f"hidden {self.hidden} over heads {self.heads} gives heads {self.head_width} wide, and the position code turns "
                "pairs of numbers: expected an even width"
            )
        return self

    @property
    def head_width(self) -> int:
        """Numbers a head."""
        return self.hidden // self.heads

    def num_params(self) -> int:
        """Trainable numbers: embedding (used twice), attention, feed-forward, norm gains."""
        attention = 2 * self.hidden * self.hidden + 2 * self.hidden * self.kv_heads * self.head_width
        block = attention + 3 * self.hidden * self.intermediate + 2 * self.hidden
        return self.vocabulary * self.hidden + self.layers * block + self.hidden


class Mix(Written):
    """Which documents a corpus gives."""

    longest_characters: int = Field(
        gt=0,
        description="room of a document in characters, about 2.3 a token; longer ones than the window are left out",
    )
    lookup_share: float = Field(
        0.0, ge=0, le=1, description="share of documents that drill finding short values by their labels"
    )
    nesting_share: float = Field(
        0.0, ge=0, le=1, description="share of the others that drill where things inside things begin and end"
    )
    drill_share: float = Field(0.15, ge=0, le=1, description="share of what is left that only drills copying")


class Phase(Mix):
    """A stretch of training on windows of one length."""

    tokens: int = Field(
        gt=0,
        description="window positions to train on, padding included: about 1 % of short windows, nearly half where documents are "
        "longer than half a window",
    )
    window: int = Field(gt=0, description="positions of a window; whole documents are packed into it, never cut")
    rate: tuple[NonNegativeFloat, NonNegativeFloat] = Field(
        (1.0, 1.0),
        description="learning rates at its beginning and at its end, as shares of muon_learning_rate and adamw_learning_rate; "
        "linear between",
    )
    step_tokens: int = Field(gt=0, description="positions of an optimiser step; a multiple of micro_tokens")
    micro_tokens: int = Field(
        gt=0,
        description="positions computed at once; a multiple of window; changes speed and memory, hardly the result",
    )
    swap_share: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of documents in which some ordinary tokens are swapped, everywhere, for tokens that hardly a document "
        "holds, so that these are learned too; they are scored where they follow from the context",
    )
    stretch: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of windows whose positions jump ahead here and there, over the whole context, "
        "so that distances are met that no window is long enough to hold (Zhu et al. 2023, PoSE)",
    )

    @model_validator(mode="after")
    def _multiples(self) -> Phase:
        if self.micro_tokens % self.window or self.step_tokens % self.micro_tokens:
            raise ValueError(
                f"step_tokens {self.step_tokens} must be a multiple of micro_tokens {self.micro_tokens}, "
                f"and that of window {self.window}"
            )
        return self


class PretrainRecipe(Written):
    """Everything that decides the weights of a base, besides the version of the corpus."""

    name: str = Field(description="name of the base; it goes into the card")
    seed: int = Field(1, ge=0, description="seeds weights, documents and their order")
    corpus: str = Field("structured_text", description="a pretraining corpus of lathe/corpora")
    network: NetworkShape = Field(default_factory=NetworkShape, description="the network's shape")
    tokenizer_documents: int = Field(20_000, gt=0, description="documents that the tokenizer is trained on")
    phases: tuple[Phase, ...] = Field(min_length=1, description="one after the other")
    start: tuple[str, ...] = Field(
        (),
        description="the bases that training begins with, of `network`'s shape and with one tokenizer: `lathe:nano`, a folder, or "
        "a pretraining recipe, whose base is made first; of several the mean of their weights; none: random weights and a "
        "tokenizer of its own",
    )
    muon_learning_rate: float = Field(0.02, gt=0, description="step size of the hidden matrices")
    adamw_learning_rate: float = Field(0.003, gt=0, description="learning rate of embedding and norm gains")
    weight_decay: float = Field(0.05, ge=0, description="decay of the hidden matrices, times the learning rate a step")
    max_gradient_norm: float = Field(1.0, gt=0, description="joint norm that gradients are clipped to")
    warmup_tokens: int = Field(500_000, ge=0, description="first tokens, over which the learning rate rises from 0")
    chunk_tokens: int = Field(
        524_288, gt=0, description="tokens of documents generated and packed together; checkpoints fall between chunks"
    )
    workers: int = Field(
        1,
        gt=0,
        description="processes of one thread that share the micro-batches of a step on a CPU; 1: this process alone",
    )

    @model_validator(mode="after")
    def _windows_fit(self) -> PretrainRecipe:
        longest = max(phase.window for phase in self.phases)
        if longest > self.network.context:
            raise ValueError(
                f"a window of {longest} positions is longer than network.context {self.network.context}, "
                "the longest text that the position code is made for"
            )
        return self

    def total_tokens(self) -> int:
        """Window positions of all phases."""
        return sum(phase.tokens for phase in self.phases)

    def num_params(self) -> int:
        """Trainable numbers."""
        return self.network.num_params()


class CopyScore(Record):
    """How many random strings of a length were copied without a fault over a distance."""

    strings: Literal["tokens", "words"] = Field(
        "tokens",
        description="words: stretches of coined words, tokenised as any text is; "
        "tokens: single tokens drawn at random, which no text holds side by side",
    )
    length: int = Field(description="tokens of the string")
    distance: int = Field(description="tokens from the string's start to its copy's start")
    exact: float = Field(description="share of strings each of whose tokens was the likeliest one, 0 to 1")
    num_strings: int = Field(description="strings tried")


class HeldOut(Record):
    """How well documents that were not trained on are predicted."""

    documents: int = Field(description="documents of another seed")
    bits_per_byte: float = Field(description="-log2 of the probability of all text, over its UTF-8 bytes")
    answer_bits_per_byte: float = Field(
        description="the same over the stretches that follow from their context (weight 1)"
    )


class LeakCheck(Record):
    """What the pretraining corpus shares with data that bases are judged on; written by bench/base_leaks.py."""

    judged_files: int = Field(description="files of judged data that were read")
    judged_corpora: tuple[str, ...] = Field(description="generated task corpora that were read beside them")
    documents: int = Field(description="pretraining documents compared")
    shared_lines: int = Field(description="normalised lines of at least five words that stand in both")
    shared_runs: int = Field(description="runs of thirteen words that stand in both")
    shared_key_sets: int = Field(description="key sets of objects (three keys or more) that stand in both")


class RareScore(Record):
    """How well tokens are copied that hardly a document holds."""

    num_tokens: int = Field(description="how many such tokens there are")
    unchanged: float = Field(
        description="share of tokens that follow from held-out documents and are the likeliest there, 0 to 1"
    )
    swapped: float = Field(description="the same where another ordinary token stands in its place, everywhere")
    rare: float = Field(description="the same where one of the rare tokens does")


class Start(Record):
    """A base that a training began with."""

    name: str = Field(description="as the recipe names it")
    sha256: str = Field(description="of its model.safetensors, in hex")
    tokens: int | None = Field(description="window positions that it had been trained on; None = not known")
    leaks: LeakCheck | None = Field(None, description="what its own documents share with judged data; None = not known")


class PretrainRecord(Record):
    """What a pretraining run did: the numbers of the card. pretrain.json is written last."""

    schema_version: Literal[1] = 1
    name: str = Field(description="name of the base")
    recipe: PretrainRecipe = Field(description="the recipe as it was run")
    num_params: int = Field(description="trainable numbers, counted on the model")
    file_bytes: int = Field(description="size of model.safetensors")
    start: tuple[Start, ...] = Field((), description="the bases that training began with; none: random weights")
    tokens: int = Field(description="window positions trained on")
    documents: int = Field(description="documents seen")
    steps: int = Field(description="optimiser steps")
    seconds: float = Field(
        description="wall seconds of training, generation and checkpoints, over all starts of the run"
    )
    held_out: HeldOut = Field(description="prediction of held-out documents")
    copying: tuple[CopyScore, ...] = Field(description="copying scores by kind, length and distance")
    rare: RareScore | None = Field(None, description="copying of rare tokens; None = not measured")
    leaks: LeakCheck | None = Field(None, description="shared text with judged data; None = not measured")
    versions: dict[str, str] = Field(description="torch, transformers, tokenizers, python and the corpus")
    sha256: dict[str, str] = Field(description="file of the folder -> sha256 in hex")

    def all_tokens(self) -> int | None:
        """Window positions that these weights were trained on with those of all starts, each counted; None = not known."""
        before = [start.tokens for start in self.start]
        return None if None in before else self.tokens + sum(tokens or 0 for tokens in before)
