"""Tokens and money of requests to an endpoint, before and after. Pure.

Before: a token has about 4 bytes of English text; code, numbers and other languages have fewer (2.5 are assumed), plain prose with
a big vocabulary has more (6). These are assumptions. After: the endpoint's own count, and where it gives none the high end.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lathe.paid_answers.ask import Ask
from lathe.records import Interval
from lathe.records.paid import PaidAnswer, Prices

BYTES_PER_TOKEN = (6.0, 4.0, 2.5)
"""Few tokens, the best guess, many tokens."""
TURN = 8
"""Tokens that a chat template puts around a turn."""
MILLION = 1e6


def tokens(text: str) -> Interval:
    """Tokens of a text by its length."""
    low, value, high = (len(text.encode("utf-8", "surrogatepass")) / each for each in BYTES_PER_TOKEN)
    return Interval(low=low, value=value, high=high)


def read(ask: Ask[object]) -> Interval:
    """Tokens that a request holds. A form is counted twice: some endpoints put it into the prompt."""
    form = "" if ask.form is None else str(ask.form)
    text = "".join(message.content for message in ask.messages)
    plain, beside = tokens(text), tokens(form)
    turns = TURN * len(ask.messages)
    return Interval(low=plain.low + turns, value=plain.value + turns, high=plain.high + beside.high + turns)


def total(parts: Sequence[Interval]) -> Interval:
    """The sum of several, in whole tokens."""
    return Interval(
        low=round(sum(one.low for one in parts)),
        value=round(sum(one.value for one in parts)),
        high=round(sum(one.high for one in parts)),
    )


def price(prices: Prices, prompt: Interval, new: Interval) -> Interval:
    """What so many tokens cost."""
    return Interval(
        low=_price(prices, prompt.low, new.low),
        value=_price(prices, prompt.value, new.value),
        high=_price(prices, prompt.high, new.high),
    )


def most(prices: Prices, ask: Ask[object]) -> float:
    """The most that a request can cost: every byte of it dear, its answer as long as it may be."""
    return _price(prices, read(ask).high, ask.max_new_tokens)


def spent(prices: Prices | None, answers: Iterable[PaidAnswer]) -> float | None:
    """What answers did cost; None where no prices are known."""
    if prices is None:
        return None
    return sum(_price(prices, answer.prompt_tokens, answer.new_tokens) for answer in answers)


def within(asks: Sequence[Ask[object]], prices: Prices | None, left: float | None) -> int:
    """How many of the requests, from the first, can be sent side by side without a chance of costing more than is left.

    left: None = there is no limit.
    """
    if prices is None or left is None:
        return len(asks)
    count = 0
    for ask in asks:
        left -= most(prices, ask)
        if left < 0:
            break
        count += 1
    return count


def _price(prices: Prices, prompt: float, new: float) -> float:
    return (prompt * prices.input + new * prices.output) / MILLION
