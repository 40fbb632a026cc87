"""Rules that are one line: a program, its subcommands, its options, and what that means.

Phrase("terraform", r"destroy|apply", 4, "cloud", "destroys what it manages", options=r"-destroy|-auto-approve")
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from lathe.shell.calls import Call, rule
from lathe.shell.verdict import Finding


@dataclass(frozen=True)
class Phrase:
    """One such rule. It speaks where all its patterns do."""

    programs: str
    words: str
    """At the start of the words that are no options; a word before it may be the value of an option."""
    level: int
    kind: str
    why: str
    options: str = ""
    """Some word of the call is this, as a whole."""
    unless: str = ""
    """No word of the call is this, as a whole."""
    safer: str = ""

    @cached_property
    def patterns(self) -> tuple[re.Pattern[str], re.Pattern[str] | None, re.Pattern[str] | None]:
        return (
            re.compile(rf"(?:\S+ )?(?:{self.words})(?= |$)" if self.words else ""),
            re.compile(self.options) if self.options else None,
            re.compile(self.unless) if self.unless else None,
        )

    def speaks(self, words: Sequence[str]) -> bool:
        """Whether a call with these words is meant."""
        said, options, unless = self.patterns
        return (
            said.match(" ".join(word for word in words if not word.startswith("-"))) is not None
            and (options is None or any(options.fullmatch(word) for word in words))
            and (unless is None or not any(unless.fullmatch(word) for word in words))
        )


NEVER = r"--help|-\?|--version|--dry-run(=.*)?|-h(?:elp)?"
"""Options of a call that only tells something."""


def register(phrases: Sequence[Phrase]) -> None:
    """Enters phrases into the table of rules."""
    by_program: dict[str, list[Phrase]] = {}
    for phrase in phrases:
        for program in phrase.programs.split():
            by_program.setdefault(program, []).append(phrase)
    for program, known in by_program.items():
        rule(program)(_rule_of(tuple(known)))


def _rule_of(phrases: tuple[Phrase, ...]):  # type: ignore[no-untyped-def]
    def judged(call: Call) -> Iterator[Finding]:
        if any(re.fullmatch(NEVER, word) for word in call.words) and "-h" not in call.words[:1]:
            return
        for phrase in phrases:
            if phrase.speaks(call.words):
                yield Finding(phrase.level, phrase.kind, phrase.why, phrase.safer)

    return judged
