"""Messages to token ids, and an example to ids with its supervision.

    prompt_ids(tok, example.messages)      what the model reads, in training and in generation: the very same tokens
    encode(tok, example)                   prompt masked, completion and its end token supervised

The prompt is the template's rendering with the generation prompt, encoded by itself. What follows is what the model has to
write: the template's own text between prompt and end token, end token included, encoded by itself, or behind the prompt where a
tokenizer would take it for the beginning of a text and put a space in front. Template text after the end token ("\\n" in ChatML)
is left out: nobody asks the model for it. Where a template renders an answered turn unlike the
prompt it gives for generation, generation wins: the completion and the end token follow the generation prompt.

A base without a template gets the plainest form there is: the messages, one a line, then the answer, then eos. A bos token
stands in front where the template writes it or, without a template, where the tokenizer adds one: never two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lathe.errors import InputError
from lathe.records import Example, Message
from lathe.text.encoding_beside import encoders, is_plain
from lathe.text.template import Chat
from lathe.text.tokenizer import Tokenizer
from lathe.text.words import Ids
from lathe.workers import Workers

BATCH = 256


@dataclass(frozen=True, eq=False)
class Encoded:
    """One example as tokens. Position t of `supervised` says whether token t is a target, predicted from those before it."""

    ids: NDArray[np.int32]
    supervised: NDArray[np.bool_]
    num_prompt: int
    """Tokens of the prompt; the rest is supervised."""
    num_special_texts: int = 0
    """Places where the row's own text reads like a special token; kept as plain text."""


@dataclass(frozen=True)
class _Marked:
    """An example whose texts bear marks where they read like special tokens."""

    messages: tuple[Message, ...]
    completion: str
    count: int


def prompt_ids(tok: Tokenizer, messages: Sequence[Message]) -> list[int]:
    """Ids of a prompt, up to where the assistant begins to write."""
    return prompts(tok, [messages])[0]


def prompts(tok: Tokenizer, conversations: Sequence[Sequence[Message]]) -> list[list[int]]:
    """`prompt_ids` of many conversations, BATCH of them at a time."""
    found: list[list[int]] = []
    one_of_each: dict[int, int] = {}  # an id is 32 bytes wherever it stands anew, and 8 where it is the same object
    for start in range(0, len(conversations), BATCH):
        marked = [_mark_messages(tok, messages)[0] for messages in conversations[start : start + BATCH]]
        for ids in _with_bos(tok, tok.encode_marked_batch(_prompt_texts(tok, marked))):
            found.append([one_of_each.setdefault(id, id) for id in ids.tolist()])
    return found


def encode(tok: Tokenizer, example: Example) -> Encoded:
    """One example as ids and supervision. Raises InputError where its text cannot be encoded, Refused on a hostile template."""
    return encode_all(tok, [example])[0]


def encode_all(tok: Tokenizer, examples: Iterable[Example]) -> list[Encoded]:
    """`encode` of many examples at once."""
    texts = _texts(tok, examples)
    return _from_ids(tok, texts, tok.encode_marked_batch(texts.all()))


def encode_ahead(tok: Tokenizer, examples: Sequence[Example]) -> Iterator[list[Encoded]]:
    """`encode_all`, BATCH examples after the other: the template renders the next ones while these are encoded, some of them by a
    process beside this one."""
    beside: Workers[Sequence[str], list[Ids], _Texts] = encoders(tok, len(examples))
    with beside:
        for texts in _texts_ahead(tok, examples):
            asked = texts.all()
            for ids, of_texts in beside.hand(asked, texts, here=not is_plain(asked)):
                yield _from_ids(tok, of_texts, ids)
        for ids, of_texts in beside.rest():
            yield _from_ids(tok, of_texts, ids)


def _texts_ahead(tok: Tokenizer, examples: Sequence[Example]) -> Iterator[_Texts]:
    """The texts of BATCH examples after the other, rendered while those before are used."""
    batches = [examples[start : start + BATCH] for start in range(0, len(examples), BATCH)]
    with ThreadPoolExecutor(max_workers=1) as renderer:
        ahead = renderer.submit(_texts, tok, batches[0]) if batches else None
        for following in [*batches[1:], None]:
            if ahead is None:
                return
            texts = ahead.result()
            ahead = None if following is None else renderer.submit(_texts, tok, following)
            yield texts


def longest(tok: Tokenizer, examples: Iterable[Example]) -> tuple[int, int]:
    """Tokens of the longest prompt, and of the longest text to write after a prompt with its end token; 0 without examples."""
    if tok.begins_apart:
        sizes = [(one.num_prompt, len(one.ids) - one.num_prompt) for one in encode_all(tok, examples)]
        return max((prompt for prompt, _ in sizes), default=0), max((written for _, written in sizes), default=0)
    texts = _texts(tok, examples)
    bos = len(_front(tok)) if texts.before else 0
    return bos + _longest(tok, texts.before), _longest(tok, texts.after)


def _longest(tok: Tokenizer, texts: Sequence[str]) -> int:
    """Tokens of the longest text. Where no text has more tokens than bytes, shorter ones need no look."""
    most = 0
    sized = sorted(((len(tok.special.unmark(text).encode()), text) for text in texts), reverse=True)
    for start in range(0, len(sized), BATCH):
        if tok.is_byte_level and sized[start][0] <= most:
            break
        encoded = tok.encode_marked_batch([text for _, text in sized[start : start + BATCH]])
        most = max(most, *map(len, encoded))
    return most


@dataclass(frozen=True)
class _Texts:
    """Examples as texts: up to where the assistant begins, what it has to write, and how many names stood in the data."""

    before: list[str]
    after: list[str]
    counts: list[int]
    behind: bool
    """Whether what is to be written is encoded behind its prompt (`Tokenizer.begins_apart`)."""

    def all(self) -> list[str]:
        """Those of all examples, then what is to be written after each, or each with it."""
        after = map(str.__add__, self.before, self.after) if self.behind else self.after
        return [*self.before, *after]


def _texts(tok: Tokenizer, examples: Iterable[Example]) -> _Texts:
    marked = [_mark(tok, example) for example in examples]
    counts = [one.count for one in marked]
    if tok.template is None:
        before = _prompt_texts(tok, [one.messages for one in marked])
        after = [one.completion + tok.token(tok.eos_id) for one in marked]
        return _Texts(before, after, counts, tok.begins_apart)
    rendered = tok.template.render_answered((one.messages, one.completion) for one in marked)
    end = re.compile("|".join(re.escape(tok.token(id)) for id in sorted(tok.stop_ids)))
    turn_end = tok.token(tok.turn_end_id)
    after = [_written(one.completion, rest, end, turn_end) for one, (_, rest) in zip(marked, rendered, strict=True)]
    return _Texts([text for text, _ in rendered], after, counts, tok.begins_apart)


def _from_ids(tok: Tokenizer, texts: _Texts, ids: Sequence[Ids]) -> list[Encoded]:
    """The examples of these texts. ids: of `texts.all()`."""
    before, written = ids[: len(texts.before)], ids[len(texts.before) :]
    if texts.behind:
        written = [_behind(tok, *parts) for parts in zip(before, written, texts.after, strict=True)]
    return [_encoded(*parts) for parts in zip(_with_bos(tok, before), written, texts.counts, strict=True)]


def _behind(tok: Tokenizer, before: Ids, whole: Ids, after: str) -> Ids:
    """What follows a prompt in the ids of both; the text by itself where a token reaches over the end of the prompt."""
    if np.array_equal(whole[: len(before)], before):
        return whole[len(before) :]
    return tok.encode_marked_batch([after])[0]


def _encoded(prompt: Ids, written: Ids, count: int) -> Encoded:
    supervised = np.zeros(len(prompt) + len(written), dtype=np.bool_)
    supervised[len(prompt) :] = True
    supervised[:1] = False  # nothing stands before the first token that could predict it
    return Encoded(np.concatenate((prompt, written)), supervised, len(prompt), count)


# ------------------------------------------------------------------------------------------ texts


def _mark_messages(tok: Tokenizer, messages: Sequence[Message]) -> tuple[tuple[Message, ...], int]:
    pairs = [(message, *tok.special.mark(_encodable(message.content))) for message in messages]
    count = sum(found for _, _, found in pairs)
    if not count:
        return tuple(messages), 0
    return tuple(Message(role=message.role, content=text) for message, text, _ in pairs), count


def _mark(tok: Tokenizer, example: Example) -> _Marked:
    messages, in_prompt = _mark_messages(tok, example.messages)
    completion, in_completion = tok.special.mark(_encodable(example.completion))
    return _Marked(messages, completion, in_prompt + in_completion)


def _encodable(text: str) -> str:
    """The text itself. Raises InputError on a lone surrogate, which JSON can hold and UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"got half a character (lone surrogate U+{ord(text[error.start]):04X}) at position {error.start} of a text",
            hint="Mend the row: write the whole character or remove it.",
        ) from None
    return text


def _prompt_texts(tok: Tokenizer, conversations: Sequence[Sequence[Message]]) -> list[str]:
    if tok.template is None:
        return ["".join(f"{message.content}\n" for message in messages) for messages in conversations]
    return tok.template.render(Chat(messages, add_generation_prompt=True) for messages in conversations)


def _written(completion: str, rest: str | None, end: re.Pattern[str], turn_end: str) -> str:
    """What the model has to write, up to and with its end token. rest: what the template has behind the prompt; None = it does not
    go on from it."""
    if rest is None or completion.strip() not in rest:
        return completion + turn_end
    found = end.search(rest, rest.index(completion.strip()) + len(completion.strip()))
    return rest[: found.end()] if found else rest.rstrip() + turn_end


def _with_bos(tok: Tokenizer, prompts: Sequence[Ids]) -> Sequence[Ids]:
    front = _front(tok)
    return [np.concatenate((front, ids)) for ids in prompts] if len(front) else prompts


def _front(tok: Tokenizer) -> Ids:
    """What stands in front of every prompt: a bos token, or nothing."""
    begins = tok.template is None and tok.adds_bos and tok.bos_id is not None
    return np.asarray([tok.bos_id] if begins else [], np.int32)
