"""What is asked next, and what the answers are worth, until there are enough rows. Pure: answers in, rows and faults out.

    lesson = Lesson(spec, wish, gate, given)
    while asks := lesson.next():          one round: as many requests as rows are missing
        lesson.take(asks, answers)        judged in the order in which they were asked, whatever order they came in
    lesson.rows, lesson.refused

The same answers make the same rows, so a run that was stopped comes to the same file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from lathe.data.findings.secrets import redacted
from lathe.data.preparing.split import normalised
from lathe.data.teaching.asks import TeacherAsk, Wish, answering, inventing
from lathe.data.teaching.gate import EARLIER, MISFIT, SECRET, Fault, Gate
from lathe.data.teaching.reading import rows_in
from lathe.data.teaching.row_form import column
from lathe.errors import TaskMismatch
from lathe.paid_answers import spoken
from lathe.records import Example, Json, Row
from lathe.records.paid import PaidAnswer
from lathe.records.teacher import RefusedRow, TaughtRow, TeacherSpec

PATIENCE = 3
"""So many times the requests that would do if every row passed; after them a teacher that repeats itself is given up."""
CUT = "answer cut at teacher.max_new_tokens"
NO_ANSWER = "no answer"
NOT_TAKEN = "the endpoint took no such request"
NO_ROWS = "answer without rows"
UNREAD = "the task reads no answer in it"


class Lesson:
    """One teacher's rows, as far as they have come."""

    def __init__(self, spec: TeacherSpec, wish: Wish, gate: Gate, given: Sequence[Row]) -> None:
        """given: rows whose texts are to be answered; empty where rows are invented."""
        self._spec, self._wish, self._gate = spec, wish, gate
        self._left = iter(given)
        wanted = spec.rows or len(given)
        self.wanted = wanted if spec.invents else min(wanted, len(given))
        self._most = PATIENCE * math.ceil(self.wanted / spec.rows_per_request)
        self._asked = 0
        self._sent: set[str] = set()
        self.rows: list[Row] = []
        self.examples: list[Example] = []
        self.refused: list[RefusedRow] = []

    @property
    def missing(self) -> int:
        """Rows that are still wanted."""
        return self.wanted - len(self.rows)

    def next(self) -> list[TeacherAsk]:
        """The requests of the next round; none where there are enough rows, or no hope of more."""
        if self.missing <= 0:
            return []
        return list(self._inventing() if self._spec.invents else self._answering(self.missing))

    def _inventing(self) -> Iterator[TeacherAsk]:
        count = self._spec.rows_per_request
        avoid = [example.input for example in self.examples]
        for _ in range(min(math.ceil(self.missing / count), self._most - self._asked)):
            yield inventing(self._wish, self._asked, count, avoid)
            self._asked += 1

    def _answering(self, count: int) -> Iterator[TeacherAsk]:
        """Requests for the next texts that may be sent; the others are refused before they cost anything."""
        for given in self._left:
            try:
                ask = answering(self._wish, given)
            except TaskMismatch as mismatch:
                self._refuse("", Fault(MISFIT, mismatch.message), given)
                continue
            text = str(given.get(column(self._wish.setup, "input"), ask.messages[-1].content))
            fault = Fault(EARLIER) if normalised(text) in self._sent else self._gate.before(text)
            if fault is not None:
                self._refuse("", fault, given)
                continue
            self._sent.add(normalised(text))
            yield ask
            count -= 1
            if count == 0:
                return

    def take(self, asks: Sequence[TeacherAsk], answers: Sequence[PaidAnswer]) -> None:
        """Judges the answers to requests, pair by pair; rows beyond those wanted are left alone."""
        for ask, answer in zip(asks, answers, strict=True):
            if answer.refusal:
                self._refuse(answer.request, Fault(NOT_TAKEN, answer.refusal), ask.about.given)
            elif answer.finish == "length":
                self._refuse(answer.request, Fault(CUT, f"ends with {redacted(answer.text)[-40:]!r}"), ask.about.given)
            elif answer.finish == "none" or not answer.text.strip():
                self._refuse(answer.request, Fault(NO_ANSWER), ask.about.given)
            else:
                self._take(ask, answer)

    def _take(self, ask: TeacherAsk, answer: PaidAnswer) -> None:
        said = self._said(ask, spoken(answer.text))
        if isinstance(said, Fault):
            self._refuse(answer.request, said, ask.about.given)
            return
        for number, row in enumerate(said):
            if self.missing <= 0:
                return
            judged = self._gate.judge(row)
            if isinstance(judged, Fault):
                self._refuse(answer.request, judged, row)
                continue
            origin = TaughtRow(model=answer.model, host=answer.host, request=answer.request, time=answer.time)
            key = column(self._wish.setup, "id")
            self.rows.append({key: f"{answer.request[:12]}-{number}", **row, "teacher": origin.dump()})
            self.examples.append(judged)

    def _said(self, ask: TeacherAsk, text: str) -> list[Row] | Fault:
        """The rows that an answer makes."""
        setup, task = self._wish.setup, self._wish.task
        if ask.about.given is None:
            rows = rows_in(text)
            if isinstance(rows, str):
                return Fault(NO_ROWS, redacted(rows))
            # Columns that nobody asked for could mean something to the task: turns that came before, a schema, an id.
            asked = ask.form["properties"]["rows"]["items"]["properties"]
            plain = [{key: value for key, value in row.items() if key in asked} for row in rows]
            return plain if ask.about.named is None else [{**row, setup.schema_key: ask.about.named} for row in plain]
        answered = column(setup, "target")
        example = task.example({**ask.about.given, answered: task.stand_in(setup, ask.about.named)}, setup)
        value = task.value(text, example, setup)
        if value is None:
            return Fault(UNREAD, repr(redacted(text)[:60]))
        return [{**ask.about.given, answered: value}]

    def _refuse(self, request: str, fault: Fault, row: Json) -> None:
        kept = None if fault.reason == SECRET else row
        self.refused.append(RefusedRow(request=request, reason=fault.reason, detail=redacted(fault.detail), row=kept))
