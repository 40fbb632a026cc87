"""The decide stage: deploy, iterate or abort, from reports that are not asked again.

    abort     the evidence is refused, or no gated quantity is better than its baselines
    deploy    every gate holds on its judged bound
    iterate   all else; each finding says with numbers what stands in the way and what to do next

`judge` is the pure core, `decide` the shell around it. `paired` compares any two arms item by item, `side_by_side` any number.
"""

from lathe.decide.compare import paired
from lathe.decide.form_effect import form_effect
from lathe.decide.general import general_check
from lathe.decide.side_by_side import Entry, side_by_side
from lathe.decide.stage import decide, judge_again, primary
from lathe.decide.verdict import Evidence, judge

__all__ = [
    "Entry",
    "Evidence",
    "decide",
    "form_effect",
    "general_check",
    "judge",
    "judge_again",
    "paired",
    "primary",
    "side_by_side",
]
