"""How a run is served, and what a client may ask for at most."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

HEAD_SECONDS = 10.0

Policy = Literal["block", "annotate"]


@dataclass(frozen=True)
class Limits:
    """Whatever is beyond one of these is refused, never cut."""

    at_once: int = 16
    """Answers that a model writes side by side."""
    waiting: int = 64
    """Requests that may wait for a place among those; the next is turned away with 429."""
    tokens: int = 4096
    """Tokens of a prompt and its answer together; the model's context where that is shorter."""
    body_bytes: int = 1 << 20
    schema_bytes: int = 1 << 16
    """Of a schema that comes with a request: checking it must not take longer than answering."""
    seconds: float = 60.0
    """From the end of a request's head to the end of its answer, waiting included."""
    connections: int = 512

    @property
    def head_seconds(self) -> float:
        """For a request's first lines, and again for its body."""
        return min(HEAD_SECONDS, self.seconds)


@dataclass(frozen=True)
class Settings:
    """Where to listen, with what, and how careful to be."""

    host: str = "127.0.0.1"
    port: int = 8712
    """0 = any free one."""
    names: tuple[str, ...] = ()
    """Further names that a request's Host may have."""
    certificate: Path | None = None
    """PEM file for TLS, and below its key. Needed wherever others could listen in: beyond loopback."""
    key: Path | None = None
    token: str | None = None
    """What clients must show; None = drawn anew."""
    policy: Policy = "block"
    """What happens to a dangerous shell command."""
    file: str | None = None
    """Export to serve through llama.cpp in the tuned model's place, such as gguf_q8_0; None = the model that was measured."""
    base: bool = True
    """Whether the base is served beside the tuned model."""
    limits: Limits = field(default_factory=Limits)
