"""The shell of publication: gathers what goes where, has it checked, and sends it where asked and nothing is against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from lathe import hub
from lathe.errors import InputError
from lathe.publish import checks, contents
from lathe.publish.checks import Told
from lathe.records import Bundle, Decision, Finding, LockedRecipe, Manifest, Publication, RunRecord
from lathe.runs import RunFolder


@dataclass(frozen=True)
class Target:
    """A repository, owner/name, for the model or for its rows."""

    repo: str
    kind: Literal["model", "dataset"]


def publish(
    run: RunFolder,
    locked: LockedRecipe,
    targets: Sequence[Target],
    told: Told,
    *,
    push: bool = False,
    public: bool = False,
) -> tuple[Publication, ...]:
    """What goes into each repository; sent where `push` is said and nothing stands against any of them.

    Raises InputError for a name that no repository can have, or where the run is not finished; Unavailable where the Hub cannot be
    reached or does not take the token.
    """
    for target in targets:
        if not hub.NAME.match(target.repo) or "@" in target.repo:
            raise InputError(f"{target.repo!r} is no name on the Hub", hint="One looks like owner/name.")
    planned = [(target, *_planned(run, locked, target, told, public)) for target in targets]
    if not push or not all(publication.ok for _, publication, _ in planned):
        return tuple(publication for _, publication, _ in planned)
    sent = []
    for target, publication, files in planned:
        commit = hub.push(target.repo, target.kind, files, public=public, message=f"{run.path.name}, by Lathe")
        run.journal("published", repo=target.repo, kind=target.kind, commit=commit)
        sent.append(publication.model_copy(update={"commit": commit}))
    return tuple(sent)


def _planned(
    run: RunFolder, locked: LockedRecipe, target: Target, told: Told, public: bool
) -> tuple[Publication, contents.Contents]:
    """What would go into one repository, and what stands against it."""
    manifest = run.load(run.manifest, Manifest)
    blockers = [
        *checks.unlicensed_data(locked, manifest, run.again),
        *checks.changed_files(told.verification, run.again),
    ]
    notes: list[str] = []
    if target.kind == "dataset":
        files = contents.data_contents(run, manifest, told.data_card)
    else:
        bundle = run.load(run.bundle_record, Bundle) if run.bundle_record.is_file() else None
        files = contents.model_contents(run, locked, bundle, told.model_card) if bundle else {}
        blockers = [*_against_model(run, locked, told, bundle), *blockers]
        notes += checks.about_base(hub.base_name(locked), bundle)
    secrets, personal = checks.exposed(
        contents.texts(files, frozenset(file.sha256 for file in locked.base_files)), told.kinds
    )
    publication = Publication(
        repo=target.repo,
        kind=target.kind,
        public=public,
        files=contents.hashes(files),
        blockers=(*blockers, *secrets),
        notes=(*notes, *personal),
    )
    return publication, files


def _against_model(run: RunFolder, locked: LockedRecipe, told: Told, bundle: Bundle | None) -> list[Finding]:
    found = run.card.read_text(encoding="utf-8") if run.card.is_file() else ""
    return [
        *checks.unfit(run.load(run.run_record, RunRecord), run.load(run.decision, Decision), bundle, run.again),
        *checks.unlicensed_model(locked, run.again),
        *checks.changed_card(found, told.model_card.text, str(run.report_record), run.again),
    ]
