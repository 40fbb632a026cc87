"""What is done wrong on purpose to files and cards, and how much of it is caught.

    python bench/caught.py RUN                      # a finished run with a card; it is copied, nothing in it changes
    python bench/caught.py RUN --flips 500 --seed 1

    bytes     single bits flipped, one at a time, anywhere in the run's files: `lathe verify` must name the file
    cards     each number of the model card and the data card must be given by an entry of a record that its line links to;
              some numbers of the model card, one at a time, changed by hand: `lathe publish` must refuse
    files     a wrong template, a lost end token, a dropped adapter and a doubled bos, planted while a small model is shipped as
              GGUF: `lathe ship` must hold the file back, and `lathe inspect` must name the fault in it

Prints a line for each, and what got through; exits with 1 where anything did. Hostile requests are in `bench/serve.py`.
"""

from __future__ import annotations

import argparse
import random
import re
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from card_numbers import NUMBER, definitions, unresolved
from lathe import inspect_model
from lathe.engine.devices import threads
from lathe.pipeline import Run
from lathe.report import cards
from lathe.report.cited import LINK
from lathe.verify import seal
from planted_faults import PLANTED, ROWS, shipped_with, teach

SHOWN = 5


def told(what: str, caught: int, total: int, through: list[str]) -> int:
    """Prints a line, and what got through; how many did."""
    print(f"{what:<72} {caught:>5} of {total}")
    for one in through[:SHOWN]:
        print(f"    not caught: {one}")
    return total - caught


def flipped_bytes(run: Run, flips: int, seed: int) -> int:
    """Files of the base are not touched: they may be those of the package."""
    files = [path for path in sorted(run.folder.path.rglob("*")) if path.is_file() and path.stat().st_size]
    files = [path for path in files if not path.name.startswith(".")]
    rng, through = random.Random(seed), []
    for _ in range(flips):
        path = rng.choice(files)
        place, bit = rng.randrange(path.stat().st_size), 1 << rng.randrange(8)
        flip(path, place, bit)
        name = path.relative_to(run.folder.path).as_posix()
        if name not in [damage.path for damage in run.verify().damaged]:
            through.append(f"{name}, byte {place}")
        flip(path, place, bit)
    return told(f"single bits flipped in {len(files)} files, named by verify", flips - len(through), flips, through)


def flip(path: Path, place: int, bit: int) -> None:
    with open(path, "r+b") as file:
        file.seek(place)
        before = file.read(1)[0]
        file.seek(place)
        file.write(bytes([before ^ bit]))


def resolved_numbers(run: Run) -> int:
    missing: list[str] = []
    total = 0
    for card in cards(run.folder, run.locked):
        missing += unresolved(card, definitions(run.locked))
        total += len(NUMBER.findall(LINK.sub("]", card.text)))
    return told("numbers of both cards, each given by the entry it links to", total - len(missing), total, missing)


def typed_numbers(run: Run, count: int, seed: int) -> int:
    """Numbers of the model card that are no part of a link, drawn by the seed; each is made another one where it stands."""
    card, through = run.folder.card.read_text(encoding="utf-8"), []
    links = [found.span() for found in LINK.finditer(card)]
    numbers = [one for one in NUMBER.finditer(card) if not any(begin < one.start() < end for begin, end in links)]
    chosen = random.Random(seed).sample(numbers, min(count, len(numbers)))
    for one in chosen:
        other = re.sub(r"\d$", lambda last: str((int(last[0]) + 1) % 10), one[0])
        run.folder.card.write_text(card[: one.start()] + other + card[one.end() :], encoding="utf-8")
        against = [found.id for publication in run.publish("ada/model") for found in publication.blockers]
        if "card" not in against:
            through.append(f"{one[0]} as {other}, character {one.start()}")
    run.folder.card.write_text(card, encoding="utf-8")
    what = f"of {len(numbers)} numbers of the model card changed by hand, refused by publish"
    return told(what, len(chosen) - len(through), len(chosen), through)


def planted_faults(folder: Path) -> int:
    """Each fault in a file of its own."""
    run, recipe = teach(folder)
    base, through = Path(recipe.base_folder), []
    for fault, (plant, check) in PLANTED.items():
        bundle = shipped_with(run, recipe, plant)
        (file,) = (*bundle.withheld, *bundle.shipped)
        found = inspect_model.inspect(
            base, ROWS, adapter=run.adapter, gguf=run.path / file.path / str(file.gguf), threads=1
        )
        by_ship = [one.id for one in file.failed]
        by_inspect = [one.id for one in found.checks if one.ok is False]
        print(f"    {fault}: ship {', '.join(by_ship) or 'nothing'}; inspect {', '.join(by_inspect) or 'nothing'}")
        through += [
            f"{fault} by {verb}" for verb, ids in (("ship", by_ship), ("inspect", by_inspect)) if check not in ids
        ]
    total = 2 * len(PLANTED)
    return told("faults planted in a GGUF file, named by ship and by inspect", total - len(through), total, through)


def main() -> int:
    """Prints all lines; 1 where something got through."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--flips", type=int, default=500)
    parser.add_argument("--numbers", type=int, default=40, help="numbers of the model card that are changed")
    parser.add_argument("--seed", type=int, default=20261120)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(asked.run, Path(folder) / "runs" / asked.run.name))
        run = Run.open(copy)
        seal(run.folder)
        through = (
            flipped_bytes(run, asked.flips, asked.seed)
            + resolved_numbers(run)
            + typed_numbers(run, asked.numbers, asked.seed)
        )
        with threads(1):
            through += planted_faults(Path(folder))
    return int(through > 0)


if __name__ == "__main__":
    sys.exit(main())
