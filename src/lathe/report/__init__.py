"""The report stage: one HTML file and one model card, made from records only."""
