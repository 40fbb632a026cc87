"""Two rules that need no model. A tuned model that does not beat them has learnt nothing worth shipping.

`key_value_rule` reads a document as a listing, with the schema in hand and what training rows taught about labels.
`majority` gives the most frequent training value of every slot without looking at the document.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from lathe.records import Example, Json, TaskSetup, canonical
from lathe.tasks._json.learning import inferred, learn
from lathe.tasks._json.listing import Learnt, Listing, lines


def fit_key_value(training: Sequence[Example], setup: TaskSetup) -> Callable[[Example], str]:
    """Learns from training rows what labels and wordings stand for; where a row's schema is not known, its shape as well."""
    by_schema: dict[str, list[Example]] = defaultdict(list)
    for example in training:
        by_schema[example.meta.get("schema", "")].append(example)
    names = {*by_schema, *setup.schemas}
    readers = {name: Listing(learn(by_schema.get(name, []), _schema(name, by_schema, setup))) for name in names}
    empty = Listing(Learnt(schema={}))

    def answer(example: Example) -> str:
        reader = readers.get(example.meta.get("schema", ""), empty)
        return json.dumps(reader.value(lines(example.input)), ensure_ascii=False)

    return answer


def _schema(name: str, by_schema: Mapping[str, Sequence[Example]], setup: TaskSetup) -> Json:
    if name in setup.schemas:
        return setup.schemas[name]
    if len(setup.schemas) == 1:
        return next(iter(setup.schemas.values()))
    return inferred([example.target for example in by_schema[name]])


def fit_majority(training: Sequence[Example], _: TaskSetup) -> Callable[[Example], str]:
    """The most frequent value of every slot, by schema; a key counts where at least half of the rows have it."""
    targets: dict[str, list[Json]] = defaultdict(list)
    for example in training:
        targets[example.meta.get("schema", "")].append(example.target)
    answers = {name: json.dumps(_majority(values), ensure_ascii=False) for name, values in targets.items()}
    return lambda example: answers.get(example.meta.get("schema", ""), "{}")


def _majority(values: Sequence[Json]) -> Json:
    objects = [value for value in values if isinstance(value, dict)]
    if 2 * len(objects) > len(values):
        members: dict[str, list[Json]] = defaultdict(list)
        for value in objects:
            for key, part in value.items():
                members[key].append(part)
        return {key: _majority(parts) for key, parts in members.items() if 2 * len(parts) >= len(values)}
    return json.loads(Counter(canonical(value) for value in values).most_common(1)[0][0])
