"""Rows of files that are not lines of text: Parquet, folders of `save_to_disk`, and parallel text files.

    rows(Path("train.parquet"))      Placed(file, number of the row, row) one after the other, a batch at a time in memory

Parquet and Arrow need the package pyarrow. Of parallel files (`open.nl` and `open.cm`), line i of both is row i.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from lathe.data.files.json_line import LineFault, text_of
from lathe.data.files.placed import Placed
from lathe.data.files.read import read_lines, rejected
from lathe.errors import DataError, Unavailable
from lathe.files import ANSWERS_OF, is_tabular, regular
from lathe.records import RejectedRow

BATCH = 1000


def is_table(path: Path) -> bool:
    """Whether a path is read here and not as lines of rows."""
    if path.is_dir():
        return bool(_arrow_files(path))
    return is_tabular(path) or partner(path) is not None


def rows(path: Path, name: str | None = None) -> Iterator[Placed | RejectedRow]:
    """The rows of one table, in order. Raises DataError where it cannot be read, Unavailable where pyarrow is missing."""
    said = name or str(path)
    pair = partner(path)
    if pair is not None:
        return _parallel(*pair)
    if path.is_dir():
        return _arrow(path, _arrow_files(path), said)
    regular(path)
    return _parquet(path, said) if path.suffix.lower() == ".parquet" else _arrow(path, [path], said)


def partner(path: Path) -> tuple[Path, Path] | None:
    """The two files of a parallel pair, asked first, where `path` is one of them and the other is there."""
    for asked, answered in ANSWERS_OF.items():
        if path.suffix in (asked, answered):
            pair = path.with_suffix(asked), path.with_suffix(answered)
            return pair if all(one.is_file() for one in pair) else None
    return None


def _parallel(asked: Path, answered: Path) -> Iterator[Placed | RejectedRow]:
    name = str(asked)
    with open(asked, "rb") as left, open(answered, "rb") as right:
        lefts, rights = read_lines(left, left, name, False), read_lines(right, right, str(answered), False)
        while True:
            one, other = next(lefts, None), next(rights, None)
            if one is None and other is None:
                return
            if one is None or other is None:
                ended, longer = (asked, answered) if one is None else (answered, asked)
                raise DataError(
                    f"{ended.name} has fewer lines than {longer.name}",
                    file=name,
                    hint="Line i of both must be one row.",
                )
            try:
                row = {"prompt": text_of(one[1]).rstrip("\r\n"), "completion": text_of(other[1]).rstrip("\r\n")}
            except LineFault as fault:
                yield rejected(name, one[0], fault)
            else:
                yield Placed(name, one[0], row)


def _arrow_files(folder: Path) -> list[Path]:
    """The data files of a folder made by `datasets` save_to_disk, in order; none where it is no such folder."""
    if not (folder / "state.json").is_file() and not (folder / "dataset_info.json").is_file():
        return []
    return sorted(folder.glob("data-*.arrow")) or sorted(folder.glob("*.arrow"))


def _parquet(path: Path, name: str) -> Iterator[Placed | RejectedRow]:
    parquet, arrow = _package("pyarrow.parquet"), _package("pyarrow")
    try:
        with parquet.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=BATCH):
                for row in _values(batch):
                    number += 1
                    yield _placed(name, number, row)
    except (arrow.ArrowException, KeyError, OSError) as error:
        raise DataError(f"this is no Parquet file that can be read: {_first_line(error)}", file=name) from error


def _arrow(path: Path, files: list[Path], name: str) -> Iterator[Placed | RejectedRow]:
    arrow = _package("pyarrow")
    number = 0
    for file in files:
        try:
            with arrow.memory_map(str(file)) as source:
                for batch in _batches(arrow, source):
                    for start in range(0, batch.num_rows, BATCH):
                        for row in _values(batch.slice(start, BATCH)):
                            number += 1
                            yield _placed(name, number, row)
        except (arrow.ArrowException, KeyError, OSError) as error:
            raise DataError(
                f"{file.name} is no Arrow file that can be read: {_first_line(error)}", file=str(path)
            ) from error


def _batches(arrow: Any, source: Any) -> Iterator[Any]:
    """Record batches of either form: the stream, which `datasets` writes, or the file with its footer."""
    try:
        yield from arrow.ipc.open_stream(source)
    except arrow.ArrowInvalid:
        source.seek(0)
        file = arrow.ipc.open_file(source)
        yield from (file.get_batch(place) for place in range(file.num_record_batches))


def _values(batch: Any) -> list[dict[str, Any]]:
    """The rows of a batch; a map comes as an object. Raises KeyError where one has a key twice."""
    found: list[dict[str, Any]] = batch.to_pylist(maps_as_pydicts="strict")
    return found


def _placed(name: str, number: int, row: dict[str, Any]) -> Placed | RejectedRow:
    """A row of a table. What JSON has no value for is left out, as null is, where it is a column's; inside of a value it rejects
    the row."""
    columns = {column: value for column, value in row.items() if value is not None and not _foreign(value)}
    try:
        return Placed(name, number, {column: plain(value) for column, value in columns.items()})
    except LineFault as fault:
        return rejected(name, number, fault)


def plain(value: Any) -> Any:
    """A value of a table as a JSON value: decimals as numbers, bytes and dates as text. A null inside a struct is a key that the
    row did not have. Raises LineFault for what JSON has no value for."""
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items() if part is not None}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if why := _foreign(value):
        raise LineFault(f"{why} inside of a value", None, "Mend the table: null for what is missing, texts for bytes.")
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.decode() if isinstance(value, bytes) else str(value)


def _foreign(value: Any) -> str:
    """What a single value is that JSON has none for; empty for all others."""
    if isinstance(value, bytes):
        try:
            value.decode()
        except UnicodeDecodeError:
            return "bytes that are no UTF-8"
    no_number = isinstance(value, float | Decimal) and not math.isfinite(value)
    return f"{value}, which is no JSON number," if no_number else ""


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0]


def _package(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        raise Unavailable(
            "Parquet and Arrow files need the package pyarrow, which is not installed",
            hint="Install it with: pip install 'lathe-slm[hub]', or convert the file to JSON lines.",
        ) from missing
