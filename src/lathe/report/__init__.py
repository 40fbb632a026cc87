"""The two documents for people: report.html, one file that needs no network, and MODEL_CARD.md. Every number is from a record."""

from __future__ import annotations

import os
import time

from lathe.records import LockedRecipe, ReportRecord
from lathe.report.card import card
from lathe.report.html import page
from lathe.report.story import gather
from lathe.runs import RunFolder, commit_text
from lathe.safe_text import secrets_of

__all__ = ["report"]


def report(run: RunFolder, locked: LockedRecipe, inputs: str) -> ReportRecord:
    """Writes report.html and MODEL_CARD.md of a run, of as much as there is. Raises StorageError."""
    started = time.monotonic()
    story = gather(run, locked)
    secrets = secrets_of(os.environ)
    commit_text(run.report_html, page(story, secrets))
    commit_text(run.card, card(story, secrets))
    record = ReportRecord(
        inputs=inputs, seconds=time.monotonic() - started, html=run.report_html.name, card=run.card.name
    )
    run.commit(run.report_record, record)
    return record
