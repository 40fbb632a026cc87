"""Runtimes: each file runs a model. See `lathe.contracts.Runtime`."""
