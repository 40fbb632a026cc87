"""A recipe's teacher: what asking it will take, and asking it.

Reads the texts to answer, the seeds, and the rows of validation and test that no row of the teacher may repeat. Writes
data/taught.jsonl (rows that passed), data/refused.jsonl (rows that did not), and last data/teacher.json. Every answer is kept as it
comes, so a stopped run goes on where it was.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path

from lathe import endpoint as endpoints
from lathe.contracts import Endpoint, Progress
from lathe.data.teaching import findings
from lathe.data.teaching.asks import Matter
from lathe.data.teaching.expected import written
from lathe.data.teaching.lesson import Lesson
from lathe.data.teaching.material import wish_and_lesson
from lathe.errors import OverBudget
from lathe.paid_answers import Sending, answers, cost, host_of, read
from lathe.records import LockedRecipe
from lathe.records.teacher import TeacherSpec, TeachForecast, TeachRecord
from lathe.runs import RunFolder
from lathe.storage import commit_rows, committed, file_sha256

# ------------------------------------------------------------------------------------------ before


def forecast(run: RunFolder, locked: LockedRecipe) -> TeachForecast:
    """What asking will take, where every row passes. Sends nothing. Raises as `teach` does for what cannot be read."""
    spec, endpoint = _teacher(locked)
    wish, lesson = wish_and_lesson(locked, spec)
    known = read(_file(run, spec))
    asks = [(ask.identity(endpoint), ask) for ask in lesson.next()]
    there = [known[request] for request, _ in asks if request in known]
    todo = [ask for request, ask in asks if request not in known]
    rows = spec.rows_per_request if spec.invents else 1
    prompt = cost.total([cost.read(ask) for ask in todo])
    new = cost.total([written(ask, [seed for _, seed in wish.seeds], rows) for ask in todo])
    return TeachForecast(
        model=spec.model,
        host=host_of(endpoint),
        invents=spec.invents,
        rows=lesson.wanted,
        requests=len(todo),
        kept=len(there),
        prompt_tokens=prompt,
        new_tokens=new,
        cost=None if spec.price_per_million is None else cost.price(spec.price_per_million, prompt, new),
        spent=cost.spent(spec.price_per_million, there),
        max_cost=spec.max_cost,
        findings=tuple(findings.of_requests(todo, host_of(endpoint))),
    )


def intact(run: RunFolder) -> bool:
    """Whether the rows are those that the teacher's record speaks of."""
    return (
        run.taught.is_file()
        and run.teacher_record.is_file()
        and run.load(run.teacher_record, TeachRecord).sha256 == file_sha256(run.taught)
    )


# ------------------------------------------------------------------------------------------ asking


def teach(run: RunFolder, locked: LockedRecipe, inputs: str, progress: Progress) -> TeachRecord:
    """Asks until there are enough rows, and writes them.

    Raises Unavailable where the endpoint is not there, refuses the key or stays busy; OverBudget where the next request could cost
    more than is left of `teacher.max_cost`; DataError where files cannot be read, or no row passed. Asked again, it continues.
    """
    begun = time.monotonic()
    spec, endpoint = _teacher(locked)
    _, lesson = wish_and_lesson(locked, spec)

    def told(done: int, total: int) -> None:
        progress({"stage": "teach", "done": done, "total": total, "unit": "answer"})

    with answers(_file(run, spec)) as kept:
        asking = Sending[Matter](endpoint, spec.price_per_million, spec.max_cost, kept, told)
        while asks := lesson.next():
            pairs = asking.obtain(asks)
            lesson.take([ask for ask, _ in pairs], [answer for _, answer in pairs])
            if len(pairs) < len(asks) and lesson.missing > 0:
                raise _over_budget(spec, lesson, asking.spent())
    if not lesson.rows:
        raise findings.nothing_passed(lesson, spec)
    with committed(run.taught) as file:
        for row in lesson.rows:
            file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
    commit_rows(run.refused, lesson.refused)
    used = asking.used
    record = TeachRecord(
        inputs=inputs,
        model=spec.model,
        host=host_of(endpoint),
        invents=spec.invents,
        rows=len(lesson.rows),
        wanted=lesson.wanted,
        sha256=file_sha256(run.taught),
        refused=dict(Counter(one.reason for one in lesson.refused).most_common()),
        requests=len(used),
        sent=asking.sent,
        prompt_tokens=sum(answer.prompt_tokens for answer in used),
        new_tokens=sum(answer.new_tokens for answer in used),
        counted=all(answer.counted for answer in used),
        cost=cost.spent(spec.price_per_million, used),
        first=min(answer.time for answer in used),
        last=max(answer.time for answer in used),
        findings=(
            *findings.of_rows(lesson, invented=spec.invents),
            *findings.of_requests(asking.asked, host_of(endpoint)),
            *findings.of_answers(used),
            *endpoints.other_models(spec.model, (answer.answered_as for answer in used)),
        ),
        seconds=time.monotonic() - begun,
    )
    run.commit(run.teacher_record, record)
    return record


def _teacher(locked: LockedRecipe) -> tuple[TeacherSpec, Endpoint]:
    spec = locked.recipe.teacher
    assert spec is not None, "asked only of recipes that have a teacher"
    endpoint = Endpoint(spec.endpoint, spec.model)
    endpoints.check(endpoint)
    return spec, endpoint


def _file(run: RunFolder, spec: TeacherSpec) -> Path:
    return run.teacher_answers if spec.answers is None else Path(spec.answers)


def _over_budget(spec: TeacherSpec, lesson: Lesson, spent: float) -> OverBudget:
    return OverBudget(
        f"the next request to {spec.model} could exceed teacher.max_cost: {spent:.4g} of {spec.max_cost:g} is spent, "
        f"{len(lesson.rows)} of {lesson.wanted} rows are there",
        hint="Raise teacher.max_cost, and the same command continues: every answer is kept. Or be content: "
        f"--set teacher.rows={max(1, len(lesson.rows))}",
    )
