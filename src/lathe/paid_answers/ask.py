"""One request to an endpoint, and how its answer is named. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Generic, TypeVar

from lathe.contracts import Endpoint
from lathe.records import Json, Message, digest

About = TypeVar("About", covariant=True)
THOUGHT = re.compile(r"\s*<think>.*?</think>\s*", re.DOTALL)


@dataclass(frozen=True)
class Ask(Generic[About]):
    """One request. form: the JSON Schema of its answer, where there is one. about: what the asker wants to know of it when the
    answer comes; it is not sent and not part of its identity."""

    messages: tuple[Message, ...]
    form: Json
    max_new_tokens: int
    temperature: float
    about: About

    def identity(self, endpoint: Endpoint) -> str:
        """The hash by which its answer is kept."""
        return digest(
            {
                "endpoint": [endpoint.url, endpoint.model],
                "messages": [message.dump() for message in self.messages],
                "form": self.form,
                "temperature": self.temperature,
                "max_new_tokens": self.max_new_tokens,
            }
        )


def spoken(text: str) -> str:
    """An answer without the thinking that some endpoints leave in front of it."""
    thought = THOUGHT.match(text)
    return text[thought.end() :] if thought else text
