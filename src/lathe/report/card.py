"""MODEL_CARD.md: what the Hub and a stranger want to know, generated from the records alone. Nothing in it is typed by hand.

Each number is a link, or stands in a line with one, that names the record and the entry it is from (see cited.py).
Text from outside (names, sources, findings) is escaped, so that it cannot become a heading, a link, an image or HTML.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from lathe import hub
from lathe.records import Bundle, Score, ShippedFile, Source
from lathe.report import figures, samples
from lathe.report.cited import cited, source
from lathe.report.story import ARM_TITLES, Story
from lathe.runs import RunFolder
from lathe.safe_text import redact, visible

AT = RunFolder(Path())
"""Names the records as a card does: relative to the run."""
LOCK, RUN, MANIFEST = AT.lock_record.as_posix(), AT.run_record.as_posix(), AT.manifest.as_posix()
DECISION, TRAINED, BUNDLE = AT.decision.as_posix(), AT.train_result.as_posix(), AT.bundle_record.as_posix()

HUB_LICENCES = frozenset({
    "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "cc-by-2.0", "cc-by-3.0", "cc-by-4.0",
    "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "cc-by-nd-4.0", "gpl-2.0",
    "gpl-3.0", "lgpl-2.1", "lgpl-3.0", "agpl-3.0", "mpl-2.0", "isc", "unlicense", "wtfpl", "openrail",
    "bigscience-openrail-m", "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "gemma", "odbl", "odc-by",
    "cdla-permissive-2.0", "artistic-2.0",
})  # fmt: skip
"""Licences that the Hub knows by a name of its own; others are told it as `other` with their words."""

MARKED = re.compile(r"[\\`*{}\[\]<>|~@^$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|(?<=:)/(?=/)|(?<=www)\.", re.IGNORECASE)
"""What means something in Markdown wherever it stands: code, emphasis, links, tables, HTML, mentions, bare addresses."""

IN_FOUR_BITS = (
    "Base and tuned model were measured with the matrices of the base in NF4 with double quantisation (bitsandbytes), on which the "
    "adapter was trained. On the base as published it is another model: files that hold that one were measured by themselves."
)
"""Where it is so."""

LEADING = re.compile(r"^(?:[#+=-]|\d(?=\d*[.)](?:\s|$)))")
"""What means something at the beginning: headings, lists, rules."""

LIBRARIES = {"merged": "transformers", "adapter": "peft"}
"""What loads the model at the top of the published repository, as the Hub's snippet names it."""


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


def licence(words: str | None) -> dict[str, str]:
    """A licence as the Hub's metadata states it; nothing where none was stated."""
    if words is None:
        return {}
    known = words.strip().lower()
    return {"license": known} if known in HUB_LICENCES else {"license": "other", "license_name": words.strip()}


def place(name: str) -> str:
    """A source of rows as a stranger can know it: a generated corpus, a data set of the Hub, or a file's name."""
    if name.startswith("lathe:"):
        return name
    repo = hub.dataset_of(Path(name))
    return Path(name).name if repo is None else f"{hub.DATASET_PREFIX}{repo}: {Path(name).name}"


def front_matter(story: Story) -> dict[str, Any]:
    """The Hub's metadata, with the tuned model's measured scores as model-index entries."""
    recipe = story.locked.recipe
    names = [one.name for one in story.manifest.sources] if story.manifest else []
    sources = [place(name) for name in names]
    matter: dict[str, Any] = {**licence(recipe.publish.licence), "pipeline_tag": "text-generation"}
    published = hub.model_of(Path(story.locked.base_folder))
    if published is not None:
        matter["base_model"] = published
    on_hub = {repo for name in names if (repo := hub.dataset_of(Path(name))) is not None}
    if on_hub:
        matter["datasets"] = sorted(on_hub)
    matter["tags"] = ["lathe", recipe.task, recipe.method.kind, "small-language-model"]
    if story.bundle is not None and story.bundle.at_top is not None:
        matter["library_name"] = LIBRARIES[story.bundle.at_top]
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
    rank = cited(str(recipe.method.rank), LOCK, "recipe", "method", "rank")
    how = "full fine-tuning" if recipe.method.kind == "full" else f"{recipe.method.kind} of rank {rank}"
    made = f"Made and measured by Lathe {cited(text(story.run.lathe_version), RUN, 'lathe_version')}."
    yield f"{code(hub.base_name(story.locked))} tuned for the task {code(recipe.task)} by {how}. {made}"
    yield ""
    if recipe.method.quantised:
        kind = source(LOCK, "recipe", "method", "kind")
        yield f"{IN_FOUR_BITS} {kind}"
        yield ""
    if story.run.smoke:
        yield "**This is a smoke run: it shows that the parts work. Its scores mean nothing.**"
        yield ""
    if story.decision is not None:
        yield f"**Verdict: {story.decision.verdict}.** {text(story.decision.line)} {source(DECISION, 'line')}"
        yield ""


def _results(story: Story) -> Iterator[str]:
    if not story.arms:
        return
    arm, first = next(iter(story.arms.items()))
    confidence = figures.percent(story.locked.recipe.evaluate.confidence)
    intervals = f"{cited(confidence, LOCK, 'recipe', 'evaluate', 'confidence')} intervals"
    yield "## Results"
    yield ""
    items = cited(figures.counted(first.n, "test item"), report_of(arm), "n")
    yield f"{items}, the same for every arm; {intervals}; scorer {code(first.scorer)}."
    yield ""
    drawn = {arm: said for arm, report in story.arms.items() if (said := samples.over_samples(report, story.primary))}
    for arm, said in drawn.items():
        yield f"- {ARM_TITLES.get(arm, arm)}: {text(said)}. {source(report_of(arm), 'spread')}"
    formats = {arm: report.precision for arm, report in story.arms.items() if report.precision not in (None, "fp32")}
    for arm, precision in formats.items():
        yield f"- {ARM_TITLES.get(arm, arm)}: answers computed in {cited(text(precision), report_of(arm), 'precision')}."
    held = [arm for arm, report in story.arms.items() if report.constrained]
    for arm in held:
        yield (
            f"- {ARM_TITLES.get(arm, arm)}: every answer held to the form of right ones while it was written. "
            f"{source(report_of(arm), 'constrained')}"
        )
    if drawn or formats or held:
        yield ""
    rows = []
    for score in first.scores:
        row = [code(score.metric)]
        for arm in story.arms:
            row.append(_measured(story, arm, score.metric))
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
                cited(figures.quantity(g.metric, g.measured), DECISION, "gates", number),
                figures.quantity(g.metric, g.limit),
            ]
            for number, g in enumerate(story.decision.gates)
        ]
        yield from _table(["gate", "", "judged", "limit"], gates)


def report_of(arm: str) -> str:
    """The record of an arm's scores."""
    return AT.eval_report(arm).as_posix()


def _measured(story: Story, arm: str, metric: str) -> str:
    """A score with its interval; the number is a link to the entry of the score."""
    found = story.score(arm, metric)
    if found is None:
        return figures.NOT_MEASURED
    number = cited(figures.quantity(metric, found.value), report_of(arm), "scores", _number_of(story, arm, found))
    return f"{number} {figures.quantity_bounds(metric, found)}".strip()


def _number_of(story: Story, arm: str, score: Score) -> int:
    return story.arms[arm].scores.index(score)


def _use(story: Story) -> Iterator[str]:
    recipe = story.locked.recipe
    yield "## Intended use"
    yield ""
    sources = (
        ", ".join(code(place(one.name)) for one in story.manifest.sources) if story.manifest else "its training rows"
    )
    measured = "with the very prompt of the measurement. Nothing else was measured."
    yield f"The task {code(recipe.task)} on inputs like those of {sources}, {measured}"
    yield ""
    if story.bundle is not None and story.bundle.shipped:
        rows = []
        for number, shipped in enumerate(story.bundle.shipped):
            checks = ", ".join(f"{text(name)} {text(value)}" for name, value in shipped.checks.items())
            total = cited(
                figures.size(sum(file.num_bytes for file in shipped.files)), BUNDLE, "shipped", number, "files"
            )
            checked = f"{checks} {source(BUNDLE, 'shipped', number, 'checks')}" if checks else ""
            rows.append([text(shipped.kind), _published(story.bundle, shipped), total, checked])
        yield from _table(["shipped", "in the published repository", "size", "checked"], rows)
    held_back = story.bundle.withheld if story.bundle is not None else ()
    for number, held in enumerate(held_back):
        why = "; ".join(text(check.message) for check in held.failed)
        yield f"- {code(held.kind)} was held back: {why}. {source(BUNDLE, 'withheld', number, 'checked')}"
    if held_back:
        yield ""


def _published(bundle: Bundle, shipped: ShippedFile) -> str:
    """Where a reader of the published card finds an export: its folder, else its GGUF file, else the top."""
    where = bundle.published_folder(shipped) or shipped.gguf
    return code(where) if where else "at the top"


def _data(story: Story) -> Iterator[str]:
    if story.manifest is None:
        return
    yield "## Data"
    yield ""
    yield from source_table(story, story.manifest.sources)
    sides = ", ".join(
        f"{cited(figures.count(side.rows), MANIFEST, 'sides', name, 'rows')} {text(name)}"
        for name, side in story.manifest.sides.items()
    )
    dropped = cited(figures.count(story.manifest.dropped_from_train), MANIFEST, "dropped_from_train")
    rejected = cited(figures.count(story.manifest.rejected), MANIFEST, "rejected")
    yield (
        f"Sides: {sides}. Dropped from train as equal or nearly equal to rows of another side: {dropped}. "
        f"Rejected: {rejected}."
    )
    yield ""
    for number, finding in enumerate(story.manifest.findings):
        yield f"- {finding.level}: {text(finding.message)} {source(MANIFEST, 'findings', number, 'message')}"
    if story.manifest.findings:
        yield ""


def source_table(story: Story, sources: Sequence[Source]) -> Iterator[str]:
    """Where the rows are from, their number, licence, and how to cite them."""
    rows = [
        [code(place(one.name)), cited(figures.count(one.num_rows), MANIFEST, "sources", number, "num_rows"), words]
        for number, (one, words) in enumerate(zip(sources, _licences(story, sources), strict=True))
    ]
    yield from _table(["source", "rows", "licence"], rows)
    for number, one in enumerate(sources):
        if one.citation is not None:
            yield f"- {text(one.citation)} {source(MANIFEST, 'sources', number, 'citation')}"
    if any(one.citation is not None for one in sources):
        yield ""


def _licences(story: Story, sources: Sequence[Source]) -> Iterator[str]:
    """Of each source: as it states it, else as the recipe does."""
    stated = story.locked.recipe.publish.data_licence
    for number, one in enumerate(sources):
        if one.licence is not None:
            yield f"{text(one.licence)} {source(MANIFEST, 'sources', number, 'licence')}"
        elif stated is not None:
            yield f"{text(stated)} {source(LOCK, 'recipe', 'publish', 'data_licence')}"
        else:
            yield "not stated: settle it before you publish"


def _training(story: Story) -> Iterator[str]:
    train = story.train
    if train is None:
        return
    yield "## Training"
    yield ""
    rows = [
        ["optimiser steps", cited(figures.count(train.num_steps), TRAINED, "num_steps")],
        ["tokens of the rows, over all epochs", cited(figures.count(train.num_tokens), TRAINED, "num_tokens")],
        ["trainable parameters", cited(figures.count(train.trainable_parameters), TRAINED, "trainable_parameters")],
        ["seconds", cited(f"{train.train_seconds:.1f}", TRAINED, "train_seconds")],
        ["peak memory", cited(figures.size(train.peak_bytes), TRAINED, "peak_bytes")],
        ["device", cited(text(train.device), TRAINED, "device")],
        ["number format", cited(text(train.precision), TRAINED, "precision")],
        ["seed", f"{cited(str(story.locked.recipe.seed), LOCK, 'recipe', 'seed')}: {samples.ONE_SEED}"],
    ]
    if train.validations:
        chosen = cited(text(train.chosen_why), TRAINED, "chosen_why")
        rows.append(["weights kept", chosen])
    if train.last_loss is not None:
        rows.insert(3, ["last loss, nats per token", cited(f"{train.last_loss:.4f}", TRAINED, "last_loss")])
    yield from _table(["", ""], rows)


def _limits(story: Story) -> Iterator[str]:
    yield "## Limits"
    yield ""
    tuned, primary = story.arms.get("tuned"), story.primary
    if tuned is not None:
        failed, rule = story.failed(), story.score("rule")
        why = source(report_of("tuned"), "reasons")
        several = tuned.samples > 1
        total = cited(figures.counted(tuned.n, "test item" if several else "test answer"), report_of("tuned"), "n")
        every = " in every answer" if several else ""
        yield f"- {figures.count(len(failed))} of {total} are not right{every} by {code(primary)}. {why}"
        for reason, number in sorted(tuned.reasons.items(), key=lambda pair: -pair[1])[:5]:
            yield f"    - {text(reason)}: {figures.count(number)} {why}"
        score = story.score("tuned")
        if rule and score and None not in (rule.value, score.value) and (rule.value or 0) >= (score.value or 0):
            scored = cited(figures.score(rule.value), report_of("rule"), "scores", _number_of(story, "rule", rule))
            yield f"- A rule without any model scores {scored} on the same items, no worse than this model."
        for key, values in tuned.slices.items():
            measured = [
                (s.value, s.n, v)
                for v, scores in values.items()
                for s in scores
                if s.metric == primary and s.value is not None
            ]
            if len(measured) > 1:
                value, n, name = min(measured)
                weakest = cited(figures.score(value), report_of("tuned"), "slices", key)
                yield f"- Weakest {text(key)}: {code(name)} with {weakest} on {figures.counted(n, 'item')}."
    if story.decision is not None:
        looks = cited(figures.counted(story.decision.looks, "time"), DECISION, "looks")
        yield f"- These test rows have been looked at {looks}."
        for number, finding in enumerate(story.decision.findings):
            yield f"- {text(finding.message)} {source(DECISION, 'findings', number, 'message')}"
    yield "- What was not measured is not known: other languages, other domains, safety, fairness, adversarial input."
