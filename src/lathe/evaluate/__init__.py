"""The evaluate stage: one arm answers one side of the split, and every answer is scored.

    base-zero   the base, asked with the very tokens that the tuned model is asked with
    base-few    the base with some training examples in front, the same for every item
    rule        the task's best rule that needs no model
    tuned       the base with the trained adapter

`evaluate_constrained` measures a model's arm once more, with every answer held to its form: as tuned-constrained and
base-zero-constrained.

`evaluate_general` measures a model's arm on tasks of lm-eval that it was not tuned for, as tuned-general and base-zero-general.

Same items, same scorer, same limit on the length of an answer. A repeated call continues where the last one was stopped.
"""

from lathe.evaluate.general import evaluate_general
from lathe.evaluate.stage import evaluate, evaluate_constrained, regrade
from lathe.evaluate.while_training import measure_of

__all__ = ["evaluate", "evaluate_constrained", "evaluate_general", "measure_of", "regrade"]
