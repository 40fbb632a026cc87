"""Rows that stand twice: equal, alike, on another side, with another answer."""
