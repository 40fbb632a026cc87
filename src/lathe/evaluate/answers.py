"""Where answers come from: a rule, or a model that is asked what it was not asked already.

Each answer is on disk as soon as it is there. A later call with the same model, prompts and limits asks only for the rest, also
where it wants more answers to an item; with anything else changed it starts afresh.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from lathe import plugins
from lathe.contracts import GenerateSettings, Model, Progress, Task
from lathe.endpoint import other_models
from lathe.engine import grammar
from lathe.errors import InputError, LatheError
from lathe.evaluate import prompts, rules
from lathe.evaluate.forms import Forms
from lathe.evaluate.memory import PeakMemory
from lathe.evaluate.rows import SIDES, Rows
from lathe.records import (
    Arm,
    DataFinding,
    Example,
    FileHash,
    Generation,
    Json,
    LockedRecipe,
    Message,
    Prediction,
    Record,
    Side,
    TaskSetup,
    digest,
)
from lathe.records.results import AnswerPrecision
from lathe.runs import RunFolder
from lathe.storage import appending, commit_rows, file_sha256, hashed_files, read_rows
from lathe.text import render, tokenizer
from lathe.text.shots import choose_shots
from lathe.text.tokenizer import Tokenizer

MODEL_ARMS = ("base-zero", "base-few", "tuned")
CONSTRAINED = "-constrained"
"""Ends the name of an arm that answered freely, and once more held to a form."""


@dataclass(frozen=True)
class Measurement:
    """One call of the stage: which arm answers which rows, where the answers are kept, and who listens."""

    run: RunFolder
    locked: LockedRecipe
    task: Task
    rows: Rows
    arm: Arm
    side: Side
    progress: Progress
    runtime: str = "native"
    model: Model | None = None
    """What answers, where it is neither the base nor the run's own adapter: an exported file or an endpoint."""
    forms: Forms = field(default_factory=Forms)
    """What the answers are held to; without any they are written freely."""
    suffix: str = ""
    """Of the arm's name, where it is measured once more."""

    @property
    def name(self) -> Arm:
        """What the report calls it, and the folder of its answers."""
        return f"{self.arm}{self.suffix}"

    @property
    def examples(self) -> list[Example]:
        """The rows that are measured."""
        return self.rows.sides[self.side]

    def tell(self, done: int, total: int, new_tokens: int) -> None:
        """Says how far the answers are."""
        unit = "items" if self.locked.recipe.evaluate.samples == 1 else "answers"
        place = {"stage": self.name, "side": self.side}
        self.progress({**place, "done": done, "total": total, "unit": unit, "new_tokens": new_tokens})


Answered = dict[tuple[str, int], Prediction]
"""By item id and number of the answer."""


def read_answers(path: Path, samples: int) -> Answered:
    """The first answers to each item in a file, so many of them."""
    return {(one.id, one.sample): one for one in read_rows(path, Prediction) if one.sample < samples}


def first_answers(path: Path) -> dict[str, Prediction]:
    """The first answer to each item in a file."""
    return {id: one for (id, _), one in read_answers(path, 1).items()}


@dataclass(frozen=True)
class Answers:
    """Answers of an arm, and what was fixed about them."""

    predictions: Answered
    samples: int = 1
    temperature: float | None = None
    precision: AnswerPrecision | None = None
    constrained: bool = False
    prompt_hash: str = ""
    chosen: str = ""
    few_shot_ids: tuple[str, ...] = ()
    max_new_tokens: int | None = None
    peak_bytes: int | None = None
    findings: tuple[DataFinding, ...] = ()


@dataclass(frozen=True)
class Lengths:
    """Tokens of every row and of its right answer, by side; and how long an answer may be, which follows from them."""

    rows: Mapping[Side, list[int]]
    gold: Mapping[Side, list[int]]
    limits: prompts.AnswerLimits


def lengths_of(tok: Tokenizer, rows: Rows, task: Task, max_new_tokens: int | None) -> Lengths:
    """Encodes the rows of all sides. max_new_tokens: as the recipe says."""
    sizes = {
        side: [(len(one.ids), one.num_prompt) for some in render.encode_ahead(tok, rows.sides[side]) for one in some]
        for side in SIDES
    }
    gold = {side: [tokens - prompt for tokens, prompt in sizes[side]] for side in SIDES}
    limits = prompts.answer_limits(
        [example for side in SIDES for example in rows.sides[side]],
        [tokens for side in SIDES for tokens in gold[side]],
        task.question_slices,
        max_new_tokens,
    )
    return Lengths({side: [tokens for tokens, _ in sizes[side]] for side in SIDES}, gold, limits)


def ask_rule(asking: Measurement) -> Answers:
    """Answers of the task's best rule. Raises InputError where the task has none."""
    task, rows = asking.task, asking.rows
    if not task.baselines:
        raise InputError("the task declares no rule to compare with", hint="Give its TASK at least one Baseline.")
    chosen = rules.choose(task, rows.setup, rows.sides["train"], rows.sides["validation"] or rows.sides["train"])
    predictions = []
    for example in asking.examples:
        began = time.perf_counter()
        text = chosen.rule(example)
        predictions.append(Prediction(id=example.id, text=text, finish="stop", seconds=time.perf_counter() - began))
    asking.tell(len(predictions), len(predictions), 0)
    commit_rows(asking.run.predictions(asking.arm, asking.side), predictions)
    return Answers({(one.id, one.sample): one for one in predictions}, chosen=chosen.name)


def ask_model(asking: Measurement) -> Answers:
    """Answers of the base or of the tuned model. Raises Unavailable, InputError and Refused as the runtime does."""
    recipe, rows = asking.locked.recipe, asking.rows
    model = asking.model or Model.of(asking.locked, asking.run.adapter if asking.arm == "tuned" else None)
    tok = tokenizer.load(model.base_folder)
    lengths = lengths_of(tok, rows, asking.task, recipe.evaluate.max_new_tokens)
    k = recipe.evaluate.few_shot if asking.arm == "base-few" else 0
    context = tok.max_tokens if model.endpoint is None else None

    def rendered(conversations: Sequence[Sequence[Message]]) -> list[list[int]]:
        return render.prompts(tok, conversations)

    candidates = choose_shots(rows.sides["train"], lengths.rows["train"], asking.task.slices, k)
    questions = [*rows.sides["validation"], *rows.sides["test"]]
    shots = prompts.shots_that_fit(candidates, questions, rendered, lengths.limits, context)
    asked = prompts.ask(asking.examples, shots, lengths.gold[asking.side], rendered, lengths.limits, context)
    asked = held(foreseen(asked, asking.task, rows.setup, asking.examples), asking.forms)
    said = recipe.evaluate
    settings = GenerateSettings(said.token_budget, recipe.train.threads, tok.stop_ids, said.temperature)
    predictions, peak_bytes = _generate(asking, model, asked, settings, said.samples)
    names = [one.answered_as for one in predictions.values()]
    _put_in_order(asking.run.predictions(asking.name, asking.side), asking.examples)
    return Answers(
        predictions=predictions,
        samples=said.samples,
        temperature=said.temperature,
        precision=model.precision if asking.runtime == "native" else None,
        constrained=bool(asking.forms.by_id),
        prompt_hash=asked.prompt_hash,
        few_shot_ids=tuple(shot.id for shot in shots),
        max_new_tokens=max((request.max_new_tokens for request in asked.requests), default=None),
        peak_bytes=peak_bytes,
        findings=(
            *asked.findings,
            *prompts.fewer_shots(len(shots), k),
            *asking.forms.findings,
            *(other_models(model.endpoint.model, names) if model.endpoint else ()),
        ),
    )


def foreseen(asked: prompts.Asked, task: Task, setup: TaskSetup, examples: Sequence[Example]) -> prompts.Asked:
    """The same requests, each with the form that its answer probably has."""
    forms = {example.id: task.form(example, setup) for example in examples}
    return replace(asked, requests=tuple(replace(one, likely=forms[one.id]) for one in asked.requests))


def held(asked: prompts.Asked, forms: Forms) -> prompts.Asked:
    """The same requests, each with its form."""
    return replace(asked, requests=tuple(replace(one, form=forms.by_id.get(one.id)) for one in asked.requests))


def _generate(
    asking: Measurement, model: Model, asked: prompts.Asked, settings: GenerateSettings, samples: int
) -> tuple[Answered, int | None]:
    """Asks what has no answer yet. Returns all answers, and the peak of memory over the calls that made them."""
    run, arm, side = asking.run, asking.name, asking.side
    inputs = _inputs(asking, model, asked, settings.temperature)
    before = _kept(run, arm, side, inputs)
    answers = read_answers(run.predictions(arm, side), samples) if before is not None else {}
    peak_before = before.peak_bytes if before is not None else None
    left = {sample: [one for one in asked.requests if (one.id, sample) not in answers] for sample in range(samples)}
    unasked = [(id, sample) for sample in left for id in asked.unasked if (id, sample) not in answers]
    total = samples * (len(asked.requests) + len(asked.unasked))
    new_tokens = sum(one.new_tokens for one in answers.values())
    asking.tell(len(answers), total, new_tokens)
    with _keeping(run, arm, side, inputs, begun=before is not None) as append:
        for id, sample in unasked:
            answers[id, sample] = Prediction(id=id, sample=sample, text="", finish="none")
            append(answers[id, sample])
        if not any(left.values()):
            return answers, peak_before
        with PeakMemory() as peak:
            session = plugins.load("runtimes", asking.runtime).open(model, settings.threads)
            try:
                for sample, requests in left.items():
                    for prediction in session.generate(requests, replace(settings, seed=sample)) if requests else ():
                        answers[prediction.id, sample] = prediction.model_copy(update={"sample": sample})
                        append(answers[prediction.id, sample])
                        new_tokens += prediction.new_tokens
                        asking.tell(len(answers), total, new_tokens)
            finally:
                session.close()
    missing = [one.id for sample, requests in left.items() for one in requests if (one.id, sample) not in answers]
    if missing:
        asked_for = sum(len(requests) for requests in left.values())
        raise LatheError(
            f"runtime {asking.runtime} left {len(missing)} of {asked_for} requests unanswered ({missing[0]})"
        )
    # What an endpoint holds is not seen from here.
    peak_bytes = max(peak.num_bytes, peak_before or 0) if model.endpoint is None else None
    run.commit(run.generation(arm, side), Generation(inputs=inputs, peak_bytes=peak_bytes))
    return answers, peak_bytes


def _put_in_order(path: Path, examples: Sequence[Example]) -> None:
    """The file's answers in the order of the rows: they were written as they were finished, which depends on what was answered
    before a kill, and the bytes that a run ends with must not."""
    place = {example.id: number for number, example in enumerate(examples)}
    answers = sorted(read_rows(path, Prediction), key=lambda one: (one.sample, place[one.id]))
    commit_rows(path, answers)


def _kept(run: RunFolder, arm: Arm, side: Side, inputs: str) -> Generation | None:
    """What earlier calls did for these very inputs; None where there is no such thing."""
    path, record = run.predictions(arm, side), run.generation(arm, side)
    if not (record.is_file() and path.is_file()):
        return None
    found = run.load(record, Generation)
    return found if found.inputs == inputs else None


@contextmanager
def _keeping(
    run: RunFolder, arm: Arm, side: Side, inputs: str, *, begun: bool
) -> Iterator[Callable[[Prediction], None]]:
    """Adds answers to those that are kept. begun: whether some of these inputs are kept already.

    Where none are, the file begins with the first answer, and only then what other inputs left there goes: a model that cannot be
    reached leaves everything as it was.
    """
    with ExitStack() as opened:
        append: Callable[[Record], None] | None = None

        def begin() -> Callable[[Record], None]:
            if not begun:
                commit_rows(run.predictions(arm, side), [])
                run.commit(run.generation(arm, side), Generation(inputs=inputs))
            return opened.enter_context(appending(run.predictions(arm, side)))

        def keep(answer: Prediction) -> None:
            nonlocal append
            append = append or begin()
            append(answer)

        yield keep
        if append is None:  # nothing was to be asked
            begin()


def following(forms: Forms) -> dict[str, Json]:
    """What held answers depend on besides."""
    from lathe.engine import backtracking

    return {
        "forms": forms.described(),
        "followed by": grammar.version(),
        "going back": [backtracking.REACH, backtracking.OTHERS, backtracking.MOST_RETURNS],
    }


def _base_files(asking: Measurement, model: Model) -> Sequence[FileHash]:
    """Of the run's own base as it was locked; of another folder, which is a shipped one, as it lies there."""
    own = model.base_folder == Path(asking.locked.base_folder)
    return asking.locked.base_files if own else hashed_files(model.base_folder)


def _inputs(asking: Measurement, model: Model, asked: prompts.Asked, temperature: float) -> str:
    """Hash of all that the answers depend on."""
    adapter = sorted(model.adapter_folder.glob("*.*")) if model.adapter_folder else []
    return digest(
        {
            "base": sorted((Path(file.path).name, file.sha256) for file in _base_files(asking, model)),
            "adapter": [(file.name, file_sha256(file)) for file in adapter],
            "quantised": model.quantised,
            "precision": model.precision,
            "gguf": file_sha256(model.gguf_file) if model.gguf_file else None,
            "endpoint": [model.endpoint.url, model.endpoint.model] if model.endpoint else None,
            "prompts": asked.prompt_hash,
            "max_new_tokens": [request.max_new_tokens for request in asked.requests],
            "runtime": asking.runtime,
            "packages": asking.locked.packages,
            **({"temperature": temperature} if temperature else {}),
            **(following(asking.forms) if asking.forms.by_id else {}),
        }
    )
