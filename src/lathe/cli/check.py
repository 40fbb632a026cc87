"""The verbs `check` and `new`: what is wrong with rows, and a recipe for them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lathe.cli import verbs
from lathe.cli.progress import listen
from lathe.cli.show import LEVEL_COLOUR, Screen
from lathe.errors import Exit, InputError
from lathe.safe_text import typed

if TYPE_CHECKING:
    from lathe.plan.foreign import Adopted
    from lathe.records.check import CheckReport, Learnability, MaskedRow
    from lathe.records.results import Doubts

EXAMPLES = 3
SUSPECTS = 5
SHOWN_CHARACTERS = 80
"""Of a row's answer and text, where many stand below one another."""


def check(args: argparse.Namespace, screen: Screen) -> Exit:
    """What is wrong with the rows of files, or of a recipe."""
    from lathe.data.check import Looking, check_file, check_run, labels_in
    from lathe.data.preparing.source import read_schemas
    from lathe.hub import dataset, is_dataset
    from lathe.records import SchemaSpec
    from lathe.resolve.base import locate

    of_recipe = is_recipe(args.recipe[0])
    _refuse_mixed(args, of_recipe)
    listener = listen(screen, brief=True)
    if of_recipe:
        if len(args.recipe) > 1 or args.base is not None or args.against:
            hint = "What an earlier run was trained on stands in the recipe as data.against." if args.against else None
            raise InputError("lathe check takes one recipe by itself, or any number of data files", hint=hint)
        args.recipe = args.recipe[0]
        run = verbs.start(args, screen)
        run.go(until="prepare", progress=listener)
        report = check_run(run.folder, run.locked, show=args.show, progress=listener)
        doubts = run.doubt(listener) if args.doubt else None
    else:
        if args.doubt:
            raise InputError(
                "--doubt asks a tuned model about the rows of its run", hint="Name a run folder, not files."
            )
        doubts = None
        folder = None if args.schemas is None else str(args.schemas)
        schemas = read_schemas(SchemaSpec.model_validate({"from": folder})) if folder is not None else {}
        sample = None if args.all else Looking.sample
        against = tuple(args.against)
        looking = Looking(schemas=schemas, labels=labels_in(schemas), show=args.show, sample=sample, against=against)
        places = [dataset(name) if is_dataset(name) else Path(name) for name in args.recipe]
        base = None if args.base is None else locate(args.base, Path(), weights=False).folder
        report = check_file(places, tokenizer_folder=base, looking=looking, progress=listener)
    listener.close()
    if screen.as_json:
        screen.document(report.dump() | ({"doubts": doubts.dump()} if doubts else {}))
    else:
        show_report(screen, report)
        show_doubts(screen, doubts)
    return Exit.NO if report.blocks() else Exit.DONE


OF_A_RECIPE = ("sets", "new", "smoke")
OF_FILES = ("schemas", "all")


def _refuse_mixed(args: argparse.Namespace, of_recipe: bool) -> None:
    """Raises InputError on words of the other kind of check, which nothing would come of."""
    words = ", ".join(verbs.given(args, OF_FILES if of_recipe else OF_A_RECIPE))
    if words and of_recipe:
        hint = "A recipe names its schemas under `schema`; rules learn from all of its training rows when it is run."
        raise InputError(f"{words} would do nothing to a recipe", hint=hint)
    if words:
        hint = "Write one for the file (`lathe new`), and check that; columns stand in data.fields."
        raise InputError(f"{words} would do nothing without a recipe", hint=hint)


def new(args: argparse.Namespace, screen: Screen) -> Exit:
    """Writes a recipe for files of rows, or from a configuration of another trainer."""
    from lathe.data.new import name_of, proposal
    from lathe.hub import is_dataset
    from lathe.storage import commit_text

    if away := [str(one) for one in args.files if is_dataset(str(one))]:
        raise InputError(
            f"{away[0]} is a data set of the Hub; a recipe is written from rows that are here",
            hint=f"lathe check {typed(away[0])} says how its rows are read; your recipe names it: data: {{source: {away[0]}}}",
        )
    adopted = _adopted(args)
    stem = f"{name_of(args.files[0])}{'-lathe' if adopted else ''}"
    path: Path = args.out if args.out is not None else Path(f"{stem}.yaml")
    if path.exists():
        raise InputError(f"{path} is there already", hint="Name another file with --out, or move that one away.")
    if adopted:
        commit_text(path, adopted.text)
        show_adopted(screen, path, adopted)
        return Exit.DONE
    proposed = proposal(args.files, path.parent, name_of(path))
    commit_text(path, proposed.text)
    if screen.as_json:
        said = {"task": proposed.task, "why": proposed.why, "remarks": list(proposed.remarks)}
        screen.document({"recipe": str(path)} | said)
    else:
        screen.line(f"  recipe  {path}")
        screen.line(f"  task    {proposed.task}: {proposed.why}")
        for remark in proposed.remarks:
            screen.line(f"  note    {remark}")
        screen.say(f"  next    lathe run {typed(path)} --smoke")
    return Exit.DONE


def _adopted(args: argparse.Namespace) -> Adopted | None:
    """Another trainer's configuration, understood; None where the files are rows."""
    from lathe.plan import configuration, foreign

    if len(args.files) != 1 or not foreign.is_foreign(args.files[0]):
        if args.rows is not None or args.config is not None:
            raise InputError("--rows and --config go with one configuration of another trainer")
        return None
    config = configuration.read(args.config) if args.config is not None else None
    recipe_folder = args.out.parent if args.out is not None else Path()
    return foreign.adopt(args.files[0], args.rows, config, recipe_folder)


def is_recipe(name: str) -> bool:
    """Whether a word names a recipe or a run, and not a file or folder of rows nor a data set of the Hub."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or (path / "recipe.yaml").is_file():
        return True
    return not path.exists() and not path.suffix and ":" not in name


# ------------------------------------------------------------------------------------------ showing


def show_adopted(screen: Screen, path: Path, adopted: Adopted) -> None:
    """What a configuration of another trainer says, what is wrong with it, and what was left out."""
    told = adopted.told
    if screen.as_json:
        screen.document(
            {
                "recipe": str(path),
                "tool": told.tool,
                "facts": dict(adopted.facts),
                "findings": [one.dump() for one in adopted.findings],
                "ignored": dict(told.without_effect),
                "unknown": list(told.unknown),
            }
        )
        return
    screen.line(f"  {told.tool}", "bold")
    rows = [[name.replace("_", " "), f"{value:,}"] for name, value in adopted.facts.items() if value is not None]
    screen.table(["as it is written", ""], rows, right={1})
    for one in adopted.findings:
        screen.line(f"  {one.id}: {one}", "yellow")
    if told.without_effect:
        screen.line(f"  without effect here: {', '.join(told.without_effect)}", "dim")
    if told.unknown:
        screen.line(f"  not known here, left out: {', '.join(told.unknown)}", "yellow")
    screen.line(f"  recipe  {path}")
    screen.say(f"  next    look at task and data in it, then: lathe plan {typed(path)}")


def show_report(screen: Screen, report: CheckReport) -> None:
    """The headline, how the files were read, and every finding, gravest first."""
    from lathe.report import figures

    screen.line()
    screen.line(f"  {report.headline}", "bold")
    for file in report.files:
        if file.said:
            left = f", {file.left_out:,} left out" if file.left_out else ""
            screen.line(f"  {file.name}: {figures.counted(file.rows, 'row')}{left}, read as {file.said}", "dim")
    for finding in report.findings:
        screen.line()
        screen.line(f"  {finding.level}: {finding.message}", LEVEL_COLOUR.get(finding.level, ""))
        for example in finding.examples[:EXAMPLES]:
            screen.line(f"      {example}", "dim")
        if finding.hint:
            screen.line(f"      → {finding.hint}")
    if report.learnability is not None:
        show_rules(screen, report.learnability)
    if report.suspects:
        screen.line()
        screen.line("  labels that look wrong, worst first (all of them with --json)")
        for suspect in report.suspects[:SUSPECTS]:
            screen.line(
                f"      {suspect.place}: {suspect.given!r}, perhaps {suspect.likelier!r}: {suspect.text}", "dim"
            )
    for row in report.shown:
        show_mask(screen, row)
    for note in report.notes:
        screen.line(f"  {note}", "dim")


def show_doubts(screen: Screen, doubts: Doubts | None) -> None:
    """The training rows that the tuned model itself finds hardest, where it was asked."""
    if doubts is None:
        return
    screen.line()
    screen.line(f"  answers that the tuned model finds hard, of {doubts.rows:,} that it was trained on (nats a token)")
    for doubt in doubts.worst[:SUSPECTS]:
        given, text = (" ".join(said.split())[:SHOWN_CHARACTERS] for said in (doubt.given, doubt.text))
        screen.line(f"      {doubt.place}: {doubt.loss:.3f}: {given!r}: {text}", "dim")
    screen.line(
        f"      the row in the middle has {doubts.median:.3f}; all {len(doubts.worst)} with --json, and in the report",
        "dim",
    )


def show_rules(screen: Screen, learnability: Learnability) -> None:
    """How far each rule without a model gets."""
    screen.line()
    screen.line(f"  rules without a model, on rows that they did not see ({learnability.rows:,} rows)")
    rows = [
        [one.name, f"{one.exact:.1%}", f"{one.fields:.1%} of fields" if one.fields is not None else ""]
        for one in sorted(learnability.baselines, key=lambda one: (-one.exact, -(one.fields or 0)))
    ]
    screen.table(["", "right", ""], rows, right={1})


def show_mask(screen: Screen, row: MaskedRow) -> None:
    """A row token by token: what carries loss in green, with a bar after each token; the rest dim."""
    from rich.text import Text

    screen.line()
    screen.line(
        f"  {row.place}: {sum(token.supervised for token in row.tokens)} of {len(row.tokens)} tokens carry loss"
    )
    text = Text()
    for token in row.tokens:
        style = "green" if token.supervised else "dim"
        text.append(
            screen.safe(token.text) + ("│" if token.supervised else ""), f"bold {style}" if token.special else style
        )
    screen.console("out").print(text, soft_wrap=True)
