"""Tables that are not lines of text: Parquet, folders of save_to_disk, parallel files."""

from __future__ import annotations

import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from lathe.data.check import check_file
from lathe.data.files import tables
from lathe.data.files.placed import Placed
from lathe.errors import DataError, Unavailable
from lathe.records import RejectedRow

ROWS = [{"prompt": f"question {n}", "completion": {"n": n, "note": None if n % 2 else "even"}} for n in range(40)]


def read(path: Path) -> list[dict]:  # type: ignore[type-arg]
    return [item.row for item in tables.rows(path) if isinstance(item, Placed)]


def without_nulls() -> list[dict]:  # type: ignore[type-arg]
    return [
        {"prompt": row["prompt"], "completion": {k: v for k, v in row["completion"].items() if v is not None}}
        for row in ROWS
    ]  # type: ignore[attr-defined]


def test_parquet_is_read_row_by_row_and_nulls_that_it_put_in_are_left_out(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "train.parquet"
    parquet.write_table(arrow.Table.from_pylist(ROWS), path)
    assert tables.is_table(path)
    assert read(path) == without_nulls()
    assert [item.line for item in tables.rows(path)][:3] == [1, 2, 3]


def test_a_map_is_an_object_and_never_a_list_of_pairs(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path, kind = tmp_path / "rows.parquet", arrow.map_(arrow.string(), arrow.int64())
    maps = [[("size", 3), ("weight", None)], []]
    parquet.write_table(arrow.table({"input": ["a", "b"], "target": arrow.array(maps, kind)}), path)
    assert [row["target"] for row in read(path)] == [{"size": 3}, {}]
    twice = [[("size", 3), ("size", 4)]]
    parquet.write_table(arrow.table({"input": ["a"], "target": arrow.array(twice, kind)}), path)
    with pytest.raises(DataError, match="duplicate key was 'size'"):
        read(path)


def test_what_json_has_no_value_for_is_left_out_as_a_column_and_rejects_the_row_inside_of_one(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 became other text in silence, decimals texts, and NaN no JSON at all."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = arrow.table(
        {
            "prompt": [b"a", b"caf\xe9", b"c", b"d"],
            "completion": [
                {"price": Decimal("12.50"), "day": date(2026, 1, 2)},
                {"price": Decimal("3.00")},
                {"share": float("nan")},
                {"raw": b"\xff"},
            ],
            "score": [0.5, float("nan"), 1.0, 1.0],
        }
    )  # fmt: skip
    parquet.write_table(table, tmp_path / "rows.parquet")
    first, second, *others = tables.rows(tmp_path / "rows.parquet")
    assert isinstance(first, Placed)
    assert first.row == {"prompt": "a", "completion": {"price": 12.5, "day": "2026-01-02"}, "score": 0.5}
    assert isinstance(second, Placed)
    assert second.row == {"completion": {"price": 3}}
    assert [(one.line, one.reason) for one in others if isinstance(one, RejectedRow)] == [
        (3, "nan, which is no JSON number, inside of a value"), (4, "bytes that are no UTF-8 inside of a value"),
    ]  # fmt: skip


def test_a_folder_of_save_to_disk_is_one_table(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_list(ROWS).save_to_disk(tmp_path / "saved", num_shards=2)
    assert read(tmp_path / "saved") == without_nulls()
    assert check_file(tmp_path / "saved").files[0].format == "prompt-completion"


def test_parquet_files_of_a_hub_folder_are_checked_by_their_sides(tmp_path: Path) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n")
    for name, rows in (("train-00000-of-00001.parquet", ROWS), ("test-00000-of-00001.parquet", ROWS[:2])):
        parquet.write_table(arrow.Table.from_pylist(rows), tmp_path / name)
    report = check_file(tmp_path)
    assert next(one.count for one in report.findings if one.id == "test_in_train") == 2


def test_line_i_of_parallel_files_is_row_i(tmp_path: Path) -> None:
    (tmp_path / "open.nl").write_text("list files\nshow disk use\n")
    (tmp_path / "open.cm").write_text("ls\ndf -h\n")
    expected = [{"prompt": "list files", "completion": "ls"}, {"prompt": "show disk use", "completion": "df -h"}]
    assert read(tmp_path / "open.nl") == read(tmp_path / "open.cm") == expected
    assert check_file(tmp_path).files[0].name.endswith("open.nl")


def test_parallel_files_of_other_lengths_are_refused(tmp_path: Path) -> None:
    (tmp_path / "open.nl").write_text("list files\nshow disk use\n")
    (tmp_path / "open.cm").write_text("ls\n")
    with pytest.raises(DataError, match=r"open\.cm has fewer lines than open\.nl"):
        read(tmp_path / "open.nl")


@pytest.mark.parametrize("name", ["rows.parquet", "rows.arrow"])
def test_a_damaged_table_is_a_data_error(tmp_path: Path, name: str) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match="that can be read"):
        read(tmp_path / name)


def test_without_pyarrow_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(Unavailable) as caught:
        read(tmp_path / "rows.parquet")
    assert "lathe-slm[hub]" in (caught.value.hint or "")
