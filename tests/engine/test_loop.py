"""What a training says of itself while it runs."""

from __future__ import annotations

import numpy as np
import pytest

from lathe.records import TrainSpec
from lathe.schedule.steps import steps

pytest.importorskip("torch")

from lathe.engine.metrics import FORECAST_SECONDS, FORECAST_STEPS, remaining_seconds


def test_the_rest_is_foretold_by_the_later_of_the_first_steps() -> None:
    plan = steps(np.full(40, 100), TrainSpec(epochs=1, examples_per_step=2, token_budget=200), 0)
    assert plan.num_steps == 20
    slow, fast = (200, 9.0), (200, 1.0)
    assert remaining_seconds([slow, slow, fast, fast, fast, fast], plan, 6) == pytest.approx(14 * 1.0)
    assert remaining_seconds([fast] * (FORECAST_STEPS - 1), plan, 4) is None
    short = (200, FORECAST_SECONDS / 10)
    assert remaining_seconds([slow] + [short] * 9, plan, 10) is None, "the first step waits for helpers"
    assert remaining_seconds([slow] + [short] * 11, plan, 12) == pytest.approx(8 * short[1])
    assert remaining_seconds([slow] * 20, plan, 20) == 0
