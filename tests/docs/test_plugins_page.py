"""The package on the page of plug-ins is whole: it runs, and it keeps its contract."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^```(?P<kind>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
PAGE = {block["kind"]: block["text"] for block in FENCE.finditer((ROOT / "docs/guide/plugins.md").read_text())}
PROJECT = tomllib.loads(PAGE["toml"])["project"]
ENTRIES = PROJECT["entry-points"]["lathe.tasks"]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """That of a process which sees the package as if pip had installed it."""
    site = tmp_path_factory.mktemp("site")
    module = ENTRIES["plural"].partition(":")[0]
    about = site / f"{module}-{PROJECT['version']}.dist-info"
    about.mkdir()
    (site / f"{module}.py").write_text(PAGE["python"])
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {PROJECT['name']}\nVersion: {PROJECT['version']}\n")
    (about / "entry_points.txt").write_text(f"[lathe.tasks]\nplural = {ENTRIES['plural']}\n")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT / "src"), str(ROOT / "tests")])}


def test_it_runs_as_the_page_says(environment: dict[str, str], tiny_base: Path, tmp_path: Path) -> None:
    words = [f"{first}{second}t" for first in "bcdfghjklm" for second in "aeiou"]
    rows = [{"input": word, "target": f"{word}s"} for word in words]
    (tmp_path / "words.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "plurals.yaml").write_text(PAGE["yaml plugin"])
    (command,) = (line[2:].split() for line in PAGE["console"].split("\n") if line.startswith("$ lathe"))
    done = subprocess.run(
        [sys.executable, "-m", *command, "--set", f"base={tiny_base}", "--json"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "plural_right" in done.stdout


def test_it_keeps_the_contract_of_tasks(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "tests/contracts/test_tasks.py", "-k", "plural"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
