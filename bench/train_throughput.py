"""One training step on the same examples: ours against TRL as it comes, TRL packed, and the plain Trainer of transformers.

    python bench/train_throughput.py                                   # lathe:edge_json, schema in the prompt, one thread
    python bench/train_throughput.py --rows train_v3.jsonl --schemas schemas \\
        --fields '{"input": "prompt", "target": "expected_output"}'    # EdgeJSON
    python bench/train_throughput.py --without-schema --threads 2
    python bench/train_throughput.py --all-weights                     # in place of adapters

SmolLM2-135M's shape with random weights, LoRA 16 on all linear layers or all weights, rows of up to 1,024 tokens. Each
measurement is a process of its own: two steps of the same examples, the optimiser included, of which the second is timed (the
plain Trainer takes one). They take turns, and what is measured already is not measured again, so an interrupted run goes on.
The rate of matrix products is measured in the same turns; the ceiling is the step's work (`lathe.plan.cost.operations`: no
padding, head at scored positions alone) at that rate. What lies between the fused step's products is compiled where there is a
compiler; "eager" is the same step in torch's operations. The fused step computes once what rows of a pack begin with alike, and
its ceiling counts it once; "whole" is the same step without that. All start from the same weights and see the same labels, so
their first losses say whether they do the same; the plain Trainer's differs, since it scores prompts too, padded to 1,024 tokens.

Needs the extra `trl`. Appends to bench/results/train_throughput.jsonl. With ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 in the
environment it measures what a processor of that instruction set would do.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import numpy as np

import gemm_ceiling
import recorded
from stock_steps import LONGEST, RANK, Told, Variant, Watch, method, plain, trl

NAME = "train_throughput"
SHAPE = {
    "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
    "num_key_value_heads": 3, "head_dim": 64, "max_position_embeddings": 8192, "tie_word_embeddings": True,
    "bos_token_id": None, "eos_token_id": 0, "pad_token_id": None,
}  # fmt: skip
PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate")


# ------------------------------------------------------------------------------------------ the batch


DRAWS = 200


def chosen(rows: Any, count: int) -> list[int]:
    """`count` rows that stand for all: one of each of as many equal shares of the lengths, so that tokens, tokens with loss and
    tokens computed (what rows share counted once) are near what a random step has of them. The best of some draws.
    """
    from lathe.records import TrainSpec
    from lathe.schedule.prefixes import computed, stretches
    from lathe.schedule.steps import course_of

    course = course_of(rows, TrainSpec(epochs=1, examples_per_step=count, token_budget=2**40), 0, shared=True)
    sums = np.array([course.num_tokens, rows.supervised_T.sum(), course.num_computed])
    shares = np.array_split(np.argsort(rows.lengths, kind="stable"), count)
    draw = np.random.default_rng(0)

    def off(picked: list[int]) -> float:
        once = computed(stretches(course.known.among(picked)))
        found = np.array([rows.lengths[picked].sum(), rows.supervised_lengths[picked].sum(), once])
        return float(np.abs(np.log(found / (sums * count / len(rows)))).max())

    return min(([int(draw.choice(share)) for share in shares] for _ in range(DRAWS)), key=off)


def prepare(folder: Path, asked: argparse.Namespace) -> Told:
    """Writes base/ and tokens.safetensors, and says what the batch is."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils import logging

    from lathe import plugins
    from lathe.files import schema_files
    from lathe.records import TaskSetup
    from lathe.resolve.base import bundled
    from lathe.text import tokenizer
    from lathe.text.tokens import TokenSet, tokenise

    task = plugins.load("tasks", "json_extraction")
    if asked.rows is None:
        corpus = plugins.load("corpora", "edge_json")
        rows, schemas, fields = list(corpus.rows(0, 600)), dict(corpus.schemas()), {}
    else:
        rows = [json.loads(line) for line in asked.rows.read_text(encoding="utf-8").splitlines() if line.strip()]
        schemas = {
            name: json.loads(path.read_text(encoding="utf-8")) for name, path in schema_files(asked.schemas).items()
        }
        fields = json.loads(asked.fields)
    setup = TaskSetup(schemas=schemas, fields=fields, schema_in_prompt=not asked.without_schema)
    nano = bundled("lathe:nano")
    every = tokenise(tokenizer.load(nano), [task.example(row, setup) for row in rows])
    fitting = [row for row in range(len(every)) if every.lengths[row] <= LONGEST]

    def some(picked: Sequence[int]) -> TokenSet:
        parts = [every.row(row) for row in picked]
        return TokenSet(
            ids_T=np.concatenate([part.ids for part in parts]),
            supervised_T=np.concatenate([part.supervised for part in parts]),
            offsets=np.concatenate([[0], np.cumsum([len(part.ids) for part in parts])]).astype(np.int64),
            example_ids=tuple(every.example_ids[row] for row in picked),
        )

    batch = some([fitting[place] for place in chosen(some(fitting), asked.examples)])
    batch.save(folder / "tokens.safetensors")
    base = folder / "base"
    logging.disable_progress_bar()
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **SHAPE)).to(torch.bfloat16).save_pretrained(base)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (base / name).write_bytes((nano / name).read_bytes())
    return {
        "rows": len(rows),
        "fitting": len(fitting),
        "mean_of_fitting": float(every.lengths[fitting].mean()),
        "tokens": len(batch.ids_T),
        "supervised": int(batch.supervised_T.sum()),
        "computed": course_of_step(batch, asked.token_budget, shared=True).num_computed,
    }


def course_of_step(tokens: Any, budget: int, shared: bool) -> Any:
    """The batch as the one step of a course."""
    from lathe.records import TrainSpec
    from lathe.schedule.steps import course_of

    spec = TrainSpec(epochs=1, examples_per_step=len(tokens), token_budget=budget)
    return course_of(tokens, spec, 0, shared=shared)


def work_of(folder: Path, budget: int, shared: bool, full: bool) -> Mapping[str, int]:
    """Floating-point operations of the step, at the head and elsewhere. shared: whether what rows begin with alike counts once."""
    from lathe.plan.architecture import shapes
    from lathe.plan.cost import operations
    from lathe.plan.parameters import count
    from lathe.text.tokens import TokenSet

    tokens = TokenSet.load(folder / "tokens.safetensors")
    model = shapes({"model_type": "llama", **SHAPE})
    once = np.ones(len(tokens), dtype=np.int64)
    spared = course_of_step(tokens, budget, shared).spared
    rows = tokens.lengths, tokens.supervised_lengths, once
    whole = operations(model, count(model, None if full else RANK), full, *rows, spared=spared)
    head = (6 if full else 4) * model.vocab * model.hidden * int(tokens.supervised_lengths.sum())
    return {"body": whole - head, "head": head}


# ------------------------------------------------------------------------------------------ what is measured


def ours(kind: str, precision: Literal["fp32", "bf16"], shared: bool = False) -> Variant:
    """Lathe's own step: fused or reference. shared: whether what rows begin with alike is computed once."""

    def run(folder: Path, budget: int, full: bool) -> Told:
        import torch

        from lathe.engine import model, step
        from lathe.engine.fused.choice import step_of
        from lathe.engine.optim import adamw, clip_global_norm
        from lathe.engine.packs import build_pack
        from lathe.text.tokens import TokenSet

        tokens = TokenSet.load(folder / "tokens.safetensors")
        step.register_attention()
        storage = torch.bfloat16 if precision == "bf16" and not full else torch.float32
        net = model.attach(model.load_base(folder / "base", dtype=storage, attention=step.ATTENTION), method(full), 0)
        optimizer = adamw(model.trainable(net).items(), 1e-4)
        supervised = int(tokens.supervised_lengths.sum())
        take = step_of(net, kind, precision)
        losses, watch = [], Watch()
        for _ in range(2):
            watch.start()
            laid = course_of_step(tokens, budget, shared).packs(0)
            packs = [build_pack([tokens.row(row) for row in rows], shared=shared) for rows in laid]
            losses.append(take(packs, supervised))
            clip_global_norm(model.trainable(net).values(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            watch.stop()
        computed = sum(pack.bounds[-1] for pack in packs)
        return {"cpu": watch.cpu, "wall": watch.wall, "loss": losses[0], "computed": computed}

    return run


def products(_: Path, __: int, ___: bool) -> Told:
    """Operations a CPU second of plain matrix products, by part and number format."""
    return {"rates": gemm_ceiling.rates(), "cpu": 0.0, "wall": 0.0, "loss": 0.0}


VARIANTS: Mapping[str, Variant] = {
    "products": products,
    "fused bf16": ours("fused", "bf16", shared=True),
    "fused bf16 whole": ours("fused", "bf16"),
    "fused bf16 eager": ours("fused, eager", "bf16", shared=True),
    "fused fp32": ours("fused", "fp32", shared=True),
    "fused fp32 whole": ours("fused", "fp32"),
    "reference bf16": ours("reference", "bf16"),
    "reference fp32": ours("reference", "fp32"),
    "trl default": trl(None),
    "trl packed 1024": trl(1024),
    "trl packed 2048": trl(2048),
    "trl fp32": trl(None, bf16=False),
    "trl fp32 packed 1024": trl(1024, bf16=False),
    "trainer padded": plain,
}
ONCE = ("trainer padded",)
SHARING = ("fused bf16", "fused bf16 eager", "fused fp32")
STOCK = ("trl packed 1024", "trl packed 2048", "trl fp32 packed 1024")


def child(name: str, folder: Path, threads: int, budget: int, full: bool) -> None:
    """Measures one variant in this process and prints what it found as the last line."""
    import torch
    from transformers.utils import logging

    from lathe.engine.devices import peak_bytes

    logging.set_verbosity_error()
    torch.set_num_threads(threads)
    found = VARIANTS[name](folder, budget, full)
    print(json.dumps(found | {"peak_bytes": peak_bytes(torch.device("cpu"))}))


# ------------------------------------------------------------------------------------------ turns and table


def engine() -> str:
    """Digest of the engine's sources: its turns, and those of others beside it, are of one engine."""
    folder = Path(str(files("lathe"))) / "engine"
    sources = sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".cpp", ".h"))
    return sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:16]


def key_of(asked: argparse.Namespace, batch: Told) -> Told:
    """What a measurement must share with another to stand in one table."""
    from lathe.doctor.machine import cpu_model

    return {
        "threads": asked.threads,
        "schema": not asked.without_schema,
        **({"all weights": True} if asked.all_weights else {}),
        "source": asked.rows.name if asked.rows else "lathe:edge_json",
        "tokens": batch["tokens"],
        "supervised": batch["supervised"],
        "computed": batch["computed"],
        "budget": asked.token_budget,
        "caps": gemm_ceiling.caps(),
        "engine": engine(),
        "versions": {name: version(name) for name in PACKAGES},
        "machine": cpu_model(),
    }


def take_turns(asked: argparse.Namespace, folder: Path, key: Told) -> None:
    """Measures what is not recorded yet; the order changes from turn to turn."""
    names = [name for name in VARIANTS if name in asked.only]
    for turn in range(asked.repetitions):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            if name in ONCE and turn:
                continue
            if any(
                line["key"] == key and (line["variant"], line["turn"]) == (name, turn) for line in recorded.kept(NAME)
            ):
                continue
            words = ["--child", name, "--folder", str(folder), "--threads", str(asked.threads)]
            words += ["--token-budget", str(asked.token_budget), *(["--all-weights"] if asked.all_weights else [])]
            done = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=False)
            if done.returncode:
                print(
                    f"  {name}: failed: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}"
                )
                continue
            found = json.loads(done.stdout.strip().splitlines()[-1])
            recorded.keep(NAME, {"key": key, "variant": name, "turn": turn, **found})
            print(
                f"  turn {turn + 1}: {name}: {found['cpu']:.1f} CPU s, {found['wall']:.1f} s, loss {found['loss']:.6f}",
                flush=True,
            )


def show(lines: Sequence[Told], batch: Told, work: Mapping[bool, Mapping[str, int]]) -> None:
    """Medians with their spread, and how many times faster than each of TRL's ways. work: shared stretches counted once or not."""
    by_name = {name: [line for line in lines if line["variant"] == name] for name in VARIANTS}
    by_name = {name: found for name, found in by_name.items() if found}
    cpu = {name: statistics.median(line["cpu"] for line in found) for name, found in by_name.items()}
    wall = {name: statistics.median(line["wall"] for line in found) for name, found in by_name.items()}
    rates: Told = {}
    for line in by_name.get("products", ()):
        for what, rate in line["rates"].items():
            rates[what] = max(rate, rates.get(what, 0.0))
    if rates:
        print("  products: " + ", ".join(f"{what} {rate / 1e9:.0f} GFLOP/s" for what, rate in rates.items()))
    print(f"  {'':17} {'tokens/CPU s':>12} {'CPU s (spread)':>22} {'tokens/s':>9} {'peak':>8} {'loss':>10}  of ceiling")
    for name, found in by_name.items():
        if name == "products":
            continue
        times = [line["cpu"] for line in found]
        spread = f"{cpu[name]:.2f} ({min(times):.2f} to {max(times):.2f})"
        peak = statistics.median(line["peak_bytes"] for line in found) / 1e9
        precision = "fp32" if "fp32" in name or name in ONCE else "bf16"
        parts = work[name in SHARING]
        ceiling = sum(parts[part] / rates[f"{part} {precision}"] for part in parts) if rates else float("nan")
        computed = found[0].get("computed", batch["tokens"])
        print(
            f"  {name:17} {batch['tokens'] / cpu[name]:12,.0f} {spread:>22} {batch['tokens'] / wall[name]:9,.0f} {peak:5.1f} GB "
            f"{found[0]['loss']:10.6f}  {ceiling / cpu[name]:.2f} ({precision})"
            + (f", {computed:,} tokens computed" if computed < batch["tokens"] else "")
        )
    stock = [name for name in STOCK if name in cpu]
    best = min(stock, key=cpu.__getitem__, default=None)
    for name in SHARING:
        if name in cpu and f"{name} whole" in cpu:
            print(f"  {name} is {cpu[f'{name} whole'] / cpu[name]:.2f} x as fast as {name} whole by CPU time")
        for other in ("trl default", "trl fp32", best):
            if name in cpu and other in cpu:
                print(
                    f"  {name} is {cpu[other] / cpu[name]:.1f} x as fast as {other} by CPU time, "
                    f"{wall[other] / wall[name]:.1f} x by wall time"
                )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--rows", type=Path, default=None, help="JSON lines with a schema_id; lathe:edge_json without it"
    )
    parser.add_argument("--schemas", type=Path, default=None)
    parser.add_argument("--fields", default="{}", help="columns by the task's names, as JSON")
    parser.add_argument("--without-schema", action="store_true")
    parser.add_argument("--all-weights", action="store_true", help="are trained, and not LoRA 16")
    parser.add_argument(
        "--examples", type=int, default=16, choices=range(8, 257, 8), metavar="N", help="a multiple of 8"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--token-budget", type=int, default=2048)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--only", nargs="+", default=list(VARIANTS), choices=list(VARIANTS), metavar="VARIANT")
    parser.add_argument("--child", default=None, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, default=None, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child is not None:
        child(asked.child, asked.folder, asked.threads, asked.token_budget, asked.all_weights)
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        batch = prepare(folder, asked)
        print(
            f"  {asked.examples} of {batch['fitting']} rows up to {LONGEST} tokens ({batch['rows']} in all), "
            f"{batch['tokens'] / asked.examples:.0f} a row (all: {batch['mean_of_fitting']:.0f}): {batch['tokens']:,} tokens, "
            f"{batch['supervised']:,} supervised, {batch['computed']:,} computed where what they share counts once"
        )
        key = key_of(asked, batch)
        take_turns(asked, folder, key)
        work = {shared: work_of(folder, asked.token_budget, shared, asked.all_weights) for shared in (False, True)}
        show([line for line in recorded.kept(NAME) if line["key"] == key], batch, work)
    return 0


if __name__ == "__main__":
    sys.exit(main())
