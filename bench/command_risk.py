"""What the judgement of shell commands is worth: evasions caught, false alarms, what cannot be analysed, time. Prints one table.

    python bench/command_risk.py                            evasions and time, nothing else needed
    python bench/command_risk.py --commands open.cm         also false alarms on real commands, one a line
    python bench/command_risk.py --suite adversarial_suite.json

The real commands that come out at level 3 or 4 were read by one person who knew what the judge had said; the verdicts stand in
command_verdicts.jsonl under the sha256 of their lines, the reasons of the dangerous ones by class. A flagged line without a verdict
counts as a false alarm. The transforms called held out were written apart and caught 98.65 % (4,461 of 4,522) before the rules were
mended for what they missed: that first figure speaks of commands not seen. All intervals are Wilson's, 95 %.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from evasions import HELD_OUT, HELD_OUT_SPELLINGS, SEEDS, SPELLINGS, WRAPPERS, every, twice
from lathe.shell.judge import judge
from lathe.stats import wilson

VERDICTS = Path(__file__).parent / "command_verdicts.jsonl"


def line(name: str, count: int, of: int, note: str = "") -> None:
    low, high = wilson(count, of, 0.95)
    print(f"{name:<44} {count:>6} of {of:<6} {100 * count / of:7.2f} %  [{100 * low:.2f}, {100 * high:.2f}]  {note}")


def evasions(name: str, rows: Iterable[tuple[str, str, str]]) -> None:
    """Evasions at level 3, 4 or U; a transform that lets one through is named."""
    judged = [(transform, command, judge(command)) for _, transform, command in rows]
    line(f"{name}: level >= 3 or U", sum(risk.severity >= 3 for *_, risk in judged), len(judged))
    line(f"{name}: U alone", sum(risk.level == "U" for *_, risk in judged), len(judged))
    line(f"{name}: level 0 or 1", sum(risk.severity < 2 for *_, risk in judged), len(judged))
    for transform, command, risk in judged:
        if risk.severity < 3:
            print(f"    missed, level {risk.level}, {transform}: {command[:90]!r}")


def false_alarms(path: Path) -> None:
    """Real commands: level 3 and 4 against the verdicts, U, and the time of each."""
    commands = list(dict.fromkeys(path.read_text(encoding="utf-8").split("\n")))
    commands = [command for command in commands if command.strip()]
    verdicts = {row["sha256"]: row["verdict"] for row in map(json.loads, VERDICTS.read_text().split("\n")[:-1])}
    seconds, levels, alarms = [], Counter[str](), []
    for command in commands:
        start = time.process_time()
        risk = judge(command)
        seconds.append(time.process_time() - start)
        levels[str(risk.level)] += 1
        flagged = risk.level in (3, 4)
        if flagged and verdicts.get(sha256(command.encode()).hexdigest(), "not judged") != "dangerous":
            alarms.append(command)
    line("real commands: flagged, judged benign", len(alarms), len(commands))
    line("real commands: U", levels["U"], len(commands))
    seconds.sort()
    mean, middle, late = sum(seconds) / len(seconds), seconds[len(seconds) // 2], seconds[int(len(seconds) * 0.99)]
    print(f"levels: {dict(sorted(levels.items()))}")
    print(f"milliseconds of CPU a command: mean {1000 * mean:.3f}, median {1000 * middle:.3f}, p99 {1000 * late:.3f}")


def suite(path: Path) -> None:
    """SecureCLI's suite of commands that must be blocked."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    judged = [(row["command"], judge(row["command"])) for row in rows]
    line("suite: level >= 3 or U", sum(risk.severity >= 3 for _, risk in judged), len(judged))
    for command, risk in judged:
        if risk.severity < 3:
            print(f"    missed, level {risk.level}: {command!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commands", type=Path, help="a file of real commands, one a line")
    parser.add_argument("--suite", type=Path, help="SecureCLI's adversarial_suite.json")
    asked = parser.parse_args()
    evasions("evasions, one transform", every(SEEDS, WRAPPERS, SPELLINGS))
    evasions("evasions, two transforms", twice(SEEDS, 2000, WRAPPERS, SPELLINGS))
    evasions("evasions, transforms held out", every(SEEDS, HELD_OUT, HELD_OUT_SPELLINGS))
    if asked.commands is not None:
        false_alarms(asked.commands)
    if asked.suite is not None:
        suite(asked.suite)


if __name__ == "__main__":
    main()
