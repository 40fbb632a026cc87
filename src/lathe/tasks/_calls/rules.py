"""Rules that need no model. A tuned model that does not beat them has learnt nothing worth shipping."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence

from lathe import tfidf
from lathe.contracts import Baseline
from lathe.records import Example, Json, TaskSetup
from lathe.tasks._calls.answers import calls_in
from lathe.tasks._calls.functions import signatures

Rule = Callable[[Example], str]
NO_CALL = "[]"
ARGUMENT = re.compile(r"(\w+)(\?)?: ((?:\"(?:[^\"\\]|\\.)*\"|[^,\"(])+)")
LITERAL = re.compile(r"\"((?:[^\"\\]|\\.)*)\"")
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w:])")
NAMED = re.compile(r"(?<=[a-z,:] )[A-Z]\w+(?: [A-Z]\w+)*")


def fit_majority(training: Sequence[Example], _: TaskSetup) -> Rule:
    """The most frequent answer of the training rows."""
    counts = Counter(example.completion for example in training)
    answer = counts.most_common(1)[0][0] if counts else NO_CALL
    return lambda example: answer


def fit_nearest(training: Sequence[Example], _: TaskSetup) -> Rule:
    """The calls of the training row whose text is most alike, where the functions are offered; else none."""
    if not training:
        return lambda example: NO_CALL
    find = tfidf.nearest([example.input for example in training])

    def answer(example: Example) -> str:
        said = training[find(example.input)].completion
        offered = example.functions or {name for name, _, _ in _offered(example)}
        return said if all(call.name in offered for call in calls_in(said).calls) else NO_CALL

    return answer


def fit_keyword(_: Sequence[Example], __: TaskSetup) -> Rule:
    """The function that shares most words with the text, its arguments filled by type."""

    def answer(example: Example) -> str:
        words = set(_words(example.input))
        shared = [
            (len(words & set(_words(f"{name} {said}"))), name, wanted) for name, wanted, said in _offered(example)
        ]
        most, name, wanted = max(shared, key=lambda one: one[0], default=(0, "", ""))
        if not most:
            return NO_CALL
        return json.dumps([{"name": name, "arguments": _filled(wanted, example.input)}], ensure_ascii=False)

    return answer


def _offered(example: Example) -> list[tuple[str, str, str]]:
    return signatures(example.messages[-1].content) if example.messages else []


def _words(text: str) -> list[str]:
    return [word for word in re.findall(r"[a-z]+", text.lower().replace("_", " ")) if len(word) > 3]


def _filled(wanted: str, text: str) -> dict[str, Json]:
    """Values by type: one of a list that stands in the text, the next number, the next name; true where its words stand there."""
    numbers, names = iter(NUMBER.findall(text)), iter(NAMED.findall(text))
    found: dict[str, Json] = {}
    for name, may_miss, kind in ARGUMENT.findall(wanted):
        value: Json = None
        if choices := LITERAL.findall(kind):
            value = next((one for one in choices if one.lower() in text.lower()), None if may_miss else choices[0])
        elif kind.startswith(("integer", "number")):
            said = next(numbers, None)
            value = None if said is None else float(said) if "." in said else int(said)
        elif kind.startswith("boolean"):
            value = True if set(_words(name)) & set(_words(text)) else None if may_miss else False
        elif kind.startswith(("string", "time", "date")):
            value = next(names, None)
        if value is not None:
            found[name] = value
    return found


BASELINES = (
    Baseline(
        "keyword_rule",
        "Calls the function that shares most words with the text by its name and description, none where no word is shared; "
        "arguments in order: a listed value that stands in the text, the next number, the next name.",
        fit_keyword,
    ),
    Baseline(
        "nearest_neighbour",
        "The calls of the training row whose text is most alike (cosine over hashed words and characters, weighted by TF-IDF), "
        "none where their functions are not offered.",
        fit_nearest,
    ),
    Baseline("majority", "The most frequent answer of the training rows, whatever is asked.", fit_majority),
)
