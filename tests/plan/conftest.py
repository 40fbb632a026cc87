"""A plan made from values, without any file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from plan_parts import CONFIG, locked_recipe, token_set

from lathe.gpus import Gpu
from lathe.plan.answering import Answers
from lathe.plan.forecast import Machine, Slice, forecast
from lathe.records import Plan


@pytest.fixture
def plan_of() -> Callable[..., Plan]:
    def make(
        lengths: list[int] | None = None,
        test_rows: int = 400,
        longest: int = 20,
        prompt: int = 0,
        free_bytes: int = 8 * 10**9,
        rates: dict[str, tuple[float, ...]] | None = None,
        truncated_rows: int = 0,
        config: dict[str, Any] = CONFIG,
        validation_rows: int = 100,
        answer_rates: dict[str, tuple[float, ...]] | None = None,
        listed: dict[str, float] | None = None,
        gpu: Gpu | None = None,
        **parts: Any,
    ) -> Plan:
        rows = token_set([50] * 320 if lengths is None else lengths, truncated_rows)
        answers = {"validation": Answers(validation_rows, longest, prompt), "test": Answers(test_rows, longest, prompt)}
        machine = Machine(
            free_bytes, rates or {}, answer_rates=answer_rates or {}, listed=listed or {}, cores=2, gpu=gpu
        )
        asked = Slice(16, 16 * 30, 16 * 12) if parts.get("train", {}).get("validate") else None
        return forecast(locked_recipe(**parts).recipe, config, rows, answers, 0, machine, "inputs", asked)

    return make
