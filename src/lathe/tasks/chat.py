"""Interaction logs: what an agent was asked in, what it answered out.

    How do I sort a list of names?

    Use the function sorted: it returns a new list.

A row has `input` (what was asked) and `target` (the answer of the log, a text); `messages` where there were turns before it, and
`agent` (the role, a slice) where it is known. Logs of interactions and conversations are turned into that by the data stage.

No right answer is known here, only one that somebody gave. Likeness to it says whether a model answers as the log does, not whether
it is right: judge that by a task with checkable answers, or by people. What can be told for sure is counted: answers that are
empty, declined, cut off, or ask back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from lathe import no_answer, tfidf
from lathe.contracts import Baseline, ItemVerdict, Metric, Task
from lathe.errors import TaskMismatch
from lathe.records import Example, Json, Message, Row, TaskSetup
from lathe.tasks._chat import likeness, unified
from lathe.tasks._chat.worked import WORKED
from lathe.tasks._majority import Rule, fit_majority
from lathe.tasks._rows import Fields, column_of, identity, is_unicode, label, shown

FIELDS = Fields(
    "chat",
    {
        "input": ("prompt", "question", "instruction", "text"),
        "target": ("output", "answer", "response", "completion"),
    },
)
REASONS = ("nothing said", "made up", "declined", "cut off", "asks back", "other words")
"""What an answer is that is not the reference's words, the first that holds."""
PLATFORM = "Unified Intelligence CLI"


def fit_nearest(training: Sequence[Example], setup: TaskSetup) -> Rule:
    """The answer of the training row whose question is most alike."""
    if not training:
        return fit_majority(training, setup)
    find = tfidf.nearest([example.input for example in training])
    return lambda example: training[find(example.input)].completion


class Chat(Task):
    """See the module's docstring."""

    version = "2"
    primary = "rouge_l"
    metrics = (
        Metric(
            "rouge_l",
            "F1 over the longest common subsequence of words with the reference, case and punctuation aside (ROUGE-L, Lin 2004). "
            "Where a script has no blanks between words, each character is one. Another answer that is as good scores low.",
            "mean",
        ),
        Metric(
            "chrf",
            "chrF2 against the reference, 0 to 1: runs of one to six letters, recall weighing twice (Popović 2015).",
            "mean",
        ),
        Metric(
            "chat_answered",
            "1 where the answer is none of these: empty, made up (`Mock response`, `TODO`), declined (`I'm sorry, but I can't`).",
            "proportion",
        ),
        Metric(
            "chat_complete",
            "1 where the answer does not stop in the middle: no code fence or JSON left open, no last sentence without an end. Cut "
            "at the token limit is counted apart, as truncated_share.",
            "proportion",
        ),
        Metric(
            "chat_direct",
            "1 where the answer does not ask back for information instead of answering.",
            "proportion",
        ),
        Metric(
            "unified_returned",
            "Its baseline's success: 1 where anything came back, whatever it says.",
            "proportion",
            compatible_with=PLATFORM,
        ),
        Metric(
            "unified_words_covered",
            "Its success of tuned models: 1 where at least 30 % of the reference's words of five letters and more stand somewhere "
            "in the answer, in any order and as parts of other words too.",
            "proportion",
            compatible_with=PLATFORM,
        ),
        Metric(
            "unified_length_alike",
            "Its success of GGUF files and of the hosted model: 1 where the answer has half to twice the characters of the "
            "reference, whatever they are.",
            "proportion",
            compatible_with=PLATFORM,
        ),
    )
    fields = ("input", "target", "agent")
    also_read = ("messages",)
    slices = ("agent",)
    question_slices = slices
    baselines = (
        Baseline(
            "nearest_neighbour",
            "The answer of the training row whose question is most alike (cosine over hashed words and characters, weighted by "
            "TF-IDF).",
            fit_nearest,
        ),
        Baseline("majority", "The most frequent answer of the training rows, whatever is asked.", fit_majority),
    )
    worked = WORKED

    def example(self, row: Row, setup: TaskSetup) -> Example:
        """Reads a row; turns before the question stay turns."""
        asked = FIELDS.text(row, setup, "input", "what is asked, a text")
        target = FIELDS.value(row, setup, "target", "the answer, a text")
        answer = target if isinstance(target, str) else json.dumps(target, ensure_ascii=False)
        if target is None or not answer.strip() or not is_unicode(answer):
            raise TaskMismatch(
                f"chat expects {column_of(setup, 'target')!r} to be an answer that says something, got {shown(target)}",
                hint="Take the row out, or map another field: data: {fields: {target: YOUR_FIELD}}",
            )
        messages = _turns(row.get("messages")) or (Message(role="user", content=asked),)
        return Example(
            id=identity(row, setup, "\n".join(one.content for one in messages)),
            input=asked,
            messages=messages,
            completion=answer.strip(),
            target=answer.strip(),
            meta={"agent": label(row, setup, "agent")},
        )

    def score(self, example: Example, text: str, setup: TaskSetup) -> ItemVerdict:
        """Judges one answer. The reason is one of REASONS, empty where it has the reference's words."""
        gold, said = str(example.target), text.strip()
        fault = _fault(said)
        alike = likeness.rouge_l(gold, said)
        return ItemVerdict(
            values={
                "rouge_l": alike,
                "chrf": likeness.chrf(gold, said),
                "chat_answered": float(fault not in REASONS[:3]),
                "chat_complete": float(fault != "cut off"),
                "chat_direct": float(fault != "asks back"),
                "unified_returned": float(unified.returned(text)),
                "unified_words_covered": float(unified.words_covered(gold, said)),
                "unified_length_alike": float(unified.length_alike(gold, said)),
            },
            reason="" if alike == 1 else fault or "other words",
        )

    def worked_setup(self) -> TaskSetup:
        """Nothing is needed."""
        return TaskSetup()


def _turns(listed: Json) -> tuple[Message, ...]:
    """The turns of a row that end with the user's; none where there are no such."""
    given = listed if isinstance(listed, list) else []
    turns = [(one.get("role"), one.get("content")) if isinstance(one, dict) else (None, None) for one in given]
    readable = all(role in ("system", "user", "assistant", "tool") and isinstance(text, str) for role, text in turns)
    if not turns or not readable or turns[-1][0] != "user":
        return ()
    return tuple(Message(role=role, content=text) for role, text in turns)


def _fault(said: str) -> str:
    """What kept a text from being an answer, one of REASONS; empty where nothing is seen."""
    if not said:
        return "nothing said"
    if no_answer.mock(said):
        return "made up"
    if no_answer.refusal(said):
        return "declined"
    if no_answer.cut(said) or no_answer.unfinished(said):
        return "cut off"
    return "asks back" if no_answer.clarifying(said) else ""


TASK = Chat()
