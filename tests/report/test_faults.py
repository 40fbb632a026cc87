"""Failures by slice: how many, of which kinds, and how many training rows show the same thing."""

from __future__ import annotations

from lathe.records import ItemScore, SideCount
from lathe.report.faults import ClassRow, Row, by_class, by_slice


def item(number: int, reason: str = "", **meta: str) -> ItemScore:
    return ItemScore(id=str(number), values={}, reason=reason, meta=meta)


DATES = [item(n, "wrong value", holds="dates") for n in range(30)] + [item(30, "cut off", holds="dates")]
OTHERS = [item(40 + n, "missing field" if n < 13 else "", holds="names") for n in range(60)]
FAILED = [one for one in (*DATES, *OTHERS) if one.reason]
TRAINED = SideCount(rows=1500, made=1000, sha256="", slices={"holds": {"names": 491, "dates": 9}})


def test_failures_are_counted_by_slice_and_kind_beside_the_training_rows_like_that() -> None:
    """31 of 44 failures are dates, and nine training rows have dates."""
    assert by_slice([*DATES, *OTHERS], FAILED, ["holds"], TRAINED) == {
        "holds": [
            Row("dates", "31 of 31", "wrong value 30, cut off 1", "9 of 500"),
            Row("names", "13 of 60", "missing field 13", "491 of 500"),
        ]
    }


def test_a_value_that_no_training_row_has_is_none_of_them() -> None:
    trained = SideCount(rows=500, sha256="", slices={"holds": {"names": 500}})
    assert by_slice([*DATES, *OTHERS], FAILED, ["holds"], trained)["holds"][0].trained == "0 of 500"


def test_an_older_run_did_not_count_its_training_rows() -> None:
    rows = by_slice([*DATES, *OTHERS], FAILED, ["holds"], SideCount(rows=500, sha256=""))["holds"]
    assert [row.trained for row in rows] == ["", ""]


def test_a_key_with_one_value_or_without_failures_says_nothing() -> None:
    assert by_slice(DATES, DATES, ["holds"], TRAINED) == {}
    assert by_slice([*DATES, *OTHERS], [], ["holds", "style"], TRAINED) == {}


def test_classes_of_a_metric_are_told_with_the_most_missed_first() -> None:
    def counted(**classes: tuple[int, int, int]) -> ItemScore:
        return ItemScore(id="a", values={}, counts={"type_macro_f1": classes})

    items = [counted(date=(1, 4, 3), string=(2, 2, 2)), counted(date=(0, 1, 0), string=(1, 2, 2), null=(0, 0, 1))]
    assert by_class(items, ["type_macro_f1", "other"]) == {
        "type_macro_f1": [ClassRow("date", "0.25", "1 of 5", "3"), ClassRow("string", "0.75", "3 of 4", "4")]
    }
