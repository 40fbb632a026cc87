"""Does a model's file do what the trained model did? What was checked, and what came of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lathe.records.base import Json, Record
from lathe.records.recipe import FileHash


class ModelCheck(Record):
    """One thing that was checked on the files of a model."""

    id: str = Field(description="stable name of the check: token_ids, chat_ids, one_bos, stop_tokens ...")
    ok: bool | None = Field(description="None = could not be told, with the reason in the message")
    message: str = Field(description="what was seen, with its numbers")
    fix: str | None = Field(None, description="what to do where it is not ok")
    measured: dict[str, Json] = Field(default_factory=dict, description="quantity -> number")

    def numbers(self) -> dict[str, Json]:
        """What was measured, each quantity under the check's name, so that those of many checks go into one table."""
        return {f"{self.id}.{name}": value for name, value in self.measured.items()}


class Inspection(Record):
    """A model that any tool made, held against its base and against rows that it should answer."""

    base: str = Field(description="folder of the base")
    adapter: str | None = Field(None, description="folder of the adapter; None = none was named")
    gguf: str | None = Field(None, description="the GGUF file; None = none was named")
    rows: int = Field(description="rows that were looked at")
    checks: tuple[ModelCheck, ...]
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return all(check.ok is not False for check in self.checks)


class Damage(Record):
    """A file that is not what the run's records say."""

    path: str = Field(description="relative to the run folder; a file outside it as the record names it")
    reason: str = Field(description="what was expected and what was found")


class Digests(Record):
    """digests.json: every file of a finished run, as it was written."""

    schema_version: Literal[1] = 1
    files: tuple[FileHash, ...] = Field(description="paths relative to the run folder")
    sha256: str = Field(description="over the entries above, so that a change of this very file shows as well")


class Verification(Record):
    """A run folder, held against the digests that its own records state."""

    run: str
    num_files: int = Field(description="files whose bytes were compared with a digest")
    num_bytes: int
    damaged: tuple[Damage, ...] = Field((), description="files that are not what the records say")
    unsealed: tuple[str, ...] = Field((), description="files that came into the run folder after it was sealed")

    @property
    def ok(self) -> bool:
        """Whether every file is as it was when it was written."""
        return not self.damaged
