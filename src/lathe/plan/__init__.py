"""The plan stage: parameters, memory, steps, time; pure arithmetic, without torch."""
