"""An answer held to a form goes back where the form shows that it went astray, and never ends worse for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lathe.contracts import Choice, Form, JsonForm
from lathe.engine import backtracking
from lathe.engine.backtracking import HeldAnswer
from lathe.engine.grammar import Grammars
from lathe.records import Json
from lathe.text.tokenizer import Tokenizer

Model = Callable[[Sequence[int]], torch.Tensor]
"""Logits of the next token, by the answer so far."""

LINES: Json = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"unit": {"type": "string"}, "size": {"type": "string"}},
        "additionalProperties": False,
    },
}
LABELS = Choice(("card arrival", "card linking", "lost card", "lock", "top up"))


def written(grammars: Grammars, form: Form, model: Model, *, returns: bool = True) -> tuple[list[int], int]:
    """An answer, with the token that ended it, and how often it went back."""
    held, ids, backs = HeldAnswer(grammars.begin(form), returns=returns), [], 0
    while not ids or ids[-1] not in grammars.stop_ids:
        stay, new, unread = held.go_on(model(ids)[None], ())
        backs += stay < len(ids)
        assert 1 <= unread <= len(new)
        ids[stay:] = new
        assert len(ids) < 200
    return ids, backs


def loss(ids: Sequence[int], model: Model) -> float:
    """What a whole answer costs."""
    steps = [(model(ids[:place]), token) for place, token in enumerate(ids)]
    return sum(float(logits.max() - logits[token]) for logits, token in steps)


def having_in_mind(tok: Tokenizer, texts: dict[str, float]) -> Model:
    """A model that wants to write one of some texts, each so much less than what it would like best; else it wants to end."""
    enders = [min(tok.stop_ids), *(tok.encode(mark)[0] for mark in '"}]')]

    def logits(ids: Sequence[int]) -> torch.Tensor:
        said = tok.decode(list(ids))
        found = torch.zeros(tok.backend.get_vocab_size())
        found[enders] = 1.0
        for text, less in texts.items():
            if text.startswith(said):
                rest = tok.encode(text[len(said) :])
                found[rest[0] if rest else enders[0]] = max(10 - less, float(found[rest[0] if rest else enders[0]]))
        return found

    return logits


def test_a_key_that_stood_before_is_written_into_a_new_object(grammars: Grammars, tok: Tokenizer) -> None:
    """The model forgets to close the first object, and would name its key once more."""
    wrong, right = '[{"unit": "No", "unit": "Of"}]', '[{"unit": "No"}, {"unit": "Of"}]'
    model = having_in_mind(tok, {wrong: 0.0, right: 1.0})
    ids, backs = written(grammars, JsonForm(LINES), model)
    assert (tok.decode(ids[:-1]), backs) == (right, 1)
    forced, _ = written(grammars, JsonForm(LINES), model, returns=False)
    assert tok.decode(forced[:-1]) != right
    assert loss(ids, model) < loss(forced, model)


def test_what_the_form_allows_is_written_as_it_comes(grammars: Grammars, tok: Tokenizer) -> None:
    text = json.dumps([{"unit": "No", "size": "ten"}, {"size": "x"}])
    ids, backs = written(grammars, JsonForm(LINES), having_in_mind(tok, {text: 0.0, text[:-3]: 0.1}))
    assert (tok.decode(ids[:-1]), backs) == (text, 0)


def test_it_does_not_go_back_for_what_costs_more(grammars: Grammars, tok: Tokenizer) -> None:
    """The model would say a word that is no label; to have begun another way would have cost more than to leave it."""
    model = having_in_mind(tok, {"card blocked": 0.0, "card arrival": 3.0, "card linking": 4.0, "lock": 5.0})
    ids, _ = written(grammars, LABELS, model)
    assert tok.decode(ids[:-1]) == "card arrival"


@given(seed=st.integers(0, 2**32 - 1), spread=st.floats(0.5, 8.0))
def test_an_answer_costs_no_more_than_the_best_tokens_one_by_one(
    grammars: Grammars, tok: Tokenizer, seed: int, spread: float
) -> None:
    """Whatever a model prefers: labels end within reach, and are few enough for each to be tried."""

    def model(ids: Sequence[int]) -> torch.Tensor:
        draw = torch.Generator().manual_seed(hash((seed, *ids)) % 2**63)
        return spread * torch.randn(tok.backend.get_vocab_size(), generator=draw)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backtracking, "MOST_RETURNS", 10_000)
        ids, _ = written(grammars, LABELS, model)
    forced, _ = written(grammars, LABELS, model, returns=False)
    assert tok.decode(ids[:-1]) in LABELS.texts
    assert loss(ids, model) <= loss(forced, model) + 1e-3


@given(seed=st.integers(0, 2**32 - 1), taken=st.integers(1, 60), back=st.integers(0, 60))
def test_a_guide_that_goes_back_allows_what_it_allowed_there(
    grammars: Grammars, seed: int, taken: int, back: int
) -> None:
    draw = torch.Generator().manual_seed(seed)
    guide, ids = grammars.begin(JsonForm(LINES)), []
    for _ in range(taken):
        possible = [
            token for token in torch.from_numpy(guide.allowed()).nonzero()[:, 0].tolist() if not guide.ends(token)
        ]
        if not possible:
            break
        ids.append(possible[int(torch.randint(len(possible), (), generator=draw))])
        guide.take(ids[-1])
    stay = max(0, len(ids) - back)
    guide.take_back(len(ids) - stay)
    fresh = grammars.begin(JsonForm(LINES))
    for token in ids[:stay]:
        fresh.take(token)
    assert (guide.allowed() == fresh.allowed()).all()


def test_it_gives_up_where_no_way_is_better(grammars: Grammars, tok: Tokenizer) -> None:
    """A model that wants nothing of what the form allows ends all the same."""
    outside = tok.encode("zebra")[0]

    def model(ids: Sequence[int]) -> torch.Tensor:
        logits = torch.zeros(tok.backend.get_vocab_size())
        logits[outside] = 20.0
        return logits

    ids, backs = written(grammars, LABELS, model)
    assert tok.decode(ids[:-1]) in LABELS.texts
    assert backs <= backtracking.MOST_RETURNS
