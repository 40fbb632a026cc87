"""What a run is and what it ships."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lathe.records.base import Json, Record, StageRecord
from lathe.records.fidelity import ModelCheck
from lathe.records.recipe import FileHash


class Capability(Record):
    """One thing that this machine can or cannot do, tried and not assumed."""

    name: str
    ok: bool
    detail: str = Field(description="what was seen: a version, a size, an error")
    remedy: str | None = Field(None, description="what to do where it is not ok")


class DoctorReport(StageRecord):
    """The machine as found."""

    machine: dict[str, Json] = Field(
        description="os, cpu, cores, features, memory_bytes, free_bytes, disk_free_bytes, gpus"
    )
    capabilities: tuple[Capability, ...]
    ok: bool = Field(description="whether everything that was asked for can work")


class ShippedFile(Record):
    """One shipped file or folder, and what was checked on it."""

    kind: str = Field(description="adapter, merged, gguf ...")
    path: str = Field(description="relative to the run folder")
    files: tuple[FileHash, ...]
    checks: dict[str, Json] = Field(default_factory=dict, description="check -> measured value")
    checked: tuple[ModelCheck, ...] = Field((), description="the same numbers judged, and the task measured again")
    gguf: str | None = Field(None, description="name of the GGUF file among the files, where there is one")
    arm: str | None = Field(None, description="the arm under eval/ in which the task was measured again on this file")

    @property
    def failed(self) -> tuple[ModelCheck, ...]:
        """Why it may not be released; empty where it may."""
        return tuple(check for check in self.checked if check.ok is False)


class Bundle(StageRecord):
    """Everything that was shipped, with hashes, and what was held back."""

    shipped: tuple[ShippedFile, ...]
    withheld: tuple[ShippedFile, ...] = Field((), description="files that failed a check; they stand in withheld/")

    @property
    def at_top(self) -> str | None:
        """The kind of the model that lies at the top of a published repository, so that it loads with one line: merged, else the
        adapter; None where neither was shipped."""
        kinds = [shipped.kind for shipped in self.shipped]
        return next((kind for kind in ("merged", "adapter") if kind in kinds), None)

    def published_folder(self, shipped: ShippedFile) -> str:
        """Where the files of an export lie in a published repository: "" at its top, else `KIND/`. GGUF files lie at the top too,
        where Ollama and llama.cpp look for them by name."""
        flat = shipped.kind == self.at_top or shipped.kind.startswith("gguf_")
        return "" if flat else f"{shipped.kind}/"


class ReportRecord(StageRecord):
    """The two documents for people."""

    html: str = Field(description="path of the report, relative to the run folder")
    card: str = Field(description="path of the model card, relative to the run folder")


class RunRecord(Record):
    """run.json: who this run is."""

    schema_version: Literal[1] = 1
    id: str
    name: str
    created: str = Field(description="UTC, ISO 8601")
    lathe_version: str
    smoke: bool = False


class Status(Record):
    """Where a run stands now."""

    run: str = Field(description="its folder")
    smoke: bool = Field(False, description="it tries every part on a few rows: its verdict means nothing")
    state: Literal["running", "stalled", "stopped", "done"] = Field(
        description="running: progress within the last two minutes; stalled: a process holds the run but says nothing; "
        "stopped: no process holds it and it is not finished; done: it has a decision and a report"
    )
    stage: str | None = None
    done: int | None = Field(None, description="steps or items of the stage that are done")
    total: int | None = None
    loss: float | None = None
    metric: str | None = Field(None, description="primary metric that validation rows were scored with while training")
    value: float | None = Field(None, description="what the last of these validations gave")
    best: float | None = Field(None, description="the best of them")
    best_step: int | None = None
    validating: str | None = Field(None, description="`12 of 64`: rows answered in the validation under way")
    seconds_left: float | None = None
    peak_bytes: int | None = None
    verdict: str | None = None
