"""MODEL_CARD.md: what the Hub and a stranger want to know, generated from the records alone. Nothing in it is typed by hand.

Text from outside (names, sources, findings) is escaped, so that it cannot become a heading, a link, an image or HTML.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import yaml

from lathe.records import Score
from lathe.report import figures
from lathe.report.story import ARM_TITLES, Story
from lathe.safe_text import redact, visible

MARKED = re.compile(r"[\\`*{}\[\]<>|~@^$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|(?<=:)/(?=/)|(?<=www)\.", re.IGNORECASE)
"""What means something in Markdown wherever it stands: code, emphasis, links, tables, HTML, mentions, bare addresses."""

LEADING = re.compile(r"^(?:[#+=-]|\d(?=\d*[.)](?:\s|$)))")
"""What means something at the beginning: headings, lists, rules."""


def text(value: object) -> str:
    """Text as Markdown shows it literally: one line, HTML and every mark escaped."""
    line = " ".join(visible(str(value)).split())
    line = LEADING.sub(lambda found: f"&#{ord(found[0][0])};{found[0][1:]}", line.replace("&", "&amp;"))
    return MARKED.sub(lambda found: f"&#{ord(found[0])};" if found[0] in "<>/." else f"\\{found[0]}", line)


def code(value: object) -> str:
    """Text in a code span, with a fence longer than any run of backticks in it."""
    line = " ".join(visible(str(value)).split()) or " "
    fence = "`" * (1 + max((len(run) for run in re.findall(r"`+", line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line.replace('|', chr(0x2223))}{pad}{fence}"


def card(story: Story, secrets: Collection[str] = ()) -> str:
    """The card as text. secrets: values that must not appear in it."""
    front = yaml.safe_dump(front_matter(story), sort_keys=False, allow_unicode=True, width=1000)
    body = "\n".join(line for section in (_head, _results, _use, _data, _training, _limits) for line in section(story))
    return redact(f"---\n{front}---\n\n{body}\n", secrets)


def front_matter(story: Story) -> dict[str, Any]:
    """The Hub's metadata, with the tuned model's measured scores as model-index entries."""
    recipe = story.locked.recipe
    sources = [source.name for source in story.manifest.sources] if story.manifest else []
    matter: dict[str, Any] = {
        "base_model": recipe.base,
        "tags": ["lathe", recipe.task, recipe.method.kind, "small-language-model"],
    }
    if recipe.method.kind != "full":
        matter["library_name"] = "peft"
    tuned = story.arms.get("tuned")
    if tuned is not None:
        measured = [
            {"type": score.metric, "name": score.metric, "value": round(score.value, 6)}
            for score in tuned.scores
            if score.value is not None and (score.metric in story.metrics or not story.metrics)
        ]
        dataset = {
            "name": ", ".join(sources) or "own rows",
            "type": "own",
            "split": "test",
            "revision": tuned.test_hash,
        }
        result = {"task": {"type": "text-generation", "name": recipe.task}, "dataset": dataset, "metrics": measured}
        if measured:
            matter["model-index"] = [{"name": story.run.name, "results": [result]}]
    return matter


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'|'.join(' --- ' for _ in columns)}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _head(story: Story) -> Iterator[str]:
    recipe = story.locked.recipe
    yield f"# {text(story.run.name)}"
    yield ""
    how = "full fine-tuning" if recipe.method.kind == "full" else f"{recipe.method.kind} of rank {recipe.method.rank}"
    made = f"Made and measured by Lathe {text(story.run.lathe_version)}."
    yield f"{code(recipe.base)} tuned for the task {code(recipe.task)} by {how}. {made}"
    yield ""
    if story.run.smoke:
        yield "**This is a smoke run: it shows that the parts work. Its scores mean nothing.**"
        yield ""
    if story.decision is not None:
        yield f"**Verdict: {story.decision.verdict}.** {text(story.decision.line)}"
        yield ""


def _results(story: Story) -> Iterator[str]:
    if not story.arms:
        return
    first = next(iter(story.arms.values()))
    confidence = story.locked.recipe.evaluate.confidence
    yield "## Results"
    yield ""
    items = figures.counted(first.n, "test item")
    yield f"{items}, the same for every arm; {figures.percent(confidence)} intervals; scorer {code(first.scorer)}."
    yield ""
    rows = []
    for score in first.scores:
        row = [code(score.metric)]
        for arm in story.arms:
            found = story.score(arm, score.metric)
            row.append(_measured(score.metric, found) if found else figures.NOT_MEASURED)
        rows.append(row)
    yield from _table(["metric", *(ARM_TITLES.get(arm, arm) for arm in story.arms)], rows)
    for metric in story.metrics.values():
        yield f"- {code(metric.name)}: {text(metric.definition)}"
    if story.metrics:
        yield ""
    if story.decision is not None and story.decision.gates:
        yield "### Gates, declared before training"
        yield ""
        gates = [
            [
                text(g.text),
                "holds" if g.held else "does not hold",
                figures.quantity(g.metric, g.measured),
                figures.quantity(g.metric, g.limit),
            ]
            for g in story.decision.gates
        ]
        yield from _table(["gate", "", "judged", "limit"], gates)


def _measured(metric: str, found: Score) -> str:
    return f"{figures.quantity(metric, found.value)} {figures.quantity_bounds(metric, found)}".strip()


def _use(story: Story) -> Iterator[str]:
    recipe = story.locked.recipe
    yield "## Intended use"
    yield ""
    sources = (
        ", ".join(code(source.name) for source in story.manifest.sources) if story.manifest else "its training rows"
    )
    measured = "with the very prompt of the measurement. Nothing else was measured."
    yield f"The task {code(recipe.task)} on inputs like those of {sources}, {measured}"
    yield ""
    if story.bundle is not None and story.bundle.shipped:
        rows = []
        for shipped in story.bundle.shipped:
            checks = ", ".join(f"{text(name)} {text(value)}" for name, value in shipped.checks.items())
            total = figures.size(sum(file.num_bytes for file in shipped.files))
            rows.append([text(shipped.kind), code(shipped.path), total, checks])
        yield from _table(["shipped", "path", "size", "checked"], rows)
    held_back = story.bundle.withheld if story.bundle is not None else ()
    for held in held_back:
        yield f"- {code(held.kind)} was held back: {'; '.join(text(check.message) for check in held.failed)}."
    if held_back:
        yield ""


def _data(story: Story) -> Iterator[str]:
    if story.manifest is None:
        return
    yield "## Data"
    yield ""
    rows = [
        [
            code(source.name),
            figures.count(source.num_rows),
            text(source.licence or "not stated: settle it before you publish"),
        ]
        for source in story.manifest.sources
    ]
    yield from _table(["source", "rows", "licence"], rows)
    sides = ", ".join(f"{figures.count(side.rows)} {text(name)}" for name, side in story.manifest.sides.items())
    yield (
        f"Sides: {sides}. Dropped from train as equal or nearly equal to rows of another side: "
        f"{figures.count(story.manifest.dropped_from_train)}. Rejected: {figures.count(story.manifest.rejected)}."
    )
    yield ""
    for finding in story.manifest.findings:
        yield f"- {finding.level}: {text(finding.message)}"
    if story.manifest.findings:
        yield ""


def _training(story: Story) -> Iterator[str]:
    train = story.train
    if train is None:
        return
    yield "## Training"
    yield ""
    rows = [
        ["optimiser steps", figures.count(train.num_steps)],
        ["tokens computed", figures.count(train.num_tokens)],
        ["trainable parameters", figures.count(train.trainable_parameters)],
        ["seconds", f"{train.train_seconds:.1f}"],
        ["peak memory", figures.size(train.peak_bytes)],
        ["device, number format", f"{text(train.device)}, {text(train.precision)}"],
        ["seed", str(story.locked.recipe.seed)],
    ]
    if train.last_loss is not None:
        rows.insert(3, ["last loss, nats per token", f"{train.last_loss:.4f}"])
    yield from _table(["", ""], rows)


def _limits(story: Story) -> Iterator[str]:
    yield "## Limits"
    yield ""
    tuned, primary = story.arms.get("tuned"), story.primary
    if tuned is not None:
        failed, rule = story.failed(), story.score("rule")
        yield f"- {figures.count(len(failed))} of {figures.counted(tuned.n, 'test answer')} are not right by {code(primary)}."
        for reason, number in sorted(tuned.reasons.items(), key=lambda pair: -pair[1])[:5]:
            yield f"    - {text(reason)}: {figures.count(number)}"
        score = story.score("tuned")
        if rule and score and None not in (rule.value, score.value) and (rule.value or 0) >= (score.value or 0):
            yield f"- A rule without any model scores {figures.score(rule.value)} on the same items, no worse than this model."
        for key, values in tuned.slices.items():
            scored = [
                (s.value, s.n, v)
                for v, scores in values.items()
                for s in scores
                if s.metric == primary and s.value is not None
            ]
            if len(scored) > 1:
                value, n, name = min(scored)
                yield f"- Weakest {text(key)}: {code(name)} with {figures.score(value)} on {figures.counted(n, 'item')}."
    if story.decision is not None:
        yield f"- These test rows have been looked at {figures.counted(story.decision.looks, 'time')}."
        for finding in story.decision.findings:
            yield f"- {text(finding.message)}"
    yield "- What was not measured is not known: other languages, other domains, safety, fairness, adversarial input."
