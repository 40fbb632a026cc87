"""The verb `plan`: a recipe here and on other machines, what fits, and what a bare configuration tells."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lathe.cli import tables, verbs
from lathe.cli.progress import listen
from lathe.cli.show import Screen
from lathe.errors import Exit, InputError
from lathe.garbage import left_at_exit, seldom_collected

if TYPE_CHECKING:
    from lathe.pipeline import Run
    from lathe.plan.fit import Fitted
    from lathe.records import MachineForecast, Plan
    from lathe.records.teacher import TeachForecast


@seldom_collected()
def plan(args: argparse.Namespace, screen: Screen) -> Exit:
    """The plan of a recipe, or with --config the parameters of a model."""
    left_at_exit()
    _refuse_mixed(args)
    if args.config is not None:
        return _plan_of_config(args, screen)
    if args.recipe is None:
        raise InputError("lathe plan needs a recipe or --config", hint="Try: lathe plan demo")
    from lathe.workers import kept_ready

    with kept_ready("lathe.data.preparing.understander", "lathe.text.encoding_beside"):
        return _plan_of_recipe(args, screen)


def _plan_of_recipe(args: argparse.Namespace, screen: Screen) -> Exit:
    catalogue, names = _machines(args.on)
    run = verbs.start(args, screen, weights=False)
    forecast = run.teaching()
    if forecast is not None:
        return _plan_of_teaching(run, forecast, screen)
    record = _planned(run, screen)
    there: tuple[MachineForecast, ...] = ()
    fitted: dict[str, Fitted | None] = {}
    if names or args.fit:
        from lathe.plan import fit, machines, stage

        config = stage.read_config(Path(run.locked.base_folder))
        there = machines.elsewhere(run.locked.recipe, config, record, catalogue, names) if names else ()
        if args.fit:
            fitted[machines.here(record)] = fit.fit(run.locked.recipe, config, record, record.free_bytes)
            for one in there:
                if one.machine != machines.here(record):
                    fitted[one.machine] = fit.fit(run.locked.recipe, config, record, one.memory_bytes, elsewhere=True)
    if screen.as_json:
        told: dict[str, Any] = {"run": str(run.folder.path), "fits": record.fits(), "plan": record.dump()}
        if names:
            told["machines"] = [one.dump() for one in there]
        if args.fit:
            told["fit"] = {name: found and found.dump() for name, found in fitted.items()}
        screen.document(told)
    else:
        tables.plan(screen, record)
        if there:
            tables.machines(screen, there)
        if args.fit:
            tables.fitted(screen, fitted)
    fits = any(one.fits for one in there) if names else record.fits()
    return Exit.DONE if fits else Exit.NO


OF_A_RECIPE = ("recipe", "sets", "new", "smoke", "on", "fit")
OF_A_CONFIG = ("lora_rank", "lora_targets", "dora", "modules_to_save", "padded", "precision")


def _refuse_mixed(args: argparse.Namespace) -> None:
    """Raises InputError on words of the other kind of plan, which nothing would come of."""
    of_config = args.config is not None
    words = ", ".join(verbs.given(args, OF_A_RECIPE if of_config else OF_A_CONFIG))
    if words:
        if of_config:
            raise InputError(
                f"--config counts a model by itself, and {words} would do nothing",
                hint="Leave out --config to plan a recipe.",
            )
        raise InputError(
            f"without --config, {words} would do nothing", hint="A recipe says its own: method.rank, method.targets."
        )
    if args.precision and not args.padded:
        raise InputError("--precision goes with --padded", hint="Add --padded, such as --padded 8x2048.")


def _plan_of_teaching(run: Run, forecast: TeachForecast, screen: Screen) -> Exit:
    """What the rows may cost that are to be asked for; the rest can be planned once they are there."""
    if screen.as_json:
        screen.document(
            {"run": str(run.folder.path), "fits": forecast.affordable(), "teacher": forecast.dump(), "plan": None}
        )
    else:
        tables.teaching(screen, forecast)
    return Exit.DONE if forecast.affordable() else Exit.NO


def _planned(run: Run, screen: Screen) -> Plan:
    """The plan, and the rows that it is about; nobody needs torch for it, so nobody tries whether torch works."""
    progress = listen(screen, brief=True)
    with run.folder.lock():
        run.prepare(progress)
        return run.plan(progress, anew=True)


def _machines(asked: tuple[str, ...] | None) -> tuple[Any, tuple[str, ...]]:
    """The catalogue and the names that were asked for, before anything is read or written."""
    if asked is None:
        return None, ()
    from lathe.plan import machines

    catalogue = machines.read()
    return catalogue, machines.chosen(catalogue, asked)


def _plan_of_config(args: argparse.Namespace, screen: Screen) -> Exit:
    from lathe.plan import configuration, remote
    from lathe.plan.parameters import Adapter

    adapter = None
    if args.lora_rank is not None:
        targets = args.lora_targets or "all-linear"
        adapter = Adapter(args.lora_rank, targets, args.dora, args.modules_to_save or ())
    elif args.lora_targets or args.dora or args.modules_to_save:
        raise InputError("adapters need a rank", hint="Add --lora-rank, such as --lora-rank 16.")
    name = args.config
    remotely = remote.is_name(name)
    config = remote.config(name) if remotely else configuration.read(Path(name))
    said = configuration.look(config, adapter, args.padded, args.precision or "bf16")
    if remotely:
        said["stored"] = remote.stored(name).dump()
    if screen.as_json:
        screen.document(said)
    else:
        tables.bare(screen, said)
    return Exit.DONE


def export_config(args: argparse.Namespace, screen: Screen) -> Exit:
    """A recipe as another trainer's configuration, with the prepared rows beside it."""
    from lathe.plan import foreign
    from lathe.records import Example
    from lathe.storage import commit_text, read_rows

    path = _free_place(args)
    run = verbs.start(args, screen, weights=False)
    record = _planned(run, screen)
    recipe, folder = run.locked.recipe, path.parent
    if not run.locked.base_revision:
        recipe = recipe.model_copy(update={"base": run.locked.base_folder})
    sides = {side: read_rows(run.folder.rows(side), Example) for side in ("train", "validation")}
    files = {side: f"{side}.jsonl" for side, rows in sides.items() if rows}
    for rows in sides.values():
        foreign.refuse_answered(rows, args.to)
    made = foreign.exported(recipe, record, args.to, files["train"], files.get("validation"))
    for side, name in files.items():
        lines = [json.dumps(foreign.row(example, args.to), ensure_ascii=False) for example in sides[side]]
        commit_text(folder / name, "\n".join(lines) + "\n")
    commit_text(path, made.text)
    if screen.as_json:
        written = [str(path), *(str(folder / name) for name in files.values())]
        screen.document({"configuration": str(path), "files": written, "without": dict(made.without)})
    else:
        tables.exported(screen, path, [f"{len(sides[side]):,} rows in {name}" for side, name in files.items()], made)
    return Exit.DONE


def _free_place(args: argparse.Namespace) -> Path:
    """The configuration that is to be written. Raises RecipeError and InputError before a run is made for nothing."""
    from lathe.pipeline.opening import meant
    from lathe.plan.foreign import refuse_unsayable

    recipe = meant(args.recipe, tuple(args.sets))
    refuse_unsayable(recipe, args.to)
    path = (args.out or Path(f"{recipe.name}-{args.to}")) / f"{args.to}.yaml"
    if path.exists():
        raise InputError(f"{path} is there already", hint="Name another folder with --out, or move that one away.")
    return Path(path)
