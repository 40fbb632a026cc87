"""Trainers whose packages cannot stand beside Lathe's: each is named with the way to the same job in another environment."""

from __future__ import annotations

from lathe.contracts import Ability, Progress, Trainer
from lathe.errors import Unavailable
from lathe.records import TrainJob, TrainResult


class Elsewhere(Trainer):
    """requirement: what is installed there, with a floor, for without one resolvers pick a release of years ago; run: the command
    that trains from the exported configuration, in the folder that holds it."""

    def __init__(self, name: str, requirement: str, conflict: str, run: str) -> None:
        self._name, self._requirement, self._conflict, self._run = name, requirement, conflict, run

    def ability(self) -> Ability:
        return Ability(False, f"{self._name} needs an environment of its own: {self._conflict}", self._remedy())

    def _remedy(self) -> str:
        name = self._name
        return (
            f"python -m venv {name}-env; {name}-env/bin/pip install '{self._requirement}'; "
            f"lathe export-config RECIPE --to {name} --out {name}-job; cd {name}-job; {self._run}; "
            "lathe inspect then holds the adapter against its base and rows. Or set trainer: native"
        )

    def train(self, job: TrainJob, progress: Progress) -> TrainResult:
        """Raises Unavailable."""
        able = self.ability()
        raise Unavailable(f"trainer {self._name}: {able.detail}", hint=able.remedy)
