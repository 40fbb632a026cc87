"""What is to be pretrained: a recipe read from its file, and the corpus that it names."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lathe import plugins
from lathe.errors import Fault, InputError, RecipeError

if TYPE_CHECKING:
    from lathe.records.pretrain import Mix, PretrainRecipe


def read_pretrain_recipe(recipe: str | Path) -> PretrainRecipe:
    """The recipe of a YAML file, or of the shipped recipe of that name. Raises InputError, RecipeError."""
    import yaml
    from pydantic import ValidationError

    from lathe.records.pretrain import PretrainRecipe

    shipped = resources.files("lathe") / "recipes" / "pretrain" / f"{recipe}.yaml"
    source = shipped if shipped.is_file() else Path(recipe)
    if not source.is_file():
        raise InputError(
            f"there is no pretraining recipe {str(recipe)!r}: neither a file nor a shipped name",
            hint="The shipped one is: nano.",
        )
    try:
        return PretrainRecipe.model_validate(yaml.safe_load(source.read_text(encoding="utf-8")))
    except ValidationError as error:
        faults = [Fault(".".join(map(str, fault["loc"])), fault["msg"]) for fault in error.errors()]
        raise RecipeError(str(source), faults) from error
    except yaml.YAMLError as error:
        raise RecipeError(str(source), [Fault("", f"not YAML: {error}")]) from error


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
