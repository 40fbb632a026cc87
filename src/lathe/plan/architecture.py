"""The shapes of a model, from its config.json alone.

    shapes({"model_type": "llama", "hidden_size": 576, ...}).layer -> (Linear("self_attn.q_proj", 576, 576, bias=False), ...)

What a configuration leaves out takes the default of its architecture's class in transformers 5.23, from which all of this was
read. To add an architecture: its defaults below, then whatever sets it apart in `shapes`. Cost: microseconds; no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lathe.errors import InputError

Defaults = Mapping[str, int | bool | None]

_LLAMA: Defaults = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": None,
    "head_dim": None,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "mlp_bias": False,
    "max_position_embeddings": 2048,
}

DEFAULTS: Mapping[str, Defaults] = {
    "llama": _LLAMA,
    "granite": _LLAMA,
    "mistral": {**_LLAMA, "intermediate_size": 14336, "num_key_value_heads": 8, "max_position_embeddings": 131072},
    "qwen2": {
        **_LLAMA,
        "vocab_size": 151936,
        "intermediate_size": 22016,
        "num_key_value_heads": 32,
        "max_position_embeddings": 32768,
    },
    "qwen3": {
        **_LLAMA,
        "vocab_size": 151936,
        "intermediate_size": 22016,
        "num_key_value_heads": 32,
        "head_dim": 128,
        "max_position_embeddings": 32768,
    },
    "gemma3_text": {
        "vocab_size": 262208,
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "num_hidden_layers": 26,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "tie_word_embeddings": True,
        "attention_bias": False,
        "max_position_embeddings": 131072,
    },
    "phi3": {
        **_LLAMA,
        "vocab_size": 32064,
        "hidden_size": 3072,
        "intermediate_size": 8192,
        "max_position_embeddings": 4096,
    },
    "olmo2": {**_LLAMA, "vocab_size": 50304},
    "smollm3": {
        **_LLAMA,
        "vocab_size": 128256,
        "hidden_size": 2048,
        "num_hidden_layers": 36,
        "num_attention_heads": 16,
        "num_key_value_heads": 4,
        "tie_word_embeddings": True,
        "max_position_embeddings": 32768,
    },
}
"""Class defaults by `model_type`. A default of None: heads for num_key_value_heads, hidden / heads for head_dim."""


MOST_LAYERS = 10_000
"""Decoder layers that are counted one by one; the deepest published models have some hundreds."""
LAYER_KEYS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers")


@dataclass(frozen=True)
class Linear:
    """One linear layer. `name` is its path inside a decoder layer, such as self_attn.q_proj."""

    name: str
    fan_in: int
    fan_out: int
    bias: bool = False

    @property
    def parameters(self) -> int:
        """Weights and, where it has them, biases."""
        return self.fan_in * self.fan_out + (self.fan_out if self.bias else 0)


@dataclass(frozen=True)
class Shapes:
    """Everything about a decoder that decides counts, memory and arithmetic. Widths are numbers of elements."""

    architecture: str
    vocab: int
    hidden: int
    intermediate: int
    num_layers: int
    heads: int
    kv_heads: int
    head_dim: int
    tied: bool
    layer: tuple[Linear, ...]
    """The linear layers of one decoder layer; all layers are alike."""
    norms_per_layer: int
    """Norm weights of one decoder layer, those on queries and keys included."""
    context: int
    """Longest sequence in tokens that the model was made for."""

    @property
    def queries(self) -> int:
        """Width of all query heads together; not always the hidden width."""
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        """Width of all key heads together."""
        return self.kv_heads * self.head_dim

    @property
    def body_linear(self) -> int:
        """Parameters of all linear layers but the head."""
        return self.num_layers * sum(linear.parameters for linear in self.layer)


def shapes(config: Mapping[str, Any]) -> Shapes:
    """The shapes that a config.json describes.

    Raises InputError on an architecture that is not known here, on a value that is no positive whole number, or neither true nor
    false, and on layers without number.
    """
    kind = str(config.get("model_type"))
    if not is_known(config):
        nested = f" (its text model says {config['text_config'].get('model_type')!r})" if _is_nested(config) else ""
        raise InputError(
            f"got model_type {kind!r}{nested}, expected one of: {', '.join(DEFAULTS)}",
            hint="Lathe trains text-only decoders of these architectures; take a base that is one.",
        )
    refuse_endless(config)
    hidden = _positive(config, "hidden_size", kind)
    inner = _positive(config, "intermediate_size", kind)
    heads = _positive(config, "num_attention_heads", kind)
    kv_heads = _positive(config, "num_key_value_heads", kind, otherwise=heads)
    head_dim = _positive(config, "head_dim", kind, otherwise=hidden // heads)
    queries, keys = heads * head_dim, kv_heads * head_dim
    attention_bias = kind in ATTENTION_BIAS and _flag(config, "attention_bias", kind)
    mlp_bias = kind in MLP_BIAS and _flag(config, "mlp_bias", kind)
    norms = 4 * hidden if kind == "gemma3_text" else 2 * hidden
    if kind in ("qwen3", "gemma3_text"):
        norms += 2 * head_dim
    elif kind == "olmo2":
        norms += queries + keys
    return Shapes(
        architecture=kind,
        vocab=_positive(config, "vocab_size", kind),
        hidden=hidden,
        intermediate=inner,
        num_layers=_positive(config, "num_hidden_layers", kind),
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        tied=_flag(config, "tie_word_embeddings", kind),
        layer=(
            _fused(hidden, inner, queries, keys)
            if kind == "phi3"
            else _separate(hidden, inner, queries, keys, kind == "qwen2" or attention_bias, attention_bias, mlp_bias)
        ),
        norms_per_layer=norms,
        context=_positive(config, "max_position_embeddings", kind),
    )


def is_known(config: Mapping[str, Any]) -> bool:
    """Whether its shapes are written out here."""
    kind = config.get("model_type")
    return isinstance(kind, str) and kind in DEFAULTS


def refuse_endless(config: Mapping[str, Any]) -> None:
    """Raises InputError on a configuration, its text model's included, of more layers than anyone counts."""
    nested = config.get("text_config")
    for part in (config, nested if isinstance(nested, Mapping) else {}):
        for key in LAYER_KEYS:
            layers = part.get(key)
            if isinstance(layers, int) and layers > MOST_LAYERS:
                raise InputError(
                    f"the configuration's {key} is {layers:,}, expected at most {MOST_LAYERS:,}",
                    hint="Is it the config.json as it was published?",
                )


ATTENTION_BIAS = frozenset({"llama", "granite", "qwen3", "gemma3_text", "olmo2", "smollm3"})
"""Architectures that heed `attention_bias`; mistral and phi3 have none, qwen2 always has it on q, k, v and never on o."""
MLP_BIAS = frozenset({"llama", "granite", "smollm3"})
"""Architectures that heed `mlp_bias`."""


def _separate(
    hidden: int, inner: int, queries: int, keys: int, qkv_bias: bool, o_bias: bool, mlp_bias: bool
) -> tuple[Linear, ...]:
    return (
        Linear("self_attn.q_proj", hidden, queries, qkv_bias),
        Linear("self_attn.k_proj", hidden, keys, qkv_bias),
        Linear("self_attn.v_proj", hidden, keys, qkv_bias),
        Linear("self_attn.o_proj", queries, hidden, o_bias),
        Linear("mlp.gate_proj", hidden, inner, mlp_bias),
        Linear("mlp.up_proj", hidden, inner, mlp_bias),
        Linear("mlp.down_proj", inner, hidden, mlp_bias),
    )


def _fused(hidden: int, inner: int, queries: int, keys: int) -> tuple[Linear, ...]:
    return (
        Linear("self_attn.qkv_proj", hidden, queries + 2 * keys),
        Linear("self_attn.o_proj", queries, hidden),
        Linear("mlp.gate_up_proj", hidden, 2 * inner),
        Linear("mlp.down_proj", inner, hidden),
    )


def _value(config: Mapping[str, Any], key: str, kind: str) -> Any:
    return config[key] if key in config else DEFAULTS[kind].get(key)


def _positive(config: Mapping[str, Any], key: str, kind: str, otherwise: int | None = None) -> int:
    value = _value(config, key, kind)
    if value is None:
        value = otherwise
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"the configuration's {key} is {value!r}, expected a whole number above 0")
    return value


def _flag(config: Mapping[str, Any], key: str, kind: str) -> bool:
    value = _value(config, key, kind)
    if not isinstance(value, bool):
        raise InputError(f"the configuration's {key} is {value!r}, expected true or false")
    return value


def _is_nested(config: Mapping[str, Any]) -> bool:
    return isinstance(config.get("text_config"), Mapping)
