"""What stands against publishing a run. Pure functions: each yields findings with what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile, zip_longest
from typing import Protocol

from lathe import hub
from lathe.records import Bundle, Card, Decision, Finding, LockedRecipe, Manifest, RunRecord, Verification

SHOWN = 5
LONGEST_LINE = 100
"""Characters of a line that a finding quotes."""


class Kind(Protocol):
    """A kind of text that should not be published: a secret (error), or something about a person (warning)."""

    @property
    def name(self) -> str: ...
    @property
    def level(self) -> str: ...


@dataclass(frozen=True)
class Told:
    """What other stages say. kinds: what a text holds that should not be seen."""

    model_card: Card
    data_card: Card
    verification: Verification
    kinds: Callable[[str], Sequence[Kind]]


def unfit(run: RunRecord, decision: Decision, bundle: Bundle | None, again: str) -> Iterator[Finding]:
    """The run itself: a rehearsal, a model that was refused, or nothing to publish."""
    if run.smoke:
        yield Finding(
            id="smoke",
            message="this is a smoke run: its model means nothing",
            next_action="Run the recipe without --smoke.",
        )
    if decision.verdict == "abort":
        yield Finding(
            id="verdict", message=f"the verdict is abort: {decision.line}", next_action="Publish what is better."
        )
    elif bundle is None or not bundle.shipped:
        yield Finding(
            id="nothing_shipped", message="no file was shipped", next_action=f"Ship some: {again} --set ship=[merged]"
        )


def unlicensed_model(locked: LockedRecipe, again: str) -> Iterator[Finding]:
    """The licence of the model, which only a person can state."""
    if locked.recipe.publish.licence is None:
        yield Finding(
            id="model_licence",
            message="no licence of the model is stated",
            next_action=f"State one that the base's licence allows: {again} --set publish.licence=apache-2.0",
        )


def unlicensed_data(locked: LockedRecipe, manifest: Manifest, again: str) -> Iterator[Finding]:
    """Sources whose licence neither they nor the recipe state."""
    unstated = [one.name for one in manifest.sources if one.licence is None]
    if unstated and locked.recipe.publish.data_licence is None:
        yield Finding(
            id="data_licence",
            message=f"{len(unstated)} of {len(manifest.sources)} sources of rows state no licence: {_some(unstated)}",
            next_action=f"State it where you know it: {again} --set publish.data_licence=CC-BY-4.0",
        )


def about_base(base: str, bundle: Bundle | None) -> Iterator[str]:
    """What to think of that only the base's own people, or nobody, can say."""
    if not base.startswith("lathe:"):  # those are Lathe's own, under its licence
        yield f"the licence of the base {base} was not read: see that it allows this"
    kinds = {shipped.kind for shipped in bundle.shipped} if bundle else set()
    if kinds == {"adapter"} and not hub.NAME.match(base):
        yield f"an adapter needs its base, and {base} is not on the Hub: others can use it with ship: [merged] only"


def changed_files(verification: Verification, again: str) -> Iterator[Finding]:
    """Files that are not as they were written when they were measured."""
    if not verification.ok:
        damaged = [f"{one.path} ({one.reason})" for one in verification.damaged]
        yield Finding(
            id="changed_files",
            message=f"{len(damaged)} of {verification.num_files} files are not what was measured: {_some(damaged)}",
            next_action=f"Bring them back, or make them again: {again} --new",
        )


def changed_card(found: str, expected: str, report: str, again: str) -> Iterator[Finding]:
    """A card that says something else than the records do. found: as it lies in the run; expected: as the records give it."""
    for number, (line, right) in enumerate(zip_longest(found.split("\n"), expected.split("\n")), start=1):
        if line != right:
            begin = len([*takewhile(lambda pair: pair[0] == pair[1], zip(line or "", right or ""))])
            yield Finding(
                id="card",
                message=f"MODEL_CARD.md:{number} is not what the records give: {_quoted(line, begin)}, expected "
                f"{_quoted(right, begin)}",
                next_action=f"Nothing in a card is typed by hand. Delete {report} and make it again: {again}",
            )
            return


def exposed(
    texts: Iterable[tuple[str, str]], kinds: Callable[[str], Sequence[Kind]]
) -> tuple[list[Finding], list[str]]:
    """(secrets, notes about personal data) in texts by their place. Nothing of what is found is quoted."""
    places: dict[tuple[str, str], list[str]] = {}
    for place, text in texts:
        for kind in kinds(text):
            places.setdefault((kind.level, kind.name), []).append(place)
    secrets = [
        Finding(
            id="secret",
            message=f"looks like a secret ({name}): {_some(at)}",
            next_action="Take it out of the rows or the recipe, make it void where it was issued, and run again.",
        )
        for (level, name), at in places.items()
        if level == "error"
    ]
    notes = [
        f"{name} in {len(at)} places: {_some(at)}; ask whose it is before everybody sees it"
        for (level, name), at in places.items()
        if level != "error"
    ]
    return secrets, notes


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _quoted(line: str | None, begin: int) -> str:
    """A line, or as much of a long one as shows what stands from `begin` on."""
    if line is None:
        return "nothing"
    first = max(0, begin - LONGEST_LINE // 4) if len(line) > LONGEST_LINE else 0
    shown = line[first : first + LONGEST_LINE]
    return repr(f"{'...' if first else ''}{shown}{'...' if first + LONGEST_LINE < len(line) else ''}")
