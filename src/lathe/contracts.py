"""Every extension point of Lathe, on one page.

A leaf is one file in `tasks/`, `corpora/`, `trainers/`, `runtimes/` or `exports/`. Its name is the file's name; it defines one
class below one of these and binds an instance to the name of its kind in capitals:

    # src/lathe/tasks/shouting.py
    class Shouting(Task): ...
    TASK = Shouting()

Nothing else has to be edited: `plugins` finds the file, and the contract tests run over it. Outsiders register the same
instance under the entry point group `lathe.tasks`, `lathe.corpora` and so on, by a name that no other leaf of the kind has.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from lathe.errors import LatheError
    from lathe.records import (
        Example,
        Json,
        LockedRecipe,
        Message,
        Prediction,
        Row,
        ShippedFile,
        TaskSetup,
        TrainJob,
        TrainResult,
        Validation,
    )
    from lathe.records.check import AnswerKind
    from lathe.records.results import AnswerPrecision


# ---------------------------------------------------------------------------------------------------- tasks


MetricKind = Literal["proportion", "mean", "macro_f1", "micro_f1"]


@dataclass(frozen=True)
class Metric:
    """A number that a task computes for each item; a set's score is the mean over its items, or an F1 over all of them."""

    name: str
    definition: str
    """One or two sentences that an expert accepts; the docs page is made of them."""
    kind: MetricKind
    """proportion: 0 or 1 for each item (Wilson interval, McNemar); mean: any number (bootstrap). macro_f1, micro_f1: pooled over
    the set from each item's `ItemVerdict.counts` (bootstrap over items); the item's own value is the F1 of it alone."""
    higher_is_better: bool = True
    compatible_with: str | None = None
    """Another project's metric that this one reproduces, flaws included."""


@dataclass(frozen=True)
class ItemVerdict:
    """What a task says about one answer: a value for every metric (None = not measured) and, where it is wrong, why."""

    values: Mapping[str, float | None]
    reason: str = ""
    counts: Mapping[str, Mapping[str, tuple[int, int, int]]] = field(default_factory=dict)
    """For each metric that is an F1 over the set, where it was measured: class -> (matched, gold, said)."""


@dataclass(frozen=True)
class Worked:
    """A worked example of a task: a row, an answer to it, and the scores that the answer must get."""

    row: Mapping[str, Any]
    answer: str
    values: Mapping[str, float | None]
    why: str = ""


@dataclass(frozen=True)
class Baseline:
    """A rule that needs no model. `fit` sees the training rows only and gives back the rule: example in, answer text out."""

    name: str
    definition: str
    fit: Callable[[Sequence[Example], TaskSetup], Callable[[Example], str]]


@dataclass(frozen=True)
class JsonForm:
    """Answers that are one JSON value of a schema, written as json.dumps writes it, with keys in the schema's order."""

    schema: Json


@dataclass(frozen=True)
class Choice:
    """Answers that are one of some texts."""

    texts: tuple[str, ...]


@dataclass(frozen=True)
class TextForm:
    """Answers that are text of a grammar: Lark's, as llguidance reads it, with a rule `start`.

    lark: `$characters` and `$items` in it stand for the most that a name and a list may have.
    """

    lark: str
    characters: int = 400
    items: int = 100

    def grammar(self) -> str:
        """The grammar with its numbers."""
        return Template(self.lark).substitute(characters=self.characters, items=self.items)


Form = JsonForm | Choice | TextForm
"""What every right answer looks like; a model can be held to it while it writes."""


_NOTHING: Mapping[str, Json] = MappingProxyType({})


Written = Callable[[Iterable[tuple["Example", str]]], Iterator[str]]
"""Items with their answers in, the pieces of a file's text out; takes them one by one, so that any number fits into memory."""
_NO_FILES: Mapping[str, Written] = MappingProxyType({})


class Task(ABC):
    """Knows what a right answer is. Pure functions: no file, clock, environment or unseeded randomness."""

    version: ClassVar[str]
    """Version of the scorer; two arms are compared only under the same one."""
    primary: ClassVar[str]
    """The metric that the verdict line shows and that the default gates judge."""
    metrics: ClassVar[tuple[Metric, ...]]
    fields: ClassVar[tuple[str, ...]] = ("input", "target")
    """What is read of a row beside its `id`, its system prompt and the name of its schema: the words that `data.fields` maps."""
    also_read: ClassVar[tuple[str, ...]] = ()
    """What else is read of a row, under no other name than its own."""
    slices: ClassVar[tuple[str, ...]]
    """Keys of `Example.meta` by which results are reported."""
    question_slices: ClassVar[tuple[str, ...]] = ()
    """Those of them that the question tells, and not its right answer: only they may say how long an answer can be."""
    baselines: ClassVar[tuple[Baseline, ...]]
    worked: ClassVar[tuple[Worked, ...]]
    answers: ClassVar[AnswerKind | Literal["command"]] = "text"
    """What `value` reads in an answer: its words, a JSON value, one of a set of labels, or a shell command, which is judged for
    risk wherever the model is served."""
    forbidden: ClassVar[tuple[str, ...]] = ()
    """Reasons of failure that forbid a deploy, however rare."""
    takes_tools: ClassVar[bool] = False
    """Whether each row brings functions, as `tools`, and answers are calls of them: `value` is then a list of {name, arguments}."""
    files: ClassVar[Mapping[str, Written]] = _NO_FILES
    """Files in which the answers of an arm leave for other tools, by name; they are written beside the arm's report."""

    @abstractmethod
    def example(self, row: Row, setup: TaskSetup) -> Example:
        """Reads a row. Raises TaskMismatch saying which field was expected and which there are."""

    @abstractmethod
    def score(self, example: Example, text: str, setup: TaskSetup) -> ItemVerdict:
        """Judges one answer. Never raises on any text; the gold completion scores best on every metric."""

    def value(self, text: str, example: Example, setup: TaskSetup) -> Json:
        """What an answer says, as `score` reads it; None where it says nothing that can be read. Never raises on any text."""
        return text.strip() or None

    def meaning(self, example: Example) -> Json:
        """What the right answer of an item says, however it is written: rows with one prompt contradict each other where theirs
        differ."""
        return example.answer

    def stand_in(self, setup: TaskSetup, schema: str | None) -> Json:
        """A target that `example` accepts, for a question whose right answer nobody knows."""
        return "unknown"

    def question(
        self, text: str, setup: TaskSetup, schema: str | None = None, fields: Mapping[str, Json] = _NOTHING
    ) -> Example:
        """An item to ask with, prompted as a row is. schema: its name; fields: what else a row of the task has.

        Raises TaskMismatch where a field is missing.
        """
        row = {
            **{setup.fields.get(name, name): value for name, value in fields.items()},
            setup.fields.get("input", "input"): text,
            setup.fields.get("target", "target"): self.stand_in(setup, schema),
        }
        return self.example(row if schema is None else {**row, setup.schema_key: schema}, setup)

    def labels(self, example: Example, setup: TaskSetup) -> Sequence[str]:
        """All answers that there are to an item, where they can be listed: a model is asked how likely it finds each of them."""
        return ()

    def form(self, example: Example, setup: TaskSetup) -> Form | None:
        """What a right answer to an item looks like, as far as its schema says; None where nothing says it."""
        return None

    def variants(self, rows: Sequence[Example], count: int, setup: TaskSetup) -> Iterator[Example] | None:
        """`count` further rows of each training row, unlike it in text and answer, and right where it is; None where the task makes
        none.

        Equal rows give equal variants. A row in which nothing can be exchanged is given again, so that all rows weigh the same.
        """
        return None

    @abstractmethod
    def worked_setup(self) -> TaskSetup:
        """The setup under which the worked examples hold; for tests and docs."""


# -------------------------------------------------------------------------------------------------- corpora


class Corpus(ABC):
    """A generated data set: a pure function of (seed, n)."""

    version: ClassVar[str]
    licence: ClassVar[str]
    task: ClassVar[str]
    """The task whose rows it makes; empty for a pretraining corpus."""

    @abstractmethod
    def rows(self, seed: int, n: int) -> Iterator[Row]:
        """n rows; row i depends on (seed, i) only, so that more rows never change the earlier ones."""

    def schemas(self) -> Mapping[str, Json]:
        """JSON Schemas by the name that rows use; empty where the task has none."""
        return {}


# ------------------------------------------------------------------------------------------------- trainers

Progress = Callable[[Mapping[str, Any]], None]
"""Called with a dictionary of numbers (step, num_steps, loss, tokens_per_second ...) while long work goes on."""


def silent(_: Mapping[str, Any]) -> None:
    """The `Progress` of whoever does not listen."""


@dataclass(frozen=True)
class Ability:
    """Whether a leaf can work here; `remedy` is the command or setting that would make it work."""

    ok: bool
    detail: str = ""
    remedy: str | None = None

    @classmethod
    def with_packages(cls, *packages: str) -> Ability:
        """Of a leaf that needs these packages of the training extra and nothing else; imports none of them."""
        missing = [name for name in packages if find_spec(name) is None]
        if missing:
            return cls(False, f"not installed: {', '.join(missing)}", "pip install 'lathe-slm[train]'")
        return cls(True, f"installed: {', '.join(packages)}")


class Trainer(ABC):
    """Turns a TrainJob into an adapter (or full weights) on disk."""

    shares_steps = False
    """Whether all processes that torchrun started take part; else it is not begun where there are several."""

    @abstractmethod
    def ability(self) -> Ability:
        """Whether its packages are there; imports nothing heavy."""

    @abstractmethod
    def train(self, job: TrainJob, progress: Progress) -> TrainResult:
        """Trains, or continues from the newest intact checkpoint of the same job. Raises Diverged, Interrupted, StorageError."""


Told = Callable[[int, int], None]
"""Called with what is done and what there is to do."""
Measure = Callable[[Path, int, Told], "Validation"]
"""Has the slice of the validation rows answered with an adapter folder, or whole weights, and scores the answers. int: the steps
that it was trained for. The same weights give the same score. What the listener raises goes through."""


class Validates(ABC):
    """What a trainer can do besides, where it can measure its weights while it trains them."""

    @abstractmethod
    def train_validated(self, job: TrainJob, measure: Measure, progress: Progress) -> TrainResult:
        """As `Trainer.train`; the weights are measured as the job's `train.validate` says, and the best ones are kept."""


# ------------------------------------------------------------------------------------------------- runtimes


@dataclass(frozen=True)
class Endpoint:
    """A server that answers as OpenAI's does. url: up to where /chat/completions begins; model: its name there."""

    url: str
    model: str


@dataclass(frozen=True)
class Model:
    """What a runtime loads: a base folder and, where there is one, an adapter folder, or a GGUF file or an endpoint for both.

    quantised: whether the matrices of the base's layers are held in 4 bits (NF4), the adapter beside them; precision: number format
    in which the native runtime answers (`evaluate.precision`). Neither says anything of the other two.
    """

    base_folder: Path
    adapter_folder: Path | None = None
    gguf_file: Path | None = None
    endpoint: Endpoint | None = None
    quantised: bool = False
    precision: AnswerPrecision = "fp32"

    @classmethod
    def of(cls, locked: LockedRecipe, adapter_folder: Path | None = None) -> Model:
        """A run's base in the form in which that run trains and measures it, with its adapter or without."""
        recipe = locked.recipe
        return cls(
            Path(locked.base_folder),
            adapter_folder,
            quantised=recipe.method.quantised,
            precision=recipe.evaluate.precision,
        )


@dataclass(frozen=True)
class Request:
    """One prompt to answer. `prompt_ids` are the very tokens that training would use; `messages` the same as turns.

    form: what the answer is held to while it is written, by a runtime that can; None = it is written freely. likely: what it
    probably looks like: a runtime may guess from that what comes next, and writes the same answer sooner.
    """

    id: str
    messages: Sequence[Message]
    prompt_ids: Sequence[int]
    max_new_tokens: int
    form: Form | None = None
    likely: Form | None = None

    def seed(self, draw: int) -> int:
        """This request's own seed, below 2 ** 28, for who draws by a number: by one seed for all, items would be lucky together."""
        from lathe.records import digest

        return int(digest([draw, self.id])[:7], 16)


@dataclass(frozen=True)
class GenerateSettings:
    """How a runtime works through its requests. token_budget: most tokens (prompt + answer) held at once.

    temperature: 0 = the likeliest token each time, else tokens are drawn; seed: which draw. The same seed gives the same answer.
    """

    token_budget: int = 16384
    threads: int | None = None
    stop_ids: frozenset[int] = field(default_factory=frozenset)
    temperature: float = 0.0
    seed: int = 0


class Session(ABC):
    """A loaded model."""

    @abstractmethod
    def generate(self, requests: Sequence[Request], settings: GenerateSettings) -> Iterator[Prediction]:
        """One prediction a request, in whatever order they finish. Text has no end token; finish says stop or length.

        Raises InputError on a temperature where the runtime cannot draw.
        """

    @abstractmethod
    def close(self) -> None:
        """Frees the model."""


class ScoresLabels(ABC):
    """What a session can do besides, where its runtime sees probabilities."""

    @abstractmethod
    def label_scores(
        self, requests: Sequence[Request], labels: Sequence[Sequence[int]], settings: GenerateSettings
    ) -> Iterator[tuple[str, Sequence[float]]]:
        """For each request its id and the log-probability of every label, as all that is written; labels: as token ids."""


class HoldsToForm(ABC):
    """What a service can do besides, where its runtime chooses among the tokens that a grammar allows."""

    @abstractmethod
    def problem_with(self, form: Form) -> str:
        """Why no answer can be held to a form, in a sentence; empty where it can be. Raises Unavailable without the package."""


@dataclass(frozen=True)
class Piece:
    """What an answer under way has grown by. new_tokens: of the whole answer so far."""

    text: str
    new_tokens: int


Heard = Callable[["Piece | Prediction | LatheError"], None]
"""Called by a thread of the runtime, and may neither block nor raise: any number of pieces, then once the whole answer or why
there is none."""


@dataclass(frozen=True)
class Room:
    """What a service holds. at_once: answers under way side by side; tokens: of a prompt and its answer together, at most."""

    at_once: int
    tokens: int


class Service(ABC):
    """A loaded model that is asked at any time, from any thread."""

    @abstractmethod
    def begin(self, request: Request, heard: Heard, pieces: bool) -> Callable[[], None]:
        """Takes a request, which must fit the room, and returns what breaks its answer off: nothing is heard of it after a while.

        A request without messages is continued from its `prompt_ids`. pieces: whether to tell the text as it is written.
        """

    @abstractmethod
    def close(self) -> None:
        """Frees the model; answers under way end with an error."""


class Runtime(ABC):
    """Runs a model."""

    holds_to_form: ClassVar[bool] = False
    """Whether it holds answers to the form of their request; its services are `HoldsToForm` then."""

    @abstractmethod
    def ability(self) -> Ability:
        """Whether its packages are there; imports nothing heavy."""

    @abstractmethod
    def open(self, model: Model, threads: int | None = None) -> Session:
        """Loads. Raises InputError on a folder that is no model, Refused on pickles and remote code."""

    @abstractmethod
    def serve(self, model: Model, room: Room, threads: int | None = None) -> Service:
        """Loads, to be asked by many at a time. Raises as `open` does."""


# -------------------------------------------------------------------------------------------------- exports


class Exporter(ABC):
    """Writes a trained model in one format and checks what it wrote."""

    @abstractmethod
    def ability(self) -> Ability:
        """Whether its packages are there; imports nothing heavy."""

    def foresee(self, base_folder: Path) -> None:
        """Raises InputError where no model that is trained on this base can be written so; asked before one is trained."""
        return

    @abstractmethod
    def export(self, model: Model, folder: Path, examples: Sequence[Example] = ()) -> ShippedFile:
        """Writes into `folder` (made by the caller, empty) and holds what was written against the trained model.

        examples: rows that training did not see. `ShippedFile.checks` holds the numbers, `checked` what they were judged to be.
        """
