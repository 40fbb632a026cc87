"""Numbers as people read them: `1,400`, `0.41 [0.35, 0.48]`, `2 min 05 s`, `1.3 GB`, `not measured`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from lathe.records import Score

NOT_MEASURED = "not measured"
COUNTED = ("_tokens", "_requests", "_per_second")
UNITS = ("_bytes", "_seconds", *COUNTED)
"""Ends of the names of measured values that have a unit."""


class Estimate(Protocol):
    """A value with its interval: a Score or a PairedDifference."""

    @property
    def low(self) -> float | None: ...
    @property
    def high(self) -> float | None: ...


def count(number: int | float) -> str:
    """1400 -> `1,400`"""
    return f"{number:,.0f}"


def counted(number: int, noun: str) -> str:
    """1 -> `1 row`, 1400 -> `1,400 rows`"""
    return f"{count(number)} {noun}" + ("" if number == 1 else "s")


def seconds(value: float) -> str:
    """0.04 -> `0.0 s`, 49.2 -> `49 s`, 125 -> `2 min 05 s`, 7265 -> `2 h 01 min`"""
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def money(amount: float) -> str:
    """In whatever currency: 12.3 -> `12.30`, 0.0123 -> `0.012`, 0.0000041 -> `< 0.0001`, 0 -> `0`"""
    if amount == 0 or amount >= 1:
        return f"{amount:,.2f}" if amount else "0"
    return f"{amount:.2g}" if amount >= 1e-4 else "< 0.0001"


def size(num_bytes: float) -> str:
    """Decimal units: 1_230_000 -> `1.2 MB`"""
    for limit, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if num_bytes >= limit:
            value = num_bytes / limit
            return f"{value:.0f} {unit}" if value >= 100 else f"{value:.1f} {unit}"
    return f"{num_bytes:.0f} bytes"


def score(value: float | None) -> str:
    """0.4132 -> `0.41`; None -> `not measured`. Small non-zero values keep a third digit."""
    if value is None:
        return NOT_MEASURED
    if 0 < abs(value) < 0.0095:
        return f"{value:.3f}"
    return f"{value:.2f}" if abs(value) < 1000 else count(value)


def bounds(estimate: Estimate, signed: bool = False) -> str:
    """`[0.35, 0.48]`; empty where there is no interval."""
    if estimate.low is None or estimate.high is None:
        return ""
    form = "+.2f" if signed else ".2f"
    return f"[{estimate.low:{form}}, {estimate.high:{form}}]"


def with_interval(value: str, interval: str) -> str:
    """`0.41 [0.35, 0.48]`; the value alone where there is no interval."""
    return f"{value} {interval}".rstrip()


def estimated(found: Score) -> str:
    """A score with its interval."""
    return with_interval(score(found.value), bounds(found))


def gained(difference: float | None, interval: Estimate) -> str:
    """`+0.03 [-0.01, +0.07]`"""
    return with_interval(signed(difference), bounds(interval, signed=True))


def quantity_gained(metric: str, difference: float | None, interval: Estimate) -> str:
    """The same of a measured value, in its unit: `-14 ms [-22 ms, -6 ms]`, `+3.6 MB`."""
    if difference is None or not metric.endswith(UNITS):
        return gained(difference, interval)

    def signed_quantity(value: float) -> str:
        return f"{'-' if value < 0 else '+'}{quantity(metric, abs(value))}"

    if interval.low is None or interval.high is None or interval.low == interval.high:
        return signed_quantity(difference)
    return with_interval(
        signed_quantity(difference), f"[{signed_quantity(interval.low)}, {signed_quantity(interval.high)}]"
    )


def quantity(metric: str, value: float | None) -> str:
    """A measured value in the unit that its name ends with: `843 MB` for peak_bytes, `88 ms` for latency_seconds."""
    if value is None:
        return NOT_MEASURED
    if metric.endswith("_bytes"):
        return size(value)
    if metric.endswith("_seconds"):
        return seconds(value) if value >= 9.95 else f"{value:.2f} s" if value >= 0.0995 else f"{1000 * value:.2g} ms"
    if metric.endswith(COUNTED):
        return f"{value:.3g}" if value < 1000 else count(value)
    return score(value)


def quantity_bounds(metric: str, estimate: Estimate) -> str:
    """The interval of a measured value, in the same unit: `[0.11 s, 0.18 s]`."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"[{quantity(metric, estimate.low)}, {quantity(metric, estimate.high)}]"


def percent(share: float) -> str:
    """0.95 -> `95 %`, 0.9696 -> `97 %`, 0.975 -> `97.5 %`"""
    return f"{100 * share:.3g} %"


def signed(value: float | None) -> str:
    """0.03 -> `+0.03`"""
    return NOT_MEASURED if value is None else f"{value:+.2f}"


def p_value(value: float | None) -> str:
    """0.0000012 -> `< 0.001`"""
    if value is None:
        return NOT_MEASURED
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def plain(number: float | None) -> str:
    """A number of unknown kind: whole numbers as counts, others to four significant digits."""
    if number is None:
        return NOT_MEASURED
    if float(number).is_integer() and abs(number) < 1e15:
        return count(number)
    return f"{number:.4g}"


def short_hash(sha256: str) -> str:
    """The first twelve digits, enough to tell two things apart by eye."""
    return sha256[:12]


def validated(metric: str, value: float | None, best: float | None, best_step: int | None) -> str:
    """The last validation while training, and the best one: `json_exact 0.38, best 0.41 at step 30`."""
    last = f"{metric} {score(value)}"
    return last if best is None or best_step is None else f"{last}, best {score(best)} at step {count(best_step)}"
