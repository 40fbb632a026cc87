"""Generation by the engine: greedy or drawn, the adapter folded into the weights or beside a 4-bit base, keys and values
shared between like prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from lathe.contracts import (
    Ability,
    Form,
    GenerateSettings,
    Heard,
    HoldsToForm,
    Model,
    Request,
    Room,
    Runtime,
    ScoresLabels,
    Service,
    Session,
)

if TYPE_CHECKING:
    from lathe.engine.generate import Taken
    from lathe.engine.live import Live
    from lathe.records import Prediction
    from lathe.text.tokenizer import Tokenizer


PROMPTS_AT_ONCE = 32
"""Prompts whose labels are scored before they are told."""


class NativeSession(Session, ScoresLabels):
    """A loaded model and its tokenizer."""

    def __init__(
        self, source: Model, weights: Taken, num_parameters: int, tokenizer: Tokenizer, threads: int | None
    ) -> None:
        self._source = source
        self._weights: Taken | None = weights
        self._num_parameters = num_parameters
        self._tokenizer = tokenizer
        self._threads = threads

    def generate(self, requests: Sequence[Request], settings: GenerateSettings) -> Iterator[Prediction]:
        """One prediction a request, in the order in which they finish. Without `stop_ids` the tokenizer's own end an answer."""
        from lathe.engine import devices
        from lathe.engine.chance import Chance
        from lathe.engine.generate_in_processes import generate_in_processes, processes
        from lathe.engine.outline import Outlines
        from lathe.engine.writing import Prompt, prediction
        from lathe.processes import usable_cores

        if self._weights is None:
            raise ValueError("the session is closed")
        outlines = Outlines(self._tokenizer)
        prompts = [
            Prompt(
                request.prompt_ids, request.max_new_tokens, request.form, outlines.of(request.form or request.likely)
            )
            for request in requests
        ]
        stop_ids, budget = settings.stop_ids or self._tokenizer.stop_ids, settings.token_budget
        asked, num_parameters = settings.threads or self._threads, self._num_parameters
        chance = Chance(settings.temperature, settings.seed) if settings.temperature > 0 else None
        count = processes(len(prompts), asked or usable_cores(), num_parameters)
        with devices.threads(1 if count > 1 else devices.decoding_threads(asked, num_parameters)):
            for answer in generate_in_processes(
                self._weights, self._source, prompts, count, token_budget=budget, stop_ids=stop_ids, chance=chance
            ):
                yield prediction(answer, requests[answer.index], self._tokenizer)

    def label_scores(
        self, requests: Sequence[Request], labels: Sequence[Sequence[int]], settings: GenerateSettings
    ) -> Iterator[tuple[str, Sequence[float]]]:
        """Some requests at a time, those that begin alike next to each other."""
        from lathe.engine import devices
        from lathe.engine.score_labels import score_labels

        if self._weights is None:
            raise ValueError("the session is closed")
        ordered = sorted(requests, key=lambda request: tuple(request.prompt_ids))
        threads = devices.decoding_threads(settings.threads or self._threads, self._num_parameters)
        with devices.threads(threads):
            for start in range(0, len(ordered), PROMPTS_AT_ONCE):
                some = ordered[start : start + PROMPTS_AT_ONCE]
                prompts = [request.prompt_ids for request in some]
                found = score_labels(self._weights, prompts, labels, token_budget=settings.token_budget)
                yield from ((request.id, row.tolist()) for request, row in zip(some, found.raw_PL, strict=True))

    def close(self) -> None:
        self._weights = None


class NativeService(Service, HoldsToForm):
    """A loaded model and the thread that owns it."""

    def __init__(self, live: Live) -> None:
        self._live = live

    def begin(self, request: Request, heard: Heard, pieces: bool) -> Callable[[], None]:
        return self._live.begin(request, heard, pieces)

    def problem_with(self, form: Form) -> str:
        return self._live.grammars.problem_with(form)

    def close(self) -> None:
        self._live.close()


class Native(Runtime):
    holds_to_form = True

    def ability(self) -> Ability:
        return Ability.with_packages("torch", "transformers", "peft", "safetensors")

    def open(self, model: Model, threads: int | None = None) -> NativeSession:
        """Loads the model in its number format. Raises InputError on a folder that is no model, Refused on pickles and remote code,
        Unavailable where a 4-bit base lacks its packages."""
        return NativeSession(model, *_loaded(model), threads)

    def serve(self, model: Model, room: Room, threads: int | None = None) -> NativeService:
        """As `open`. The tokenizer's own stop tokens end an answer."""
        from lathe.engine.devices import decoding_threads
        from lathe.engine.live import Live

        weights, num_parameters, tok = _loaded(model)
        count = decoding_threads(threads, num_parameters)
        return NativeService(
            Live(weights, tok, at_once=room.at_once, tokens=room.tokens, stop_ids=tok.stop_ids, threads=count)
        )


def _loaded(model: Model) -> tuple[Taken, int, Tokenizer]:
    """The model's weights, how many parameters they are, and its tokenizer."""
    from lathe.engine import eight_bits
    from lathe.engine.generate import taken
    from lathe.engine.model import load_to_answer
    from lathe.text import tokenizer

    loaded = load_to_answer(model)
    num_parameters = eight_bits.num_parameters(loaded)
    return taken(loaded), num_parameters, tokenizer.load(model.base_folder)


RUNTIME = Native()
