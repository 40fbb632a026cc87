"""The shell of serving: loads the models, opens the socket, and says where it listens.

serve(Questions(run, locked), Settings(), ready=lambda ready: print(ready.url, ready.token))
"""

from __future__ import annotations

import secrets
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from lathe import plugins
from lathe.ask import Questions
from lathe.contracts import Model, Room
from lathe.errors import InputError, Unavailable
from lathe.records import Bundle, Decision, EvalReport, Json, Message, ShippedFile
from lathe.runs import RunFolder
from lathe.safe_text import typed
from lathe.serve.settings import Settings
from lathe.storage import appending
from lathe.text import render
from lathe.verify import refuse_changed

if TYPE_CHECKING:
    from lathe.serve.app import Arm

PACKAGES = ("starlette", "uvicorn", "llguidance")
SHORTEST_TOKEN = 16
SYNC_SECONDS = 30.0
"""The log is written at once and forced to the disk so often: losing its last lines loses no answer."""


@dataclass(frozen=True)
class Ready:
    """What a client needs to know. url: of the page; the API is below /v1."""

    url: str
    token: str
    models: tuple[str, ...]
    tokens: int


def serve(questions: Questions, settings: Settings, ready: Callable[[Ready], None]) -> Mapping[int, int]:
    """Serves until a signal ends it; how many requests ended with which status.

    Raises InputError where something asked for is not there, Unavailable where packages are missing, Refused on pickles.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise Unavailable(f"serving needs {', '.join(missing)}", hint="pip install 'lathe-slm[serve]'")
    from lathe.serve import listening
    from lathe.serve.app import Application
    from lathe.serve.door import Door
    from lathe.serve.log import RequestLog

    token = _token(settings)
    limits = replace(settings.limits, tokens=min(settings.limits.tokens, questions.tokenizer.max_tokens or 1 << 30))
    with ExitStack() as closing:
        sock = listening.bound(settings)
        closing.callback(sock.close)
        port = sock.getsockname()[1]
        arms = _arms(questions, settings, Room(limits.at_once, limits.tokens), closing)
        # What is only read at the first question should not be the first client's to wait for.
        render.prompt_ids(questions.tokenizer, (Message(role="user", content=questions.schema_of("") or ""),))
        log = RequestLog(closing.enter_context(appending(questions.run.requests_log, SYNC_SECONDS)))
        door = Door(listening.names(settings, port), listening.scheme(settings), token)
        application = Application(questions, arms, door, limits, settings.policy, log, partial(_journal, questions.run))
        sock.listen()
        ready(Ready(listening.address(settings, port), token, tuple(arm.id for arm in arms), limits.tokens))
        listening.run(application, sock, replace(settings, limits=limits))
        return dict(log.by_status)


def _journal(run: RunFolder, error: Exception) -> None:
    """Where it happened and of what kind it was; its words are left out, for they may be those of a request."""
    run.journal("bug", kind=type(error).__name__, traceback="".join(traceback.format_tb(error.__traceback__)))


def _token(settings: Settings) -> str:
    if settings.token is None:
        return secrets.token_urlsafe(32)
    if len(settings.token) < SHORTEST_TOKEN or not settings.token.isascii() or not settings.token.isprintable():
        raise InputError(
            f"a token has {SHORTEST_TOKEN} or more printable ASCII characters",
            hint="Draw one with: python3 -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )
    return settings.token


def _arms(questions: Questions, settings: Settings, room: Room, closing: ExitStack) -> list[Arm]:
    """The models, loaded: the tuned one or the file that stands for it, and its base."""
    from lathe.serve.app import Arm

    name = questions.locked.recipe.name
    tuned, runtime = Model.of(questions.locked, questions.run.adapter), "native"
    measured_as = "tuned"
    if settings.file is not None:
        file = shipped_file(questions, settings.file)
        path = questions.run.path / file.path / str(file.gguf)
        refuse_changed(questions.run, path)
        tuned, runtime, measured_as = Model(questions.base, gguf_file=path), "llama_cpp", file.arm or ""
    wanted: list[tuple[Literal["tuned", "base"], str, Model, str, str]] = [("tuned", name, tuned, runtime, measured_as)]
    if settings.base:
        wanted.append(("base", f"{name}-base", Model.of(questions.locked), "native", "base-zero"))
    arms = []
    for arm, id, model, runtime, measured_as in wanted:
        service = plugins.load("runtimes", runtime).serve(model, room, questions.locked.recipe.train.threads)
        closing.callback(service.close)
        arms.append(Arm(id, arm, service, about(questions, arm, settings, measured_as)))
    return arms


def shipped_file(questions: Questions, kind: str) -> ShippedFile:
    """A shipped export that holds a GGUF file. Raises InputError naming those that there are."""
    run = questions.run
    shipped = run.load(run.bundle_record, Bundle).shipped if run.bundle_record.is_file() else ()
    files = {one.kind: one for one in shipped if one.gguf is not None}
    if kind not in files:
        there = ", ".join(files) or "none"
        aborted = run.decision.is_file() and run.load(run.decision, Decision).verdict == "abort"
        ship = f"Ship one: lathe ship {typed(run.path)} --set 'ship=[gguf_q8_0]'"
        raise InputError(
            f"this run has shipped no {kind} that llama.cpp could serve; it has {there}",
            hint="Its verdict is abort, and after that nothing is shipped." if aborted else ship,
        )
    return files[kind]


def about(questions: Questions, arm: str, settings: Settings, measured_as: str) -> dict[str, Json]:
    """What the page shows of a model: its task, its schemas, and what it was measured to do."""
    return {
        "arm": arm,
        "task": questions.locked.recipe.task,
        "base": questions.locked.recipe.base,
        "file": settings.file if arm == "tuned" else None,
        "schemas": sorted(questions.setup.schemas) if questions.task.answers == "json" else [],
        "tools": questions.task.takes_tools,
        "guard": settings.policy if questions.task.answers == "command" else None,
        "measured": _measured(questions, measured_as),
    }


def _measured(questions: Questions, arm: str) -> Json:
    """The primary metric as the run's own report has it; None where this very model was not measured."""
    path = questions.run.eval_report(arm)
    if not arm or not path.is_file():
        return None
    report = questions.run.load(path, EvalReport)
    score = report.score(questions.task.primary)
    if score is None or score.value is None:
        return None
    return {"metric": score.metric, "value": score.value, "low": score.low, "high": score.high, "items": report.n}
