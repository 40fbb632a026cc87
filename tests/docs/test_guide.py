"""The guide says what the program does: a page a verb, commands that are understood, recipes that are valid, errors that exist."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args

import pytest
import yaml

import lathe
from lathe.ask import Specialist
from lathe.cli import arguments
from lathe.pipeline import Run
from lathe.plan import foreign
from lathe.records import Recipe
from lathe.resolve import find_recipe, read_recipe

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guide"
PAGES = sorted(GUIDE.glob("*.md"))
VERBS = {verb.name for verb in arguments.VERBS}
LONGER = {"README", "troubleshooting", "coming-from", "measuring", "memory", "probes", "processes", "tools"}
ABOUT_MORE = LONGER | {"plugins"}
OTHER_PROGRAMS = {"pip", "hf", "ollama", "curl", "git"}
FENCE = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    page: str
    kind: str
    text: str


def blocks(*kinds: str) -> list[Block]:
    found = [Block(path.name, m["kind"], m["text"]) for path in PAGES for m in FENCE.finditer(path.read_text())]
    return [block for block in found if block.kind in kinds]


def commands(text: str) -> Iterator[list[str]]:
    """The commands of a console block as words; what follows `>` or `|` belongs to the shell."""
    for line in text.split("\n"):
        if line.startswith("$ "):
            words = shlex.split(line[2:], comments=True)
            yield words[: next((i for i, word in enumerate(words) if word in (">", "|", "<")), len(words))]


def prose(path: Path) -> str:
    return FENCE.sub("", path.read_text())


# ------------------------------------------------------------------------------------------ pages


def test_every_verb_has_a_page_and_every_page_a_verb() -> None:
    assert {path.stem for path in PAGES} - ABOUT_MORE == VERBS


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_the_page_of_a_verb_shows_it_and_names_its_own_options(verb: str) -> None:
    text = (GUIDE / f"{verb}.md").read_text()
    assert any(words[:2] == ["lathe", verb] for block in FENCE.finditer(text) for words in commands(block["text"]))
    shared = {"--set", "--new", "--smoke", "--runs"}
    own = {name for one in arguments.VERBS if one.name == verb for arg in one.arguments for name in arg.names}
    assert {name for name in own - shared if name.startswith("--") and name not in text} == set()


def test_the_first_page_leads_to_all_others() -> None:
    linked = set(re.findall(r"\]\((\w[\w-]*)\.(?:md|ipynb)\)", (GUIDE / "README.md").read_text()))
    assert linked >= {path.stem for path in PAGES} - {"README"}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_is_short(path: Path) -> None:
    if path.stem not in LONGER:
        assert len(path.read_text().split()) < 350


# ------------------------------------------------------------------------------------------ code


def test_every_block_is_of_a_kind_that_is_checked() -> None:
    kinds = {"console", "yaml", "yaml foreign", "python", "toml", "yaml plugin"}
    found = {(path.name, match["kind"]) for path in PAGES for match in FENCE.finditer(path.read_text())}
    assert {(page, kind) for page, kind in found if kind not in kinds} == set()


@pytest.mark.parametrize("block", blocks("console"), ids=lambda block: block.page)
def test_commands_are_understood(block: Block) -> None:
    found = list(commands(block.text))
    assert found
    for program, *words in found:
        if program == "torchrun":
            program, *words = words[words.index("lathe") :]
        if program == "lathe":
            given = arguments.read(words)
            read_recipe(find_recipe("demo"), tuple(getattr(given, "sets", ())))
        else:
            assert program in OTHER_PROGRAMS


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.page)
def test_recipes_are_valid(block: Block, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(block.text)
    assert isinstance(read_recipe(tmp_path / "recipe.yaml", ()), Recipe)


@pytest.mark.parametrize("block", blocks("yaml foreign"), ids=lambda block: block.text.split("\n")[1])
def test_configurations_of_other_trainers_become_valid_recipes(block: Block, tmp_path: Path) -> None:
    (tmp_path / "their.yaml").write_text(block.text)
    adopted = foreign.adopt(tmp_path / "their.yaml", rows=1000)
    assert adopted.told.unknown == ()
    assert adopted.facts["examples_per_step"] == 32
    (tmp_path / "recipe.yaml").write_text(adopted.text)
    assert read_recipe(tmp_path / "recipe.yaml", ()).method.rank == 16


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.page)
def test_python_calls_what_there_is(block: Block) -> None:
    known = {"lathe": set(dir(lathe)), "run": set(dir(Run)), "model": set(dir(Specialist))}
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in known:
            assert node.attr in known[node.value.id], f"{node.value.id}.{node.attr}"


# ------------------------------------------------------------------------------------------ words


def recipe_keys(model: type = Recipe, prefix: str = "") -> set[str]:
    found = set()
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        found.add(key)
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and hasattr(kind, "model_fields"):
                found |= recipe_keys(kind, f"{key}.")
    return found


@pytest.mark.parametrize("path", [*PAGES, *(ROOT / "docs" / "decisions").glob("*.md")], ids=lambda path: path.stem)
def test_options_and_recipe_keys_that_are_spoken_of_exist(path: Path) -> None:
    options = {name for verb in arguments.VERBS for arg in verb.arguments for name in arg.names} | {"--json"}
    keys = recipe_keys()
    parts = {key.partition(".")[0] for key in keys}
    for said in re.findall(r"`([^`\n]+)`", prose(path)):
        if re.fullmatch(r"--[a-z][\w-]*", said):
            assert said in options, f"{path.name}: {said}"
        found = re.fullmatch(r"([a-z]+)\.[a-z_.]+", said)
        if found and found[1] in parts and not said.endswith((".json", ".jsonl", ".yaml", ".md", ".py")):
            assert said in keys, f"{path.name}: {said}"


@cache
def said_by_the_program() -> frozenset[str]:
    """Every text in the source, with `…` for what is put in."""
    found = set()
    for path in (ROOT / "src" / "lathe").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(re.sub(r"\{\w+\}", "…", node.value))
            elif isinstance(node, ast.JoinedStr):
                found.add("".join(str(v.value) if isinstance(v, ast.Constant) else "…" for v in node.values))
    return frozenset(found)


def headings() -> list[str]:
    return re.findall(r"^### `([^`]+)`$", (GUIDE / "troubleshooting.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("key", headings())
def test_an_error_that_is_explained_is_one_that_is_said(key: str) -> None:
    assert any(key in text for text in said_by_the_program())


def test_the_page_of_errors_has_a_way_out_for_each() -> None:
    sections = re.split(r"^##+ ", (GUIDE / "troubleshooting.md").read_text(), flags=re.MULTILINE)
    assert len(headings()) > 30
    for section in sections[1:]:
        title, _, rest = section.partition("\n")
        if title.startswith("`"):
            assert len(rest.split()) >= 8, title


def test_anchors_lead_to_headings() -> None:
    for path in [*PAGES, ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)\s]*#[^)\s]+)\)", path.read_text()):
            name, _, anchor = target.partition("#")
            if name.startswith("http"):
                continue
            text = (path.parent / name if name else path).read_text()
            there = {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in re.findall(r"^#+ (.+)$", text, re.M)}
            assert anchor in there, f"{path.name}: {target}"


def test_shipped_recipes_and_pages_name_the_same_formats() -> None:
    """The table of formats on the page of ship is the list of exporters."""
    from lathe import plugins

    table = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", (GUIDE / "ship.md").read_text(), re.M)))
    assert set(table) - {"ship"} == set(plugins.names("exports"))


def test_yaml_that_is_quoted_in_a_line_is_yaml() -> None:
    for path in PAGES:
        for said in re.findall(r"`((?:data|ship|gates|train): [^`\n]+)`", prose(path)):
            assert isinstance(yaml.safe_load(said), dict), f"{path.name}: {said}"
