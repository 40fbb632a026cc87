"""Does a GGUF file expect the same next tokens as the trained model, at positions of right answers (teacher-forced)?

At each position the file gives its most likely tokens with their probabilities, through llama.cpp and one request a position; the
trained model and its base give theirs from one pass of the engine. The KL divergence is taken over the file's LISTED most likely
tokens and all others as one class, so it is a lower bound of the full one (data processing inequality), and close to it where the
listed tokens hold nearly all probability.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from lathe.engine.llama_server import LlamaServer
from lathe.records import ModelCheck
from lathe.text.render import Encoded

LISTED = 40
TOP = 10
POSITIONS_EACH = 10
"""Positions of one answer that are looked at, spread evenly, its end token always among them."""
MOST_ANSWERS = 200
FEWEST_SAME: Mapping[str, float] = {
    "F16": 0.99, "BF16": 0.98, "Q8_0": 0.97, "Q6_K": 0.95, "Q5_K_M": 0.9, "Q5_1": 0.9, "Q4_K_M": 0.8, "Q4_0": 0.8,
}  # fmt: skip
"""Share of positions at which file and model must find the same token most likely, by format; a file of an unknown one is held to
the lowest. Rounding moves near-ties only, so a wrong graph or layout falls far below; whether the file is good enough for its
task is for the gates."""
ROUNDING: Mapping[str, float] = {
    "F32": 1e-5, "F16": 1e-4, "BF16": 1e-3, "Q8_0": 1e-3, "Q6_K": 5e-3, "Q5_K_M": 2e-2, "Q5_1": 2e-2, "Q4_K_M": 5e-2, "Q4_0": 6e-2,
}  # fmt: skip
"""Mean KL between a model and its own file that rounding to a format explains, generously; measured on the bundled base: F16 7e-6,
Q8_0 9e-5, Q6_K 7e-4, Q5_K_M 0.002, Q4_K_M 0.003, Q4_0 0.005, and Q4_0 0.026 on an earlier one."""
FEWEST_ENDS = 0.5
NO_EFFECT = 1e-5
"""Mean KL between trained model and base below which nobody could tell the two apart, nor whether the adapter is in a file."""
TINY = 1e-12
NEVER = -100.0
"""Log-probability of what a model cannot say."""


@dataclass(frozen=True)
class Place:
    """A position to look at: the tokens before it, and the id that the right answer has there."""

    before: list[int]
    expected: int
    last: bool


@dataclass(frozen=True)
class Predicted:
    """What is expected at one position. file: id -> log-probability; of the trained model and its base: log-probabilities, (V,)."""

    file: Mapping[int, float]
    tuned_V: Tensor
    base_V: Tensor
    place: Place


def places(encoded: Sequence[Encoded]) -> list[list[Place]]:
    """For each of at most MOST_ANSWERS right answers, spread over all, the positions to look at."""
    step = max(1, math.ceil(len(encoded) / MOST_ANSWERS))
    return [_places_of(one) for one in encoded[::step]]


def _places_of(one: Encoded) -> list[Place]:
    supervised = [place for place, is_target in enumerate(one.supervised.tolist()) if is_target]
    count = min(POSITIONS_EACH, len(supervised))
    chosen = {supervised[-1 - round(i * (len(supervised) - 1) / max(1, count - 1))] for i in range(count)}
    ids = one.ids.tolist()
    return [Place(ids[:place], ids[place], last=place == supervised[-1]) for place in sorted(chosen)]


@torch.inference_mode()
def log_probabilities(model: PreTrainedModel, answer: Sequence[Place]) -> Tensor:
    """Of every token at each place of one answer, float32, shape (places, V)."""
    ids = torch.tensor([answer[-1].before], device=model.device)
    hidden_TD = model.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state[0]
    at_P = torch.tensor([len(place.before) - 1 for place in answer], device=model.device)
    return torch.log_softmax(model.get_output_embeddings()(hidden_TD[at_P]).float(), dim=-1).cpu()


def look(
    answers: Iterable[Sequence[Place]], tuned: PreTrainedModel, base: PreTrainedModel, server: LlamaServer
) -> list[Predicted]:
    """What all three expect at every place."""
    found = []
    for answer in answers:
        if not answer:
            continue
        both = zip(answer, log_probabilities(tuned, answer), log_probabilities(base, answer), strict=True)
        for place, ours, its in both:
            file = server.next_token(place.before, LISTED)
            found.append(Predicted(file, _widened(ours, max(file)), _widened(its, max(file)), place))
    return found


def _widened(model_V: Tensor, id: int) -> Tensor:
    """With a place for a token that the file knows and the model does not, which never says it."""
    return functional.pad(model_V, (0, max(0, id + 1 - len(model_V))), value=NEVER)


def divergence(model_V: Tensor, file: Mapping[int, float]) -> float:
    """KL(model, file) in nats over the listed tokens and the rest as one class."""
    listed = model_V[list(file)].double().exp().tolist()
    others = [math.exp(value) for value in file.values()]
    pairs = [*zip(listed, others, strict=True), (1 - sum(listed), 1 - sum(others))]
    return sum(p * math.log(p / max(q, TINY)) for p, q in pairs if p > TINY)


def check_predictions(found: Sequence[Predicted], format: str) -> list[ModelCheck]:
    """Same next tokens as the trained model; nearer to it than to its base. Nothing where no position was looked at."""
    if not found:
        return []
    same = sum(int(one.tuned_V.argmax()) == next(iter(one.file)) for one in found) / len(found)
    overlap = sum(len(set(one.tuned_V.topk(TOP).indices.tolist()) & set(list(one.file)[:TOP])) for one in found)
    from_tuned = sum(divergence(one.tuned_V, one.file) for one in found) / len(found)
    limit = FEWEST_SAME.get(format, min(FEWEST_SAME.values()))
    check = ModelCheck(
        id="next_tokens",
        ok=same >= limit,
        message=f"same next token at {same:.1%} of {len(found)} positions of right answers, expected at least {limit:.0%}; "
        f"top {TOP} shared to {overlap / len(found) / TOP:.1%}, KL {from_tuned:.2g} nats",
        fix=None
        if same >= limit
        else "The file computes something else than the trained model. Convert it again from the merged model.",
        measured={"same": same, "positions": len(found), "top_overlap": overlap / len(found) / TOP, "kl": from_tuned},
    )
    return [check, _adapter(found, from_tuned)]


def _adapter(found: Sequence[Predicted], from_tuned: float) -> ModelCheck:
    from_base = sum(divergence(one.base_V, one.file) for one in found) / len(found)
    gain = sum(float((one.tuned_V.exp() * (one.tuned_V - one.base_V)).sum()) for one in found) / len(found)
    measured = {"kl_from_tuned": from_tuned, "kl_from_base": from_base, "kl_tuned_base": gain}
    if gain < NO_EFFECT:
        message = f"training changed nothing that shows on these rows (KL {gain:.1g} nats)"
        return ModelCheck(id="adapter_in_file", ok=None, message=message, measured=measured)
    nearer = from_tuned < from_base
    return ModelCheck(
        id="adapter_in_file",
        ok=nearer,
        message=f"KL {from_tuned:.2g} nats from the trained model, {from_base:.2g} from its base",
        fix=None
        if nearer
        else "The adapter is not in the file. Merge it into the base first, then convert the merged model.",
        measured=measured,
    )


def check_difference(found: Sequence[Predicted], format: str) -> list[ModelCheck]:
    """Of a file whose adapter is not at hand: does it say anything that its base does not? Nothing without positions."""
    if not found:
        return []
    from_base = sum(divergence(one.base_V, one.file) for one in found) / len(found)
    rounding = ROUNDING.get(format, max(ROUNDING.values()))
    ok = from_base > rounding
    return [
        ModelCheck(
            id="adapter_in_file",
            ok=ok,
            message=f"KL {from_base:.2g} nats from the base at {len(found)} positions of right answers; "
            f"rounding alone explains {rounding:g}",
            fix=None
            if ok
            else "The adapter is not in the file. Merge it into the base first, then convert the merged model.",
            measured={"kl_from_base": from_base, "positions": len(found)},
        )
    ]


def check_ending(pairs: Sequence[tuple[int, int]]) -> list[ModelCheck]:
    """Does a model want to stop where the right answers do? pairs: (id found most likely, id of the end). Nothing without any."""
    if not pairs:
        return []
    right = sum(found == expected for found, expected in pairs)
    ok = right >= FEWEST_ENDS * len(pairs)
    return [
        ModelCheck(
            id="learned_to_stop",
            ok=ok,
            message=f"after {right} of {len(pairs)} right answers the end token is found most likely",
            fix=None
            if ok
            else "The end token carried no loss (often: pad = eos, and pads were masked). Train with it supervised.",
            measured={"ends": right / len(pairs), "answers": len(pairs)},
        )
    ]


def endings_of_file(found: Sequence[Predicted]) -> list[tuple[int, int]]:
    """(id that the file finds most likely, id of the end) after every right answer."""
    return [(next(iter(one.file)), one.place.expected) for one in found if one.place.last]


def endings_of_model(answers: Iterable[Sequence[Place]], model: PreTrainedModel) -> list[tuple[int, int]]:
    """(id that the model finds most likely, id of the end) after every right answer."""
    ends = [answer[-1] for answer in answers if answer]
    return [(int(log_probabilities(model, [place])[0].argmax()), place.expected) for place in ends]
