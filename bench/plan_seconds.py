"""How long `lathe plan` takes on 10,000 rows for a base of seven billion parameters whose weights are not here.

    python bench/plan_seconds.py                # three new runs of each set of rows, and one that repeats the last

Each is the command in a process of its own, from nothing: rows read from a file of them, or made by the corpus, judged, encoded
with the bundled base's tokenizer, and planned for the shape of Qwen2.5-7B. Children (the chat template's process) count; compiling
Lathe's modules does not, which an installation has done: a run that is not counted does it here.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lathe import plugins
from lathe.resolve.base import bundled

CONFIG = {
    "model_type": "qwen2", "vocab_size": 152064, "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
    "num_attention_heads": 28, "num_key_value_heads": 4, "tie_word_embeddings": False, "max_position_embeddings": 32768,
}  # fmt: skip
SETS = {"edge_intent": "intent", "edge_json": "json_extraction"}
COMMAND = """
import resource, sys
from lathe.cli.main import main
code = main(sys.argv[1:])
own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(code, sum(one.ru_utime + one.ru_stime for one in (own, children)), "torch" in sys.modules, file=sys.stderr)
"""


def measured(folder: Path, recipe: str) -> tuple[float, float, str]:
    """Wall seconds, CPU seconds, and whether torch was loaded."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, "plan", recipe, "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    wall = time.perf_counter() - begun
    code, cpu, torch = done.stderr.strip().splitlines()[-1].split()
    if code not in ("0", "1"):
        raise RuntimeError(done.stderr)
    return wall, float(cpu), torch


def write_base(folder: Path) -> None:
    """A base without weights: that shape, and the bundled base's tokenizer."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    for file in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(bundled("lathe:nano") / file, folder / file)


def write_rows(corpus: str, count: int, folder: Path) -> str:
    """Rows of a corpus in a file, with its schemas; the parts of a recipe that read them."""
    made = plugins.load("corpora", corpus)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made.rows(0, count)))
    (folder / "schemas").mkdir()
    for name, schema in made.schemas().items():
        (folder / "schemas" / f"{name}.json").write_text(json.dumps(schema))
    return "data: {source: rows.jsonl}\nschema: {from: schemas}\n"


def timed(folder: Path, task: str, parts: str, repetitions: int) -> str:
    """Median and range of new runs, and a run that repeats the last of them."""

    def recipe(name: str) -> str:
        (folder / f"{name}.yaml").write_text(f"name: {name}\nbase: ./base\ntask: {task}\n{parts}")
        return f"{name}.yaml"

    measured(folder, recipe("first"))
    found = [measured(folder, recipe(f"turn-{turn}")) for turn in range(repetitions)]
    again = measured(folder, f"turn-{repetitions - 1}.yaml")
    wall, cpu = (statistics.median(one[place] for one in found) for place in (0, 1))
    fastest, slowest = min(one[0] for one in found), max(one[0] for one in found)
    loaded = found[0][2]
    return f"{wall:.1f} s ({fastest:.1f} to {slowest:.1f}), {cpu:.1f} CPU s; again {again[0]:.1f} s; torch loaded: {loaded}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--repetitions", type=int, default=3)
    asked = parser.parse_args()
    for corpus, task in SETS.items():
        for kind in ("file of", "generated"):
            # A folder of its own: in one with a run on the same rows its tokens would be taken over.
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                write_base(folder / "base")
                parts = f"data: {{source: 'lathe:{corpus}', rows: {asked.rows}}}\n"
                if kind == "file of":
                    parts = write_rows(corpus, asked.rows, folder)
                print(
                    f"{kind} {corpus}, {asked.rows:,} rows: {timed(folder, task, parts, asked.repetitions)}", flush=True
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
