"""Lathe turns a small language model into a measured specialist, on the machine you have.

    import lathe
    run = lathe.run("recipe.yaml")          # the whole chain; the same as `lathe run recipe.yaml`
    run.ask("Order 17 from Mira: two lamps")  # {"base": ..., "tuned": ...}

    model = lathe.load("runs/2026-11-20T081500-tickets-3f9c1a")
    model.extract("Order 17 from Mira: two lamps")  # {"order_id": 17, "customer": "Mira", ...}

Each verb of the command line is a function here (`doctor` is `examine`); those that work on a run are methods of `lathe.Run`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lathe.version import __version__ as __version__

if TYPE_CHECKING:
    from lathe.pipeline import Run as Run
    from lathe.pipeline import compare as compare
    from lathe.pipeline import load as load
    from lathe.pipeline import run as run
    from lathe.pretraining import pretrain as pretrain

PUBLIC = {
    "Run": ("lathe.pipeline", "Run"),
    "run": ("lathe.pipeline", "run"),
    "load": ("lathe.pipeline", "load"),
    "demo": ("lathe.pipeline", "demo"),
    "compare": ("lathe.pipeline", "compare"),
    "check": ("lathe.data.check", "check_file"),
    "new": ("lathe.data.new", "propose"),
    "inspect": ("lathe.inspect_model", "inspect"),
    "examine": ("lathe.doctor", "examine"),
    "pretrain": ("lathe.pretraining", "pretrain"),
    "schema": ("lathe.resolve", "json_schema"),
    "all_runs": ("lathe.runs", "all_runs"),
}
"""Public name -> where it lives; loaded on first use, so that `import lathe` costs nothing. No name is a module's: that, once
loaded, would take its place."""


def __getattr__(name: str) -> Any:
    if name not in PUBLIC:
        raise AttributeError(f"module 'lathe' has no attribute {name!r}")
    import importlib

    module, attribute = PUBLIC[name]
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted([*PUBLIC, "__version__"])
