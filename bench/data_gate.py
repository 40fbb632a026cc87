"""The figures of the data gate, measured: what the checks find in data sets whose faults are known, and what they cost.

    python bench/data_gate.py ../shared/data                 # all figures on real files; about a minute of one core
    python bench/data_gate.py --rows 10000 100000 1000000    # time and memory over generated rows, each size in its own process
    python bench/data_gate.py ../shared/data --only invariants interactions

The folder has the layout of `LATHE_MIRROR`, which is read where no folder is given: edgejson/, interactions/, banking77/, nl2bash/.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from lathe import invariants, plugins
from lathe.data.baselines import learnability, suspects
from lathe.data.baselines.learnability import folds_of, labelled, measure
from lathe.data.baselines.rules import Item
from lathe.data.check import Looking, bundled, check_file
from lathe.data.conversations.row_files import FileRows, Found
from lathe.data.findings.census import Census, Stand
from lathe.data.findings.single_rows import SingleRows, Terms
from lathe.data.preparing.split import normalised, side_of
from lathe.records import RejectedRow
from lathe.resolve import find_recipe, read_recipe
from lathe.tfidf import sketch


def show(what: str, measured: str, expected: str = "") -> None:
    """One line of the table."""
    print(f"  {what:<62} {measured:>22}   {f'expected {expected}' if expected else ''}".rstrip(), flush=True)


def rows_of(path: Path) -> list[dict]:  # type: ignore[type-arg]
    """The rows of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def breaking(folder: Path) -> None:
    """Rows of EdgeJSON that break an invariant of the shipped recipe, before and after their generator was mended."""
    rules = invariants.parse_all(read_recipe(find_recipe("edgejson-v3")).data.invariants)
    old, new = (rows_of(folder / "edgejson" / name) for name in ("train_v2_broken.jsonl", "train_v3.jsonl"))
    known = {row["id"] for row, mended in zip(old, new) if row["expected_output"] != mended["expected_output"]}
    for name, rows, expected in (("train_v2_broken", old, "72, 0 others"), ("train_v3", new, "0 of 629")):
        found = {row["id"] for row in rows if invariants.broken(rules, row["schema_id"], row["expected_output"])}
        others = f", {len(found - known)} others" if rows is old else f" of {len(rows)}"
        show(f"edgejson/{name}: rows that break an invariant", f"{len(found)}{others}", expected)


def interactions(folder: Path) -> None:
    """Leaks between the files of a published split, and cut and mock answers in the log that it was made of."""
    inside = folder / "interactions"
    log = {one.id: one for one in check_file(inside / "interactions_20251001.jsonl").findings}
    split = {
        one.id: one for one in check_file([inside / f"{name}.jsonl" for name in ("train", "val", "test")]).findings
    }
    show("interactions: test prompts in train", f"{split['test_in_train'].count} of 31", "20 of 31")
    show("interactions: validation prompts in train", f"{split['validation_in_train'].count} of 29", "11 of 29")
    rows = [
        item[1] for item in FileRows(Found(inside / "interactions_20251001.jsonl")) if not isinstance(item, RejectedRow)
    ]
    census = Census()
    sides = [side_of(normalised(row.input), 0.1, 0.1) for row in rows]
    seen = SingleRows(Terms(bundled())).seen(rows)
    census.add(seen, [Stand(side, "all", line) for line, side in enumerate(sides)])
    census.note_overlaps("text")
    leaks = census.tally.count("test_in_train") + census.tally.count("validation_in_train")
    census.close()
    show("interactions: held-out prompts in train after a split by content", str(leaks), "0")
    show("interactions: answers cut off", f"{log['answer_cut'].count} of 298", "64 of 298")
    show("interactions: mock answers", str(log["answer_mock"].count), "1")
    show("interactions: answers that ask back", str(log["answer_clarifying"].count))
    show("interactions: prose that stops mid-sentence", str(log["answer_unfinished"].count))


def banking(folder: Path) -> None:
    """How far rules without a model get on BANKING77, and how many planted wrong labels are found."""
    with open(folder / "banking77" / "train.csv", encoding="utf-8", newline="") as file:
        items = [Item(row["text"], row["category"]) for row in csv.DictReader(file)]
    start = time.process_time()
    measured, _ = measure(items)
    seconds = time.process_time() - start
    for one in measured.baselines:
        show(
            f"banking77: {one.name}, {measured.folds} folds by content",
            f"{one.exact:.1%}",
            "83.4 % or more" if one.name == "linear" else "",
        )
    show("banking77: processor seconds for all of them", f"{seconds:.0f} s")
    draw, labels = random.Random(0), sorted({str(item.answer) for item in items})
    planted = set(draw.sample(range(len(items)), round(0.03 * len(items))))
    wrong = [
        Item(
            item.input,
            draw.choice([label for label in labels if label != item.answer]) if row in planted else item.answer,
        )
        for row, item in enumerate(items)
    ]
    texts = [item.input for item in wrong]
    model = labelled(wrong, sketch(texts, learnability.WIDTH), folds_of(texts))
    worst = suspects.ranked(model.scores_NL, model.label_N)[: round(0.06 * len(items))]
    share = len(planted & {int(row) for row in worst}) / len(planted)
    show("banking77: 3 % planted wrong labels found in the worst 6 %", f"{share:.0%}", "60 % or more")


def headlines(folder: Path) -> None:
    """What a person reads first about each file."""
    for name in ("edgejson/train_v3.jsonl", "banking77/train.csv", "nl2bash/open.nl"):
        start = time.process_time()
        report = check_file(folder / name)
        print(f"  {name} ({time.process_time() - start:.0f} processor seconds)\n    {report.headline}", flush=True)


FIGURES: dict[str, Callable[[Path], None]] = {
    "invariants": breaking,
    "interactions": interactions,
    "banking": banking,
    "headlines": headlines,
}


def scale(sizes: list[int]) -> None:
    """Time and memory of a whole check over generated rows, each size in a process of its own."""
    print(
        f"  {'rows':>9} {'megabytes':>10} {'wall s':>8} {'processor s':>12} {'microseconds a row':>19} "
        f"{'peak MB, all processes':>23}"
    )
    for size in sizes:
        subprocess.run([sys.executable, __file__, "--one", str(size)], check=True)


def one_size(size: int) -> None:
    """Writes so many rows of lathe:edge_json and checks all of them: reading, schemas, answers, masks, exact and near duplicates.

    The rules without a model learn from 2,000 of them. Writing is not counted. Memory is that of this process and of all below it,
    shared libraries counted in each.
    """
    corpus = plugins.load("corpora", "edge_json")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        with open(path, "w", encoding="utf-8") as file:
            for row in corpus.rows(0, size):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        start, before = time.monotonic(), os.times()
        with watched() as peaks:
            report = check_file(path, looking=Looking(sample=2000, schemas=corpus.schemas()))
        wall, after = time.monotonic() - start, os.times()
        megabytes = path.stat().st_size / 1e6
    assert report.lengths is not None
    assert report.lengths.rows == size, "every row was read and tokenised"
    cpu = sum(after[:4]) - sum(before[:4])
    print(
        f"  {size:>9,} {megabytes:>10.1f} {wall:>8.1f} {cpu:>12.1f} {1e6 * cpu / size:>19.0f} {max(peaks) / 1e6:>23.0f}",
        flush=True,
    )


@contextlib.contextmanager
def watched() -> Iterator[list[int]]:
    """Resident bytes of this process and all below it, twice a second while the block runs."""
    seen, ended, here = [0], threading.Event(), psutil.Process()

    def look() -> None:
        while not ended.wait(0.5):
            resident = 0
            for process in (here, *here.children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    resident += process.memory_info().rss
            seen.append(resident)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument(
        "folder", type=Path, nargs="?", default=os.environ.get("LATHE_MIRROR"), help="folder of the data sets"
    )
    parser.add_argument("--only", nargs="+", choices=sorted(FIGURES), default=list(FIGURES))
    parser.add_argument("--rows", type=int, nargs="+", default=[], help="sizes for the table of time and memory")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one is not None:
        one_size(asked.one)
    elif asked.rows:
        scale(asked.rows)
    elif asked.folder is None or not Path(asked.folder).is_dir():
        parser.error("name the folder of the data sets, or set LATHE_MIRROR")
    else:
        for name in asked.only:
            print(name)
            FIGURES[name](Path(asked.folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
