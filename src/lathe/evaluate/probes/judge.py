"""A bigger model as judge, behind any OpenAI-compatible endpoint: the answer beside the base's, and beside the reference.

Each pair is read in both orders. The verdicts are kept in eval/judge.jsonl as they come: no request is paid for twice, and a call
that was stopped goes on where it was. A judge is no measure of truth; how far it agrees with itself stands beside what it says.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lathe import endpoint as endpoints
from lathe import stats
from lathe.errors import InputError, OverBudget
from lathe.evaluate.answers import first_answers
from lathe.evaluate.probes.comparing import (
    METRICS,
    OTHERS,
    WORDS,
    Against,
    Verdict,
    alike,
    both_orders,
    judged,
    verdict,
)
from lathe.evaluate.probes.measured import Asked, Judge, Measured, items
from lathe.paid_answers import Ask, Kept, Sending, answers, cost
from lathe.records import Arm, DataFinding, Example, ItemScore, ProbedItem, Score
from lathe.records.paid import PaidAnswer

BASE = "base-zero"
EVEN = 0.5
"""Where neither side is better."""


@dataclass(frozen=True)
class Pair:
    """An item's answer, and what it is held against."""

    example: Example
    against: Against
    answer: str
    other: str

    @property
    def alike(self) -> bool:
        """Whether both are the same words."""
        return self.answer.strip() == self.other.strip()


def ask_judge(asked: Asked) -> Measured:
    """Asks for the verdicts that are not there yet.

    Raises InputError where no endpoint is named or it takes no request, OverBudget where the next request could cost more than is
    left, Unavailable as the endpoint does.
    """
    judge = asked.judge
    if judge is None:
        raise InputError(
            "the probe judge asks a model behind an endpoint, and none was named",
            hint="--endpoint http://localhost:8000/v1 --model NAME",
        )
    endpoints.check(judge.endpoint)
    pairs = list(_pairs(asked))
    apart = [pair for pair in pairs if not pair.alike]
    found = _verdicts(asked, judge, apart)
    said = zip(apart, found[::2], found[1::2], strict=True)
    values: dict[str, dict[str, float | None]] = defaultdict(dict)
    for pair in pairs:
        if pair.alike:
            values[pair.example.id] |= alike(pair.against)
    unread = 0
    for pair, before, after in said:
        first, then = _read(before), _read(after)
        if first is None or then is None:
            unread += 1
        else:
            values[pair.example.id] |= judged(first, then, pair.against)
    scored = items(asked.examples, {id: ProbedItem(key="", values=one) for id, one in values.items()}, METRICS)
    names = endpoints.other_models(judge.endpoint.model, (answer.answered_as for answer in found))
    findings = [*_told(asked, scored), *_unread(unread, len(pairs)), *names]
    return Measured(scored, findings, list(_bill(judge, [answer for answer in found if not answer.refusal])))


def _pairs(asked: Asked) -> Iterator[Pair]:
    """Each answer of the arm beside the base's, where it is another arm, and beside the reference."""
    own, base = _texts(asked, asked.arm), _texts(asked, BASE) if asked.arm != BASE else {}
    others: Mapping[Against, Mapping[str, str]] = {
        "base": base,
        "reference": {example.id: example.completion for example in asked.examples},
    }
    for example in asked.examples:
        for against in OTHERS:
            if example.id in own and example.id in others[against]:
                yield Pair(example, against, own[example.id], others[against][example.id])


def _texts(asked: Asked, arm: Arm) -> dict[str, str]:
    path = asked.run.predictions(arm)
    return {id: one.text for id, one in first_answers(path).items()} if path.is_file() else {}


def _verdicts(asked: Asked, judge: Judge, pairs: Sequence[Pair]) -> list[PaidAnswer]:
    """Two answers of the judge for each pair: to the answer first, and to the answer second."""
    asks = [ask for pair in pairs for ask in both_orders(pair.example, pair.answer, pair.other, pair)]
    with answers(asked.run.verdicts) as kept:
        left = None if judge.max_cost is None else judge.max_cost - _spent_elsewhere(judge, kept, asks)
        sending = Sending[Pair](
            judge.endpoint, judge.prices, left, kept, lambda done, total: asked.tell("judge", done, total)
        )
        found = sending.obtain(asks)
    if len(found) < len(asks):
        raise OverBudget(
            f"the next request to {judge.endpoint.model} could exceed --max-cost: {len(found):,} of {len(asks):,} verdicts on "
            f"{asked.arm} are there, and {judge.max_cost:g} allows no more",
            hint="Raise --max-cost, and the same command continues: every verdict is kept.",
        )
    return [answer for _, answer in found]


def _spent_elsewhere(judge: Judge, kept: Kept, asks: Sequence[Ask[Pair]]) -> float:
    """What the run's other verdicts did cost: those on another arm, or on answers that have changed since."""
    here = {ask.identity(judge.endpoint) for ask in asks}
    return cost.spent(judge.prices, [answer for answer in kept.all() if answer.request not in here]) or 0.0


def _read(answer: PaidAnswer) -> Verdict | None:
    return None if answer.refusal or answer.finish != "stop" else verdict(answer.text)


def _bill(judge: Judge, used: Sequence[PaidAnswer]) -> Iterator[Score]:
    """What the verdicts took: requests, tokens and money, kept ones included."""
    numbers: dict[str, float | None] = {
        "judge_requests": len(used),
        "judge_prompt_tokens": sum(answer.prompt_tokens for answer in used),
        "judge_new_tokens": sum(answer.new_tokens for answer in used),
        "judge_cost": cost.spent(judge.prices, used),
    }
    for name, number in numbers.items():
        yield Score(metric=name, value=number, n=int(number is not None), kind="single", higher_is_better=False)


def _told(asked: Asked, scored: Sequence[ItemScore]) -> Iterator[DataFinding]:
    """What the judge finds, in words, and whether the order in which it reads sways it.

    What is claimed rests on bounds that are never too narrow: a few pairs that all go one way prove little.
    """
    confidence = asked.locked.recipe.evaluate.confidence
    for against in OTHERS:
        over = _values(scored, f"judge_over_{against}")
        if not over:
            continue
        mean, bounds = sum(over) / len(over), stats.bounded_mean(over, confidence)
        apart = not bounds.low <= EVEN <= bounds.high
        found = ("better than" if mean > EVEN else "worse than") if apart else "neither better nor worse, surely, than"
        yield DataFinding(
            id=f"judge_{against}",
            level="info",
            message=f"the judge finds the answer {found} {WORDS[against]}: {_shown(mean, bounds)} over {len(over):,} items, 0.5 "
            "would be even",
            count=len(over),
        )
        first = [(1 + value) / 2 for value in _values(scored, f"judge_first_{against}")]
        if not first:
            continue
        mean, bounds = sum(first) / len(first), stats.bounded_mean(first, confidence)
        if not bounds.low <= EVEN <= bounds.high:
            yield DataFinding(
                id=f"judge_bias_{against}",
                level="warning",
                message=f"beside {WORDS[against]} the judge prefers what it reads {'first' if mean > EVEN else 'second'}: it chose "
                f"the first {_shown(mean, bounds)} of the time; each pair was read in both orders, so that this evens out",
                count=len(first),
            )


def _values(scored: Sequence[ItemScore], metric: str) -> list[float]:
    return [value for item in scored if (value := item.values[metric]) is not None]


def _shown(mean: float, bounds: stats.Bounds) -> str:
    return f"{mean:.2f} [{bounds.low:.2f}, {bounds.high:.2f}]"


def _unread(count: int, total: int) -> Iterator[DataFinding]:
    if count:
        yield DataFinding(
            id="judge_unread",
            level="warning",
            message=f"of {count:,} of {total:,} pairs no verdict can be read: they are not measured",
            hint="The judge's words stand in eval/judge.jsonl.",
            count=count,
        )
