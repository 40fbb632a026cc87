"""Lathe turns a small language model into a measured specialist, on the machine you have."""

__version__ = "0.1.0"
