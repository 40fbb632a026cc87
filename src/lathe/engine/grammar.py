"""Answers held to a form while they are written: a JSON Schema, a list of texts or a grammar, over a tokenizer's tokens.

    grammars = Grammars(tok, tok.stop_ids)
    grammars.problem_with(JsonForm(schema))        # "" where the schema can be followed
    grammars.accepts(JsonForm(schema), ids)        # whether these tokens are a whole answer of that form
    guide = grammars.begin(JsonForm(schema))
    guide.allowed()                                # of every token whether it may come next
    guide.take(token)                              # what was written

JSON is written as Python's json.dumps writes it, keys in the schema's order: no other white space can come, of which a model that
was never trained would write without end. By llguidance; reading a schema takes about a millisecond, a step some 0.05 ms.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lathe.contracts import Choice, Form, TextForm
from lathe.errors import InputError, LatheError, Unavailable
from lathe.records import canonical
from lathe.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from llguidance import LLMatcher

PACKAGE = "llguidance"
INSTALL = "pip install 'lathe-slm[constrain]'"
KEPT_GRAMMARS = 256
"""Grammars kept at a time, ready to be begun."""
AS_JSON_DUMPS = {
    "whitespace_flexible": False,
    "whitespace_pattern": None,
    "item_separator": ", ",
    "key_separator": ": ",
    "lenient": False,
    "coerce_one_of": False,
}
"""Whatever a schema says of its own grammar under `x-guidance` gives way to these."""


def version() -> str:
    """Which package follows the grammars, in which version. Raises Unavailable where it is missing."""
    if find_spec(PACKAGE) is None:
        raise Unavailable(f"holding answers to a form needs the package {PACKAGE}", hint=f"Install it: {INSTALL}")
    return f"{PACKAGE} {metadata.version(PACKAGE)}"


class Grammars:
    """Grammars over the tokens of one tokenizer. May be asked from several threads."""

    def __init__(self, tokenizer: Tokenizer, stop_ids: frozenset[int]) -> None:
        """stop_ids: tokens at which an answer ends. Raises Unavailable without the package, InputError on an unknown tokenizer."""
        version()
        import llguidance

        try:
            self._tokens = llguidance.LLTokenizer(tokenizer.backend.to_str(), eos_token=sorted(stop_ids))
        except ValueError as error:
            raise InputError(f"{PACKAGE} cannot read the tokenizer of {tokenizer.folder}: {error}") from error
        self.stop_ids = stop_ids
        self._limits = llguidance.LLParserLimits(verbose_errors=False)
        self._matcher = lru_cache(KEPT_GRAMMARS)(self._made)

    def problem_with(self, form: Form) -> str:
        """Why no answer can be held to a form, in a sentence; empty where it can be."""
        try:
            return _first_line(self._matcher(_grammar(form)))
        except ValueError as error:  # a number beyond 64 bits, or no object at all
            return str(error)

    def accepts(self, form: Form, ids: Sequence[int]) -> bool:
        """Whether tokens are a whole answer of a form; a last one that ends an answer is left out."""
        if self.problem_with(form):
            return False
        said = list(ids[:-1] if ids and ids[-1] in self.stop_ids else ids)
        matcher = self._matcher(_grammar(form)).deep_copy()
        return matcher.try_consume_tokens(said) == len(said) and matcher.is_accepting()

    def reach(self, form: Form, ids: Sequence[int]) -> int:
        """How many of these tokens a form lets through, from the first on."""
        return self._matcher(_grammar(form)).deep_copy().try_consume_tokens(list(ids))

    def begin(self, form: Form) -> Guide:
        """A new answer of a form. Raises InputError where none can be held to it."""
        if problem := self.problem_with(form):
            raise InputError(f"no answer can be held to this form: {problem}")
        return Guide(self._matcher(_grammar(form)).deep_copy(), self.stop_ids)

    def _made(self, grammar: str) -> LLMatcher:
        import llguidance

        return llguidance.LLMatcher(self._tokens, grammar, log_level=0, limits=self._limits)


class Guide:
    """How far an answer is in its form, and what may come next."""

    def __init__(self, matcher: LLMatcher, stop_ids: frozenset[int]) -> None:
        self._matcher = matcher
        self._stop_ids = stop_ids

    def allowed(self) -> NDArray[np.bool_]:
        """Whether each token may come next, shape (V,). Raises LatheError where the grammar grew beyond what can be followed."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
        if self._matcher.is_error():
            raise LatheError(f"the grammar of this answer cannot be followed: {_first_line(self._matcher)}")
        return np.unpackbits(bits, bitorder="little").view(np.bool_)

    def passable(self, guess: Sequence[int]) -> list[int]:
        """The beginning of a guess that the grammar lets through."""
        return list(guess[: self._matcher.validate_tokens(list(guess))])

    def take(self, token: int) -> None:
        """Goes on by a token that was allowed; one that ends the answer changes nothing."""
        if not self.ends(token):
            self._matcher.consume_token(token)

    def take_back(self, count: int) -> None:
        """Goes back by so many tokens, none of which ended the answer."""
        self._matcher.rollback(count)

    def ends(self, token: int) -> bool:
        """Whether a token ends the answer."""
        return token in self._stop_ids


def as_lark(form: Form) -> str:
    """A form in Lark's notation, as llguidance reads it, and llama.cpp behind `%llguidance {}`.

    Raises ValueError on a schema that is none.
    """
    if isinstance(form, Choice):
        return "start: " + " | ".join(map(canonical, form.texts))
    if isinstance(form, TextForm):
        return form.grammar()
    schema = {} if form.schema is True else form.schema
    if not isinstance(schema, dict):
        raise ValueError(f"a schema is an object, got {canonical(schema)}")
    return f"start: %json {json.dumps({**schema, 'x-guidance': AS_JSON_DUMPS})}"


def _grammar(form: Form) -> str:
    from llguidance import LLMatcher

    return LLMatcher.grammar_from_lark(as_lark(form))


def _first_line(matcher: LLMatcher) -> str:
    return matcher.get_error().split("\n")[0]
