"""The rule that a model has to beat."""

from __future__ import annotations

from shouting_world import Shouting, example

from lathe.contracts import Baseline
from lathe.evaluate import rules
from lathe.records import TaskSetup


def test_rules_learn_from_training_rows_and_are_chosen_on_others() -> None:
    """A rule that knows its training rows by heart is best on them and worth nothing elsewhere."""

    class Task(Shouting):
        baselines = (
            Baseline("by_heart", "", lambda train, setup: by_heart({row.input: row.completion for row in train})),
            Baseline("capitals", "", lambda train, setup: lambda row: row.input.upper()),
        )

    train, validation = [example("oak"), example("elm")], [example("fir")]
    assert rules.choose(Task(), TaskSetup(), train, validation).name == "capitals"
    assert rules.choose(Task(), TaskSetup(), train, train).name == "by_heart", "equal: the one declared first"


def by_heart(known: dict[str, str]) -> rules.Rule:
    return lambda row: known.get(row.input, "")
