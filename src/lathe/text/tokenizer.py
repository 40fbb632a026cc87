"""The tokenizer of a base folder, with its chat template and its special tokens. No torch, no transformers.

    tok = load(Path("smollm2-135m"))
    tok.encode("Hello")          -> [19556]
    tok.stop_ids                 -> frozenset({0, 2})     every token at which an answer ends

Special tokens work only where the template puts them. Text of a row that reads like one ("<|im_end|>") stays plain text, so
that no data can end a turn or open another. Cost: loading takes 0.1 to 0.5 s, mostly reading tokenizer.json.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from lathe.errors import InputError
from lathe.records import Message
from lathe.text.special import OPEN, SpecialText
from lathe.text.template import Chat, ChatTemplate
from lathe.text.words import Ids, Words, described

RENDERING = "lathe.text/1"
"""Part of every content hash; raised when the same folder would give other ids than before."""
AT_ONCE = 256
"""Texts whose encodings are held at a time: the library's hold offsets, words and masks besides, some 100 bytes a token."""


@dataclass(frozen=True)
class SpecialTokens:
    """Ids by what they do. stop: every id at which the base itself ends a text (one or several)."""

    bos: int | None
    eos: int
    pad: int
    stop: frozenset[int]


class Tokenizer:
    """Text to ids and back, and what the folder says about turns. Made by `load`."""

    def __init__(
        self,
        folder: Path,
        backend: tokenizers.Tokenizer,
        special: SpecialTokens,
        template: ChatTemplate | None,
        adds_bos: bool,
        max_tokens: int | None,
        content_hash: str,
        embeddings: int | None = None,
    ) -> None:
        self.folder = folder
        self.backend = backend
        self.template = template
        self.bos_id = special.bos
        self.eos_id = special.eos
        self.pad_id = special.pad
        self.adds_bos = adds_bos
        self.max_tokens = max_tokens
        """Context of the base in tokens, as its config.json says; None = not stated."""
        self.embeddings = embeddings
        """Ids that the base has an embedding for, as its config.json says; None = not stated."""
        self.content_hash = content_hash
        """sha256 over everything that decides the ids: vocabulary, template, special tokens, way of rendering."""
        self._stop = special.stop

    @property
    def vocab_size(self) -> int:
        """Number of ids, added tokens included; the base's embedding may be padded beyond it."""
        return int(self.backend.get_vocab_size(with_added_tokens=True))

    @cached_property
    def usable_size(self) -> int:
        """Number of ids that the base has an embedding for: of all, in most. Gemma 3's text models lack the one for images."""
        return min(self.vocab_size, self.embeddings or self.vocab_size)

    @cached_property
    def begins_apart(self) -> bool:
        """Whether the beginning of a text is encoded otherwise than the same characters behind others: those of SentencePiece put
        a space in front of a text."""
        return begins_apart(self.backend)

    @cached_property
    def is_byte_level(self) -> bool:
        """Whether no text has more tokens than UTF-8 bytes: each byte is a token at most, and nothing is put in before."""
        found = described(self.backend.pre_tokenizer)
        steps = found.get("pretokenizers", [found])
        return (
            self.backend.normalizer is None
            and all(one.get("type") in ("Split", "Digits", "ByteLevel") for one in steps)
            and any(one["type"] == "ByteLevel" and not one["add_prefix_space"] for one in steps)
        )

    def encode(self, text: str) -> list[int]:
        """Ids of plain text: special tokens inside it stay text, none is added."""
        return self.encode_marked_batch([self.special.mark(text)[0]])[0].tolist()

    def decode(self, ids: Sequence[int]) -> str:
        """Text of ids, special tokens left out."""
        return str(self.backend.decode([int(i) for i in ids], skip_special_tokens=True))

    def token(self, id: int) -> str:
        """The text that stands for one id, such as "</s>"."""
        return str(self.backend.id_to_token(id))

    def id(self, token: str) -> int:
        """The id of one token's text. Raises KeyError on a text that is no token."""
        found = self.backend.token_to_id(token)
        if found is None:
            raise KeyError(token)
        return int(found)

    @cached_property
    def turn_end_id(self) -> int:
        """The token that ends an assistant's turn: what the template writes after an answer; eos where it writes none.

        Raises InputError where the template does not show the user's text, for nothing could be learned with it.
        """
        if self.template is None:
            return self.eos_id
        question, answer = "lathe-question", "lathe-answer"
        turns = (Message(role="user", content=question), Message(role="assistant", content=answer))
        text = self.template.render([Chat(turns, add_generation_prompt=False)])[0]
        if question not in text:
            raise InputError(
                f"the chat template of {self.folder} leaves out what the user says",
                hint="It is made for other messages than plain text (images, for one). Write a chat_template.jinja for text.",
            )
        found = self.special.pattern.search(text, text.rindex(answer) + len(answer)) if answer in text else None
        return self.id(found.group()) if found else self.eos_id

    @cached_property
    def stop_ids(self) -> frozenset[int]:
        """Every token at which an answer ends: those of the base's configuration, the end of a turn, and the beginning of a text.

        No answer goes on behind a bos; bases whose documents stand in a row end one with it.
        """
        begins = frozenset() if self.bos_id is None else frozenset({self.bos_id})
        return self._stop | {self.turn_end_id} | begins

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """All ids that only the template may write."""
        added = self.backend.get_added_tokens_decoder()
        ours = {self.bos_id, self.eos_id, self.pad_id, *self._stop}
        return frozenset(id for id, token in added.items() if token.special or id in ours)

    @cached_property
    def special(self) -> SpecialText:
        """The special tokens' names, and how text of data that reads like one is kept apart."""
        return SpecialText(self.backend, self.special_ids)

    @cached_property
    def _words(self) -> Words | None:
        return Words.of(self.backend) if self.usable_size == self.vocab_size else None

    @property
    def has_words(self) -> bool:
        """Whether texts are encoded by their words (lathe.text.words)."""
        return self._words is not None

    def encode_marked_batch(self, texts: Iterable[str]) -> list[Ids]:
        """Ids of texts in which names of special tokens stand open or are marked (`special.mark`); those of plain ones may not be
        written to.

        Raises InputError on a token that the base has no embedding for.
        """
        texts = list(texts)
        ids: dict[int, Ids] = {}
        plain = [place for place, text in enumerate(texts) if OPEN not in text]
        if self._words is not None:
            ids |= zip(plain, self._words.encode([texts[place] for place in plain]), strict=True)
            plain = []
        for start in range(0, len(plain), AT_ONCE):
            places = plain[start : start + AT_ONCE]
            encodings = self.backend.encode_batch_fast([texts[place] for place in places], add_special_tokens=False)
            ids |= {place: np.asarray(one.ids, np.int32) for place, one in zip(places, encodings, strict=True)}
        found = [
            ids[place] if place in ids else np.asarray(self.special.encode(text), np.int32)
            for place, text in enumerate(texts)
        ]
        if self.usable_size < self.vocab_size:
            self._check_usable(found)
        return found

    def _check_usable(self, rows: Sequence[Ids]) -> None:
        for ids in rows:
            beyond = ids[ids >= self.usable_size]
            if beyond.size:
                raise InputError(
                    f"a text has the token {self.token(int(beyond[0]))!r}, id {beyond[0]:,}, and {self.folder / 'config.json'} "
                    f"says that the base has {self.usable_size:,} (vocab_size)",
                    hint="Tokenizer and weights are of different models, or the tokenizer got tokens that the weights did not: "
                    "bring back the tokenizer that came with the weights.",
                )


# ------------------------------------------------------------------------------------------ loading


def load(folder: Path) -> Tokenizer:
    """The tokenizer of a base folder.

    Reads tokenizer.json, and where they exist tokenizer_config.json, special_tokens_map.json, chat_template.jinja,
    generation_config.json and config.json. Raises InputError where tokenizer.json is missing or damaged or no end token is named.
    """
    path = folder / "tokenizer.json"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(
            f"{path} is not there",
            hint="A base folder needs a fast tokenizer: save it once with a recent transformers.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    try:
        backend = tokenizers.Tokenizer.from_str(text)
    except Exception as error:  # the library raises bare Exception
        raise InputError(f"{path} is no tokenizer that can be read: {error}") from error
    backend.no_truncation()
    backend.no_padding()
    settings = read_object(folder / "tokenizer_config.json")
    named = named_tokens(read_object(folder / "special_tokens_map.json") | settings)
    config, generation = read_object(folder / "config.json"), read_object(folder / "generation_config.json")
    special = special_tokens(backend, named, config, generation, folder)
    source = template_source(folder, settings)
    # Templates that can think aloud first are asked not to: what is trained and measured is the answer.
    variables: dict[str, object] = {**named, "enable_thinking": False}
    sizes = config.get("text_config") or config
    context, embeddings = sizes.get("max_position_embeddings"), sizes.get("vocab_size")
    decides = [RENDERING, text, source, variables, sorted(special.stop), special.bos, special.eos]
    decides += ["answers behind their prompts"] * begins_apart(backend)
    return Tokenizer(
        folder=folder,
        backend=backend,
        special=special,
        template=ChatTemplate(source, variables) if source is not None else None,
        adds_bos=special.bos is not None and backend.encode("a").ids[:1] == [special.bos],
        max_tokens=context if isinstance(context, int) else None,
        content_hash=hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest(),
        embeddings=embeddings if isinstance(embeddings, int) else None,
    )


def begins_apart(backend: tokenizers.Tokenizer) -> bool:
    """As `Tokenizer.begins_apart`."""
    alone, before, behind = (backend.encode(text, add_special_tokens=False).ids for text in ("a", "\n", "\na"))
    return bool(behind != before + alone)


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object, or an empty one where there is no such file. Raises InputError on a damaged file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON that can be read: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path}: got a JSON {type(value).__name__}, expected an object")
    return value


def named_tokens(settings: dict[str, Any]) -> dict[str, str]:
    """Token texts by the names that templates use: bos_token, eos_token, pad_token, unk_token ..."""
    texts = {name: value.get("content") if isinstance(value, dict) else value for name, value in settings.items()}
    return {name: text for name, text in texts.items() if name.endswith("_token") and isinstance(text, str)}


def special_tokens(
    backend: tokenizers.Tokenizer,
    named: dict[str, str],
    config: dict[str, Any],
    generation: dict[str, Any],
    folder: Path,
) -> SpecialTokens:
    """Ids of bos, eos, pad and of every stop. eos is the tokenizer's own, else the first of the base's configuration."""

    def by_name(name: str) -> int | None:
        text = named.get(name)
        id = backend.token_to_id(text) if text is not None else None
        return None if id is None else int(id)

    def configured(name: str) -> list[int]:
        values = [source.get(name) for source in (generation, config)]
        ids = [id for value in values for id in (value if isinstance(value, list) else [value]) if isinstance(id, int)]
        # An embedding may be padded beyond the vocabulary; what has no text there is never written.
        return [id for id in ids if id >= 0 and backend.id_to_token(id) is not None]

    ends = configured("eos_token_id")
    first = by_name("eos_token")
    if first is None and not ends:
        raise InputError(
            f"{folder} names no end-of-text token (eos_token in tokenizer_config.json, eos_token_id in config.json)",
            hint="Without one a model never learns to stop. Name it in tokenizer_config.json.",
        )
    eos = first if first is not None else ends[0]
    pad = by_name("pad_token")
    bos = by_name("bos_token")
    return SpecialTokens(bos=bos, eos=eos, pad=eos if pad is None else pad, stop=frozenset({eos, *ends}))


def template_source(folder: Path, settings: dict[str, Any]) -> str | None:
    """The chat template: chat_template.jinja, else the one (or the one named default) in tokenizer_config.json, else None."""
    try:
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{folder / 'chat_template.jinja'} cannot be read: {error}") from error
    found = settings.get("chat_template")
    if isinstance(found, list):
        by_name = {one.get("name"): one.get("template") for one in found if isinstance(one, dict)}
        found = by_name.get("default")
    return found if isinstance(found, str) else None
