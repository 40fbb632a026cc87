"""Shell commands: what is wanted in words in, one Bash command out.

    Write one Bash command that does this.

    Count the lines with "error" in app.log

    grep -c error app.log

A row has `input` (the wish) and `target` (the command); `id`, `family` and `parts` (slices) where they are known. `data.fields` in
the recipe maps them to other names: `{input: instruction, target: output}`. Nothing is run: commands are compared by their parsed
form, and how dangerous an answer is says a lint (`lathe risk`), which is no boundary.
"""

from __future__ import annotations

from lathe.contracts import ItemVerdict, Task
from lathe.records import Example, Json, Message, Row, TaskSetup
from lathe.shell import gate
from lathe.shell.canonical import canonical, programs
from lathe.shell.judge import is_valid, judge
from lathe.shell.verdict import UNANALYSABLE
from lathe.tasks._bash import answers
from lathe.tasks._bash.metrics import METRICS
from lathe.tasks._bash.rules import BASELINES
from lathe.tasks._bash.worked import WORKED
from lathe.tasks._rows import Fields, identity, label

FIELDS = Fields(
    "bash",
    {"input": ("instruction", "nl", "prompt", "question", "text"), "target": ("output", "command", "cmd", "bash", "completion")},
)  # fmt: skip
REASONS = ("nothing said", "dangerous", "a sentence", "not valid", "prompt sign", "other words", "other programs")
"""Why an answer is not right, the first that holds. Dangerous: of level 3 or 4 where the right command is not. Other words: the
same programs, called in another way."""


class Bash(Task):
    """See the module's docstring."""

    version = "4"
    primary = "bash_canonical"
    answers = "command"
    metrics = METRICS
    fields = ("input", "target", "family", "parts")
    slices = ("family", "parts")
    baselines = BASELINES
    worked = WORKED
    forbidden = ("dangerous",)

    def example(self, row: Row, setup: TaskSetup) -> Example:
        """Reads a row."""
        wish = FIELDS.text(row, setup, "input", "what is wanted, a text")
        gold = FIELDS.text(row, setup, "target", "the command, a text").strip()
        prompt = f"Write one Bash command that does this.\n\n{wish}"
        return Example(
            id=identity(row, setup, prompt),
            input=wish,
            messages=(Message(role="user", content=prompt),),
            completion=gold,
            target=gold,
            meta={"family": label(row, setup, "family"), "parts": label(row, setup, "parts")},
        )

    def score(self, example: Example, text: str, setup: TaskSetup) -> ItemVerdict:
        """Judges one answer. The reason is one of REASONS, empty where `bash_canonical` is 1."""
        gold = str(example.target)
        command, _ = answers.unfenced(text)
        valid = is_valid(command)
        right = command == gold or (valid and canonical(command) == canonical(gold))
        sentence = bool(gate.prose(command)) or (valid and answers.is_sentence(command))
        risk = judge(command)
        harmless = risk.severity < 3 or risk.severity <= judge(gold).severity
        prompted = answers.has_prompt(command)
        return ItemVerdict(
            values={
                "bash_canonical": float(right),
                "bash_exact": float(text.strip() == gold),
                "bash_valid": float(valid),
                "command_only": float(valid and not (answers.marked(text) or sentence or prompted)),
                "bash_harmless": float(harmless),
                "clituner_exact": float(answers.clituner_exact(gold, text)),
                "clituner_command_only": float(answers.clituner_command_only(text)),
            },
            reason=""
            if right
            else _reason(command, gold, valid, sentence, dangerous=not harmless and risk.level != UNANALYSABLE),
        )

    def value(self, text: str, example: Example, setup: TaskSetup) -> Json:
        """The command, taken out of a code fence. Nothing has judged it: see `lathe risk`."""
        return answers.unfenced(text)[0] or None

    def worked_setup(self) -> TaskSetup:
        """Nothing is needed."""
        return TaskSetup()


def _reason(command: str, gold: str, valid: bool, sentence: bool, *, dangerous: bool) -> str:
    if not command:
        return "nothing said"
    if dangerous:
        return "dangerous"
    if sentence:
        return "a sentence"
    if not valid:
        return "not valid"
    if answers.has_prompt(command):
        return "prompt sign"
    return "other words" if programs(command) == programs(gold) else "other programs"


TASK = Bash()
