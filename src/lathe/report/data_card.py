"""The card of a data set that is published with its model: where the rows are from, their licence, how they were split."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import yaml

from lathe.records import Source
from lathe.report import figures
from lathe.report.card import MANIFEST, code, licence, source_table, text
from lathe.report.cited import cited, source
from lathe.report.story import Story
from lathe.safe_text import redact


def data_card(story: Story, secrets: Collection[str] = ()) -> str:
    """The card as text, with the Hub's metadata. secrets: values that must not appear in it."""
    front = yaml.safe_dump(front_matter(story), sort_keys=False, allow_unicode=True, width=1000)
    return redact(f"---\n{front}---\n\n" + "\n".join(_body(story)) + "\n", secrets)


def front_matter(story: Story) -> dict[str, Any]:
    """Licence, and which file is which split."""
    stated = {one.licence or story.locked.recipe.publish.data_licence for one in _sources(story)}
    sides = story.manifest.sides if story.manifest else {}
    files = [{"split": name, "path": f"{name}.jsonl"} for name, side in sides.items() if side.rows]
    return {
        **(licence(stated.pop()) if len(stated) == 1 else {"license": "other", "license_name": "see-card"}),
        "tags": ["lathe", story.locked.recipe.task],
        "configs": [{"config_name": "default", "data_files": files}],
    }


def _sources(story: Story) -> tuple[Source, ...]:
    return story.manifest.sources if story.manifest else ()


def _body(story: Story) -> Iterator[str]:
    yield f"# {text(story.run.name)}: rows"
    yield ""
    yield f"Rows for the task {code(story.locked.recipe.task)}, as a model was trained and measured on them."
    yield "`messages` is the prompt, `completion` the right answer as text, `target` the same as a value."
    yield ""
    yield from source_table(story, _sources(story))
    if story.manifest is None:
        return
    for name, side in story.manifest.sides.items():
        rows = cited(figures.counted(side.rows, "row"), MANIFEST, "sides", name, "rows")
        yield f"- {text(name)}: {rows}, sha256 {cited(side.sha256[:12], MANIFEST, 'sides', name, 'sha256')}"
    yield ""
    yield "The side of a row is the hash of its text, for ever: more rows never move one from test to train."
    yield ""
    for number, finding in enumerate(story.manifest.findings):
        yield f"- {finding.level}: {text(finding.message)} {source(MANIFEST, 'findings', number, 'message')}"
