"""The rows that a configuration names: where they are, how many of them train, and the `data` part of a recipe for them.

trained(told, 60)                       with val_set_size 0.25   ->  45
data_lines(told, 60, folders)           ["  train: train.jsonl", "  split: {validation: 0.25, test: 0.2}", ...]
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lathe.files import ROWS_SUFFIXES, stem_of
from lathe.hub import DATASET_PREFIX, NAME
from lathe.plan.foreign.settings import Told
from lathe.records.recipe import Split
from lathe.safe_text import yaml_text

UNTOLD = "      # not said by the configuration"


@dataclass(frozen=True)
class Folders:
    """Where a configuration lies, and where the recipe will: paths of the one are written for the other."""

    configuration: Path
    recipe: Path

    def said(self, name: str, there: Callable[[Path], bool] = Path.is_file) -> str:
        """A name as the recipe says it: what is `there`, beside the caller or beside the configuration, by a path that holds from
        the recipe's folder; any other name as it is."""
        found = self.place(name, there)
        if found is None:
            return name
        path, folder = found.absolute(), self.recipe.absolute()
        return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)

    def place(self, name: str, there: Callable[[Path], bool] = Path.is_file) -> Path | None:
        """What a name means from where the caller is, else from the configuration; None where neither is there."""
        return next((place for place in (Path(name), self.configuration / name) if there(place)), None)


def train_file(told: Told) -> str | None:
    """File of the training rows, as the configuration names it."""
    return next(iter(told.files("datasets") + told.files("train_file")), None)


def validation_file(told: Told) -> str | None:
    """File of the validation rows, as the configuration names it."""
    return next(iter(told.files("test_datasets") + told.files("validation_file")), None)


def in_file(told: Told, folders: Folders) -> int | None:
    """Rows of the training file that are used at all; None where it is no file of lines that is here."""
    name = train_file(told)
    path = folders.place(name) if name is not None and name.endswith(".jsonl") else None
    if path is None:
        return None
    with path.open("rb") as file:
        rows = sum(1 for line in file if line.strip())
    return min(rows, told.whole("limit") or rows) or None


def held_out(told: Told, rows: int) -> int:
    """Of so many rows, those that the tool keeps for validation: a share is rounded up, a number above 1 is a number of rows."""
    asked = told.number("validation_share") or 0.0
    if validation_file(told) is not None or asked <= 0:
        return 0
    return int(asked) if asked >= 1 else math.ceil(asked * rows)


def trained(told: Told, rows: int) -> int:
    """Of so many rows, those that the tool trains on."""
    return max(1, rows - held_out(told, rows))


def data_lines(told: Told, rows: int | None, folders: Folders) -> list[str]:
    """The `data` part. rows: those trained on."""
    train, validation = train_file(told), validation_file(told)
    lines = ["data:", f"  train: {_said(train, folders) if train else 'train.jsonl' + UNTOLD}"]
    if validation is not None:
        lines.append(f"  validation: {_said(validation, folders)}")
    lines += _split(told, rows)
    if told.whole("limit"):
        lines.append(f"  limit: {told.whole('limit')}")
    return lines


def _said(name: str, folders: Folders) -> str:
    """A place of rows in the recipe: what is not here and has the form of a name on the Hub is a data set there."""
    here = folders.place(name, Path.exists) is not None
    if here or not NAME.match(name) or stem_of(Path(name)).endswith(ROWS_SUFFIXES):
        return yaml_text(folders.said(name, Path.exists))
    return yaml_text(f"{DATASET_PREFIX}{name}") + "      # no file here, so a data set of the Hub"


def _split(told: Told, rows: int | None) -> list[str]:
    """The share for validation, and beside it the test rows that the other tool does not know of."""
    asked = told.number("validation_share") or 0.0
    if validation_file(told) is not None or asked <= 0:
        return []
    if asked >= 1 and rows is None:
        return [
            f"  # {told.keys['validation_share']}: {asked:g} rows, of how many is not known (--rows): Lathe's own share"
        ]
    share = asked if asked < 1 else asked / (rows + asked) if rows else 0.0
    test = min(Split().test, (1.0 - share) / 2)
    return [
        f"  split: {{validation: {share:.6g}, test: {test:.6g}}}      # test: for the verdict; not said by the configuration"
    ]
