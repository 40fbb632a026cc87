"""Pictures are well-formed, escaped, and put each number where it belongs."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lathe.report import svg

finite = st.floats(-1e6, 1e6)


def circles(picture: str) -> list[float]:
    return [float(circle.attrib["cx"]) for circle in ElementTree.fromstring(picture).iter("circle")]


@settings(deadline=None)
@given(st.text(), st.floats(0, 1), st.text())
def test_any_label_gives_well_formed_xml(label: str, value: float, note: str) -> None:
    label, note = (re.sub("[\ud800-\udfff\ufffe\uffff]", "", t) for t in (label, note))
    root = ElementTree.fromstring(svg.whiskers("t", [svg.Whisker(label, value, 0, 1, note)], [svg.Mark(0.5, label)]))
    assert {element.tag for element in root.iter()} <= {"svg", "g", "title", "text", "line", "circle"}


def test_a_higher_value_stands_further_right() -> None:
    rows = [svg.Whisker("a", 0.2), svg.Whisker("b", 0.21), svg.Whisker("c", 0.9)]
    xs = circles(svg.whiskers("t", rows))
    assert xs == sorted(xs)
    assert len(set(xs)) == 3


@pytest.mark.parametrize("label", ["tuned − base, few-shot", "台灯和一把椅子" * 5, "a" * 60])
def test_a_label_begins_inside_the_picture(label: str) -> None:
    """The first letters of `tuned − base, few-shot` stood left of it, and were cut off."""
    picture = svg.whiskers("t", [svg.Whisker(label, 0.2, strong=True)])
    (text,) = [one for one in ElementTree.fromstring(picture).iter("text") if one.get("class") == "label strong"]
    assert svg.label_width(text.text or "", strong=True) <= float(text.attrib["x"])
    assert label.startswith((text.text or "").removesuffix("…"))


def test_what_was_not_measured_has_no_dot() -> None:
    picture = svg.whiskers("t", [svg.Whisker("a", None)])
    assert circles(picture) == []
    assert "not measured" in picture


def test_differences_show_where_zero_is() -> None:
    picture = svg.whiskers("t", [svg.Whisker("a", -0.3, -0.4, -0.2)], zero=True)
    root = ElementTree.fromstring(picture)
    (zero,) = [line for line in root.iter("line") if line.attrib["class"] == "zero"]
    assert circles(picture)[0] < float(zero.attrib["x1"])


@settings(deadline=None)
@given(finite, st.floats(1e-3, 1e6))
def test_ticks_are_round_few_and_within(low: float, span: float) -> None:
    found = svg.ticks(low, low + span)
    assert 1 <= len(found) <= 12
    assert all(low - 1e-6 * max(span, abs(low)) <= t <= low + span + 1e-6 * max(span, abs(low)) for t in found)


def test_steps_have_whole_ticks() -> None:
    assert svg.ticks(1, 5, 8, whole=True) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("points", [[], [(1, 2.0)], [(1, math.nan), (2, math.inf)]])
def test_a_curve_of_fewer_than_two_points_is_no_picture(points: list[tuple[float, float]]) -> None:
    assert svg.curve("t", points, "x", "y") == ""


@settings(deadline=None)
@given(st.lists(st.tuples(finite, finite), min_size=2, max_size=60))
def test_any_losses_give_a_picture(points: list[tuple[float, float]]) -> None:
    ElementTree.fromstring(svg.curve("t", sorted(points), "x", "y"))


def test_the_running_mean_of_a_line_is_the_line() -> None:
    line = [(float(x), 3.0 * x) for x in range(50)]
    assert [y for _, y in svg.running_mean(line)] == pytest.approx([y for _, y in line])
