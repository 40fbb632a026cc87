"""Pictures of the report: inline SVG from pure functions. No style attribute and no script, so that the page's policy holds.

Colours come from the page's style sheet by class, so that a picture follows light and dark. All text is escaped.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from lathe.report import figures
from lathe.safe_text import visible

WIDTH = 760


def tag(name: str, *inside: Markup | str, **attributes: object) -> Markup:
    """An element. `class_` is class; an underscore in a name becomes a dash; what is inside is escaped unless it is Markup."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_number(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    body = Markup("").join(part if isinstance(part, Markup) else escape(visible(part)) for part in inside)
    return Markup(f"<{name}{written}>{body}</{name}>")


def _number(value: object) -> object:
    return f"{value:.1f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


def picture(height: float, title: str, parts: Iterable[Markup]) -> Markup:
    """The whole picture; `title` is what a screen reader says."""
    return tag(
        "svg",
        tag("title", title),
        *parts,
        viewBox=f"0 0 {WIDTH} {_number(float(height))}",
        width=WIDTH,
        height=float(height),
        role="img",
        class_="picture",
    )


def ticks(low: float, high: float, about: int = 5, whole: bool = False) -> list[float]:
    """Round numbers within low to high: steps of 1, 2, 2.5 or 5 times a power of ten; `whole` ones only where asked for."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low]
    rough = max(1.0, span / about) if whole else span / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(
        factor * power for factor in ((1, 2, 5, 10) if whole else (1, 2, 2.5, 5, 10)) if factor * power >= rough * 0.999
    )
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


# ------------------------------------------------------------------------------------------ intervals


@dataclass(frozen=True)
class Whisker:
    """One row of a dot-and-whisker picture. value None: not measured."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""
    strong: bool = False


@dataclass(frozen=True)
class Mark:
    """A vertical line, such as the limit of a gate."""

    value: float
    label: str


def label_width(label: str, strong: bool = False) -> float:
    """How wide a label is, on the safe side for fonts of today's systems; a Chinese, Japanese or Korean letter is twice as wide."""
    letters = sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in label)
    return (8.8 if strong else 7.4) * letters


def fitted(label: str, room: float, strong: bool = False) -> str:
    """A label that has room: its beginning and `…` where it is too long, for what stands out at the left is not seen."""
    if label_width(label, strong) <= room:
        return label
    while label and label_width(label + "…", strong) > room:
        label = label[:-1]
    return label + "…"


def whiskers(title: str, rows: Sequence[Whisker], marks: Sequence[Mark] = (), zero: bool = False) -> Markup:
    """Rows of values with their intervals on one axis: 0 to 1 where all values are within, else what they span.

    zero: draw a line at 0, for differences.
    """
    ends = [x for row in rows for x in (row.low, row.value, row.high) if x is not None] + [mark.value for mark in marks]
    low, high = min([0.0, *ends]), max([0.0 if zero else 1.0, *ends])
    if zero:
        room = 0.06 * max(high - low, 0.1)
        low, high = low - room, high + room
    left = min(280.0, max(96.0, max((label_width(row.label, row.strong) for row in rows), default=0.0) + 18))
    right, top, row_height = 150.0, 26.0 if marks else 8.0, 30.0
    plot = WIDTH - left - right
    bottom = top + row_height * len(rows)

    def across(value: float) -> float:
        return left + (value - low) / (high - low) * plot

    parts = []
    for tick in ticks(low, high):
        parts.append(tag("line", x1=across(tick), x2=across(tick), y1=top, y2=bottom, class_="grid"))
        parts.append(tag("text", f"{tick:g}", x=across(tick), y=bottom + 18, class_="tick", text_anchor="middle"))
    if zero:
        parts.append(tag("line", x1=across(0), x2=across(0), y1=top, y2=bottom, class_="zero"))
    for mark in marks:
        anchor = "end" if across(mark.value) > left + 0.7 * plot else "start"
        shift = -6 if anchor == "end" else 6
        parts.append(tag("line", x1=across(mark.value), x2=across(mark.value), y1=top - 16, y2=bottom, class_="limit"))
        parts.append(
            tag(
                "text",
                mark.label,
                x=across(mark.value) + shift,
                y=top - 7,
                class_="tick limit-text",
                text_anchor=anchor,
            )
        )
    for number, row in enumerate(rows):
        parts.append(_whisker(row, top + row_height * (number + 0.5), left, across))
    return picture(bottom + 28, title, parts)


def _whisker(row: Whisker, y: float, left: float, place: Callable[[float], float]) -> Markup:
    weight = " strong" if row.strong else ""
    parts = [
        tag(
            "text",
            fitted(row.label, left - 14, row.strong),
            x=left - 14,
            y=y + 4.5,
            class_="label" + weight,
            text_anchor="end",
        )
    ]
    end = float(WIDTH)
    if row.value is None:
        parts.append(tag("text", figures.NOT_MEASURED, x=end, y=y + 4.5, class_="value", text_anchor="end"))
        return tag("g", *parts)
    if row.low is not None and row.high is not None:
        x1, x2 = place(row.low), place(row.high)
        parts.append(tag("line", x1=x1, x2=x2, y1=y, y2=y, class_="whisker" + weight))
        parts += [tag("line", x1=x, x2=x, y1=y - 5, y2=y + 5, class_="whisker" + weight) for x in (x1, x2)]
    parts.append(tag("circle", cx=place(row.value), cy=y, r=5.5 if row.strong else 4.5, class_="dot" + weight))
    parts.append(tag("text", row.note, x=end, y=y + 4.5, class_="value" + weight, text_anchor="end"))
    return tag("g", tag("title", f"{row.label}: {row.note}"), *parts)


# ------------------------------------------------------------------------------------------ curves over steps


def curve(title: str, points: Sequence[tuple[float, float]], x_name: str, y_name: str) -> Markup:
    """A measured curve, faint, with its running mean over a twentieth of the points, strong. Empty under two points."""
    points = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    if len(points) < 2:
        return Markup("")
    y_ends = (min(0.0, *(y for _, y in points)), max(y for _, y in points) * 1.04 or 1.0)
    frame = _frame((points[0][0], points[-1][0]), y_ends, x_name, y_name)
    x, y = frame.place(*running_mean(points)[-1])
    parts = [
        *frame.parts,
        tag("path", d=_path([frame.place(x, y) for x, y in points]), class_="raw"),
        tag("path", d=_path([frame.place(x, y) for x, y in running_mean(points)]), class_="smooth"),
        tag("circle", cx=x, cy=y, r=4.0, class_="dot strong"),
    ]
    return picture(frame.bottom + 44, title, parts)


@dataclass(frozen=True)
class Measured:
    """A value that was measured after a step, with its interval."""

    step: float
    value: float
    low: float | None = None
    high: float | None = None
    strong: bool = False


def measurements(
    title: str, points: Sequence[Measured], x_ends: tuple[float, float], x_name: str, y_name: str
) -> Markup:
    """Values at steps with their intervals, joined by a line. x_ends: first and last step of the axis. Empty without points."""
    points = [point for point in points if math.isfinite(point.value)]
    if not points:
        return Markup("")
    ends = [y for point in points for y in (point.low, point.value, point.high) if y is not None]
    frame = _frame(x_ends, (min(0.0, *ends), max(ends) * 1.04 or 1.0), x_name, y_name)
    line = tag("path", d=_path([frame.place(point.step, point.value) for point in points]), class_="raw")
    return picture(frame.bottom + 44, title, [*frame.parts, line, *(_measured(point, frame) for point in points)])


def _measured(point: Measured, frame: _Frame) -> Markup:
    weight = " strong" if point.strong else ""
    x, y = frame.place(point.step, point.value)
    parts = [tag("title", f"step {figures.count(point.step)}: {figures.score(point.value)} {figures.bounds(point)}")]
    if point.low is not None and point.high is not None:
        y1, y2 = frame.place(point.step, point.low)[1], frame.place(point.step, point.high)[1]
        parts.append(tag("line", x1=x, x2=x, y1=y1, y2=y2, class_="whisker" + weight))
    parts.append(tag("circle", cx=x, cy=y, r=5.5 if point.strong else 4.5, class_="dot" + weight))
    return tag("g", *parts)


@dataclass(frozen=True)
class _Frame:
    """Axes over steps. place: where a point stands; bottom: of the plot."""

    place: Callable[[float, float], tuple[float, float]]
    bottom: float
    parts: Sequence[Markup]


def _frame(x_ends: tuple[float, float], y_ends: tuple[float, float], x_name: str, y_name: str) -> _Frame:
    left, top, height = 52.0, 28.0, 230.0
    plot, bottom = WIDTH - left - 8, top + height
    (x_low, x_high), (y_low, y_high) = x_ends, y_ends

    def place(x: float, y: float) -> tuple[float, float]:
        return left + (x - x_low) / ((x_high - x_low) or 1) * plot, bottom - (y - y_low) / (y_high - y_low) * height

    parts = []
    for tick in ticks(y_low, y_high):
        y = place(x_low, tick)[1]
        parts.append(tag("line", x1=left, x2=left + plot, y1=y, y2=y, class_="grid"))
        parts.append(tag("text", f"{tick:g}", x=left - 10, y=y + 4, class_="tick", text_anchor="end"))
    for tick in ticks(x_low, x_high, 8, whole=True):
        parts.append(tag("text", f"{tick:g}", x=place(tick, 0)[0], y=bottom + 20, class_="tick", text_anchor="middle"))
    parts.append(tag("text", x_name, x=left + plot, y=bottom + 38, class_="tick", text_anchor="end"))
    parts.append(tag("text", y_name, x=left, y=top - 14, class_="tick"))
    return _Frame(place, bottom, parts)


def running_mean(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Each point as the mean over a twentieth of the points around it, 3 at least.

    As many before as after, so fewer at the ends: a curve that falls is not shifted.
    """
    reach = max(1, len(points) // 40)
    means = []
    for number, (x, _) in enumerate(points):
        room = min(reach, number, len(points) - 1 - number)
        near = [y for _, y in points[number - room : number + room + 1]]
        means.append((x, sum(near) / len(near)))
    return means


def _path(places: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)


# ------------------------------------------------------------------------------------------ shares


def bars(title: str, rows: Sequence[tuple[str, int]]) -> Markup:
    """Counts as horizontal bars, the longest across the whole width."""
    most = max((number for _, number in rows), default=0) or 1
    left, row_height = min(300.0, max(96.0, max((label_width(label) for label, _ in rows), default=0.0) + 18)), 26.0
    plot = WIDTH - left - 60
    parts = []
    for position, (label, number) in enumerate(rows):
        y = row_height * position
        parts.append(tag("text", fitted(label, left - 14), x=left - 14, y=y + 17, class_="label", text_anchor="end"))
        parts.append(tag("rect", x=left, y=y + 6, width=max(2.0, number / most * plot), height=14, rx=3, class_="bar"))
        count = figures.count(number)
        parts.append(tag("text", count, x=left + max(2.0, number / most * plot) + 8, y=y + 17, class_="value"))
    return picture(row_height * len(rows) + 4, title, parts)
