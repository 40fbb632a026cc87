"""What is published, and why it may not be."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from lathe.records.base import Record
from lathe.records.recipe import FileHash
from lathe.records.results import Finding


class Card(Record):
    """A card as the records give it."""

    text: str = Field(description="Markdown with the Hub's metadata in front")
    evidence: str = Field(description="text of CARD.json: the entries of the records that its numbers are from")


class Publication(Record):
    """One repository of the Hub: what goes there, what stands against it, and what became of it."""

    repo: str = Field(description="owner/name")
    kind: Literal["model", "dataset"]
    public: bool = Field(description="whether a repository that does not exist yet is made for everybody to see")
    files: tuple[FileHash, ...] = Field(description="as they lie in the repository")
    blockers: tuple[Finding, ...] = Field((), description="why nothing is sent; empty where it may be")
    notes: tuple[str, ...] = Field((), description="what to think of before everybody sees it")
    commit: str | None = Field(None, description="address of the commit; None = nothing was sent")

    @property
    def ok(self) -> bool:
        """Whether nothing stands against it."""
        return not self.blockers
