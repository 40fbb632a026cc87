"""What every probe starts from and gives back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lathe.contracts import Endpoint, Metric, Model, Progress, Task
from lathe.evaluate.aggregate import document_of
from lathe.evaluate.rows import Rows
from lathe.records import Arm, DataFinding, Example, ItemScore, LockedRecipe, ProbedItem, Score, digest
from lathe.records.paid import Prices
from lathe.runs import RunFolder
from lathe.storage import file_sha256


@dataclass(frozen=True)
class Files:
    """What a person brings for the probe `adversarial`: requests of their own, and verdicts on answers."""

    prompts: Path | None = None
    verdicts: Path | None = None


NO_FILES = Files()


@dataclass(frozen=True)
class Judge:
    """What a person names for the probe `judge`. prices: None = no cost is counted; max_cost: the most that all verdicts of the run
    may cost, in the currency of the prices, None = there is no limit."""

    endpoint: Endpoint
    prices: Prices | None = None
    max_cost: float | None = None


@dataclass(frozen=True)
class Asked:
    """One arm to be probed."""

    run: RunFolder
    locked: LockedRecipe
    task: Task
    rows: Rows
    arm: Arm
    progress: Progress
    files: Files = NO_FILES
    judge: Judge | None = None

    @property
    def examples(self) -> list[Example]:
        """The test rows."""
        return self.rows.sides["test"]

    @property
    def model(self) -> Model:
        """What answers: the base, or the run's own adapter on it."""
        return Model.of(self.locked, self.run.adapter if self.arm == "tuned" else None)

    def weights(self) -> str:
        """Hash of that model's files."""
        adapter = self.model.adapter_folder
        hashes = [file_sha256(file) for file in sorted(adapter.glob("*.*"))] if adapter else []
        return digest([[file.sha256 for file in self.locked.base_files], hashes])

    def tell(self, probe: str, done: int, total: int) -> None:
        """Says how far it is."""
        self.progress(
            {"stage": self.arm, "probe": probe, "done": done, "total": total, "unit": "items", "new_tokens": 0}
        )


@dataclass(frozen=True)
class Measured:
    """What a probe found. more: numbers of the whole set that are no mean over items."""

    items: Sequence[ItemScore]
    findings: Sequence[DataFinding] = ()
    more: Sequence[Score] = ()


def items(examples: Iterable[Example], found: Mapping[str, ProbedItem], metrics: Sequence[Metric]) -> list[ItemScore]:
    """An item for each example; what was not found was not measured."""
    nothing = dict.fromkeys((metric.name for metric in metrics), None)
    return [
        ItemScore(
            id=example.id,
            values={**nothing, **(found[example.id].values if example.id in found else {})},
            reason=found[example.id].reason if example.id in found else "",
            meta=example.meta,
            document=document_of(example),
        )
        for example in examples
    ]
