"""The documents for people: report.html, one file that needs no network, and MODEL_CARD.md. Every number is from a record.

report(run, locked, inputs)      writes report.html, MODEL_CARD.md and CARD.json
cards(run, locked)               the same card, made from the records again, and one for the rows
"""

from __future__ import annotations

import json
import os
import time

from lathe.records import Card, Json, LockedRecipe, ReportRecord
from lathe.report.card import card
from lathe.report.cited import evidence
from lathe.report.data_card import data_card
from lathe.report.html import page
from lathe.report.story import gather
from lathe.runs import RunFolder
from lathe.safe_text import secrets_of
from lathe.storage import commit_text

__all__ = ["cards", "report"]


def report(run: RunFolder, locked: LockedRecipe, inputs: str) -> ReportRecord:
    """Writes report.html, MODEL_CARD.md and CARD.json of a run, of as much as there is. Raises StorageError."""
    started = time.monotonic()
    story = gather(run, locked)
    secrets = secrets_of(os.environ)
    commit_text(run.report_html, page(story, secrets))
    made = _with_evidence(run, card(story, secrets))
    commit_text(run.card, made.text)
    commit_text(run.card_evidence, made.evidence)
    record = ReportRecord(
        inputs=inputs, seconds=time.monotonic() - started, html=run.report_html.name, card=run.card.name
    )
    run.commit(run.report_record, record)
    return record


def cards(run: RunFolder, locked: LockedRecipe) -> tuple[Card, Card]:
    """(of the model, of its rows) as the records give them now; nothing is written."""
    story = gather(run, locked)
    secrets = secrets_of(os.environ)
    return _with_evidence(run, card(story, secrets)), _with_evidence(run, data_card(story, secrets))


def _with_evidence(run: RunFolder, text: str) -> Card:
    def load(record: str) -> Json:
        return json.loads((run.path / record).read_text(encoding="utf-8"))

    entries = json.dumps(evidence(text, load), indent=2, ensure_ascii=False, allow_nan=False)
    return Card(text=text, evidence=entries + "\n")
