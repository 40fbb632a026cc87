"""Function calling: a wish and some functions in, the calls that fulfil it out, or none.

    Answer with a JSON list of calls, [] where no function fits.

    Functions:
    set_timer(minutes: number, label?: string) - Counts down and rings.

    Text:
    Ten minutes for the eggs.

    [{"name": "set_timer", "arguments": {"minutes": 10, "label": "eggs"}}]

A row has `input` (the wish), `tools` (functions with JSON Schemas, in OpenAI's layout or plain) and `target` (the calls);
`messages` where something was said or called before. Rows in OpenAI's layout (`messages` that end with tool_calls, `tools`) are
turned into that by the data stage; rows of BFCL (`question`, `function`, `ground_truth`) are read as they are.
"""

from __future__ import annotations

import json

from lathe.conformity.calls import of_calls
from lathe.contracts import ItemVerdict, JsonForm, Metric, Task
from lathe.records import Example, Json, Message, Row, TaskSetup, canonical
from lathe.tasks._calls import rows
from lathe.tasks._calls.answers import NOT_A_CALL, calls_in
from lathe.tasks._calls.functions import prompt, signatures
from lathe.tasks._calls.gold import of_target
from lathe.tasks._calls.matching import FAULTS, match
from lathe.tasks._calls.rules import BASELINES
from lathe.tasks._calls.worked import WORKED
from lathe.tasks._json import reading
from lathe.tasks._json.shape import ordered
from lathe.tasks._rows import identity

NOT_OFFERED = "function not offered"
REASONS = (*reading.PROBLEMS, NOT_A_CALL, NOT_OFFERED, *FAULTS)
"""Why an answer is not exactly right: one of these for each wrong answer."""


class FunctionCalling(Task):
    """See the module's docstring."""

    version = "3"
    primary = "function_exact"
    metrics = (
        Metric(
            "function_exact",
            "1 where the calls are the right ones, whatever their order: names, all arguments and no others. Arguments are "
            "compared as JSON Schema's types are (numbers by value, strings by every character, true unequal to 1, lists in "
            "order); an argument with a default may be left out where it has that value, and what the data allows besides is "
            "right. An answer with a part that cannot be read has no calls.",
            "proportion",
        ),
        Metric(
            "function_name",
            "1 where the right functions are called, each as often as it should be, whatever the arguments; none where none fits.",
            "proportion",
        ),
        Metric(
            "param_f1",
            "F1 over the arguments, for each item: 2 x right / (arguments of gold + arguments said), said calls paired with gold "
            "ones of the same name so that most is right. Not measured where nothing is to be called.",
            "mean",
        ),
        Metric(
            "irrelevance_accuracy",
            "Of the rows for which no function fits: 1 where the answer says so with an empty list. Words, and anything else that "
            "is no list, are 0; BFCL counts them as right. Not measured on other rows.",
            "proportion",
        ),
        Metric(
            "error_recovery",
            "Of the rows in which a first call has failed and its error is shown: 1 where the second attempt is exactly right. Not "
            "measured on other rows.",
            "proportion",
        ),
    )
    fields = ("input", "tools", "target")
    slices = ("kind",)
    baselines = BASELINES
    worked = WORKED
    answers = "json"
    also_read = ("messages",)
    takes_tools = True

    def example(self, row: Row, setup: TaskSetup) -> Example:
        """Reads a row; its gold calls must fit the functions, whose order of arguments they are written in.

        `kind` follows from the row as in BFCL's categories.
        """
        found = rows.read(row, setup)
        asked = prompt(found.functions, found.document)
        parameters = {one.name: one.parameters for one in found.functions}
        written = [
            {"name": call.name, "arguments": ordered(parameters[call.name], parameters[call.name], call.arguments())}
            for call in found.calls
        ]
        return Example(
            id=identity(row, setup, asked),
            input=found.document,
            messages=(Message(role="user", content=asked),),
            completion=json.dumps(written, ensure_ascii=False),
            target=[call.target() for call in found.calls],
            meta={"kind": _kind(found)},
            functions=parameters,
        )

    def score(self, example: Example, text: str, setup: TaskSetup) -> ItemVerdict:
        """Judges one answer. The reason is one of REASONS, empty where `function_exact` is 1."""
        gold, found = of_target(example.target), calls_in(text)
        matched = match(gold, found.calls)
        fault = found.problem or matched.fault
        offered = example.functions or {name for name, _, _ in signatures(example.messages[-1].content)}
        if not found.problem and any(call.name not in offered for call in found.calls):
            fault = NOT_OFFERED
        exact = float(not fault)
        return ItemVerdict(
            values={
                "function_exact": exact,
                "function_name": float(matched.names and not found.problem),
                "param_f1": (0.0 if found.problem else matched.param_f1) if gold else None,
                "irrelevance_accuracy": None if gold else exact,
                "error_recovery": exact if example.meta.get("kind") == "recovery" else None,
            },
            reason=fault,
        )

    def value(self, text: str, example: Example, setup: TaskSetup) -> Json:
        """The calls of the answer, each with name and arguments; [] where it says that nothing is to be called."""
        found = calls_in(text)
        return None if found.problem else [{"name": call.name, "arguments": call.arguments} for call in found.calls]

    def meaning(self, example: Example) -> Json:
        """The right calls, whatever their order."""
        calls = example.target if isinstance(example.target, list) else []
        return sorted(calls, key=canonical)

    def form(self, example: Example, setup: TaskSetup) -> JsonForm | None:
        """Calls of the functions that the item offers, with arguments of their schemas in that order; any number, none as well.

        None for an item that was prepared before its functions were kept.
        """
        return JsonForm(of_calls(example.functions)) if example.functions or not example.target else None

    def stand_in(self, setup: TaskSetup, schema: str | None) -> Json:
        return []

    def worked_setup(self) -> TaskSetup:
        """Nothing: rows bring their own functions."""
        return TaskSetup()


def _kind(found: rows.Read) -> str:
    if found.failed:
        return "recovery"
    if not found.calls:
        return "irrelevance"
    if len(found.calls) > 1:
        return "parallel"
    return "multiple" if len(found.functions) > 1 else "simple"


TASK = FunctionCalling()
