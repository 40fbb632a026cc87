"""What this machine has reached: operations a second, by kind of job, kept beside the user's other state.

    $XDG_STATE_HOME/lathe/rates.json     (~/.local/state/lathe/rates.json)     {"schema_version": 1, "rates": {"3f9c...": 2.1e10}}

A file that is missing or damaged is no error: the next run writes it anew. This is the shell of planning; nothing is decided here.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from lathe.runs import commit_text

MOST = 200
"""Kinds of job that are remembered; the oldest make room."""


def file() -> Path:
    """Where the rates of this machine stand."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "lathe" / "rates.json"


def known() -> dict[str, float]:
    """Operations a second by kind of job, oldest first; empty where nothing was measured yet."""
    try:
        rates = json.loads(file().read_text())["rates"]
        return {str(kind): float(rate) for kind, rate in rates.items() if float(rate) > 0}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def keep(kind: str, rate: float) -> None:
    """Remembers what a job of that kind just reached. Raises StorageError where the file cannot be written."""
    rates = known()
    rates.pop(kind, None)
    newest = dict([*rates.items(), (kind, rate)][-MOST:])
    commit_text(file(), json.dumps({"schema_version": 1, "rates": newest}, indent=2) + "\n")
