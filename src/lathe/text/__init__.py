"""From an example to token ids and supervision spans, without torch."""
