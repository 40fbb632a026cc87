"""Writes docs/reference/*.md from the code: keys of both kinds of recipe, metrics, exit codes.

python docs/make_reference.py          # a test holds the pages to what this writes
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from lathe import errors, plugins
from lathe.evaluate.probes import PROBES
from lathe.records import Recipe
from lathe.records.pretrain import PretrainRecipe

FOLDER = Path(__file__).parent / "reference"
MADE = "<!-- Made by docs/make_reference.py from the code; do not edit. -->\n"


def words(annotation: object) -> str:
    """A type in words: `number or null`, `one of lora, qlora, full`."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return words(inner[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(words(part) for part in inner)
    if origin is typing.Literal:
        return ("one of " if len(inner) > 1 else "") + ", ".join(f"`{value}`" for value in inner)
    if origin in (tuple, list):
        return f"list of {words(inner[0])}"
    if origin is dict:
        return f"map of {words(inner[1])}"
    plain = {str: "text", int: "whole number", float: "number", bool: "true or false", type(None): "null"}
    if annotation in plain:
        return plain[annotation]
    return "keys as below" if isinstance(annotation, type) and issubclass(annotation, BaseModel) else "value"


def default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default_factory is not None or field.default is PydanticUndefined:
        value = field.get_default(call_default_factory=True, validated_data={})
        return "as its parts" if isinstance(value, BaseModel) else f"`{value}`" if value else "empty"
    if field.default is None:
        return "`null`"
    if isinstance(field.default, bool):
        return f"`{str(field.default).lower()}`"
    return f"`{field.default}`"


def parts(annotation: object) -> list[type[BaseModel]]:
    """The records inside a type."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [record for inner in typing.get_args(annotation) for record in parts(inner)]


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """One table row a key, nested keys after their parent."""
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        yield f"| `{key}` | {words(field.annotation)} | {default(field)} | {field.description or ''} |"
        for record in parts(field.annotation):
            listed = typing.get_origin(field.annotation) in (tuple, list)
            yield from keys(record, f"{key}[]." if listed else f"{key}.")


def key_table(model: type[BaseModel]) -> str:
    return "\n".join(("| key | value | default | meaning |", "|---|---|---|---|", *keys(model)))


def recipe_page() -> str:
    return (
        f"{MADE}\n# Recipe keys\n\nYAML; an unknown key is an error with the nearest name, and all faults are said at once. "
        "`--set train.epochs=1` changes a key for one run. What a meaning calls None is `null` in the file. "
        "`lathe schema` prints a JSON Schema for editors.\n\n"
        f"{key_table(Recipe)}\n"
    )


def pretrain_page() -> str:
    return (
        f"{MADE}\n# Pretraining recipe keys\n\nWhat `lathe pretrain RECIPE --out FOLDER` reads: YAML, all faults said at once. "
        f"The shipped recipe is `nano`.\n\n{key_table(PretrainRecipe)}\n"
    )


def metrics_page() -> str:
    lines = [MADE, "# Metrics", ""]
    for name in plugins.names("tasks"):
        task = plugins.load("tasks", name)
        lines += [f"## {name}", "", f"Scorer version {task.version}; the verdict shows `{task.primary}`.", ""]
        for metric in task.metrics:
            same = f" Reproduces {metric.compatible_with}." if metric.compatible_with else ""
            lines.append(f"* **`{metric.name}`** ({metric.kind}): {metric.definition}{same}")
        lines += ["", "Rules that need no model:", ""]
        lines += [f"* **`{baseline.name}`**: {baseline.definition}" for baseline in task.baselines]
        lines.append("")
    for name, probe in PROBES.items():
        lines += [
            f"## Probe {name}",
            "",
            f"`lathe evaluate RUN --probe {name}`, where answers are a {probe.answers}.",
            "",
        ]
        lines += [f"* **`{metric.name}`** ({metric.kind}): {metric.definition}" for metric in probe.metrics]
        lines.append("")
    return "\n".join(lines)


def exit_codes_page() -> str:
    meaning = {
        "DONE": "done; of a run: verdict deploy",
        "NO": "the answer is no: iterate, abort, does not fit, blocker found, diverged",
        "USAGE": "bad usage or input, with file and line, what was expected and what to do",
        "UNAVAILABLE": "a Hub, endpoint or package that is needed is not there, or a plug-in does not keep its contract",
        "BUG": "our bug; the journal has the traceback",
        "IN_USE": "another process works in the run folder",
        "STORAGE": "disk full, read-only or failing; a file that may not be read or written, stdout included",
        "INTERRUPTED": "stopped by a signal at a safe point; the same command continues",
        "REFUSED": "executable or hostile content, not opened",
        "SIGINT": "second interrupt: stopped at once",
        "SIGTERM": "second termination: stopped at once",
    }
    rows = [f"| {code.value} | {meaning[code.name]} |" for code in errors.Exit]
    return "\n".join([MADE, "# Exit codes", "", "| code | meaning |", "|---|---|", *rows, ""])


PAGES = {
    "recipe.md": recipe_page,
    "pretraining-recipe.md": pretrain_page,
    "metrics.md": metrics_page,
    "exit-codes.md": exit_codes_page,
}

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
        print(FOLDER / name)
