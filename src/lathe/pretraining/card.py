# ruff: noqa: E501 - the card is a page of prose
"""The CARD.md of a base that was pretrained: every number from its record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lathe.records.pretrain import LeakCheck, PretrainRecord, Start


def card(record: PretrainRecord) -> str:
    """The base's CARD.md: every number from the record."""
    shape = record.recipe.network
    phases = "\n".join(
        f"| {p.tokens:,} | {p.window:,} | {p.step_tokens:,} | {p.drill_share:.2f} | {p.lookup_share:.2f} | {p.nesting_share:.2f} | {p.swap_share:.2f} | {p.stretch:.2f} |"
        for p in record.recipe.phases
    )
    return f"""---
library_name: transformers
license: apache-2.0
tags: [lathe, base, structured-text]
---

# {record.name}: a small base for records, tables and JSON

A Llama-architecture model of {record.num_params:,} parameters ({record.file_bytes / 1e6:.1f} MB in bf16), trained on generated text only, to be
fine-tuned. It has read no book, no web page and no data set: it knows how records look, how to copy out of a context into JSON, and next to
nothing about the world. Do not ask it for facts.

- shape: {shape.layers} layers of {shape.hidden}, {shape.heads} heads ({shape.kv_heads} key-value), feed-forward {shape.intermediate}, vocabulary {shape.vocabulary:,}, tied embeddings,
  context {shape.context:,}, rope base {shape.rope_theta:,.0f}
- tokenizer: byte-level BPE, SmolLM's pre-tokenizer (llama.cpp name `smollm`); no token is added before a text; ChatML turns end in `<|im_end|>`
- corpus: `{record.recipe.corpus}`, seed {record.recipe.seed}: {record.documents:,} documents, each with its own random schema
- training: {record.tokens:,} tokens, {record.steps:,} steps, {record.seconds:,.0f} seconds ({record.tokens / max(record.seconds, 1e-9):,.0f} tokens a second), Muon {record.recipe.muon_learning_rate} and
  AdamW {record.recipe.adamw_learning_rate}
{_starts(record.start)}

| tokens | window | tokens a step | share of copying drills | share of lookup drills | share of nesting drills | share with swapped tokens | share of stretched windows |
|---|---|---|---|---|---|---|---|
{phases}

## Measured

Held-out documents (another seed, {record.held_out.documents:,} of them): **{record.held_out.bits_per_byte:.3f} bits per byte** over all text (most of it random by construction), **{record.held_out.answer_bits_per_byte:.3f}** over
the stretches that follow from their context.

Copying: share of random strings given back without a fault, by length (rows) and distance (columns), both in tokens. Stretches of coined words:

{_copying(record, "words")}

Single tokens drawn at random, which no text holds side by side:

{_copying(record, "tokens")}

{_rare(record)}
Shared text with judged data: {_leaks(record.leaks)}.{"".join(map(_leaks_before, record.start))}

Versions: {", ".join(f"{name} {version}" for name, version in record.versions.items())}.
Made by `lathe pretrain`; the recipe stands in `pretrain.json` beside this card.
"""


def _starts(starts: Sequence[Start]) -> str:
    of = {0: "random weights", 1: ""}.get(len(starts), "the mean of ")
    return f"- began with {of}{' and '.join(map(_begun_with, starts))}"


def _begun_with(start: Start) -> str:
    trained = "" if start.tokens is None else f", which had been trained on {start.tokens:,} tokens"
    return f"`{start.name}` (weights of SHA-256 {start.sha256[:16]}{trained})"


def _rare(record: PretrainRecord) -> str:
    rare = record.rare
    if rare is None:
        return ""
    return (
        f"{rare.num_tokens} tokens stand in hardly any document as the corpus writes it; shares of swapped tokens put them there. Of tokens that "
        f"held-out documents give back, {rare.unchanged:.2f} are the likeliest; where another ordinary token stands in their place {rare.swapped:.2f}, "
        f"where one of these does {rare.rare:.2f}.\n"
    )


def _leaks(leaks: LeakCheck | None) -> str:
    if leaks is None:
        return "not measured"
    judged = f"{leaks.judged_files} files and the generated corpora {', '.join(leaks.judged_corpora)}"
    return (
        f"{leaks.documents:,} documents against {judged}: {leaks.shared_lines} lines of five words or more, "
        f"{leaks.shared_runs} runs of thirteen words, {leaks.shared_key_sets} key sets of three keys or more"
    )


def _leaks_before(start: Start) -> str:
    return f" Of `{start.name}`, which it began with: {_leaks(start.leaks)}."


def _copying(record: PretrainRecord, strings: str) -> str:
    """The table of copying scores of one kind."""
    scores = {(score.length, score.distance): score for score in record.copying if score.strings == strings}
    lengths, distances = sorted({length for length, _ in scores}), sorted({distance for _, distance in scores})
    rows = [
        [f"{length}", *(f"{scores[length, d].exact:.2f}" if (length, d) in scores else "" for d in distances)]
        for length in lengths
    ]
    table = [["tokens", *(f"{distance:,}" for distance in distances)], ["---"] * (len(distances) + 1), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in table)
