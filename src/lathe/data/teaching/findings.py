"""What a person should know of a teacher's rows, in words. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from lathe.data.findings import secrets
from lathe.data.teaching.asks import TeacherAsk
from lathe.data.teaching.lesson import Lesson
from lathe.errors import DataError
from lathe.records import DataFinding
from lathe.records.paid import PaidAnswer
from lathe.records.teacher import RefusedRow, TeacherSpec

SHOWN = 10
MUCH_REFUSED = 0.2
"""Share of refused rows from which it is a warning."""


def nothing_passed(lesson: Lesson, spec: TeacherSpec) -> DataError:
    """The error of a teacher none of whose rows can be used."""
    why = _by_reason(lesson.refused) or "it was asked for nothing"
    first = next((f"{one.reason}: {one.detail}" for one in lesson.refused if one.detail), None)
    return DataError(
        f"no row of the teacher {spec.model} passed: {why}",
        hint=f"The first: {first}" if first else "Other texts, instructions or another model may do better.",
    )


def _by_reason(refused: Sequence[RefusedRow]) -> str:
    """`20 same text as an earlier row, 11 cut off`"""
    counts = Counter(one.reason for one in refused)
    return ", ".join(
        f"{count} {reason}" for reason, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    )


def of_rows(lesson: Lesson, *, invented: bool) -> Iterator[DataFinding]:
    """Rows that were refused, and rows that were not found; a text without a row is among those refused."""
    refused = lesson.refused
    if refused:
        seen = len(refused) + len(lesson.rows)
        firsts = {one.reason: one for one in reversed(refused)}
        yield DataFinding(
            id="teacher_refused",
            level="warning" if len(refused) > MUCH_REFUSED * seen else "info",
            message=f"{len(refused)} of {seen} rows of the teacher were refused: {_by_reason(refused)}",
            hint="They are listed in data/refused.jsonl.",
            examples=tuple(f"{one.reason}: {one.detail}".removesuffix(": ") for one in firsts.values())[:SHOWN],
            count=len(refused),
        )
    if invented and lesson.missing > 0:
        yield DataFinding(
            id="teacher_short",
            level="warning",
            message=f"the teacher gave {len(lesson.rows)} of {lesson.wanted} rows",
            hint="More seeds and wider instructions make fewer repetitions.",
            count=lesson.missing,
        )


def of_answers(answers: Sequence[PaidAnswer]) -> Iterator[DataFinding]:
    """Answers whose tokens the endpoint did not count."""
    uncounted = sum(not answer.counted for answer in answers)
    if uncounted:
        yield DataFinding(
            id="teacher_uncounted",
            level="info",
            message=f"the endpoint counted no tokens of {uncounted} answers; they are estimated by length, on the high side",
            count=uncounted,
        )


def of_requests(asks: Sequence[TeacherAsk], host: str) -> Iterator[DataFinding]:
    """Texts of a person's own that hold somebody's data and go to the endpoint."""
    texts = [ask.messages[-1].content for ask in asks if ask.about.given is not None]
    held = [names for text in texts if (names := secrets.kinds(text))]
    if held:
        kinds = ", ".join(dict.fromkeys(name for names in held for name in names))
        yield DataFinding(
            id="teacher_personal_data",
            level="warning",
            message=f"{len(held)} of {len(texts)} texts for {host} hold personal data: {kinds}",
            hint="Take them out of teacher.inputs unless they may be sent there.",
            count=len(held),
        )
