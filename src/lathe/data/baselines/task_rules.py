"""What tasks know about rows, for checks without a recipe: the rules that they declare, and whether an answer fits its schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from lathe import plugins
from lathe.contracts import Baseline, Task
from lathe.data.baselines.learnability import Right, same_text
from lathe.data.baselines.rules import Item, Rule
from lathe.data.findings.commands import signs_of_commands
from lathe.errors import TaskMismatch
from lathe.records import Example, Json, Message, TaskSetup
from lathe.records.check import AnswerKind


def usual_rules(kind: AnswerKind, answers: Sequence[Json]) -> tuple[Rule, ...]:
    """The rules of the task that such answers are for, for rows without a recipe; none where no task is known by its answers."""
    commands = kind == "text" and signs_of_commands([answer for answer in answers if isinstance(answer, str)]).enough()
    if kind != "json" and not commands:
        return ()
    task = plugins.load("tasks", "json_extraction" if kind == "json" else "bash")
    return tuple(as_rule(task, one, TaskSetup()) for one in task.baselines)


def misfits(schemas: Mapping[str, Json]) -> Callable[[str, Json], str]:
    """Why a target does not fit the schema of its name, by the task that knows schemas; empty where it does or names none."""
    task = plugins.load("tasks", "json_extraction") if schemas else None
    setup = TaskSetup(schemas=dict(schemas), schema_in_prompt=False)

    def misfit(group: str, target: Json) -> str:
        if task is None or group not in schemas:
            return ""
        try:
            task.example({"input": "-", "target": target, "schema_id": group}, setup)
        except TaskMismatch as mismatch:
            return mismatch.message
        return ""

    return misfit


def as_rule(task: Task, baseline: Baseline, setup: TaskSetup) -> Rule:
    """A task's rule as one that answers items; what it writes is read where answers are values. It never sees the answer."""

    def learned(train: Sequence[Item]) -> Callable[[Item], Json]:
        apply = baseline.fit([example(item, item.answer) for item in train], setup)

        def answer(item: Item) -> Json:
            said = apply(example(item, None))
            if isinstance(item.answer, str):
                return said
            try:
                return json.loads(said)
            except ValueError:  # another notation, perhaps, which the task reads
                return task.value(said, example(item, item.answer), setup)

        return answer

    return Rule(baseline.name, baseline.definition, learned)


def right_by(task: Task, setup: TaskSetup) -> Right:
    """Which answers the task takes for right: a value may be written in several ways, in another order say; a text in one."""
    judged = next(one for one in task.metrics if one.name == task.primary)
    if task.answers != "json" or judged.kind != "proportion":
        return same_text

    def right(item: Item, said: Json) -> bool:
        written = json.dumps(said, ensure_ascii=False)
        return same_text(item, said) or task.score(example(item, item.answer), written, setup).values[task.primary] == 1

    return right


def example(item: Item, answer: Json) -> Example:
    """An item as a task's rule expects it. answer: None where the rule is to find it."""
    text = answer if isinstance(answer, str) else "" if answer is None else json.dumps(answer, ensure_ascii=False)
    messages = (Message(role="user", content=item.prompt),) if item.prompt else ()
    meta = {**item.meta, "schema": item.group}
    return Example(id="", input=item.input, messages=messages, completion=text, target=answer, meta=meta)
