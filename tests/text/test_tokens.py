"""A token set keeps every row, in order, through the file; what is too long is said or counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lathe.errors import InputError
from lathe.records import Example, Message
from lathe.text.render import encode
from lathe.text.tokenizer import Tokenizer
from lathe.text.tokens import TokenSet, tokenise


def examples(count: int = 5) -> list[Example]:
    return [
        Example(
            id=f"row {i} é",
            input="x",
            messages=(Message(role="user", content="word " * i),),
            completion="yes " * (i + 1),
        )
        for i in range(count)
    ]


def test_rows_are_the_encoded_examples_in_order(tok: Tokenizer) -> None:
    rows = tokenise(tok, examples())
    assert len(rows) == 5
    assert rows.example_ids == tuple(f"row {i} é" for i in range(5))
    for number, item in enumerate(examples()):
        alone = encode(tok, item)
        assert rows.row(number).ids.tolist() == alone.ids.tolist()
        assert rows.row(number).supervised.tolist() == alone.supervised.tolist()
        assert rows.row(number).num_prompt == alone.num_prompt
        assert rows.lengths[number] == len(alone.ids)
        assert rows.supervised_lengths[number] == alone.supervised.sum()


def test_the_file_gives_the_same_set_and_the_same_bytes(tok: Tokenizer, tmp_path: Path) -> None:
    rows = tokenise(tok, examples(), max_tokens=34, truncate=True)
    rows.save(tmp_path / "tokens.safetensors")
    again = TokenSet.load(tmp_path / "tokens.safetensors")
    for name in ("ids_T", "supervised_T", "offsets"):
        assert np.array_equal(getattr(again, name), getattr(rows, name))
        assert getattr(again, name).dtype == getattr(rows, name).dtype
    assert (again.example_ids, again.truncated_rows) == (rows.example_ids, rows.truncated_rows)
    assert again.to_bytes() == rows.to_bytes() == tokenise(tok, examples(), max_tokens=34, truncate=True).to_bytes()


def test_no_rows_make_an_empty_set(tok: Tokenizer, tmp_path: Path) -> None:
    rows = tokenise(tok, [])
    assert (len(rows), rows.lengths.tolist(), rows.supervised_lengths.tolist()) == (0, [], [])
    rows.save(tmp_path / "empty")
    assert len(TokenSet.load(tmp_path / "empty")) == 0


def test_a_row_that_is_too_long_is_an_error_that_names_it(tok: Tokenizer) -> None:
    need = len(encode(tok, examples()[-1]).ids)
    with pytest.raises(
        InputError, match=rf"1 of 5 rows are longer than {need - 1} tokens; the longest, row 4 é, has {need}"
    ) as error:
        tokenise(tok, examples(), max_tokens=need - 1)
    assert f"train.max_tokens to {need}" in str(error.value.hint)


def test_cut_rows_are_counted_and_keep_their_beginning(tok: Tokenizer) -> None:
    full = tokenise(tok, examples())
    limit = int(full.lengths[3])
    rows = tokenise(tok, examples(), max_tokens=limit, truncate=True)
    assert rows.truncated_rows == 1
    assert rows.lengths.max() == limit
    assert rows.row(4).ids.tolist() == full.row(4).ids[:limit].tolist()


def test_a_cut_that_leaves_nothing_to_learn_is_an_error(tok: Tokenizer) -> None:
    prompt = tokenise(tok, examples()).row(4).num_prompt
    with pytest.raises(InputError, match=r"row \d é has nothing left to learn from"):
        tokenise(tok, examples(), max_tokens=prompt - 3, truncate=True)


def test_the_context_of_the_base_is_a_limit_by_itself(base, tmp_path: Path) -> None:
    from lathe.text import tokenizer

    folder = base()
    (folder / "config.json").write_text('{"max_position_embeddings": 7}')
    with pytest.raises(InputError, match="longer than 7 tokens") as error:
        tokenise(tokenizer.load(folder), examples(), max_tokens=5000)
    assert "context" in str(error.value.hint)
    with pytest.raises(InputError, match="nothing left to learn from: its prompt alone has") as error:
        tokenise(tokenizer.load(folder), examples(), max_tokens=5000, truncate=True)
    assert "Use a base with a context above" in str(error.value.hint)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x00" * 64])
def test_a_damaged_file_is_bad_input(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "tokens").write_bytes(content)
    with pytest.raises(InputError, match="holds no token set"):
        TokenSet.load(tmp_path / "tokens")


def test_progress_counts_rows(tok: Tokenizer) -> None:
    seen: list[tuple[int, int]] = []
    tokenise(tok, examples(300), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(256, 300), (300, 300)]
