"""Parts of the task `function_calling`: functions, gold calls, reading answers, matching calls, the rules without a model."""
