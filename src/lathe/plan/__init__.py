"""Stage plan: what a run will cost, said before it is spent. `bare` counts the parameters of a config.json by itself."""

from lathe.plan.parameters import bare, from_config
from lathe.plan.stage import foresee, plan, remember_answers, remember_rate

__all__ = ["bare", "foresee", "from_config", "plan", "remember_answers", "remember_rate"]
