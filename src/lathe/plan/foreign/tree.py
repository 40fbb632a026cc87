"""A configuration file as a tree of keys and values: YAML or JSON, nothing of which expands or runs.

tree = load(Path("axolotl.yaml"))      {"base_model": "org/base", "lora": {"r": 8}}
dict(flat(tree))                       {"base_model": "org/base", "lora.r": 8}
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from lathe.errors import InputError


class _PlainLoader(yaml.SafeLoader):
    """YAML without what can expand, and without keys of which one would go unread."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            said = "an alias stands here, expected the value itself"
            raise yaml.MarkedYAMLError(problem=said, problem_mark=self.peek_event().start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                said = f"the key {key.value} stands twice, expected it once"
                raise yaml.MarkedYAMLError(problem=said, problem_mark=key.start_mark)
            seen |= {key.value} if isinstance(key, yaml.ScalarNode) else set()
        return super().construct_mapping(node, deep)


def load(path: Path) -> dict[str, Any]:
    """The tree of a file. Raises InputError where it cannot be read or holds no mapping, OSError."""
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        found = json.loads(text) if path.suffix == ".json" else yaml.load(text, _PlainLoader)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark is not None else ""
        raise InputError(f"{path}{line}: cannot be read: {error.problem}") from error
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} holds no mapping of keys", hint="Expected another trainer's configuration.")
    return {str(key): value for key, value in found.items()}


def flat(tree: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Inner mappings with dots; lists stay."""
    for key, value in tree.items():
        name = f"{before}{key}"
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{name}.")
        else:
            yield name, value
