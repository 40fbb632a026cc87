"""Reports made from right and wrong items, as the evaluate stage would make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lathe.contracts import Metric
from lathe.decide import Evidence, judge
from lathe.evaluate import aggregate
from lathe.records import (
    DataFinding,
    Decision,
    EvalReport,
    Interval,
    ItemScore,
    Manifest,
    Parameters,
    Plan,
    Recipe,
    Schedule,
    SideCount,
    TrainResult,
)

METRICS = (
    Metric("json_exact", "1 where right", "proportion"),
    Metric("field_f1", "mean of leaves", "mean"),
    Metric("syntax", "1 where it parses; not measured where the checker is missing", "proportion"),
)


def report(
    arm: str,
    exact: Sequence[float],
    *,
    f1: Sequence[float] | None = None,
    syntax: Sequence[float | None] | None = None,
    seconds: Sequence[float] | None = None,
    cut: int = 0,
    meta: Sequence[dict[str, str]] | None = None,
    peak_bytes: int | None = 1000,
    samples: int = 1,
    **fields: Any,
) -> EvalReport:
    """A report of one arm from its items' values; the first `cut` answers were cut at the limit. samples: answers to each item,
    of which the values are means."""
    n = len(exact)
    items = [
        ItemScore(
            id=f"row-{i}",
            values={
                "json_exact": exact[i],
                "field_f1": (f1 or exact)[i],
                "syntax": (syntax or [1.0] * n)[i],
                "truncated_share": float(i < cut),
                "latency_seconds": (seconds or [0.5] * n)[i],
                "new_tokens": 10.0,
            },
            reason="" if exact[i] == 1 else "wrong value",
            meta=(meta or [{}] * n)[i],
            samples=samples,
        )
        for i in range(n)
    ]
    keys = list((meta or [{}])[0])
    settled: dict[str, Any] = {
        "inputs": arm, "arm": arm, "test_hash": "rows", "prompt_hash": "shots" if arm == "base-few" else "prompts",
        "scorer": "json_extraction@1", "n": n, "samples": samples, "scores": aggregate.scores(METRICS, items, peak_bytes, 0.95),
        "slices": aggregate.slices(METRICS, keys, items, 0.95), "finish": {"stop": n - cut, "length": cut},
        "reasons": aggregate.reasons(items), "items": tuple(items), "chosen": "key_value_rule" if arm == "rule" else "",
    }  # fmt: skip
    return EvalReport(**(settled | fields))


def right(k: int, n: int, offset: int = 0) -> list[float]:
    """k right of n, the right ones in a row that begins at `offset` and goes round."""
    return [float((i - offset) % n < k) for i in range(n)]


def manifest(*findings: DataFinding, **hashes: str) -> Manifest:
    shas = {"train": "t", "validation": "v", "test": "rows"} | hashes
    sides = {side: SideCount(rows=1, sha256=sha) for side, sha in shas.items()}
    return Manifest(inputs="data", sources=(), sides=sides, findings=findings)


def recipe(**parts: Any) -> Recipe:
    plain = {"name": "toy", "base": "b", "task": "json_extraction", "data": {"source": "lathe:toy"}}
    return Recipe.model_validate(plain | parts)


def plan(seconds: float) -> Plan:
    return Plan(
        inputs="plan",
        parameters=Parameters(total=1, trainable=1),
        schedule=Schedule(
            num_examples=1, num_steps=1, steps_per_epoch=1, warmup_steps=0, num_packs=1, num_tokens=1, num_supervised=1
        ),
        memory=(),
        peak_bytes=Interval(low=0, value=1, high=2),
        free_bytes=3,
        train_seconds=Interval(low=seconds / 2, value=seconds, high=seconds * 2),
    )


def trained(seconds: float = 49.0, first: float = 2.0, last: float = 0.5) -> TrainResult:
    return TrainResult(
        inputs="train", adapter_folder="train/adapter", num_steps=1, num_tokens=1, num_supervised=1, first_loss=first,
        last_loss=last, peak_bytes=1, train_seconds=seconds, tokens_per_second=1.0,
    )  # fmt: skip


def verdict(
    arms: Mapping[str, EvalReport],
    *,
    looks: int = 1,
    data: Manifest | None = None,
    written: Recipe | None = None,
    **more: Any,
) -> Decision:
    """The decision on these arms."""
    return judge(written or recipe(), Evidence(arms, data or manifest(), **more), "json_exact", looks, "inputs")


def arms(tuned: EvalReport, base: Sequence[float], rule: Sequence[float]) -> dict[str, EvalReport]:
    """Tuned against a base and a rule."""
    return {"tuned": tuned, "base-zero": report("base-zero", base), "rule": report("rule", rule, prompt_hash="")}
