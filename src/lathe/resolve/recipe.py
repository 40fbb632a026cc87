"""From a file that a person wrote to a Recipe, or to all of its faults at once."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from lathe import plugins
from lathe.errors import Fault, InputError, RecipeError
from lathe.records import Json, Recipe, Written
from lathe.records.teacher import TEACHER
from lathe.resolve import strict_yaml
from lathe.resolve.faults import check, placed
from lathe.resolve.meaning import meaning_faults
from lathe.resolve.strict_yaml import Tree

W = TypeVar("W", bound=Written)

PATH_KEYS = (
    "data.source", "data.train", "data.validation", "data.test", "schema.from",
    "teacher.inputs", "teacher.seeds", "teacher.answers",
)  # fmt: skip


def shipped_recipes() -> dict[str, Path]:
    """Recipes that come with the package, by name."""
    folder = Path(str(files("lathe"))) / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find_recipe(name_or_path: str) -> Path:
    """A recipe file: the path itself, the recipe.yaml of a folder (a run), or a shipped recipe by its name.

    A folder without a recipe hides no shipped recipe of its name. Raises InputError with the nearest names where there is none.
    """
    path = Path(name_or_path).expanduser()
    found = path / "recipe.yaml" if path.is_dir() else path
    if found.exists() and not found.is_dir():
        return found
    shipped = shipped_recipes()
    if name_or_path in shipped:
        return shipped[name_or_path]
    if path.is_dir():
        raise InputError(f"the folder {name_or_path} holds no recipe.yaml", hint="Name a recipe file or a run folder.")
    near = difflib.get_close_matches(name_or_path, shipped, n=1)
    beside = (
        difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.y*ml")], n=1)
        if path.parent.is_dir()
        else []
    )
    meant = [*near, *(str(path.parent / name) for name in beside)]
    hint = f"Did you mean {meant[0]}?" if meant else f"Shipped recipes: {', '.join(shipped)}."
    raise InputError(f"there is no recipe {name_or_path}", hint=hint)


def read_recipe(path: Path, sets: Sequence[str] = ()) -> Recipe:
    """Reads and checks a recipe file. Raises RecipeError with all faults.

    sets: `train.epochs=1` and so on. A path given so is meant from the working folder; one in the file, from the file's folder.
    """
    return parse_recipe(read_text(path), str(path), [from_here(text) for text in sets])


def from_here(text: str) -> str:
    """A `key=value` whose value is a relative path of rows, schemas or a base: the same with the path absolute."""
    key, _, value_text = text.partition("=")
    place = strict_yaml.parse(value_text).value
    is_path = key.strip() in PATH_KEYS or (key.strip() == "base" and isinstance(place, str) and Path(place).is_dir())
    if not is_path or not isinstance(place, str) or place.startswith(("lathe:", "mirror:", "hub:")) or place == TEACHER:
        return text
    return f"{key}={json.dumps(str(Path(place).expanduser().absolute()), ensure_ascii=False)}"


def parse_recipe(text: str, file: str, sets: Sequence[str] = ()) -> Recipe:
    """Checks a recipe's text; `file` is the name that faults show. Raises RecipeError with all faults."""
    return parse_as(Recipe, text, file, sets)


def parse_as(kind: type[W], text: str, file: str, sets: Sequence[str] = ()) -> W:
    """Reads any record that a person writes. Meaning (names of tasks, metrics ...) is checked for a Recipe only."""
    tree = strict_yaml.parse(text)
    if not tree.complete:
        raise RecipeError(file, tree.faults)
    if tree.value is None and not tree.faults:
        raise RecipeError(file, [Fault("", "the recipe is empty", None, "`lathe demo` shows a complete one.")])
    if not isinstance(tree.value, dict):
        raise RecipeError(file, [*tree.faults, Fault("", "expected keys and values, such as `name: my-run`", 1)])
    set_paths, set_faults = apply_sets(tree, sets)
    record, faults = check(tree, kind, set_paths)
    faults = [*tree.faults, *set_faults, *faults]
    if kind is Recipe:
        told = {fault.key for fault in faults}
        meant = (placed(path, message, hint, tree, set_paths) for path, message, hint in meaning_faults(tree.value))
        faults += [fault for fault in meant if fault.key not in told]
    if faults or record is None:
        raise RecipeError(file, sorted(faults, key=lambda fault: fault.line or 0))
    return record


def read_text(path: Path) -> str:
    """The text of a recipe file. Raises InputError where it cannot be read, RecipeError where it is no UTF-8 text."""
    try:
        if not path.is_file():
            raise InputError(f"{path} is not a file", hint="Name a recipe file, such as recipe.yaml.")
        with open(path, "rb") as file:
            data = file.read(strict_yaml.MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(data) > strict_yaml.MAX_BYTES:
        fault = Fault("", f"the file is larger than {strict_yaml.MAX_BYTES:,} bytes", None, "Is this a recipe?")
        raise RecipeError(str(path), [fault])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        fault = Fault("", f"byte 0x{data[error.start]:02x} is no UTF-8", line, "Save the file as UTF-8.")
        raise RecipeError(str(path), [fault]) from error


def apply_sets(tree: Tree, sets: Sequence[str]) -> tuple[dict[strict_yaml.Path, str], list[Fault]]:
    """Writes each `key.path=value` into the tree's value. Returns the paths that were set, and faults."""
    done: dict[strict_yaml.Path, str] = {}
    faults = []
    for text in sets:
        key, equals, value_text = text.partition("=")
        path: strict_yaml.Path = tuple(int(part) if part.isdigit() else part for part in key.strip().split("."))
        if not equals or not all(str(part) for part in path):
            faults.append(Fault(f"--set {text}", "expected key=value", None, "Such as --set train.epochs=1"))
            continue
        value = strict_yaml.parse(value_text)
        if value.faults:
            faults.append(Fault(f"--set {key}", value.faults[0].message, None, value.faults[0].hint))
            continue
        problem = put(tree.value, path, value.value)
        if problem:
            faults.append(Fault(f"--set {key}", problem))
        else:
            done[path] = text
    return done, faults


def put(root: Json, path: strict_yaml.Path, value: Json) -> str | None:
    """Sets root[path] = value, making mappings on the way. Returns what is wrong, or None."""
    node = root
    for depth, part in enumerate(path):
        last = depth == len(path) - 1
        if isinstance(node, list):
            if not isinstance(part, int) or part >= len(node):
                return f"{strict_yaml.dotted(path[:depth])} is a list of {len(node)}, expected a position from 0 to {len(node) - 1}"
        elif isinstance(node, dict):
            part = str(part)
            if not last and node.get(part) is None:
                node[part] = {}
        else:
            return f"{strict_yaml.dotted(path[:depth])} is a single value and has no keys"
        if last:
            node[part] = value
        else:
            node = node[part]
    return None


def json_schema() -> Json:
    """JSON Schema of a recipe, for editors: every key with its meaning, unit and default."""
    schema = Recipe.model_json_schema(by_alias=True)
    keys = schema["properties"]
    keys["task"]["examples"] = list(plugins.names("tasks"))
    keys["trainer"]["examples"] = list(plugins.names("trainers"))
    keys["ship"]["items"]["examples"] = list(plugins.names("exports"))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Lathe recipe", **schema}
