"""The verb `plan`: a recipe here and on other machines, what fits, and what a bare configuration tells."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lathe.cli import tables, verbs
from lathe.cli.show import Screen
from lathe.errors import Exit, InputError

if TYPE_CHECKING:
    from lathe.pipeline import Run
    from lathe.plan.fit import Fitted
    from lathe.records import MachineForecast, Plan


def plan(args: argparse.Namespace, screen: Screen) -> Exit:
    """The plan of a recipe, or with --config the parameters of a model."""
    if args.config is not None:
        return _plan_of_config(args, screen)
    if args.recipe is None:
        raise InputError("lathe plan needs a recipe or --config", hint="Try: lathe plan demo")
    catalogue, names = _machines(args.on)
    run = verbs.start(args, screen)
    record = _planned(run, screen)
    there: tuple[MachineForecast, ...] = ()
    fitted: dict[str, Fitted | None] = {}
    if names or args.fit:
        from lathe.plan import fit, machines, stage

        config = stage.read_config(Path(run.locked.base_folder))
        there = machines.elsewhere(run.locked, config, record, catalogue, names) if names else ()
        if args.fit:
            fitted["cpu"] = fit.fit(run.locked, config, record, record.free_bytes)
            for one in there:
                if one.machine != machines.CPU:
                    fitted[one.machine] = fit.fit(run.locked, config, record, one.memory_bytes, "cuda")
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


def _planned(run: Run, screen: Screen) -> Plan:
    """The plan, and the rows that it is about; nobody needs torch for it, so nobody tries whether torch works."""
    progress = screen.listener(brief=True)
    with run.folder.lock():
        run.prepare(progress)
        return run.plan(progress)


def _machines(asked: str | None) -> tuple[Any, tuple[str, ...]]:
    """The catalogue and the names that were asked for, before anything is read or written."""
    if asked is None:
        return None, ()
    from lathe.plan import machines

    catalogue = machines.read()
    return catalogue, machines.chosen(catalogue, asked.split(","))


def _plan_of_config(args: argparse.Namespace, screen: Screen) -> Exit:
    from lathe.plan import configuration
    from lathe.plan.parameters import Adapter

    adapter = None
    if args.lora_rank is not None:
        targets = tuple(args.lora_targets.split(",")) if args.lora_targets else "all-linear"
        saved = tuple(args.modules_to_save.split(",")) if args.modules_to_save else ()
        adapter = Adapter(args.lora_rank, targets, args.dora, saved)
    elif args.lora_targets or args.dora or args.modules_to_save:
        raise InputError("adapters need a rank", hint="Add --lora-rank, such as --lora-rank 16.")
    said = configuration.look(configuration.read(args.config), adapter, args.padded, args.precision)
    if screen.as_json:
        screen.document(said)
    else:
        tables.bare(screen, said)
    return Exit.DONE


def probe(screen: Screen) -> Exit:
    """How fast this machine multiplies matrices, remembered for plans."""
    from lathe.plan import rates

    screen.say("  probing: some 10 s of matrix products")
    found = rates.probe()
    if screen.as_json:
        screen.document(found)
    else:
        tables.probe(screen, found)
    return Exit.DONE
