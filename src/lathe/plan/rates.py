"""What this machine has reached: operations a second, by kind of job, kept beside the user's other state.

    $XDG_STATE_HOME/lathe/rates.json     (~/.local/state/lathe/rates.json)
    {"schema_version": 4, "rates": {"3f9c...": [2.1e10, 2.0e10]}, "answers": {"77ab...": [882.0]}}
    answers: tokens written a second; gpu_rates, gpu_answers: the same where a GPU computed

    $XDG_STATE_HOME/lathe/probe.json     what `lathe doctor --probe` measured: a MachineProbe

A file that is missing, damaged or of another version is no error: the next run writes it anew. A version ends with the engine whose
speed it tells of. This is the shell of planning; nothing is decided here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from lathe.errors import Unavailable
from lathe.plan import fused_attention, fused_step, pack_work
from lathe.plan.architecture import Shapes, shapes
from lathe.plan.compiled_products import compiles
from lathe.plan.parameters import count
from lathe.plan.setting import Device
from lathe.processes import compiler
from lathe.records import MachineProbe, Parameters, StepRate
from lathe.schedule.prefixes import Stretch
from lathe.storage import commit_text, committed

VERSION = 4
PROBE = (sys.executable, "-m", "lathe.engine.probe")
PROBE_SECONDS = 180
LEAST_SECONDS = 1e-6
"""What a pack takes at least: where other work disturbed the probe, it can seem to have taken less than none."""
Measured = Literal["rates", "answers", "gpu_rates", "gpu_answers"]
"""What is remembered: rates of training, rates of answering."""
TRAINING: Mapping[Device, Measured] = {"cpu": "rates", "cuda": "gpu_rates"}
ANSWERING: Mapping[Device, Measured] = {"cpu": "answers", "cuda": "gpu_answers"}
MOST = 200
"""Kinds of job that are remembered; the oldest make room."""
OF_A_KIND = 5
"""Rates of one kind that are remembered: one run on a busy machine must not decide what the next ones are told."""


def file() -> Path:
    """Where the rates of this machine stand."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "lathe" / "rates.json"


def known(what: Measured = "rates") -> dict[str, tuple[float, ...]]:
    """Operations of training, or tokens of answers, a second, by kind of job, oldest first; empty where nothing was measured."""
    try:
        said = json.loads(file().read_text(encoding="utf-8"))
        rates = said[what] if said["schema_version"] == VERSION else {}
        found = {str(kind): tuple(float(rate) for rate in several) for kind, several in rates.items()}
        return {kind: several for kind, several in found.items() if several and min(several) > 0}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def keep(kind: str, rate: float, what: Measured = "rates") -> None:
    """Remembers what a job of that kind just reached. Raises StorageError where the file cannot be written."""
    sections = {section: known(section) for section in get_args(Measured)}
    several = (*sections[what].pop(kind, ()), rate)[-OF_A_KIND:]
    sections[what] = dict([*sections[what].items(), (kind, several)][-MOST:])
    commit_text(file(), json.dumps({"schema_version": VERSION, **sections}, indent=2) + "\n")


def computes_bf16() -> bool:
    """Whether this processor multiplies bf16 matrices in hardware (AVX512-BF16 or AMX), as the engine asks torch."""
    return not {"avx512_bf16", "amx_tile"}.isdisjoint(processor_flags())


def has_avx512() -> bool:
    """Whether this processor has those parts of AVX-512 for which torch asks oneDNN to multiply."""
    return {"avx512bw", "avx512dq", "avx512vl"}.issubset(processor_flags())


def has_tiles() -> bool:
    """Whether it multiplies bf16 in tiles (AMX)."""
    return "amx_tile" in processor_flags()


def processor_flags() -> list[str]:
    """As Linux has them in /proc/cpuinfo; elsewhere none."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            return next((line for line in file if line.startswith("flags")), "").split()
    except OSError:
        return []


def probe_file() -> Path:
    """Where the probe of this machine stands."""
    return file().with_name("probe.json")


def probed(device: Device = "cpu") -> MachineProbe | None:
    """What the probe of this machine found; None where it was not probed, or on another device."""
    try:
        found = MachineProbe.from_json(probe_file().read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None
    return found if (found.device == "cpu") == (device == "cpu") else None


def probe() -> MachineProbe:
    """Measures this machine's training steps in a child process, some 14 s, and remembers them.

    Raises Unavailable where torch is not there, or the child fails or gives no answer, StorageError where the file cannot be
    written.
    """
    if find_spec("torch") is None:
        hint = "pip install 'lathe-slm[train]'"
        raise Unavailable("the probe takes steps of training with torch, which is not installed", hint=hint)
    # Begun before anything is measured: a place that cannot be written is said at once.
    with committed(probe_file()) as file:
        found = _measured()
        file.write(found.to_json().encode())
    return found


def _measured() -> MachineProbe:
    said = _said(PROBE)
    busy = os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 0.0
    exchange = said["exchange_seconds"]
    return MachineProbe(
        device=said["device"],
        threads=said["threads"],
        helper_seconds=said["helper_seconds"],
        exchange_seconds=exchange,
        move_seconds=said["move_seconds"],
        busy=round(busy, 2),
        steps=tuple(_step_rates(said["steps"], said["rank"], exchange, said["helpers"])),
    )


def _said(command: Sequence[str]) -> dict[str, Any]:
    """What the child printed. Raises as `probe`."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        hint = "Something keeps the machine busy, or held the probe up: try again when it is idle."
        raise Unavailable(f"the probe gave no answer in {PROBE_SECONDS} s", hint=hint) from error
    if done.returncode != 0:
        last = done.stderr.strip().rsplit("\n", 1)[-1] or f"ended with code {done.returncode}"
        raise Unavailable(f"the probe did not end well: {last[:200]}", hint="Try: lathe doctor torch")
    try:
        said: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        raise Unavailable(f"the probe did not end well: {error}", hint="Try: lathe doctor torch") from error
    return said


def _step_rates(steps: Sequence[Mapping[str, Any]], rank: int, exchange: float, helpers: int) -> Iterator[StepRate]:
    """What timed steps say of each kind of work. Of those alike but in width and what they train the first has packs enough to
    tell what attention costs, which is the same for the others."""
    first: dict[tuple[str, str, int], StepRate] = {}
    for step in steps:
        kind = step["step"], step["precision"], step["threads"]
        found = _step_rate(step, rank, exchange, helpers, first.get(kind))
        first.setdefault(kind, found)
        yield found


def _step_rate(
    step: Mapping[str, Any], rank: int, exchange: float, helpers: int, alike: StepRate | None = None
) -> StepRate:
    """What a timed step says of each kind of work, by its layers. exchange: seconds of a number for each helper; helpers: those
    that a step of one thread was shared with; alike: a step whose attention costs the same, where packs are too few to tell."""
    model, full = shapes(step["config"]), step["full"]
    counted = count(model, None if full else rank)
    empty = step["seconds"]["empty"]
    exchanged = exchange * counted.trainable * helpers if step["threads"] == 1 else 0.0
    tiles = fused_attention.in_tiles(model, step["precision"], compiled=compiler() is not None, has_tiles=has_tiles())
    work = [_work(model, counted, step, tiles, pack) for pack in step["packs"].values()]
    took = [max(step["seconds"][name] - empty, LEAST_SECONDS) for name in step["packs"]]
    product, attention, group, pack = _of_each(np.concatenate(work), np.array(took), alike)
    return StepRate(
        step=step["step"],
        precision=step["precision"],
        full=full,
        threads=step["threads"],
        width=model.hidden,
        product_seconds=product,
        attention_seconds=attention,
        group_seconds=group,
        pack_seconds=pack,
        step_seconds=max(0.0, empty - exchanged) / model.num_layers,
    )


def _of_each(
    work: NDArray[np.float64], took: NDArray[np.float64], alike: StepRate | None
) -> tuple[float, float, float, float]:
    """Seconds of one of each kind of work."""
    if alike is None or len(work) >= len(pack_work.KINDS):
        product, attention, group, pack = pack_work.least(work, took).tolist()
        return product, attention, group, pack
    rest = took - work[:, 1:3] @ [alike.attention_seconds, alike.group_seconds]
    product, pack = pack_work.least(work[:, [0, 3]], np.maximum(rest, LEAST_SECONDS)).tolist()
    return product, alike.attention_seconds, alike.group_seconds, pack


def _work(
    model: Shapes,
    counted: Parameters,
    step: Mapping[str, Any],
    tiles: bool,
    pack: Mapping[str, Sequence[int]],
) -> NDArray[np.float64]:
    """The work of a pack whose rows share nothing. tiles: whether the fused step attends in them."""
    lengths, supervised = np.array(pack["lengths"]), np.array(pack["supervised"])
    stretches = [Stretch(0, length, -1, place, last=True) for place, length in enumerate(pack["lengths"])]
    laid = [(range(len(stretches)), stretches)]
    _, attention = fused_attention.of_packs(laid, lengths, supervised, model.num_layers - 1, tiles=tiles)
    known = attention if step["step"] == "fused" else None
    compiled = compiles(step["precision"], has_avx512=has_avx512(), has_tiles=has_tiles())
    rounded = fused_step.COMPILED if compiled else fused_step.PLAIN
    return pack_work.of_packs(model, counted, laid, supervised, known, steps=rounded, full=step["full"])
