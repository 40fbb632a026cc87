"""Where the rows of a recipe come from: corpora, files, a teacher. Each with the side of its rows where that is decided."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lathe import plugins
from lathe.data.preparing.split import side_of
from lathe.errors import DataError, InputError
from lathe.files import answers_of, row_files, schema_files
from lathe.hub import commit_of
from lathe.public_sources import by_sha256
from lathe.records import DataSpec, Json, LockedRecipe, SchemaSpec, Side, Source, TaskSetup, label_texts
from lathe.records.teacher import TEACHER, TeachRecord
from lathe.storage import file_sha256

CORPUS_PREFIX = "lathe:"
Taught = tuple[Path, TeachRecord]
"""The file of a teacher's rows, and what is known of them."""


@dataclass(frozen=True)
class Origin:
    """One file or corpus, and how its rows are sided."""

    source: Source
    path: Path | None
    """None for a generated corpus"""
    side: Side | None
    """what the recipe says about all of its rows; None = each row's own text decides, by the shares below"""
    validation: float
    test: float
    limited: bool
    """whether `data.limit` counts its rows"""

    def side_of(self, hashed: int) -> Side:
        """The side of one of its rows, by the hash of its normalised text."""
        return self.side or side_of(hashed, self.validation, self.test)


def origins(locked: LockedRecipe, taught: Taught | None = None) -> list[Origin]:
    """Everything that the recipe reads, in order. taught: the rows of its teacher, where it has one and they are there.

    Raises DataError where a file is gone or is not the one that was locked, InputError where the teacher was not asked yet.
    """
    data = locked.recipe.data
    if data.source is not None and data.source.startswith(CORPUS_PREFIX):
        corpus = plugins.load("corpora", data.source.removeprefix(CORPUS_PREFIX))
        source = Source(name=data.source, licence=corpus.licence, revision=corpus.version)
        return [Origin(source, None, None, *shares(data), limited=True)]
    known = {file.path: file.sha256 for file in locked.data_files}
    named: list[tuple[str | None, Side | None]] = [
        (data.source, None),
        (data.train, "train" if data.validation and data.test else None),
        (data.validation, "validation"),
        (data.test, "test"),
    ]
    found: list[Origin] = []
    for place, side in named:
        if place == TEACHER:
            found += [taught_origin(taught, locked, side), *seed_origins(locked)]
        elif place is not None:
            found += file_origins(place, side, data, known)
    return found


def file_origins(place: str, side: Side | None, data: DataSpec, known: Mapping[str, str]) -> Iterator[Origin]:
    """The files of one place. known: sha256 by path."""
    for path in row_files(Path(place)):
        sha256 = unchanged(path, known)
        if (answers := answers_of(path)) is not None:
            unchanged(answers, known)
        public = by_sha256(sha256)
        licence, citation = (public.licence, public.citation) if public else (None, None)
        source = Source(name=str(path), sha256=sha256, licence=licence, citation=citation, revision=commit_of(path))
        yield Origin(source, path, side, *shares(data), place in (data.source, data.train))


def taught_origin(taught: Taught | None, locked: LockedRecipe, side: Side | None) -> Origin:
    """The rows of the recipe's teacher. Raises InputError where there are none yet, DataError where they are not those locked."""
    if taught is None or locked.taught is None:
        raise InputError(
            "the teacher of the recipe was not asked for its rows yet",
            hint="lathe plan says what that may cost; lathe prepare and lathe run ask it.",
        )
    path, record = taught
    sha256 = unchanged(path, {str(path): locked.taught.sha256})
    done = "invented" if record.invents else "answered"
    source = Source(
        name=str(path),
        sha256=sha256,
        revision=f"{record.model}, {record.last[:10]}",
        citation=f"{record.rows:,} rows {done} by the model {record.model}, asked at {record.host} up to {record.last[:10]}",
    )
    return Origin(source, path, side, *shares(locked.recipe.data), limited=True)


def seed_origins(locked: LockedRecipe) -> list[Origin]:
    """The rows that the teacher is shown: to train on, whatever their text is."""
    teacher = locked.recipe.teacher
    if teacher is None or teacher.seeds is None:
        return []
    known = {file.path: file.sha256 for file in locked.data_files}
    return list(file_origins(teacher.seeds, "train", locked.recipe.data, known))


def held_out(locked: LockedRecipe) -> list[Origin]:
    """The files of rows that are only measured on."""
    data, known = locked.recipe.data, {file.path: file.sha256 for file in locked.data_files}
    sides: list[tuple[str | None, Side]] = [(data.validation, "validation"), (data.test, "test")]
    return [origin for place, side in sides if place for origin in file_origins(place, side, data, known)]


def unchanged(path: Path, known: Mapping[str, str]) -> str:
    """The hash of a file. Raises DataError where it is not the one that was locked. known: sha256 by path."""
    sha256 = file_sha256(path)
    if known.get(str(path), sha256) != sha256:
        hint = "Run the same command again: what depends on the file is made anew."
        raise DataError("the file has changed since the recipe was locked", file=str(path), hint=hint)
    return sha256


def shares(data: DataSpec) -> tuple[float, float]:
    """(validation, test): shares that are split off from rows whose file does not decide; 0 where a file was given."""
    validation = 0.0 if data.validation is not None else data.split.validation
    return validation, 0.0 if data.test is not None else data.split.test


def setup(locked: LockedRecipe) -> TaskSetup:
    """What the task knows besides the rows: schemas from the folder that the recipe names, else from the corpus."""
    data, schema = locked.recipe.data, locked.recipe.schema_
    schemas: dict[str, Json] = {}
    if schema.from_ is not None:
        schemas = read_schemas(schema)
    elif data.source is not None and data.source.startswith(CORPUS_PREFIX):
        schemas = dict(plugins.load("corpora", data.source.removeprefix(CORPUS_PREFIX)).schemas())
    return TaskSetup(
        schemas=schemas, schema_in_prompt=schema.in_prompt, schema_key=schema.key, fields=dict(data.fields)
    )


def read_schemas(schema: SchemaSpec) -> dict[str, Json]:
    """JSON Schemas by file stem; a list of texts is the set of labels that an answer is one of.

    Raises DataError with the file where one is neither.
    """
    from lathe.data.files.json_line import LineFault, decode

    assert schema.from_ is not None
    found = {}
    for name, path in schema_files(Path(schema.from_)).items():
        try:
            value = decode(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
        except LineFault as fault:
            raise DataError(f"this is no JSON Schema: {fault.reason}", file=str(path), hint=fault.hint) from fault
        if isinstance(value, list) and value and all(label_texts([label]) for label in value):
            value = {"enum": label_texts(value)}
        if not isinstance(value, dict):
            raise DataError("this is no JSON Schema: expected an object, or a list of labels", file=str(path))
        found[name] = value
    return found
