"""Every number of a card leads to an entry of a record that gives it."""

from __future__ import annotations

import json
from collections.abc import Callable

from card_numbers import NUMBER, definitions, unresolved
from lathe import records as r
from lathe.records.recipe import PublishSpec
from lathe.report import cards, report
from lathe.report.cited import LINK, cited, pointer
from lathe.runs import RunFolder

Make = Callable[..., tuple[RunFolder, r.LockedRecipe]]


def with_publish(locked: r.LockedRecipe, **stated: str) -> r.LockedRecipe:
    recipe = locked.recipe.model_copy(update={"publish": PublishSpec(**stated)})
    return locked.model_copy(update={"recipe": recipe})


def rich(made: tuple[RunFolder, r.LockedRecipe]) -> tuple[RunFolder, r.LockedRecipe]:
    """The run with a file that was held back, sources of several kinds, and licences that a person stated."""
    run, locked = made
    bundle = run.load(run.bundle_record, r.Bundle)
    check = r.ModelCheck(id="chat_ids", ok=False, message="4 of 10 rendered chats differ")
    held = bundle.shipped[0].model_copy(update={"kind": "gguf_q4_0", "checked": (check,)})
    run.commit(run.bundle_record, bundle.model_copy(update={"withheld": (held,)}))
    manifest = run.load(run.manifest, r.Manifest)
    commit = "0123456789abcdef0123456789abcdef01234567"
    others = (
        r.Source(name="/home/ada/rows/tickets.jsonl", num_rows=17, citation="A. Lovelace: Notes, 1843."),
        r.Source(name=f"/home/ada/.cache/hub/datasets--acme--orders/snapshots/{commit}/train.jsonl", num_rows=19),
    )
    run.commit(run.manifest, manifest.model_copy(update={"sources": (*manifest.sources, *others)}))
    locked = with_publish(locked, licence="Apache-2.0", data_licence="CC-BY-4.0")
    run.commit(run.lock_record, locked)
    return run, locked


def test_every_number_of_both_cards_resolves(make_run: Make) -> None:
    run, locked = rich(make_run())
    for card in cards(run, locked):
        assert len(NUMBER.findall(LINK.sub("]", card.text))) > 15
        assert unresolved(card, definitions(locked)) == []


def test_a_number_ends_with_its_last_digit() -> None:
    assert NUMBER.findall("1,234 rows, 426 [399, 454], KL 5.8e-06.") == ["1,234", "426", "399", "454", "5.8e-06"]


def test_a_number_that_is_typed_in_resolves_nowhere(make_run: Make) -> None:
    run, locked = make_run()
    model, _ = cards(run, locked)
    for old, new in (
        ("[0.70](", "[0.97]("),
        ("[93](", "[94]("),
        ("## Limits\n", "## Limits\n\nIt is right in 98 % of cases.\n"),
    ):
        assert old in model.text
        typed = model.model_copy(update={"text": model.text.replace(old, new, 1)})
        assert len(unresolved(typed, definitions(locked))) == 1


def test_the_evidence_holds_no_row_and_no_path_of_the_machine(make_run: Make) -> None:
    run, locked = rich(make_run(lambda text: f"PRIVATE {text}" if text.startswith("row-") else text))
    for card in cards(run, locked):
        assert "/home/ada" not in card.text + card.evidence
        assert "PRIVATE" not in card.evidence
        assert "hub:acme/orders: train.jsonl" in card.text


def test_the_evidence_lies_beside_the_card(make_run: Make) -> None:
    run, locked = make_run()
    report(run, locked, "inputs")
    model, _ = cards(run, locked)
    assert run.card.read_text() == model.text
    assert json.loads((run.path / "CARD.json").read_text()) == json.loads(model.evidence)
    assert json.loads(model.evidence)["train/result.json"]["/num_steps"] == 93


def test_a_key_from_outside_cannot_end_a_link() -> None:
    assert cited("1", "decision.json", "gates", 0) == '[1](CARD.json "decision.json /gates/0")'
    assert not set('"() <>') & set(pointer('x") <script>'))


def test_a_slice_by_an_odd_name_is_found_again(make_run: Make) -> None:
    """Names of slices come from the task, which may be an outsider's."""
    run, locked = make_run()
    tuned = run.load(run.eval_report("tuned"), r.EvalReport)
    slices = {'kind/of ~ "text") ![x](y)': tuned.slices["complexity"]}
    run.commit(run.eval_report("tuned"), tuned.model_copy(update={"slices": slices}))
    model, _ = cards(run, locked)
    assert "Weakest kind/of" in model.text
    assert unresolved(model, definitions(locked)) == []
