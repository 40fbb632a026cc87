"""What can be typed: every verb, its arguments and its help. Standard library only, so that `--help` is instant."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from lathe import __version__
from lathe.cli import check, compare, evaluate, fidelity, machine, planning, publishing, risk, serving, verbs
from lathe.cli.show import Screen
from lathe.errors import Exit, InputError


@dataclass(frozen=True)
class Argument:
    """One argument, as argparse takes it."""

    names: tuple[str, ...]
    options: dict[str, Any]


@dataclass(frozen=True)
class Verb:
    """One verb. `do` gets the parsed arguments and the screen, and returns the exit code."""

    name: str
    help: str
    do: Callable[[argparse.Namespace, Screen], Exit]
    arguments: tuple[Argument, ...] = ()
    group: str = ""
    example: str = ""


def arg(*names: str, **options: Any) -> Argument:
    return Argument(names, options)


RECIPE = arg("recipe", metavar="RECIPE|RUN", help="a recipe file, the name of a shipped recipe, or a run folder")
RUN = arg("run", metavar="RUN", nargs="?", default=None, help="a run folder; the newest run where it is left out")
RUNS = arg("--runs", metavar="DIR", type=Path, default=Path("runs"), help="folder that holds the runs (default: runs)")
SET = arg(
    "--set",
    metavar="KEY=VALUE",
    dest="sets",
    action="append",
    default=[],
    help="change one key of the recipe; may be repeated",
)
NEW = arg("--new", action="store_true", help="begin a new run instead of continuing the newest one")
SMOKE = arg("--smoke", action="store_true", help="some ten rows and ten steps, to see that every part works")
CHAIN = (RECIPE, SET, NEW, SMOKE, RUNS)


def _positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"got {text}, expected a whole number above 0")
    return int(text)


def _count(text: str) -> int:
    """A whole number, 0 among them."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"got {text}, expected a whole number from 0 on")
    return int(text)


def _port(text: str) -> int:
    """0 to 65535."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"got {text}, expected a port from 0 to 65535")
    return int(text)


def _batch(text: str) -> tuple[int, int]:
    """`8x2048` -> (8, 2048)"""
    rows, _, positions = text.partition("x")
    if not (rows.isdecimal() and positions.isdecimal() and int(rows) and int(positions)):
        raise argparse.ArgumentTypeError(f"got {text}, expected rows and tokens such as 8x2048")
    return int(rows), int(positions)


def _price(text: str) -> tuple[float, float]:
    """`3,15` -> (3.0, 15.0)"""
    try:
        read, written = (float(part) for part in text.split(","))
    except ValueError:
        read = written = -1.0
    if not (0 <= read < float("inf") and 0 <= written < float("inf")):
        raise argparse.ArgumentTypeError(f"got {text}, expected two prices of a million tokens, read and written: 3,15")
    return read, written


def _names(text: str) -> tuple[str, ...]:
    """`arc_easy,hellaswag` -> both"""
    names = tuple(name for part in text.split(",") if (name := part.strip()))
    if not names:
        raise argparse.ArgumentTypeError("got no name, expected one or more with commas between them")
    return names


def _amount(text: str) -> float:
    """A number above 0."""
    try:
        amount = float(text)
    except ValueError:
        amount = 0.0
    if not 0 < amount < float("inf"):
        raise argparse.ArgumentTypeError(f"got {text}, expected a number above 0")
    return amount


def _stage(name: str, help: str) -> Verb:
    return Verb(name, help, verbs.stage, CHAIN, "One stage, and what it needs before it", f"lathe {name} demo")


VERBS: tuple[Verb, ...] = (
    Verb("demo", "the whole chain on a generated data set and the bundled base model, offline", verbs.demo,
         (SET, NEW, SMOKE, RUNS), "The whole chain", "lathe demo"),
    Verb("run", "the whole chain of a recipe; run again, it continues", verbs.run,
         (*CHAIN, arg("--until", metavar="STAGE", default=None, help="stop after this stage")),
         "The whole chain", "lathe run recipe.yaml --set train.epochs=1"),
    _stage("prepare", "read, split and prove the data"),
    Verb("check", "what is wrong with the rows of files or of a recipe; exit 1 where something must be mended", check.check,
         (arg("recipe", metavar="FILE|RECIPE|RUN", nargs="+",
              help="files or a folder of rows, hub:ORG/NAME, a recipe, or a run folder"),
          arg("--show", metavar="N", type=_count, default=0, help="show the first rows token by token, with what carries loss"),
          arg("--base", default=None, help="for files: the base whose tokenizer and template count, as a recipe names it"),
          arg("--schemas", metavar="DIR", type=Path, default=None,
              help="for files: JSON Schemas by the name in schema_id, or a list of labels"),
          arg("--against", metavar="RUN", type=Path, action="append", default=[],
              help="for files: an earlier run, whose training rows should not be among those that are held out"),
          arg("--doubt", action="store_true",
              help="for a trained run: rank its training rows by the tuned model's own loss; they stand in the report too"),
          arg("--all", action="store_true", help="for files: learn rules and doubt labels on all rows, not on a sample"),
          SET, NEW, SMOKE, RUNS), "Looking", "lathe check rows.jsonl"),
    Verb("new", "write a recipe for files of rows, or from a configuration of Axolotl, TRL or LLaMA-Factory", check.new,
         (arg("files", metavar="FILE", type=Path, nargs="+",
              help="a file or folder of rows, or one file for each side; or one configuration of another trainer"),
          arg("--out", metavar="RECIPE", type=Path, default=None, help="where it goes (default: the file's name here)"),
          arg("--rows", metavar="N", type=_positive, default=None, help="for a configuration: how many rows it trains on"),
          arg("--config", metavar="CONFIG.JSON", type=Path, default=None, help="for a configuration: its base's config.json")),
         "Looking", "lathe new rows.jsonl"),
    Verb("export-config", "write a recipe as a configuration of Axolotl, TRL or Unsloth, and its rows", planning.export_config,
         (RECIPE, arg("--to", choices=("axolotl", "trl", "unsloth"), required=True, help="whose configuration"),
          arg("--out", metavar="DIR", type=Path, default=None, help="where it goes (default: the recipe's name and the tool's)"),
          SET, NEW, SMOKE, RUNS), "Looking", "lathe export-config tickets.yaml --to trl"),
    Verb("plan", "parameters, steps, memory and time, before they are spent", planning.plan,
         (arg("recipe", metavar="RECIPE|RUN", nargs="?", default=None, help=RECIPE.options["help"]), SET, NEW, SMOKE, RUNS,
          arg("--on", metavar="MACHINE", type=_names, default=None,
              help="also on machines of the catalogue: rtx4090-24gb, a100-80gb,... with commas, cpu, or all"),
          arg("--fit", action="store_true", help="where it does not fit: the nearest setting that does, as --set lines"),
          arg("--config", metavar="CONFIG.JSON", default=None,
              help="count the parameters of this model instead: a config.json, a folder or a Hub id"),
          arg("--lora-rank", metavar="N", type=_positive, default=None, help="with --config: rank of the adapters"),
          arg("--lora-targets", metavar="A,B", type=_names, default=None,
              help="with --config: modules that get an adapter, or all-linear"),
          arg("--dora", action="store_true", help="with --config: adapters with a magnitude for each output (DoRA)"),
          arg("--modules-to-save", metavar="A,B", type=_names, default=None,
              help="with --config: modules trained as a whole beside them"),
          arg("--padded", metavar="ROWSxTOKENS", type=_batch, default=None,
              help="with --config: memory of a trainer that pads its batches, such as 8x2048 (an estimate)"),
          arg("--precision", choices=("fp32", "bf16"), default=None, help="with --padded (default: bf16)")),
         "One stage, and what it needs before it", "lathe plan demo"),
    _stage("train", "train, or continue training"),
    Verb("evaluate", "measure base, rule and tuned model on the same items; or a model behind an endpoint on them too",
         evaluate.evaluate,
         (*CHAIN, arg("--endpoint", metavar="URL", default=None, help="an OpenAI-compatible endpoint (key: OPENAI_API_KEY)"),
          arg("--model", metavar="NAME", default=None, help="with --endpoint: the model's name there"),
          arg("--probe", choices=("execute", "labels", "adversarial", "judge", "constrained", "general"), default=None,
              help="of a measured run: run its commands in a sandbox, score every label, ask for harm, let the model behind "
              "--endpoint compare answers, hold answers to their form while they are written, or ask what it was not tuned for"),
          arg("--regrade", action="store_true", help="score the answers of a measured run once more, without any model"),
          arg("--prompts", metavar="FILE", type=Path, default=None,
              help="with --probe adversarial: requests of your own, JSON lines"),
          arg("--verdicts", metavar="FILE", type=Path, default=None,
              help="with --probe adversarial: which answers do harm, as read"),
          arg("--price", metavar="READ,WRITTEN", type=_price, default=None,
              help="with --probe judge: what a million tokens cost, so that cost is counted"),
          arg("--max-cost", metavar="AMOUNT", type=_amount, default=None,
              help="with --probe judge: the most that all its verdicts on the run may cost; what could exceed it is not sent"),
          arg("--tasks", metavar="NAME,NAME", type=_names, default=None,
              help="with --probe general: tasks of lm-eval, as `lm-eval ls tasks` lists them"),
          arg("--task-folder", metavar="DIR", type=Path, default=None,
              help="with --probe general: a folder of more tasks, YAML as lm-eval reads it"),
          arg("--limit", metavar="N", type=_positive, default=None, help="with --probe general: items of each task")),
         "One stage, and what it needs before it", "lathe evaluate demo --endpoint http://localhost:8000/v1 --model qwen3-8b"),
    _stage("decide", "deploy, iterate or abort; the exit code is the answer"),
    _stage("ship", "write the files to use (adapter, merged, GGUF, Ollama), each held against what was measured"),
    _stage("report", "write the report and the model card"),
    Verb("ask", "put one text to the base and to the tuned model, side by side", verbs.ask,
         (arg("run", metavar="RUN", help="a run folder"), arg("text", metavar="TEXT", help="the text; - reads it from stdin"),
          arg("--schema", metavar="NAME", default=None, help="schema of the answer; else that of the most similar training row")),
         "Looking", 'lathe ask runs/2026-11-20T081500-demo-3f9c1a "..."'),
    Verb("compare", "arms of one or more runs on the same items, each held against the first by a paired test", compare.compare,
         (arg("arms", metavar="RUN[:ARM]", nargs="+", help="a run folder: its tuned model; or RUN:base-few, RUN:rule ..."),
          arg("--metric", metavar="NAME", default=None, help="what is compared (default: the task's primary metric)"),
          arg("--by", metavar="SLICE", default=None, help="also by the values of a slice, and over them at equal weight")),
         "Looking", "lathe compare runs/A runs/B runs/B:base-few"),
    Verb("serve", "the tuned model and its base behind an OpenAI-compatible endpoint, and a page to try them", serving.serve,
         (arg("run", metavar="RUN", help="a run folder"),
          arg("--file", metavar="EXPORT", default=None,
              help="serve this shipped file through llama.cpp instead, such as gguf_q8_0"),
          arg("--no-base", action="store_true", help="do not load the base beside the tuned model"),
          arg("--risky", choices=("block", "annotate"), default="block",
              help="for shell tasks: what happens to a dangerous command (default: block)"),
          arg("--host", metavar="ADDRESS", default="127.0.0.1", help="where to listen; beyond loopback only with TLS"),
          arg("--port", metavar="N", type=_port, default=8712, help="0 takes any free one (default: 8712)"),
          arg("--name", metavar="NAME", dest="names", action="append", default=[],
              help="a further name that clients may call it by (Host); may be repeated"),
          arg("--tls-cert", metavar="PEM", type=Path, default=None, help="certificate, for TLS"),
          arg("--tls-key", metavar="PEM", type=Path, default=None, help="its key"),
          arg("--at-once", metavar="N", type=_positive, default=16, help="answers written side by side (default: 16)"),
          arg("--waiting", metavar="N", type=_positive, default=64, help="requests that may wait for that (default: 64)"),
          arg("--max-tokens", metavar="N", type=_positive, default=4096,
              help="tokens of a prompt and its answer (default: 4096, or the model's context)"),
          arg("--max-body", metavar="BYTES", type=_positive, default=1 << 20, help="of a request (default: 1 MiB)"),
          arg("--seconds", metavar="N", type=_positive, default=60, help="for a request, waiting included (default: 60)")),
         "Looking", "lathe serve runs/2026-11-20T081500-demo-3f9c1a"),
    Verb("status", "running, stalled, stopped or done; step, loss, time left, memory", verbs.status, (RUN, RUNS), "Looking"),
    Verb("ls", "the runs that are here", verbs.ls, (RUNS,), "Looking"),
    Verb("risk", "how dangerous a shell command is, judged without running it; a lint, not a boundary", risk.risk,
         (arg("command", metavar="COMMAND", nargs="?", default=None, help="one command; - reads it from stdin"),
          arg("--jsonl", action="store_true", help="rows {id, command} on stdin, the same with level, class and why on stdout")),
         "Looking", "lathe risk 'rm -rf build'"),
    Verb("verify", "is a finished run what its records say, byte for byte? data, base, adapter, answers, shipped files",
         fidelity.verify, (arg("run", metavar="RUN", help="a run folder"),), "Looking",
         "lathe verify runs/2026-11-20T081500-demo-3f9c1a"),
    Verb("publish", "what of a run would go to the Hub, and what stands against it; --push sends it", publishing.publish,
         (arg("run", metavar="RUN", help="a run folder"),
          arg("--to", metavar="OWNER/NAME", required=True, help="repository of the model"),
          arg("--data", metavar="OWNER/NAME", default=None, help="repository of its rows (default: they stay here)"),
          arg("--push", action="store_true", help="send it, where nothing stands against it"),
          arg("--public", action="store_true", help="make a new repository for everybody to see (default: private)")),
         "Looking", "lathe publish runs/2026-11-20T081500-demo-3f9c1a --to ada/demo"),
    Verb("inspect", "what is wrong with an adapter or a GGUF file that any tool made, each fault with its fix",
         fidelity.inspect,
         (arg("--base", required=True, help="the base as a recipe names it: lathe:nano, a folder or a Hub id"),
          arg("--adapter", metavar="DIR", type=Path, default=None, help="folder of a PEFT adapter"),
          arg("--gguf", metavar="FILE", type=Path, default=None, help="a GGUF file; with --adapter it is held against that"),
          arg("--test", metavar="ROWS", type=Path, required=True, help="rows with right answers, in any layout that check reads"),
          arg("--threads", metavar="N", type=_positive, default=None, help="CPU threads")),
         "Looking", "lathe inspect --base lathe:nano --adapter out/ --test test.jsonl"),
    Verb("doctor", "what this machine can do, tried and not assumed", machine.doctor,
         (arg("asked", metavar="ABILITY", nargs="*", help="what must work: native, lora, merged ..."),
          arg("--probe", action="store_true", help="measure how fast it trains, some 14 s, for plans")), "Looking"),
    Verb("schema", "the recipe's JSON Schema, for editors", verbs.schema, (), "Looking", "lathe schema > recipe.schema.json"),
    Verb("pretrain", "train a small base model", verbs.pretrain,
         (arg("recipe", metavar="RECIPE", help="a pretraining recipe, or the name of a shipped one"),
          arg("--out", metavar="DIR", type=Path, required=True, help="folder of the model")),
         "Making a base", "lathe pretrain nano --out base/"),
)  # fmt: skip


OF_TEXTS = ("ask", "risk")
"""Verbs that take a text, which may be empty."""


# ------------------------------------------------------------------------------------------ parsing


class Parser(argparse.ArgumentParser):
    """argparse, with Lathe's way of saying what is wrong, and options by their whole names: a part of one may mean two one day."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise InputError(message, hint=f"{self.prog} --help shows what can be given")


def _common(parser: argparse.ArgumentParser, *, top: bool) -> None:
    """The options of every verb; they may stand before or after it."""
    default: Any = False if top else argparse.SUPPRESS
    parser.add_argument(
        "--json", action="store_true", default=default, help="one JSON document on stdout, talk on stderr"
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", default=default, help="also what libraries say, and tracebacks"
    )
    parser.add_argument("-q", "--quiet", action="store_true", default=default, help="no talk, only the answer")


def parser() -> Parser:
    """The parser of all verbs."""
    top = Parser(prog="lathe", add_help=False, formatter_class=argparse.RawDescriptionHelpFormatter)
    _common(top, top=True)
    inner = top.add_subparsers(dest="verb", parser_class=Parser)
    for verb in VERBS:
        epilog = f"example: {verb.example}" if verb.example else None
        sub = inner.add_parser(
            verb.name, prog=f"lathe {verb.name}", description=verb.help[0].upper() + verb.help[1:] + ".", epilog=epilog
        )
        for argument in verb.arguments:
            sub.add_argument(*argument.names, **argument.options)
        _common(sub, top=False)
        sub.set_defaults(do=verb.do)
    return top


def read(argv: Sequence[str]) -> argparse.Namespace:
    """The parsed arguments. Raises InputError; `--help` of a verb prints and raises SystemExit(0)."""
    names = [verb.name for verb in VERBS]
    word = next((a for a in argv if not a.startswith("-")), None)
    if word is None:
        raise InputError(f"got {' '.join(argv)} and no verb", hint="lathe --help names the verbs.")
    if word is not None and word not in names:
        near = difflib.get_close_matches(word, names, n=1)
        hint = f"Did you mean `lathe {near[0]}`?" if near else f"The verbs are: {', '.join(names)}."
        raise InputError(f"there is no verb {word!r}", hint=hint)
    if "" in argv and word not in OF_TEXTS:  # as the name of a file it would be the folder that one is in
        raise InputError("one of the words is empty", hint="Is a variable of the shell not set?")
    args, unread = parser().parse_known_args(list(argv))
    if unread:
        raise InputError(
            f"{word} takes no {', '.join(unread)}",
            hint=f"`lathe {word} --help` shows what can be given; options have their whole names.",
        )
    return args


def overview() -> str:
    """What `lathe --help` prints."""
    lines = [
        f"lathe {__version__} · turns a small language model into a measured specialist, on the machine you have",
        "",
        "usage: lathe VERB ...          lathe VERB --help tells more about one",
    ]
    for group in dict.fromkeys(verb.group for verb in VERBS):
        lines += ["", group]
        lines += [f"  {verb.name:<13} {verb.help}" for verb in VERBS if verb.group == group]
    lines += [
        "",
        "With every verb: --json (one JSON document on stdout), -q (only the answer), -v (everything).",
        "Exit codes: 0 done or deploy · 1 the answer is no · 2 bad input · 69 unavailable · 70 our bug · 73 run in use",
        "            74 disk · 75 interrupted, the same command continues · 76 refused",
    ]
    return "\n".join(lines) + "\n"
