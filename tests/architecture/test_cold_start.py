"""What is loaded before any work is asked for; looked up in a child process, not timed."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOOK = "import sys; print(' '.join(sorted({name.split('.')[0] for name in sys.modules})))"


def loaded_after(statement: str) -> set[str]:
    out = subprocess.run([sys.executable, "-c", f"{statement}\n{LOOK}"], capture_output=True, text=True, check=True)
    return set(out.stdout.split("\n")[-2].split())


@pytest.mark.parametrize("heavy", ["torch", "pydantic", "transformers", "numpy", "yaml", "jinja2"])
def test_importing_lathe_loads_nothing_heavy(heavy: str) -> None:
    assert heavy not in loaded_after("import lathe")


def test_the_help_text_needs_neither_torch_nor_pydantic() -> None:
    statement = (
        "import sys, contextlib\nfrom lathe.cli.main import main\n"
        "sys.argv = ['lathe', '--help']\n"
        "with contextlib.suppress(SystemExit):\n    main()"
    )
    assert not loaded_after(statement) & {"torch", "pydantic", "transformers", "numpy"}


def test_a_plan_is_made_without_torch() -> None:
    assert "torch" not in loaded_after(
        "import lathe.plan, lathe.data, lathe.decide, lathe.report, lathe.evaluate, lathe.resolve"
    )
