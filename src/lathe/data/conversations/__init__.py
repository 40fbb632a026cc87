"""Rows of every layout as conversations, and conversations as the tokens that training uses."""
