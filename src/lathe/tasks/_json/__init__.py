"""Parts of the task `json_extraction`: reading answers, comparing values, showing schemas, the rules without a model."""
