"""What a run would need on machines that are not this one: from the catalogue, so marked and with wide intervals.

    elsewhere(recipe, config, plan, catalogue, ("rtx4090-24gb",), here)  ->  (MachineForecast("rtx4090-24gb", fits=True, ...),)

The catalogue is assets/machines.yaml; entries of ~/.config/lathe/machines.yaml replace those of the same name. Training only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from lathe.errors import InputError, did_you_mean
from lathe.plan import cost, memory
from lathe.plan.architecture import shapes
from lathe.plan.fit import as_planned, shares
from lathe.plan.parameters import count
from lathe.records import Interval, MachineForecast, Plan, Recipe, Written

SHIPPED = Path(__file__).parents[1] / "assets" / "machines.yaml"
FORM = f"Its form is that of {SHIPPED}."
CPU = "cpu"
CPU_WATTS = 65.0
"""An assumption for a processor at full load."""


class Listed(Written):
    """One machine of the catalogue; rates in 10^12 operations a second."""

    memory_mib: int = Field(gt=0)
    bf16: float = Field(gt=0)
    fp32: float = Field(gt=0)
    price: float = Field(0.0, ge=0, description="currency units an hour; 0 = your own, electricity counts")
    watts: float = Field(gt=0)

    @property
    def rates(self) -> dict[str, float]:
        """Operations a second by precision."""
        return {"bf16": 1e12 * self.bf16, "fp32": 1e12 * self.fp32}


class Processor(Written):
    """A core of one kind of processor: what training steps reached, in 10^12 operations a second."""

    fp32: float = Field(gt=0)
    bf16: float | None = Field(None, gt=0, description="None = not measured")

    @property
    def rates(self) -> dict[str, float]:
        """Operations a second by precision."""
        return {name: 1e12 * rate for name, rate in self if rate is not None}


class Catalogue(Written):
    """All machines and kinds of processor, and the date of their prices."""

    prices_of: str
    currency: str = "USD"
    electricity: float = Field(ge=0, description="currency units a kWh")
    machines: dict[str, Listed]
    processors: dict[str, Processor] = Field(
        description="by the part of the processor that multiplies, as Linux names it"
    )

    def core_rates(self, flags: Collection[str]) -> Mapping[str, float]:
        """Of a core of a processor with these flags, in operations a second by precision: of those listed the last that it has.
        Empty where it has none."""
        known = [processor for name, processor in self.processors.items() if name in flags]
        return known[-1].rates if known else {}

    def gpu_rates(self, name: str) -> Mapping[str, float]:
        """Of a GPU, in operations a second by precision. Empty where it is not listed."""
        known = self.gpu(name)
        return known.rates if known else {}

    def gpu(self, name: str) -> Listed | None:
        """The entry of a GPU by its driver's name: `NVIDIA GeForce RTX 4090` is rtx4090-24gb, and no laptop's. Of several sizes
        any: they are as fast."""
        said = set(re.split(r"[^a-z0-9]+", re.sub(r"rtx (?=\d)", "rtx", name.casefold())))
        if "laptop" in said:
            return None
        return next((one for key, one in self.machines.items() if key.partition("-")[0] in said), None)


def own_file() -> Path:
    """A person's own entries and prices."""
    folder = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(folder) / "lathe" / "machines.yaml"


def read(own: Path | None = None) -> Catalogue:
    """The shipped catalogue with a person's own entries over it. Raises InputError where the own file is damaged."""
    shipped = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    shipped["prices_of"] = str(shipped["prices_of"])
    path = own or own_file()
    if not path.is_file():
        return Catalogue.model_validate(shipped)
    try:
        mine = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        lists = {name: {**shipped[name], **(mine.get(name) or {})} for name in ("machines", "processors")}
        merged = {**shipped, **mine, **lists}
        return Catalogue.model_validate({**merged, "prices_of": str(merged["prices_of"])})
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise InputError(f"{path} is no catalogue of machines: {'; '.join(faults)}", hint=FORM) from error
    except (AttributeError, TypeError) as error:
        raise InputError(f"{path} is no catalogue of machines: it names no machines by key", hint=FORM) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path} is no catalogue of machines: {error}", hint=FORM) from error


def chosen(catalogue: Catalogue, asked: Sequence[str]) -> tuple[str, ...]:
    """Names of the catalogue: `a100-80gb` is one, `a100` every size of it, `all` every one and `cpu`, this machine.

    Raises InputError, with the nearest name, on others.
    """
    known = (*catalogue.machines, CPU)
    names: list[str] = []
    for name in asked:
        found = [one for one in known if name in ("all", one) or one.startswith(f"{name}-")]
        if not found:
            raise InputError(f"the catalogue knows no machine {name!r}", hint=did_you_mean(name, (*known, "all")))
        names += found
    return tuple(dict.fromkeys(names))


def here(plan: Plan) -> str:
    """What this machine is called beside those of the catalogue."""
    return plan.gpu or CPU


def elsewhere(
    recipe: Recipe, config: Mapping[str, Any], plan: Plan, catalogue: Catalogue, names: Sequence[str]
) -> tuple[MachineForecast, ...]:
    """The forecasts of a planned run on machines of the catalogue; `cpu` is this machine, by its GPU where it has one. Pure."""
    if not plan.operations:
        raise InputError("the plan of this run was made by an older Lathe", hint="Plan anew: add --new.")
    return tuple(
        _here(plan, catalogue) if name == CPU else _there(name, recipe, config, plan, catalogue) for name in names
    )


def _here(plan: Plan, catalogue: Catalogue) -> MachineForecast:
    known = catalogue.gpu(plan.gpu) if plan.gpu else None
    watts = CPU_WATTS if plan.gpu is None else known.watts if known else None
    kwh = None if watts is None else _energy(plan.train_seconds, watts)
    price = f"electricity at {catalogue.electricity:g} {catalogue.currency} a kWh"
    return MachineForecast(
        machine=here(plan),
        fits=plan.fits(),
        memory_bytes=plan.free_bytes,
        memory=plan.memory,
        peak_bytes=plan.peak_bytes,
        precision=plan.precision,
        seconds=plan.train_seconds,
        rate_source=plan.rate_source,
        kwh=kwh,
        money=_times(kwh, catalogue.electricity),
        money_source="" if watts is None else f"{price} and {watts:g} W, assumed",
        currency=catalogue.currency,
    )


def _there(name: str, recipe: Recipe, config: Mapping[str, Any], plan: Plan, catalogue: Catalogue) -> MachineForecast:
    machine = catalogue.machines[name]
    model = shapes(config)
    setting = as_planned(recipe, plan, elsewhere=True)
    precision = setting.precision
    counted = count(model, None if setting.full else setting.rank, setting.targets)
    terms = memory.training(model, counted, setting)
    peak = memory.peak(terms, setting)
    work = plan.operations
    if shares(plan):  # the step of a GPU computes all tokens of the rows
        work = work * plan.schedule.num_tokens // (plan.schedule.num_computed or 1)
    seconds = cost.on_gpu(work, machine.rates[precision], plan.schedule.num_packs * model.num_layers)
    kwh = _energy(seconds, machine.watts)
    if machine.price:
        money = _times(seconds, machine.price / 3600)
        source = f"{machine.price:g} {catalogue.currency} an hour, a list price assumed as of {catalogue.prices_of}"
    else:
        money = _times(kwh, catalogue.electricity)
        source = f"electricity at {catalogue.electricity:g} {catalogue.currency} a kWh, assumed"
    return MachineForecast(
        machine=name,
        fits=peak.high <= machine.memory_mib << 20,
        memory_bytes=machine.memory_mib << 20,
        memory=terms,
        peak_bytes=peak,
        precision=precision,
        seconds=seconds,
        rate_source="catalogue",
        kwh=kwh,
        money=money,
        money_source=source,
        currency=catalogue.currency,
    )


def _energy(seconds: Interval | None, watts: float) -> Interval | None:
    return _times(seconds, watts / 3.6e6)


def _times(interval: Interval | None, factor: float) -> Interval | None:
    if interval is None:
        return None
    return Interval(low=interval.low * factor, value=interval.value * factor, high=interval.high * factor)
