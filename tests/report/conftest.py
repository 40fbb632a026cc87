# ruff: noqa: E501 - a record is read best on few lines
"""A run as it lies on disk when everything is done, built from records: 240 invoices, a third of the answers wrong."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lathe import records as r
from lathe.runs import RunFolder

Hostile = Callable[[str], str]
ITEMS = 240
METRICS = ("json_exact", "field_f1", "schema_valid")


def keep_text(path: Path, text: str) -> None:
    """Writes without waiting for the disk, as `runs` would: these folders live for one test."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def keep(path: Path, record: r.Record) -> None:
    keep_text(path, record.to_json())


def keep_rows(path: Path, rows: Sequence[r.Record]) -> None:
    keep_text(path, "".join(row.model_dump_json(by_alias=True) + "\n" for row in rows))


def hashed(text: str) -> str:
    return r.digest(text)


def wilson(k: int, n: int) -> tuple[float, float]:
    p, z = k / n, 1.96
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def proportion(metric: str, values: list[float]) -> r.Score:
    low, high = wilson(round(sum(values)), len(values))
    return r.Score(metric=metric, value=sum(values) / len(values), low=low, high=high, n=len(values), method="wilson")


def examples(hostile: Hostile, num_items: int) -> list[r.Example]:
    rng = random.Random(1)
    made = []
    for number in range(num_items):
        schema = ["invoice", "shipment", "booking", "meter_reading", "job_offer"][number % 5]
        target = {
            "customer": {"name": hostile(rng.choice(["Ada Brandt", "Jonas Weiß", "M. Okafor"])), "city": "Bonn"},
            "reference": f"R-{rng.randint(10000, 99999)}",
            "items": [{"text": "hinge", "count": rng.randint(1, 9)}, {"text": "bracket", "count": 4}],
            "total": round(rng.uniform(10, 900), 2),
            "paid": bool(number % 2),
        }
        document = hostile(
            f"Dear team, order {target['reference']} for {target['customer']} comes to {target['total']} EUR."
        )
        made.append(
            r.Example(
                id=f"row-{number:04d}",
                input=document,
                messages=(r.Message(role="user", content=document),),
                completion=json.dumps(target, ensure_ascii=False),
                target=target,
                meta={"schema": hostile(schema), "complexity": ["simple", "medium", "complex"][number % 3]},
            )
        )
    return made


def wrong_answer(example: r.Example, number: int, hostile: Hostile) -> tuple[str, str, str]:
    """Answer, reason and finish of one of five kinds of failure."""
    target = json.loads(example.completion)
    kind = number % 5
    if kind == 0:
        target["reference"] = target["reference"][:-1] + "7"
        target["customer"]["city"] = hostile("Born")
        return json.dumps(target, ensure_ascii=False), "value differs", "stop"
    if kind == 1:
        del target["items"][1]
        return json.dumps(target, ensure_ascii=False), "field missing", "stop"
    if kind == 2:
        return example.completion[:60], "no JSON", "length"
    if kind == 3:
        target["currency"] = hostile("EUR")
        target["paid"] = 1
        return json.dumps(target, ensure_ascii=False) + hostile(" Done."), "extra field", "stop"
    return hostile("I am sorry, I cannot read the order."), "no JSON", "stop"


def report_of(
    arm: str, items: list[r.Example], right: Callable[[int], bool], hostile: Hostile
) -> tuple[r.EvalReport, list[r.Prediction]]:
    scored, predictions = [], []
    for number, example in enumerate(items):
        ok = right(number)
        text, reason, finish = (example.completion, "", "stop") if ok else wrong_answer(example, number, hostile)
        values = {"json_exact": float(ok), "field_f1": 1.0 if ok else 0.6, "schema_valid": float(ok or number % 5 == 0)}
        scored.append(
            r.ItemScore(id=example.id, values=values, reason=hostile(reason) if reason else "", meta=example.meta)
        )
        predictions.append(r.Prediction(id=example.id, text=text, finish=finish, prompt_tokens=120, new_tokens=60))  # type: ignore[arg-type]
    scores = tuple(proportion(m, [float(i.values[m] or 0) for i in scored]) for m in METRICS)
    slices = {}
    for key in ("schema", "complexity"):
        values = sorted({item.meta[key] for item in scored})
        slices[key] = {
            v: (proportion("json_exact", [float(i.values["json_exact"] or 0) for i in scored if i.meta[key] == v]),)
            for v in values
        }
    report = r.EvalReport(
        inputs=hashed(arm), arm=arm, test_hash=hashed("test"), prompt_hash=hashed("prompts"), scorer="json_extraction 1",
        n=len(items), scores=scores, slices=slices, finish=dict(Counter(p.finish for p in predictions)),
        reasons=dict(Counter(i.reason for i in scored if i.reason)), items=tuple(scored), new_tokens=14400,
    )  # fmt: skip
    return report, predictions


def build(
    path: Path, hostile: Hostile = lambda text: text, *, verdict: str = "iterate", num_items: int = ITEMS
) -> tuple[RunFolder, r.LockedRecipe]:
    """The run folder. `hostile` is applied to every text that comes from outside: rows, answers, names, findings, licences."""
    run = RunFolder(path)
    path.mkdir(parents=True)
    locked = r.LockedRecipe(
        inputs=hashed("recipe"),
        recipe=r.Recipe.model_validate(
            {
                "name": "edge-json", "base": "lathe:nano", "task": "json_extraction",
                "data": {"source": hostile("lathe:edge_json")},
                "gates": [{"metric": "json_exact", "at_least": 0.6, "judge": "lower_bound"}],
                "expect": {"json_exact": [0.4, 0.6]}, "ship": ["adapter", "merged"],
            }
        ),
        base_folder="nano",
        base_files=(r.FileHash(path="nano/model.safetensors", sha256=hashed("weights"), num_bytes=14_211_072),),
        data_files=(r.FileHash(path=hostile("rows.jsonl"), sha256=hashed("rows"), num_bytes=811_072),),
        packages={"lathe": "0.1.0", "torch": "2.13.0", "transformers": "5.23.0"},
    )  # fmt: skip
    keep(run.lock_record, locked)
    keep(
        run.run_record,
        r.RunRecord(id=path.name, name="edge-json", created="2026-11-20T08:15:00+00:00", lathe_version="0.1.0"),
    )
    keep(
        run.doctor,
        r.DoctorReport(
            inputs="", machine={"os": hostile("Linux 6.1"), "cores": 2, "memory_bytes": 25e9, "free_bytes": 22e9, "gpus": []},
            capabilities=(r.Capability(name="train", ok=True, detail="torch 2.13.0"),), ok=True,
        ),
    )  # fmt: skip
    items = examples(hostile, num_items)
    keep_rows(run.rows("test"), items)
    side = {"train": 978, "validation": 140, "test": num_items}
    keep(
        run.manifest,
        r.Manifest(
            inputs=hashed("data"), dropped_from_train=3, rejected=1,
            sources=(r.Source(name=hostile("lathe:edge_json"), licence=hostile("Apache-2.0"), revision="1", num_rows=1362),),
            sides={name: r.SideCount(rows=n, sha256=hashed(name)) for name, n in side.items()},
            findings=(
                r.DataFinding(id="near_duplicate", level="info", message="3 training rows were nearly equal to test rows and were dropped", count=3),
                r.DataFinding(id="answer_long", level="warning", message=hostile("2 answers are longer than 99 % of the others"),
                              hint="Look at them.", examples=(hostile("row-0007"), "row-0031"), count=2),
            ),
        ),
    )  # fmt: skip
    keep(
        run.plan,
        r.Plan(
            inputs=hashed("plan"), parameters=r.Parameters(total=7_105_536, trainable=589_824, by_group={"adapter": 589_824}),
            schedule=r.Schedule(num_examples=978, num_steps=93, steps_per_epoch=31, warmup_steps=5, num_packs=210,
                                num_tokens=571_203, num_supervised=201_144, longest_row=812),
            memory=(r.MemoryTerm(name="weights", num_bytes=28_422_144, formula="7,105,536 parameters × 4 bytes"),
                    r.MemoryTerm(name="activations", num_bytes=402_000_000, formula="4,096 tokens × 6 layers × 256 × 16 × 4 bytes")),
            peak_bytes=r.Interval(low=0.7e9, value=0.81e9, high=1.0e9), free_bytes=22_000_000_000,
            train_seconds=r.Interval(low=40, value=47, high=58), rate_source="measured",
        ),
    )  # fmt: skip
    rng = random.Random(2)
    losses = [2.3 * math.exp(-step / 16) + 0.11 + rng.gauss(0, 0.03) for step in range(93)]
    keep_text(run.metrics, "".join(json.dumps({"step": s + 1, "loss": loss}) + "\n" for s, loss in enumerate(losses)))
    keep(
        run.train_result,
        r.TrainResult(
            inputs=hashed("train"), adapter_folder="train/adapter", num_steps=93, num_tokens=571_203, num_supervised=201_144,
            first_loss=2.41, last_loss=0.112, peak_bytes=843_000_000, train_seconds=49.3, tokens_per_second=11_586,
            trainable_parameters=589_824, step_kind=hostile("reference"), notes=(hostile("token budget halved once"),),
        ),
    )  # fmt: skip
    for arm, right in {
        "base-zero": lambda i: i % 40 == 1, "base-few": lambda i: i % 20 == 1,
        "rule": lambda i: i % 5 in (0, 2) and i % 7 != 0, "tuned": lambda i: i % 3 != 0 or i % 11 == 0,
    }.items():  # fmt: skip
        report, predictions = report_of(arm, items, right, hostile)
        keep(run.eval_report(arm), report)
        keep_rows(run.predictions(arm), predictions)
    keep(
        run.decision,
        r.Decision(
            inputs=hashed("decide"), verdict=verdict, primary="json_exact", looks=2, confidence=0.975,  # type: ignore[arg-type]
            line=f"{verdict.upper()}  json_exact 0.70 [0.64, 0.75] · base 0.05 · rule 0.35 · planned 47 s, took 49 s · next: 210 test rows would decide",
            gates=(
                r.GateResult(text="better than the base", held=True, measured=0.57, limit=0.0, metric="json_exact", default=True),
                r.GateResult(text="better than the best rule", held=True, measured=0.25, limit=0.0, metric="json_exact", default=True),
                r.GateResult(text="json_exact at least 0.60 on its lower bound", held=False, measured=0.59, limit=0.6,
                             metric="json_exact", decidable=False, rows_needed=450),
            ),
            differences=(
                r.PairedDifference(metric="json_exact", first="tuned", second="base-few", difference=0.65, low=0.57, high=0.72,
                                   p_value=1e-9, n=num_items, wins=160, losses=3, method="exact McNemar"),
                r.PairedDifference(metric="json_exact", first="tuned", second="rule", difference=0.34, low=0.25, high=0.43,
                                   p_value=2e-6, n=num_items, wins=110, losses=28, method="exact McNemar"),
            ),
            findings=(r.Finding(id="too_few", message=hostile("json_exact: the lower bound 0.59 is below 0.60, but the value is above it"),
                                next_action=hostile("Add 210 test rows: they would decide.")),),
            forecasts={"json_exact": {"expected": [0.4, 0.6], "measured": 0.70, "inside": False}},
        ),
    )  # fmt: skip
    files = (
        r.FileHash(path="bundle/adapter/adapter_model.safetensors", sha256=hashed("adapter"), num_bytes=2_365_872),
    )
    shipped = r.ShippedFile(
        kind="adapter", path="bundle/adapter", files=files, checks={"greedy answers equal": "10 of 10"}
    )
    keep(run.bundle_record, r.Bundle(inputs=hashed("ship"), shipped=(shipped,)))
    return run, locked


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., tuple[RunFolder, r.LockedRecipe]]:
    """Builds a finished run; `hostile` rewrites every text that comes from outside."""
    made = iter(range(1000))

    def make(hostile: Hostile = lambda text: text, **others: Any) -> tuple[RunFolder, r.LockedRecipe]:
        return build(tmp_path / f"2026-11-20T081500-edge-json-{next(made):06x}", hostile, **others)

    return make
