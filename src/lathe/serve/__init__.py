"""A finished run behind an OpenAI-compatible endpoint, with the guard on. See `lathe.serve.stage.serve`."""

from lathe.serve.settings import Limits, Settings
from lathe.serve.stage import Ready, serve

__all__ = ["Limits", "Ready", "Settings", "serve"]
