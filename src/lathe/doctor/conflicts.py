"""Installed packages whose demands do not meet, each with both sides named.

    conflicts(installed(), ("trl",))   ->  ["transformers 4.40.0 is installed; trl 1.16.0 asks for >=4.56, peft 0.21.2 for any"]

Only what the named packages need, directly or through others, is looked at: another project's trouble is none of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import distributions

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

TRAINERS: Mapping[str, tuple[str, ...]] = {
    "native": ("torch", "transformers", "peft", "safetensors", "tokenizers"),
    "trl": ("trl", "transformers", "peft", "accelerate", "datasets"),
    "unsloth": ("unsloth", "unsloth-zoo", "trl", "transformers", "peft"),
    "axolotl": ("axolotl", "transformers", "peft", "accelerate", "datasets"),
}
"""Packages that make up the environment of each trainer."""


@dataclass(frozen=True)
class Installed:
    """One package: its version, and what it asks for."""

    name: str
    version: str
    asks: tuple[str, ...] = ()


def installed() -> dict[str, Installed]:
    """Every package of this environment, by its canonical name."""
    found: dict[str, Installed] = {}
    for one in distributions():
        name = canonicalize_name(one.metadata["Name"] or "")
        found.setdefault(name, Installed(name, one.version, tuple(one.requires or ())))
    return found


def conflicts(packages: Mapping[str, Installed], wanted: Iterable[str]) -> list[str]:
    """A sentence for each package whose version someone among the wanted, or among what they need, does not accept. Pure."""
    asked: dict[str, list[tuple[Installed, Requirement]]] = {}
    todo, seen = [canonicalize_name(name) for name in wanted], set()
    while todo:
        name = todo.pop()
        if name in seen or name not in packages:
            continue
        seen.add(name)
        for requirement in _needs(packages[name]):
            needed = canonicalize_name(requirement.name)
            asked.setdefault(needed, []).append((packages[name], requirement))
            todo.append(needed)
    return [said for name in sorted(asked) if (said := _said(packages.get(name), name, asked[name]))]


def _needs(package: Installed) -> list[Requirement]:
    """What it asks for here, extras left out."""
    found = []
    for line in package.asks:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            found.append(requirement)
    return found


def _said(package: Installed | None, name: str, asked: list[tuple[Installed, Requirement]]) -> str | None:
    if package is None:
        return f"{name} is not installed; {_sides(asked)}"
    if all(requirement.specifier.contains(package.version, prereleases=True) for _, requirement in asked):
        return None
    return f"{name} {package.version} is installed; {_sides(asked)}"


def _sides(asked: list[tuple[Installed, Requirement]]) -> str:
    """Who asks for what, those with a limit first."""
    limited = sorted((f"{one.name} {one.version}", str(want.specifier)) for one, want in asked if want.specifier)
    free = sorted(f"{one.name} {one.version}" for one, want in asked if not want.specifier)
    return ", ".join([*(f"{who} asks for {what}" for who, what in limited), *(f"{who} for any" for who in free)])
