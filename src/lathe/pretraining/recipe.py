"""What is to be pretrained: a recipe read from its file, the bases that it begins with, and the corpus that it names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lathe import plugins
from lathe.errors import InputError
from lathe.resolve.base import find_base
from lathe.resolve.recipe import parse_as, read_text

if TYPE_CHECKING:
    from lathe.records.pretrain import Mix, PretrainRecipe


@dataclass(frozen=True)
class Making:
    """A base that is to be made."""

    recipe: PretrainRecipe
    folder: Path
    """Where it goes."""
    starts: tuple[Path, ...]
    """Folders of the bases that it begins with, in the recipe's order."""


def makings(source: Path, folder: Path, made_in: Path, under_way: tuple[Path, ...] = ()) -> Iterator[Making]:
    """The bases that the recipe file `source` asks for, in the order in which they can be made; its own comes last.

    made_in: where the bases of recipes go that a recipe begins with. under_way: the recipes that ask for this one.
    Raises InputError, RecipeError.
    """
    if source in under_way:
        raise InputError(f"{source} begins with its own base", hint="Name another base as start, or none.")
    recipe, starts = read_pretrain_recipe(source), []
    for name in recipe.start:
        first = None if (source.parent / name).is_dir() else _recipe_file(name, source.parent)
        starts.append(find_base(name, source.parent).folder if first is None else made_in / first.stem)
        if first is not None:
            yield from makings(first, starts[-1], made_in, (*under_way, source))
    yield Making(recipe, folder, tuple(starts))


def shipped_pretrain_recipes() -> dict[str, Path]:
    """Recipes of bases that come with the package, by name."""
    folder = Path(str(files("lathe"))) / "recipes" / "pretrain"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_pretrain_recipe(name_or_path: str) -> Path:
    """The YAML file of a recipe, or of the shipped recipe of that name. Raises InputError."""
    found = _recipe_file(name_or_path, Path())
    if found is None:
        raise InputError(
            f"there is no pretraining recipe {name_or_path!r}: neither a file nor a shipped name",
            hint=f"The shipped ones are: {', '.join(shipped_pretrain_recipes())}.",
        )
    return found


def _recipe_file(name: str, home: Path) -> Path | None:
    path = (home / name).resolve()
    return path if path.is_file() else shipped_pretrain_recipes().get(name)


def read_pretrain_recipe(source: Path) -> PretrainRecipe:
    """The recipe of a YAML file. Raises RecipeError with all faults."""
    from lathe.records.pretrain import PretrainRecipe

    return parse_as(PretrainRecipe, read_text(source), str(source))


class PretrainingCorpus(Protocol):
    """What a corpus needs besides rows to be pretrained on."""

    version: str

    def documents(self, seed: int, start: int, mix: Mix) -> Iterator[Any]:
        """Documents `start`, `start + 1` and so on, without end, each with its text and weights."""

    def words(self, seed: int, n: int) -> str:
        """`n` coined words in a row, to be copied."""


def pretraining_corpus(corpus: str) -> PretrainingCorpus:
    """The corpus of that name. Raises InputError where it has no text to pretrain on."""
    found: Any = plugins.load("corpora", corpus)
    if found.task:
        raise InputError(
            f"corpus {corpus!r} makes rows of the task {found.task}, not text to pretrain on",
            hint="Use structured_text.",
        )
    pretraining: PretrainingCorpus = found
    return pretraining
