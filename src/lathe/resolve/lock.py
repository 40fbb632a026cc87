"""Fixes everything that a recipe leaves open: where the base is, which bytes the data are, which versions run."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from lathe.errors import InputError
from lathe.files import answers_of, row_files, schema_files
from lathe.hub import dataset, is_dataset
from lathe.public_sources import by_place
from lathe.records import DataSpec, FileHash, LockedRecipe, Recipe
from lathe.records.teacher import TEACHER, TeacherSpec
from lathe.resolve.base import Base, base_files, weight_sizes
from lathe.runs import RunFolder
from lathe.storage import file_sha256

MIRROR_PREFIX = "mirror:"
MIRROR_VARIABLE = "LATHE_MIRROR"
PACKAGES = {
    "lathe": "lathe-slm",
    "torch": "torch",
    "transformers": "transformers",
    "peft": "peft",
    "tokenizers": "tokenizers",
    "safetensors": "safetensors",
    "numpy": "numpy",
    "jinja2": "jinja2",
    "jsonschema": "jsonschema",
}
"""Packages whose version can change a result, by the name that the record shows."""
ROUNDING_PACKAGES = {"bitsandbytes": "bitsandbytes"}
"""The same of a run that holds its base in 4 bits, or an optimiser in 8."""


def lock(
    recipe: Recipe, recipe_folder: Path, base: Base, *, weights: bool = True, known: Sequence[FileHash] = ()
) -> LockedRecipe:
    """Resolves paths (relative to the recipe) and all hashes, but for the one over the whole lock.

    base: the recipe's, as `find_base` found it. weights: whether its weights are needed; a plan is content with their sizes, and
    hashing 15 GB takes 10 s. known: what an earlier lock of this run says of its base: hashes of weights that are not read again
    stand while the sizes are the same. Raises InputError and DataError for what is not there, Unavailable for a data set of the Hub
    that cannot be reached.
    """
    data = absolute_data(recipe.data, recipe_folder)
    data = data.model_copy(update={"against": tuple(dict.fromkeys((*data.against, *grew_out_of(base.folder))))})
    teacher = absolute_teacher(recipe.teacher, recipe_folder)
    schema = recipe.schema_
    if schema.from_ is not None:
        schema = schema.model_copy(update={"from_": str(data_path(schema.from_, recipe_folder))})
    files = [path for place in origins(data) for path in row_files(Path(place))]
    files += [path for place in taught_with(teacher) for path in row_files(Path(place))]
    files += [trained_rows(Path(run)) for run in data.against]
    rows = tuple(hashed(part) for path in files for part in (path, answers_of(path)) if part is not None)
    check_mirror(recipe.data, recipe_folder, rows)
    schemas = schema_files(Path(schema.from_)).values() if schema.from_ is not None else ()
    unread = {} if weights else weight_sizes(base.folder)
    stand = tuple(file for file in known if unread.get(file.path) == file.num_bytes)
    if len(stand) == len(unread):
        unread = {}
    else:
        stand = ()
    return LockedRecipe(
        inputs="",
        recipe=recipe.model_copy(update={"data": data, "schema_": schema, "teacher": teacher}),
        base_folder=str(base.folder),
        base_files=tuple(sorted((*stand, *base_files(base.folder, weights=weights)), key=lambda file: file.path)),
        unread_weight_bytes=sum(unread.values()),
        base_revision=base.revision,
        data_files=(*rows, *(hashed(path) for path in schemas)),
        packages=packages(PACKAGES | ROUNDING_PACKAGES if recipe.rounds else PACKAGES),
    )


def origins(data: DataSpec) -> list[str]:
    """Files and folders of rows that a recipe names; generated corpora and the teacher's rows are left out."""
    named = (data.source, data.train, data.validation, data.test)
    return [place for place in named if place is not None and is_place(place)]


def is_place(said: str) -> bool:
    """Whether a recipe's word for an origin of rows is a place where files are."""
    return not said.startswith("lathe:") and said != TEACHER


def taught_with(teacher: TeacherSpec | None) -> list[str]:
    """Files that a teacher is asked with."""
    return [place for place in (teacher.inputs, teacher.seeds) if place is not None] if teacher is not None else []


def absolute_teacher(teacher: TeacherSpec | None, recipe_folder: Path) -> TeacherSpec | None:
    """The teacher with absolute paths."""
    if teacher is None:
        return None
    said = {key: getattr(teacher, key) for key in ("inputs", "seeds", "answers")}
    return teacher.model_copy(
        update={key: str(data_path(place, recipe_folder)) for key, place in said.items() if place is not None}
    )


def absolute_data(data: DataSpec, recipe_folder: Path) -> DataSpec:
    """The data part with absolute paths."""
    changed: dict[str, object] = {"against": tuple(str(data_path(place, recipe_folder)) for place in data.against)}
    for key in ("source", "train", "validation", "test"):
        place = getattr(data, key)
        if place is not None and is_place(place):
            changed[key] = str(data_path(place, recipe_folder))
    return data.model_copy(update=changed)


def grew_out_of(base: Path) -> list[str]:
    """The run in whose folder a base lies, and the runs that its own base grew out of; none for any other base."""
    run = next((RunFolder(folder) for folder in base.parents if RunFolder(folder).run_record.is_file()), None)
    if run is None or not run.rows("train").is_file():
        return []
    return [str(run.path), *run.load(run.lock_record, LockedRecipe).recipe.data.against]


def trained_rows(run: Path) -> Path:
    """The training rows of an earlier run. Raises InputError where there are none."""
    path = RunFolder(run).rows("train")
    if not path.is_file():
        raise InputError(
            f"data.against names {run}, and {path} is not there",
            hint="Name the folder of a run whose data were prepared.",
        )
    return path


def data_path(place: str, recipe_folder: Path) -> Path:
    """A path as the recipe says it -> absolute. `mirror:x` lies in the folder that LATHE_MIRROR names, `hub:x` in the cache."""
    if is_dataset(place):
        return dataset(place).absolute()
    if not place.startswith(MIRROR_PREFIX):
        return (recipe_folder / Path(place).expanduser()).absolute()
    mirror = os.environ.get(MIRROR_VARIABLE)
    if not mirror:
        raise InputError(
            f"{place} lies in your mirror of public data sets, and {MIRROR_VARIABLE} does not say where that is",
            hint=f"Set it: export {MIRROR_VARIABLE}=/path/to/data; or give the file itself with --set.",
        )
    return (Path(mirror).expanduser() / place.removeprefix(MIRROR_PREFIX)).absolute()


def check_mirror(data: DataSpec, recipe_folder: Path, files: tuple[FileHash, ...]) -> None:
    """Raises InputError where a file of the mirror is not the public file that Lathe knows at its place."""
    found = {file.path: file.sha256 for file in files}
    inside = [Path(place.removeprefix(MIRROR_PREFIX)) for place in origins(data) if place.startswith(MIRROR_PREFIX)]
    for one in (part for path in inside for part in (path, answers_of(path)) if part is not None):
        public = by_place(one.as_posix())
        path = data_path(f"{MIRROR_PREFIX}{one.as_posix()}", recipe_folder) if public is not None else None
        if public is not None and found[str(path)] != public.sha256:
            raise InputError(
                f"{path} is not the file that is known as {public.name}: its sha256 begins {found[str(path)][:12]}, "
                f"expected {public.sha256[:12]}",
                hint="Fetch it anew; or give your own file by its path, with --set data.source=FILE.",
            )


def hashed(path: Path) -> FileHash:
    """A data file with its hash."""
    return FileHash(path=str(path), sha256=file_sha256(path), num_bytes=path.stat().st_size)


def packages(deciding: Mapping[str, str]) -> dict[str, str]:
    """Versions of Python and of the packages that decide results; a package that is not installed is left out."""
    found = {"python": platform.python_version()}
    for name, distribution in deciding.items():
        try:
            found[name] = version(distribution)
        except PackageNotFoundError:
            continue
    return found
