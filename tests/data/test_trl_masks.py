"""Lathe's loss masks equal TRL's, token by token; what TRL trains behind the end token, nobody asks a model for.

The labels were made by bench/trl_masks.py with TRL 1.16 from templates of published models, and are stored, so that nothing is
skipped where TRL is missing. In these files -100 stands for: no loss.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lathe.data.conversations.conversation import Conversation
from lathe.data.conversations.encoding import encoded
from lathe.data.conversations.formats import detect
from lathe.data.conversations.readers import convert
from lathe.text.render import Encoded
from lathe.text.tokenizer import Tokenizer, load

FIXTURES = Path(__file__).parents[1] / "fixtures" / "trl_masks"
TEMPLATES = ("cohere", "gemma", "lfm2", "llama3", "phi3")
NO_LOSS = -100


def stored(name: str) -> dict[str, Any]:
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def tokenizer_of(folder: Path, template: str) -> Tokenizer:
    (folder / "tokenizer.json").write_bytes((FIXTURES / "tokenizer.json").read_bytes())
    settings = {"bos_token": "<s>", "eos_token": "<|endoftext|>", "pad_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return load(folder)


def ours(tok: Tokenizer, row: dict[str, Any]) -> list[Encoded]:
    conversation: Conversation = convert(row, detect([row]))
    return [one for _, one in encoded(tok, [(conversation, "row")])]


def behind_the_end(tok: Tokenizer, ids: list[int], at: int) -> str:
    """Text from a position on."""
    return str(tok.backend.decode(ids[at:], skip_special_tokens=False))


@pytest.mark.parametrize("name", [*TEMPLATES, "qwen2_5"])
def test_prompt_completion_rows_are_masked_as_trl_masks_them(name: str, tmp_path: Path) -> None:
    file = stored(name)
    tok = tokenizer_of(tmp_path, file["template"])
    for chat, theirs in zip(file["chats"], file["prompt_completion"], strict=True):
        (row,) = ours(tok, {"prompt": chat[:-1], "completion": chat[-1:]})
        length = len(row.ids)
        assert theirs["input_ids"][:length] == row.ids.tolist()
        assert [label != NO_LOSS for label in theirs["labels"][:length]] == row.supervised.tolist()
        assert int(row.ids[-1]) == tok.turn_end_id
        assert behind_the_end(tok, theirs["input_ids"], length) in ("", "\n", "\n<|endoftext|>")


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_answer_of_a_conversation_is_masked_as_trl_masks_it(name: str, tmp_path: Path) -> None:
    file = stored(name)
    tok = tokenizer_of(tmp_path, file["template"])
    for chat, theirs in zip(file["chats"], file["assistant_only"], strict=True):
        trained = np.zeros(len(theirs["input_ids"]), np.bool_)
        ends = set()
        for row in ours(tok, {"messages": chat}):
            length = len(row.ids)
            assert theirs["input_ids"][:length] == row.ids.tolist()
            trained[:length] |= row.supervised
            ends.add(length)
        labelled = np.array([label != NO_LOSS for label in theirs["labels"]])
        assert not (trained & ~labelled).any()
        for at in np.flatnonzero(labelled & ~trained).tolist():
            assert at in ends, "TRL trains nothing else than the template's text behind an end token"
            assert tok.backend.decode([theirs["input_ids"][at]], skip_special_tokens=False) in ("\n", "<|endoftext|>")
            ends.add(at + 1)


def test_trls_own_template_of_qwen_trains_the_line_break_before_each_answer_too(tmp_path: Path) -> None:
    """TRL's variant of Qwen2.5's template opens the answer before the line break that belongs to the prompt for generation."""
    file = stored("qwen2_5")
    tok = tokenizer_of(tmp_path, file["template"])
    chat, theirs = file["chats"][0], file["assistant_only"][0]
    (row,) = ours(tok, {"messages": chat})
    labelled = [label != NO_LOSS for label in theirs["labels"][: len(row.ids)]]
    assert labelled[row.num_prompt :] == row.supervised[row.num_prompt :].tolist()
    assert np.flatnonzero(labelled)[0] == row.num_prompt - 1
    assert tok.backend.decode([int(row.ids[row.num_prompt - 1])]) == "\n"
