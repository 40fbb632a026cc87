"""Does a GGUF file cut, render and end texts as the base's own tokenizer and template do? Four checks without any weight."""

from __future__ import annotations

from collections.abc import Sequence

from lathe.engine.fidelity.golden import DECOMPOSED, golden_chats, golden_texts
from lathe.engine.llama_server import LlamaServer
from lathe.errors import InputError, LatheError
from lathe.records import Message, ModelCheck
from lathe.text import render
from lathe.text.tokenizer import Tokenizer

SHOWN = 60
"""Characters of a text that a message quotes."""


def check_texts(
    tok: Tokenizer, server: LlamaServer, conversations: Sequence[Sequence[Message]] = ()
) -> list[ModelCheck]:
    """Token ids, rendered chats, bos and end tokens. conversations: prompts of one's own, beside the fixed ones."""
    chats = [*chats_for(tok), *conversations]
    ours = render.prompts(tok, chats)
    theirs = [_rendered(server, chat) for chat in chats]
    return [
        _token_ids(tok, server),
        _chat_ids(chats, ours, theirs),
        one_bos(tok, theirs),
        _stop_tokens(tok, server, ours[0]),
    ]


def chats_for(tok: Tokenizer) -> list[tuple[Message, ...]]:
    """The fixed chats, without a system turn where the template refuses one."""
    try:
        render.prompts(tok, golden_chats(system=True))
    except InputError:
        return golden_chats(system=False)
    return golden_chats(system=True)


def _rendered(server: LlamaServer, chat: Sequence[Message]) -> list[int]:
    """The prompt that a user of the file gets; nothing where its template fails, which differs from every prompt of ours."""
    try:
        return server.tokenize(server.render(chat))
    except InputError:
        return []


def _token_ids(tok: Tokenizer, server: LlamaServer) -> ModelCheck:
    texts = golden_texts([name for name in tok.special.names if tok.id(name) < tok.usable_size])
    differing = [text for text in texts if not _same_ids(tok, server, text)]
    decomposed = sum(not _same_ids(tok, server, text) for text in DECOMPOSED)
    measured = {"equal": len(texts) - len(differing), "texts": len(texts), "decomposed_differ": decomposed}
    note = f"; characters written in parts differ in {decomposed} of {len(DECOMPOSED)}" if decomposed else ""
    if differing:
        return ModelCheck(
            id="token_ids",
            ok=False,
            message=f"token ids differ on {len(differing)} of {len(texts)} texts, such as {differing[0][:SHOWN]!r}{note}",
            fix="The file holds another vocabulary or another cut into words. Convert it again from the base's tokenizer.json.",
            measured=measured,
        )
    return ModelCheck(
        id="token_ids",
        ok=True,
        message=f"token ids equal on {len(texts)} of {len(texts)} texts{note}",
        measured=measured,
    )


def _same_ids(tok: Tokenizer, server: LlamaServer, text: str) -> bool:
    return list(tok.backend.encode(text, add_special_tokens=False).ids) == server.tokenize_plain(text)


def _chat_ids(chats: Sequence[Sequence[Message]], ours: list[list[int]], theirs: list[list[int]]) -> ModelCheck:
    differing = [place for place, (mine, its) in enumerate(zip(ours, theirs, strict=True)) if mine != its]
    measured = {"equal": len(chats) - len(differing), "chats": len(chats)}
    if not differing:
        return ModelCheck(
            id="chat_ids",
            ok=True,
            message=f"rendered chats equal, token by token, on {len(chats)} of {len(chats)}",
            measured=measured,
        )
    first = differing[0]
    place = next((i for i, (a, b) in enumerate(zip(ours[first], theirs[first], strict=False)) if a != b), None)
    where = (
        f"at token {place}" if place is not None else f"in length: {len(ours[first])} and {len(theirs[first])} tokens"
    )
    shown = chats[first][-1].content[:SHOWN]
    return ModelCheck(
        id="chat_ids",
        ok=False,
        message=f"{len(differing)} of {len(chats)} rendered chats differ; the one that ends with {shown!r} differs {where}",
        fix="The file holds another chat template than the one of training. Write the base's own into tokenizer.chat_template.",
        measured=measured,
    )


def one_bos(tok: Tokenizer, prompts: Sequence[Sequence[int]]) -> ModelCheck:
    """At most one bos in front: a second one is the classic of a template that writes it and a tokenizer that adds it."""
    if tok.bos_id is None:
        return ModelCheck(id="one_bos", ok=True, message="the base has no bos token", measured={"most_bos": 0})
    most = max(_leading(prompt, tok.bos_id) for prompt in prompts)
    measured = {"most_bos": most}
    if most <= 1:
        return ModelCheck(id="one_bos", ok=True, message=f"{most} bos token in front of a prompt", measured=measured)
    return ModelCheck(
        id="one_bos",
        ok=False,
        message=f"prompts begin with {most} bos tokens ({tok.token(tok.bos_id)}), expected one at most",
        fix="Set tokenizer.ggml.add_bos_token to false, or take the bos token out of the chat template.",
        measured=measured,
    )


def _leading(prompt: Sequence[int], id: int) -> int:
    return next((place for place, found in enumerate(prompt) if found != id), len(prompt))


def _stop_tokens(tok: Tokenizer, server: LlamaServer, prompt: Sequence[int]) -> ModelCheck:
    """Every special token is forced upon an answer: it must end there if and only if it is an end token."""
    needed = tok.stop_ids - {tok.bos_id}
    if not prompt:
        raise LatheError("the chat template renders nothing for a first user turn")
    stops = {id for id in sorted(tok.special_ids | needed) if server.stops_at(prompt, id)}
    missing = [tok.token(id) for id in sorted(needed - stops)]
    surplus = [tok.token(id) for id in sorted(stops - tok.stop_ids)]
    ends = [tok.token(id) for id in sorted(needed)]
    measured = {"end_tokens": sorted(needed), "really_stop": sorted(stops)}
    if not missing:
        also = f", and also at {', '.join(surplus)}" if surplus else ""
        return ModelCheck(
            id="stop_tokens", ok=True, message=f"an answer really ends at {', '.join(ends)}{also}", measured=measured
        )
    return ModelCheck(
        id="stop_tokens",
        ok=False,
        message=f"an answer does not end at {', '.join(missing)}; it goes on until the limit",
        fix=f"Set tokenizer.ggml.eos_token_id (or eot_token_id) to the id of {missing[0]}, and mark it as a control token.",
        measured=measured,
    )
