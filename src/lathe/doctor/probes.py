"""What the machine can do, tried: each probe does one real, tiny operation and says what it saw."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from lathe import gpus, plugins, processes
from lathe.contracts import Ability
from lathe.doctor import extras
from lathe.errors import LatheError
from lathe.records import Capability

INSTALL_TRAIN = "pip install 'lathe-slm[train]'"
CHILD_SECONDS = 120

TORCH_PROBE = """
import json, torch
x = torch.ones(64, 64, requires_grad=True)
(x @ x).sum().backward()
assert float(x.grad[0, 0]) == 128.0, "a gradient came out wrong"
said = {"version": torch.__version__, "threads": torch.get_num_threads(), "cuda": torch.version.cuda, "gpus": []}
if torch.cuda.is_available():
    for index in range(torch.cuda.device_count()):
        y = torch.ones(64, 64, device=f"cuda:{index}", requires_grad=True)
        (y @ y).sum().backward()
        assert float(y.grad[0, 0]) == 128.0, "a gradient came out wrong on the GPU"
        said["gpus"].append(torch.cuda.get_device_name(index))
print(json.dumps(said))
"""
CPP_PROBE = """
#include <cmath>
int main() { double sum = 0; for (int i = 0; i < 100; ++i) sum += std::sqrt(double(i)); return sum > 0 ? 0 : 1; }
"""


def torch(_: Path) -> Capability:
    """A product of matrices and its gradient, in a child process; on each GPU too."""
    if find_spec("torch") is None:
        return Capability(name="torch", ok=False, detail="not installed", remedy=INSTALL_TRAIN)
    try:
        done = subprocess.run(
            [sys.executable, "-c", TORCH_PROBE], capture_output=True, text=True, timeout=CHILD_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Capability(name="torch", ok=False, detail=f"no answer in {CHILD_SECONDS} s", remedy=INSTALL_TRAIN)
    if done.returncode != 0:
        last = done.stderr.strip().rsplit("\n", 1)[-1] or f"ended with code {done.returncode}"
        return Capability(name="torch", ok=False, detail=last[:200], remedy=f"Install it anew: {INSTALL_TRAIN}")
    said = json.loads(done.stdout.strip().rsplit("\n", 1)[-1])
    devices = ", ".join(said["gpus"]) or "CPU"
    threads = f"{said['threads']} thread{'s' if said['threads'] > 1 else ''}"
    return Capability(name="torch", ok=True, detail=f"{said['version']}, {threads}, gradient on {devices}")


def tokenizers(_: Path) -> Capability:
    """A tokenizer of two words, made and used."""
    try:
        from tokenizers import Tokenizer, models, pre_tokenizers
    except ImportError as error:
        return Capability(name="tokenizers", ok=False, detail=str(error), remedy="pip install tokenizers")
    tokenizer = Tokenizer(models.WordLevel({"one": 0, "two": 1, "?": 2}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    ids = tokenizer.encode("two one three").ids
    return Capability(name="tokenizers", ok=ids == [1, 0, 2], detail=f"encoded three words as {ids}")


def compiler(_: Path) -> Capability:
    """A C++ program, compiled with OpenMP and run: what makes training on a CPU 8 to 20 % faster."""
    name = processes.compiler()
    remedy = "Install a C++ compiler: apt install g++ (Debian, Ubuntu), xcode-select --install (macOS)"
    if name is None:
        detail = "no C++ compiler found: what lies between matrix products runs as torch's operations"
        return Capability(name="compiler", ok=False, detail=detail, remedy=remedy)
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "probe.cpp"), Path(folder, "probe")
        source.write_text(CPP_PROBE, encoding="utf-8")
        try:
            subprocess.run(
                [name, "-O1", "-fopenmp", str(source), "-o", str(program)], capture_output=True, timeout=30, check=True
            )
            subprocess.run([str(program)], timeout=10, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            return Capability(
                name="compiler", ok=False, detail=f"{name} did not compile a program: {error}", remedy=remedy
            )
    return Capability(name="compiler", ok=True, detail=f"{name} compiled a program with OpenMP, and it ran")


def disk(folder: Path) -> Capability:
    """A file written, made durable and renamed in the folder where runs will stand."""
    while not folder.exists():
        folder = folder.parent
    start = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".lathe-probe-") as inner:
            path = Path(inner, "probe")
            with open(path, "wb") as file:
                file.write(b"\0" * 65536)
                file.flush()
                os.fsync(file.fileno())
            os.replace(path, path.with_suffix(".done"))
    except OSError as error:
        remedy = "Free some space, or run in a folder that you may write to."
        return Capability(name="disk", ok=False, detail=f"{folder}: {error.strerror or error}", remedy=remedy)
    milliseconds = (time.perf_counter() - start) * 1000
    free = shutil.disk_usage(folder).free / 1e9
    return Capability(name="disk", ok=True, detail=f"a durable write takes {milliseconds:.0f} ms, {free:.1f} GB free")


def shell(_: Path) -> Capability:
    """A command parsed and judged."""
    if find_spec("tree_sitter") is None or find_spec("tree_sitter_bash") is None:
        remedy = "pip install 'lathe-slm[shell]'"
        return Capability(name="shell", ok=False, detail="needs tree-sitter, tree-sitter-bash", remedy=remedy)
    from lathe.shell.judge import judge

    ok = judge("rm -rf /").level == 4
    return Capability(
        name="shell", ok=ok, detail="commands are parsed and judged" if ok else "a command was judged wrong"
    )


def gpu(_: Path) -> Capability:
    """The driver's GPUs, and whether the torch that is here was built for what the driver serves."""
    cards = gpus.found()
    if not cards:
        return Capability(
            name="gpu", ok=False, detail="no NVIDIA GPU answers", remedy="Not needed: everything works on the CPU."
        )
    names = ", ".join(str(card["name"]) for card in cards)
    serves, built = gpus.driver_cuda(), gpus.torch_cuda()
    if built is None and find_spec("torch") is not None:
        remedy = "Install a build for CUDA: see https://pytorch.org/get-started"
        return Capability(name="gpu", ok=False, detail=f"{names}, but torch is a build for the CPU", remedy=remedy)
    if serves and built and not gpus.serves(serves, built):
        detail = f"{names}: the driver serves CUDA {serves}, torch was built for CUDA {built}"
        remedy = f"Update the driver, or install a torch for CUDA {serves.split('.')[0]}"
        return Capability(name="gpu", ok=False, detail=detail, remedy=remedy)
    return Capability(
        name="gpu", ok=True, detail=f"{names}; driver for CUDA {serves or 'unknown'}, torch for {built or 'none'}"
    )


def packages(_: Path) -> Capability:
    """Whether the packages of every trainer that is installed accept each other's versions."""
    from lathe.doctor import conflicts

    here = conflicts.installed()
    environments = {name: needs for name, needs in conflicts.TRAINERS.items() if needs[0] in here}
    for trainer, needs in environments.items():
        found = conflicts.conflicts(here, needs)
        if found:
            more = f"; and {len(found) - 1} more" if len(found) > 1 else ""
            remedy = "Give each trainer an environment of its own where their demands differ."
            return Capability(name="packages", ok=False, detail=f"{trainer}: {found[0]}{more}", remedy=remedy)
    names = ", ".join(environments) or "the core"
    return Capability(name="packages", ok=True, detail=f"no demands differ in the environment of {names}")


PROBES: dict[str, Callable[[Path], Capability]] = {
    "disk": disk,
    "tokenizers": tokenizers,
    "torch": torch,
    "compiler": compiler,
    "shell": shell,
    "gpu": gpu,
    "packages": packages,
    **extras.PROBES,
}
METHOD_NEEDS = {
    "lora": ("peft",), "full": (), "qlora": ("peft", "bitsandbytes", "accelerate"), "adamw8bit": ("bitsandbytes",)
}  # fmt: skip
"""Packages that a method or an optimiser needs beside torch."""
LEAF_KINDS: tuple[plugins.Kind, ...] = ("trainers", "runtimes", "exports")


def method(name: str) -> Capability:
    """Whether the packages of a training method or an optimiser are there."""
    missing = [package for package in ("torch", "transformers", *METHOD_NEEDS[name]) if find_spec(package) is None]
    if not missing:
        return Capability(name=name, ok=True, detail="its packages are there")
    remedy = "pip install 'lathe-slm[train,qlora]'" if "bitsandbytes" in missing else INSTALL_TRAIN
    return Capability(name=name, ok=False, detail=f"needs {', '.join(missing)}", remedy=remedy)


def leaf(kind: plugins.Kind, name: str) -> Capability:
    """What a trainer, runtime or exporter says about itself."""
    try:
        found = plugins.load(kind, name)
        ability = plugins.held(found, found.ability(), Ability)  # type: ignore[union-attr]
    except Exception as error:  # a leaf of another package may fail in any way
        said = error if isinstance(error, LatheError) else plugins.broken(error)
        if said is None:
            raise
        return Capability(name=name, ok=False, detail=said.message, remedy=said.hint)
    return Capability(name=name, ok=ability.ok, detail=ability.detail or "ready", remedy=ability.remedy)


def leaves() -> dict[str, plugins.Kind]:
    """Every trainer, runtime and exporter by name. One that is both trainer and runtime is looked at as trainer."""
    return {name: kind for kind in reversed(LEAF_KINDS) for name in plugins.names(kind)}
