"""A reader of the report sees the very tokens that were trained on, which of them carried loss, and which labels look wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from test_html import HOSTILE, Reader

from lathe import records as r
from lathe.records.check import MaskedRow, MaskedToken
from lathe.records.data import Suspect
from lathe.report.data_section import FIRST, LAST, ROWS, shown, spread, token_view
from lathe.report.html import page
from lathe.report.story import gather
from lathe.runs import RunFolder
from lathe.text.tokenizer import load
from lathe.text.tokens import tokenise

Make = Callable[..., tuple[RunFolder, r.LockedRecipe]]
NANO = Path(__file__).parents[2] / "src" / "lathe" / "assets" / "nano"


def example(number: int, text: str) -> r.Example:
    turn = r.Message(role="user", content=f"{text} " * (number + 1))
    return r.Example(id=f"row-{number}", input=text, messages=(turn,), completion=f"answer {number}")


def trained(made: tuple[RunFolder, r.LockedRecipe], text: str = "some words") -> tuple[RunFolder, r.LockedRecipe]:
    """The run with its training tokens and its base."""
    run, locked = made
    tokenise(load(NANO), [example(number, text) for number in range(9)]).save(run.tokens)
    return run, locked.model_copy(update={"base_folder": str(NANO)})


def test_the_tokens_of_the_answer_carry_loss_and_those_of_the_prompt_do_not(make_run: Make) -> None:
    run, locked = trained(make_run())
    (row, *_), text = gather(run, locked).masked, page(gather(run, locked))
    assert row.place == "row-0"
    answer = "".join(token.text for token in row.tokens if token.supervised)
    assert answer.startswith("answer 0")
    section = re.search(
        r"row-0: (\d+) of (\d+) tokens carry loss</summary>\s*<pre class=\"tokens\">(.*?)</pre>", text, re.DOTALL
    )
    assert section is not None
    assert (int(section[1]), int(section[2])) == (sum(token.supervised for token in row.tokens), len(row.tokens))
    assert len(re.findall("<b", section[3])) == int(section[1])
    assert len(re.findall("<[bi]", section[3])) == int(section[2])


def test_a_run_without_its_tokens_or_its_base_shows_no_rows(make_run: Make) -> None:
    run, locked = trained(make_run())
    assert len(gather(run, locked).masked) == ROWS
    assert gather(run, locked.model_copy(update={"base_folder": "gone"})).masked == ()
    run.tokens.unlink()
    assert gather(run, locked).masked == ()
    assert "token by token" not in page(gather(run, locked))


def test_rows_are_spread_from_the_shortest_to_the_longest() -> None:
    assert spread([5, 1, 9, 3, 7, 2, 8, 4, 6]) == [1, 3, 0, 4, 2]
    assert spread([2, 1]) == [1, 0]


def test_a_long_row_keeps_its_beginning_and_its_end() -> None:
    tokens = tuple(MaskedToken(text=f"{n} ", supervised=n > 990) for n in range(1000))
    found = token_view(MaskedRow(place="a", tokens=tokens))
    assert (len(found.first), len(found.last), found.left_out) == (FIRST, LAST, 1000 - FIRST - LAST)
    assert found.num_supervised == 9
    assert found.last[-1].text == "999 "


def test_a_secret_that_tokens_cut_in_pieces_is_not_shown() -> None:
    row = MaskedRow(place="a", tokens=tuple(MaskedToken(text=text, supervised=True) for text in ("open", "ses", "ame")))
    assert shown([row], ["opensesame"]) == []
    assert len(shown([row], [])) == 1


@pytest.mark.parametrize("payload", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_rows_and_labels_add_no_element(payload: str, make_run: Make) -> None:
    def read(text: str) -> Reader:
        run, locked = trained(make_run(num_items=24), text)
        manifest = run.load(run.manifest, r.Manifest)
        suspect = Suspect(place=f"{text}:1", text=text, given=text, likelier=text, margin=-1.0)
        run.commit(run.manifest, manifest.model_copy(update={"suspects": (suspect,)}))
        return Reader(page(gather(run, locked)))

    hostile, harmless = read(payload), read("harmless")
    tokens = {"b", "i"}  # as many as the text has
    assert {tag: n for tag, n in hostile.tags.items() if tag not in tokens} == {
        tag: n for tag, n in harmless.tags.items() if tag not in tokens
    }
    assert set(hostile.attributes) == set(harmless.attributes)


def test_suspect_labels_are_listed(make_run: Make) -> None:
    run, locked = make_run()
    manifest = run.load(run.manifest, r.Manifest)
    suspect = Suspect(
        place="/data/rows.csv:17", text="Where is my card?", given="top_up", likelier="card_arrival", margin=-0.4
    )
    run.commit(run.manifest, manifest.model_copy(update={"suspects": (suspect,)}))
    words = Reader(page(gather(run, locked))).text
    assert "1 label rows.csv:17" in words.replace("row given likelier text ", "")
    assert "top_up" in words
    assert "card_arrival" in words
