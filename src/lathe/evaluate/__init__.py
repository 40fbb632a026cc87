"""The evaluate stage: arms, generation, scores, paired differences."""
