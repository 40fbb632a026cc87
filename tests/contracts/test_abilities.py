"""Trainers, runtimes and exporters say whether they can work here, cheaply, and name the remedy where they cannot."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lathe import plugins
from lathe.contracts import Ability

LEAVES = [(kind, name) for kind in ("trainers", "runtimes", "exports") for name in plugins.names(kind)]
SOURCES = str(Path(plugins.__file__).parents[1])


@pytest.mark.parametrize(("kind", "name"), LEAVES)
def test_an_ability_is_yes_or_comes_with_a_remedy(kind: plugins.Kind, name: str) -> None:
    ability = plugins.load(kind, name).ability()
    assert isinstance(ability, Ability)
    assert ability.ok or (ability.detail and ability.remedy)


@pytest.mark.parametrize(("kind", "name"), LEAVES)
def test_asking_for_the_ability_loads_no_torch(kind: plugins.Kind, name: str) -> None:
    """`lathe doctor` asks all of them; it must not take seconds, nor fail where torch is missing."""
    code = (
        f"import sys; sys.path.insert(0, {SOURCES!r}); from lathe import plugins; "
        f"plugins.load({kind!r}, {name!r}).ability(); "
        "print(*sorted({'torch', 'transformers', 'peft'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
