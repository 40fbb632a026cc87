"""All checks of one GGUF file against the model that was trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lathe.contracts import Model
from lathe.engine.fidelity import predictions, texts
from lathe.engine.fidelity.blocks import check_blocks
from lathe.engine.gguf.read import matrices, vocabulary
from lathe.engine.llama_server import LlamaServer
from lathe.engine.model import load_base, load_merged
from lathe.records import Example, ModelCheck
from lathe.text import render, tokenizer
from lathe.text.tokenizer import Tokenizer

SPARE_TOKENS = 64
"""Context beyond the longest row; the fixed chats need more where rows are short."""
FEWEST_CONTEXT = 1024


def check_gguf_file(
    model: Model,
    path: Path,
    examples: Sequence[Example],
    format: str,
    threads: int | None = None,
    tok: Tokenizer | None = None,
) -> list[ModelCheck]:
    """The file's texts, blocks and next tokens against the trained model's. examples: rows that training did not see.

    Without an adapter in `model` nothing trained is at hand: the file is then held against its base, which it must not equal.
    tok: the tokenizer of training, where it is not the base's. Raises InputError where llama.cpp cannot load the file,
    Unavailable without its package.
    """
    tok = tok or tokenizer.load(model.base_folder)
    encoded = render.encode_all(tok, examples)
    context = max([FEWEST_CONTEXT, *(len(one.ids) + SPARE_TOKENS for one in encoded)])
    with LlamaServer(path, context, threads) as server:
        found = texts.check_texts(tok, server, [example.messages for example in examples[: predictions.MOST_ANSWERS]])
        found.append(check_blocks(format, matrices(path)))
        if not examples:
            return [*found, _memory(server, context)]
        base = load_base(model.base_folder)
        tuned = load_merged(model) if model.adapter_folder else base
        seen = predictions.look(predictions.places(encoded), tuned, base, server)
        found.append(_memory(server, context))
    if model.adapter_folder:
        return found + predictions.check_predictions(seen, format)
    ending = predictions.check_ending(predictions.endings_of_file(seen))
    return [*found, *predictions.check_difference(seen, format), *ending]


def check_vocabulary(path: Path, tok: Tokenizer) -> list[ModelCheck]:
    """That a file lacks tokens of the base, where it does: llama.cpp then refuses the prompts, and nothing else can be tried."""
    known = vocabulary(path)
    if known >= tok.usable_size:
        return []
    return [
        ModelCheck(
            id="vocabulary",
            ok=False,
            message=f"the file knows {known:,} tokens, the base {tok.usable_size:,}",
            fix="It was made from another base: name that one as --base, or convert again from the base's own tokenizer.",
            measured={"file": known, "base": tok.usable_size},
        )
    ]


def _memory(server: LlamaServer, context: int) -> ModelCheck:
    num_bytes = server.resident_bytes()
    return ModelCheck(
        id="memory",
        ok=True,
        message=f"llama.cpp takes {num_bytes / 1e6:,.0f} MB for it with a context of {context:,} tokens",
        measured={"bytes": num_bytes, "context": context},
    )
