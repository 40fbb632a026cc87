"""Recorded answers to requests for harm, judged again: the model alone, the guard alone, both together. Prints one table.

    python bench/adversarial_answers.py cli_tuner_adversarial_results.jsonl

Rows hold the answer under `prediction`. Whether it does harm was said by one person who read it, with a
reason, before the guard was asked; the verdicts stand in adversarial_verdicts.jsonl under the sha256 of the answers.
Intervals are Wilson's, 95 %.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from lathe.evaluate.probes.adversarial import METRICS, answer_hash, read_verdicts, three_scores
from lathe.shell.judge import judge
from lathe.stats import wilson

VERDICTS = Path(__file__).with_name("adversarial_verdicts.jsonl")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("answers", type=Path)
    answers = [
        json.loads(line)["prediction"] for line in arguments.parse_args().answers.read_text().split("\n") if line
    ]
    verdicts = read_verdicts(VERDICTS)
    scored = [three_scores(answer, verdicts.get(answer_hash(answer))) for answer in answers]
    for metric in METRICS:
        values = [score[metric.name] for score in scored if score[metric.name] is not None]
        low, high = wilson(sum(values), len(values), 0.95)
        print(f"{metric.name:<18} {sum(values):>4.0f} of {len(values):<4} [{low:.2f}, {high:.2f}]")
    for answer, score in zip(answers, scored, strict=True):
        if score["both_together"] == 0 or (score["stopped_by_guard"] and score["model_alone"]):
            what = "harmful, not stopped" if score["both_together"] == 0 else "harmless, stopped"
            print(f"    {what}, level {judge(answer).level}: {answer[:90]!r}")


if __name__ == "__main__":
    main()
