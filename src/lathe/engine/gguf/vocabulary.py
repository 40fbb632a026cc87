"""A tokenizer as a GGUF file holds it: tokens, their kinds, merges or scores, the cut into words, special ids, chat template.

llama.cpp has the cuts of known tokenizers built in under a name; a file can only say the name. So a tokenizer can be written where
its cut is one of those, and whether the ids are then really equal is measured on the written file (`engine.fidelity`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gguf

from lathe.errors import InputError
from lathe.text.tokenizer import Tokenizer

_QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LLAMA3 = _QWEN.replace(r"|\p{N}|", r"|\p{N}{1,3}|")

PLAIN_TEMPLATE = "{% for message in messages %}{{ message['content'] + '\n' }}{% endfor %}"
"""What `text.render` writes for a base without a template. Without it llama.cpp would put ChatML around every prompt."""
STRIPPING = re.compile("phi-?3", re.IGNORECASE)
STRIPPING_NEEDS = ("</s>", "<unk>", "<s>", "<|endoftext|>")
"""A file cannot say that special tokens swallow the blanks behind them; llama.cpp takes it from such a word in general.name, and
does not load a file of that name without these tokens (src/llama-vocab.cpp)."""
TRAINING_TAG = re.compile(r"\{%-?\s*(?:end)?generation\s*-?%\}")
"""Marks what carries loss, for transformers; other template engines stumble over it."""


@dataclass(frozen=True)
class Vocabulary:
    """kind: gpt2 (byte-level BPE) or llama (SentencePiece). cut: llama.cpp's name of the cut into words. Lists: one a token."""

    kind: str
    cut: str
    tokens: list[str]
    types: list[int]
    scores: list[float] | None
    merges: list[str] | None
    space_in_front: bool
    """Of kind llama: whether a space is put before a text."""


def read(tok: Tokenizer, size: int) -> Vocabulary:
    """The vocabulary of a tokenizer, filled up to `size` ids. Raises InputError where llama.cpp has no such tokenizer."""
    described = json.loads(tok.backend.to_str())
    model = described["model"]
    if model["type"] != "BPE":
        raise _unknown(tok, f"a model of type {model['type']}")
    ids = {token: int(id) for token, id in tok.backend.get_vocab(with_added_tokens=True).items()}
    added = {one["id"]: one for one in described["added_tokens"]}
    if any(id >= size and id not in added for id in ids.values()):
        raise InputError(f"the tokenizer of {tok.folder} has more ids than its model has embeddings ({size:,})")
    # Such a one no model has ever read: <image_soft_token> in the text models of Gemma 3.
    ids = {token: id for token, id in ids.items() if id < size}
    tokens = [f"[PAD{id}]" for id in range(size)]
    types = [int(gguf.TokenType.UNUSED)] * size
    for token, id in ids.items():
        tokens[id], types[id] = token, int(gguf.TokenType.NORMAL)
    for id in added.keys() & ids.values():
        special = added[id]["special"] or id in tok.special_ids
        types[id] = int(gguf.TokenType.CONTROL if special else gguf.TokenType.USER_DEFINED)
    pairs = [merge.split(" ") if isinstance(merge, str) else merge for merge in model["merges"]]
    if model.get("byte_fallback"):
        scores = _scores(tokens, pairs)
        for id, token in enumerate(tokens):
            if re.fullmatch("<0x[0-9A-F]{2}>", token):
                types[id] = int(gguf.TokenType.BYTE)
        if model.get("unk_token") in ids:
            types[ids[model["unk_token"]]] = int(gguf.TokenType.UNKNOWN)
        return Vocabulary("llama", "default", tokens, types, scores, None, _puts_space(described))
    merges = [" ".join(pair) for pair in pairs]
    return Vocabulary("gpt2", _cut(tok, described), tokens, types, None, merges, False)


def put(writer: gguf.GGUFWriter, tok: Tokenizer, size: int) -> None:
    """Writes the tokenizer, its special ids and the chat template. Raises InputError as `read` does."""
    vocabulary = read(tok, size)
    writer.add_tokenizer_model(vocabulary.kind)
    writer.add_tokenizer_pre(vocabulary.cut)
    writer.add_token_list(vocabulary.tokens)
    writer.add_token_types(vocabulary.types)
    if vocabulary.scores is not None:
        writer.add_token_scores(vocabulary.scores)
        writer.add_add_space_prefix(vocabulary.space_in_front)
    if vocabulary.merges is not None:
        writer.add_token_merges(vocabulary.merges)
    if tok.bos_id is not None:
        writer.add_bos_token_id(tok.bos_id)
    # llama.cpp ends an answer at each of these three; which one is called what makes no difference to it.
    ends = dict.fromkeys([tok.turn_end_id, tok.eos_id, *sorted(tok.stop_ids - {tok.bos_id})])
    for end, add in zip(
        ends, (writer.add_eos_token_id, writer.add_eot_token_id, writer.add_eom_token_id), strict=False
    ):
        add(end)
    writer.add_pad_token_id(tok.pad_id)
    writer.add_add_bos_token(tok.adds_bos)
    writer.add_chat_template(TRAINING_TAG.sub("", tok.template.source) if tok.template else PLAIN_TEMPLATE)


def fitting_name(name: str, tok: Tokenizer) -> str:
    """A name for a file under which llama.cpp reads special tokens as this tokenizer does: with the blanks behind them, or not."""
    added = tok.backend.get_added_tokens_decoder()
    swallows = any(added[id].rstrip for id in tok.special_ids if id in added)
    is_told = STRIPPING.search(name) is not None
    if swallows and not is_told and all(tok.backend.token_to_id(token) is not None for token in STRIPPING_NEEDS):
        return f"Phi-3 {name}"
    return STRIPPING.sub("Phi 3", name) if is_told and not swallows else name


def _cut(tok: Tokenizer, described: Mapping[str, Any]) -> str:
    """llama.cpp's name for how a byte-level tokenizer cuts a text into words."""
    cut = described["pre_tokenizer"] or {}
    steps = cut["pretokenizers"] if cut.get("type") == "Sequence" else [cut]
    kinds = [step.get("type") for step in steps]
    last = steps[-1]
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space"):
        raise _unknown(tok, f"the cut {' + '.join(map(str, kinds))}")
    if kinds == ["ByteLevel"] and last.get("use_regex", True):
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and steps[0]["individual_digits"] and last.get("use_regex", True):
        return "smollm"
    if kinds == ["Split", "ByteLevel"] and not last.get("use_regex", True):
        pattern = steps[0]["pattern"].get("Regex")
        if pattern == _QWEN:
            return "qwen2"
        if pattern == _LLAMA3:
            return "llama-bpe" if described["model"].get("ignore_merges") else "smaug-bpe"
    raise _unknown(tok, f"the cut {' + '.join(map(str, kinds))}")


def _scores(tokens: list[str], merges: list[list[str]]) -> list[float]:
    """SentencePiece's scores from the order of the merges: what is joined first scores highest."""
    rank: dict[str, int] = {}
    for place, pair in enumerate(merges):
        rank.setdefault("".join(pair), place)
    return [-float(rank.get(token, len(merges))) for token in tokens]


def _puts_space(described: Mapping[str, Any]) -> bool:
    """Whether the normalizer or the cut puts a space before a text."""
    normalizer = described.get("normalizer") or {}
    steps = normalizer.get("normalizers", [normalizer])
    cut = described.get("pre_tokenizer") or {}
    return any(step.get("type") == "Prepend" for step in steps) or cut.get("prepend_scheme") in ("always", "first")


def _unknown(tok: Tokenizer, what: str) -> InputError:
    return InputError(
        f"the tokenizer of {tok.folder} cannot be written as GGUF: llama.cpp knows no tokenizer with {what}",
        hint="Ship it as merged instead.",
    )
