"""The layout of rows, told by their columns, so that nobody has to rename one.

    detect(rows)   ->  Layout("alpaca", {"instruction": "instruction", "output": "output"})

    prompt-completion   prompt, completion: texts, lists of messages, or a JSON value as completion; input? is what the prompt asks
                        about. Messages that end with a question are a prompt where a completion stands beside them: a run's files
    messages            messages: [{role, content, tool_calls?}], tools?
    openai              the same with weight 0 or 1 on answers and arguments of calls as JSON text
    sharegpt            conversations: [{from, value}], system?, tools?
    alpaca              instruction, input?, output, system?
    question-answer     question, answer, context?
    bfcl                question: turns of turns, function, ground_truth: [{function: {argument: [every right value]}}]
    interaction         a log: execution {input_messages, output, status}, agent {role}
    text-label          text and the name of its class
    text                text; where it is a conversation in a chat template's markup, its turns

An explicit mapping (part -> column) wins over what the columns tell. Pure functions.
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lathe.data.conversations import markup
from lathe.data.conversations.conversation import function_in, role_in, shown
from lathe.errors import DataError
from lathe.records import Row
from lathe.records.check import FormatName

LOOKED_AT = 100
"""Rows by which a layout is told."""
WORDS_OF_A_SENTENCE = 4


@dataclass(frozen=True)
class Layout:
    """The layout of rows: its name and the column of each of its parts. markup: of `text` rows that are conversations."""

    name: FormatName
    columns: Mapping[str, str]
    markup: str = ""

    def said(self) -> str:
        """For a person: `alpaca (instruction, output)`; columns with other names than the parts are shown as part = column."""
        parts = ", ".join(part if part == column else f"{part} = {column}" for part, column in self.columns.items())
        return f"{self.name} ({parts}{f', {self.markup} inside' if self.markup else ''})"

    def unread(self, rows: Sequence[Row]) -> tuple[str, ...]:
        """Of rows that are read as texts alone, the other columns that say something: one may hold the answers."""
        if self.name != "text" or self.markup:
            return ()
        said = dict.fromkeys(column for row in rows for column, value in row.items() if value not in (None, "", [], {}))
        return tuple(column for column in said if column not in self.columns.values())


# ------------------------------------------------------------------------------------------ detection

NAMES: dict[FormatName, dict[str, tuple[str, ...]]] = {
    "interaction": {"execution": ("execution",)},
    "bfcl": {"question": ("question",), "tools": ("function",), "ground_truth": ("ground_truth",)},
    "messages": {"messages": ("messages", "chat", "dialog", "dialogue")},
    "sharegpt": {"conversations": ("conversations", "conversation")},
    "alpaca": {"instruction": ("instruction",), "output": ("output", "response", "completion")},
    "prompt-completion": {
        "prompt": ("prompt", "messages", "input", "source", "nl", "document", "text"),
        "completion": (
            "completion",
            "expected_output",
            "output",
            "target",
            "response",
            "cmd",
            "bash",
            "expected",
            "answer",
        ),
    },
    "question-answer": {"question": ("question", "query"), "answer": ("answer", "answers", "response")},
    "text-label": {
        "text": ("text", "utterance", "sentence", "query", "prompt", "question"),
        "label": ("label", "category", "intent", "class", "labels", "label_text"),
    },
    "text": {"text": ("text", "content", "document")},
}
"""Layouts in the order in which they are looked for: the parts that each must have, and the usual names of their columns."""

OPTIONAL: dict[FormatName, tuple[str, ...]] = {
    "interaction": ("agent", "task"),
    "bfcl": (),
    "messages": ("tools",),
    "openai": ("tools",),
    "sharegpt": ("system", "tools"),
    "alpaca": ("input", "system"),
    "prompt-completion": ("system", "tools", "input"),
    "question-answer": ("context", "system"),
    "text-label": (),
    "text": (),
}
SYNONYMS = {"input": "prompt", "target": "completion"}
"""What a recipe's `data.fields` calls the parts of a prompt-completion row."""


def detect(rows: Sequence[Row], mapping: Mapping[str, str] | None = None) -> Layout:
    """The layout of most of the first rows. mapping: part -> column, said by a person; it wins.

    Raises DataError with the columns that were seen and the nearest layout where none fits.
    """
    if not rows:
        raise DataError("there are no rows, so their layout cannot be told")
    if mapping:
        return mapped(rows, mapping)
    told = Counter(_key(layout) for row in rows[:LOOKED_AT] if (layout := layout_of(row)) is not None)
    if not told:
        raise _unknown(rows)
    best, _ = told.most_common(1)[0]
    alike = [layout for row in rows[:LOOKED_AT] if (layout := layout_of(row)) is not None and _key(layout) == best]
    # A part that not every row has, such as Alpaca's input, is read where it stands, whatever the first row has.
    return replace(alike[0], columns={part: column for one in alike for part, column in one.columns.items()})


def _key(layout: Layout) -> tuple[str, ...]:
    required = NAMES.get("messages" if layout.name == "openai" else layout.name, {})
    return (layout.name, layout.markup, *(layout.columns[part] for part in required))


def layout_of(row: Row) -> Layout | None:
    """The layout of one row by its columns; None where it has none that is known."""
    for name, parts in NAMES.items():
        columns = {
            part: next((column for column in known if _present(row, column)), "") for part, known in parts.items()
        }
        if not all(columns.values()) or len(set(columns.values())) < len(columns) or not _fits(name, columns, row):
            continue
        columns |= {part: part for part in OPTIONAL[name] if _present(row, part) and part not in columns.values()}
        if name == "messages" and _is_openai(row, columns["messages"]):
            return Layout("openai", columns)
        found = markup.turns(row[columns["text"]]) if name == "text" else None
        return Layout(name, columns, found[0] if found else "")
    return None


def _present(row: Row, column: str) -> bool:
    return row.get(column) is not None


def _fits(name: FormatName, columns: Mapping[str, str], row: Row) -> bool:
    """Whether the values are of the kind that the layout has in its columns."""
    if name == "interaction":
        inner = row["execution"]
        return isinstance(inner, dict) and isinstance(inner.get("input_messages"), list) and "output" in inner
    if name == "bfcl":
        return all(isinstance(row[column], list) for column in columns.values())
    if name in ("messages", "sharegpt"):
        turns = row[next(iter(columns.values()))]
        return isinstance(turns, list) and all(isinstance(turn, dict) for turn in turns) and not _is_prompt(row, turns)
    if name == "text":
        return isinstance(row[columns["text"]], str)
    if name == "text-label":
        return isinstance(row[columns["text"]], str) and isinstance(row[columns["label"]], str | int | float)
    if name == "prompt-completion":
        asked = row[columns["prompt"]]
        whole = columns["prompt"] == "text" and isinstance(asked, str) and markup.turns(asked) is not None
        return isinstance(asked, str | list) and not whole
    return True


def _is_prompt(row: Row, turns: Sequence[Row]) -> bool:
    """Whether turns only ask, and a column beside them answers."""
    asks = bool(turns) and role_in(turns[-1]) in ("system", "user", "tool")
    return asks and any(_present(row, column) for column in NAMES["prompt-completion"]["completion"])


def _is_openai(row: Row, column: str) -> bool:
    if "functions" in row or "parallel_tool_calls" in row:
        return True
    turns = row[column]
    calls = [call for turn in turns if isinstance(turn.get("tool_calls"), list) for call in turn["tool_calls"]]
    as_text = any(isinstance(function_in(call).get("arguments"), str) for call in calls)
    return as_text or any("weight" in turn or "function_call" in turn for turn in turns)


def mapped(rows: Sequence[Row], mapping: Mapping[str, str]) -> Layout:
    """The layout that a mapping says. Raises DataError where it names no layout, or columns that no row has."""
    parts = {
        SYNONYMS.get(part, part) if "instruction" not in mapping else part: column for part, column in mapping.items()
    }
    seen = list(dict.fromkeys(column for row in rows[:LOOKED_AT] for column in row))
    for part, column in parts.items():
        if column not in seen:
            near = difflib.get_close_matches(column, seen, n=1)
            raise DataError(
                f"the mapping reads {part} from the column {column!r}, which no row has",
                hint=f"Did you mean {near[0]!r}?" if near else f"The rows have: {', '.join(seen[:20])}.",
            )
    for name, required in NAMES.items():
        if all(part in parts for part in required):
            columns = dict(parts)
            columns |= {part: part for part in OPTIONAL[name] if part in seen and part not in columns}
            return Layout(name, columns)
    layouts = "; ".join(f"{name}: {', '.join(required)}" for name, required in NAMES.items())
    raise DataError(f"the mapping names {', '.join(parts)}, which is no layout", hint=f"The layouts are {layouts}.")


def _unknown(rows: Sequence[Row]) -> DataError:
    seen = list(dict.fromkeys(column for row in rows[:LOOKED_AT] for column in row))
    if {"chosen", "rejected"} <= set(seen):
        return DataError(
            f"the rows are preference pairs ({', '.join(seen[:20])}), which fine-tuning on answers cannot use",
            hint=f"To learn the chosen answers, name them in a recipe: {mapping_of('prompt', 'chosen')}",
        )
    for name, parts in NAMES.items():
        columns = [next((column for column in known if column in seen), "") for known in parts.values()]
        if len(columns) > 1 and all(columns):
            holds = ", ".join(f"{column} = {shown(rows[0].get(column))}" for column in columns)
            return DataError(
                f"the rows have the columns of {name}, and something else stands in them; the first row: {holds}",
                hint="What is asked is a text, messages are a list of objects, and no answer is missing. Mend the rows.",
            )
    if headless := without_names(rows):
        return headless
    near = max(NAMES, key=lambda name: _likeness(NAMES[name], seen))
    nearest = f"Nearest is {near}, which has {', '.join(NAMES[near])}. " if _likeness(NAMES[near], seen) else ""
    wants = "; ".join(", ".join(parts) for parts in NAMES.values())
    return DataError(
        f"the layout of the rows is not known; they have the columns {', '.join(map(repr, seen[:20])) or '(none)'}",
        hint=f"{nearest}Known are: {wants}. Or say in a recipe which is which: {mapping_of('YOUR_COLUMN', 'YOUR_COLUMN')}",
    )


def without_names(rows: Sequence[Row]) -> DataError | None:
    """What to say where the names of columns are values rather, as in a CSV file without a header; None where they are names.

    A name is none that stands in its own column again, is a number, or has words like a sentence.
    """
    seen = list(dict.fromkeys(column for row in rows[:LOOKED_AT] for column in row))
    is_row = any(
        len(column.split()) >= WORDS_OF_A_SENTENCE
        or column.isdecimal()
        or any(row.get(column) == column for row in rows[:LOOKED_AT])
        for column in seen
    )
    if not is_row:
        return None
    return DataError(
        f"the columns are called {', '.join(map(repr, seen[:20]))}, as if the first row stood where their names belong",
        hint="Put a line of names above it, such as: text,label. If these are the names, say in a recipe which is which: "
        + mapping_of("YOUR_COLUMN", "YOUR_COLUMN"),
    )


def mapping_of(asked: str, answered: str) -> str:
    """How a recipe names the columns of a text and its answer."""
    return f"data: {{fields: {{input: {asked}, target: {answered}}}}}"


def texts_alone(layout: Layout, unread: Sequence[str]) -> str:
    """What to do where rows are read as texts alone and other columns are not: name the one that holds the answers."""
    answers = unread[0] if len(unread) == 1 else "YOUR_COLUMN"
    return (
        f"Where answers stand in another column, say in a recipe which: {mapping_of(layout.columns['text'], answers)}"
    )


def _likeness(parts: Mapping[str, Sequence[str]], seen: Sequence[str]) -> float:
    """Share of a layout's parts for which a column with nearly a usual name was seen."""
    columns = [column.lower() for column in seen]
    like = [
        any(difflib.get_close_matches(name, columns, n=1, cutoff=0.75) for name in names) for names in parts.values()
    ]
    return sum(like) / len(like)
