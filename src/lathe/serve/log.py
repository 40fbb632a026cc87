"""The log of requests: how long, how much, how it ended. Never what was asked or answered."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from lathe.records import Finish
from lathe.records.serve import ServedRequest

GONE = 499
"""What web servers note for a client that went away."""


@dataclass
class Noted:
    """What is known of a request so far; see `ServedRequest`. status: as long as nothing was sent, that the client went away."""

    route: str
    status: int = GONE
    model: str | None = None
    stream: bool = False
    prompt_tokens: int | None = None
    new_tokens: int | None = None
    first_seconds: float | None = None
    finish: Finish | Literal["content_filter", "tool_calls"] | None = None
    risk: int | str | None = None
    kept: bool | None = None
    began: float = field(default_factory=time.monotonic)
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))

    @property
    def seconds(self) -> float:
        """Since the head was read."""
        return time.monotonic() - self.began

    def record(self) -> ServedRequest:
        return ServedRequest(
            time=self.time,
            route=self.route,
            status=self.status,
            seconds=round(self.seconds, 6),
            model=self.model,
            stream=self.stream,
            prompt_tokens=self.prompt_tokens,
            new_tokens=self.new_tokens,
            first_seconds=None if self.first_seconds is None else round(self.first_seconds, 6),
            finish=self.finish,
            risk=self.risk,
            kept=self.kept,
        )


class RequestLog:
    """Writes each request's line, and counts them by status."""

    def __init__(self, append: Callable[[ServedRequest], None]) -> None:
        self._append = append
        self.by_status: Counter[int] = Counter()

    def write(self, noted: Noted) -> None:
        """The last thing that is done for a request."""
        self.by_status[noted.status] += 1
        self._append(noted.record())
