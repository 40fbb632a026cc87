"""A tokenizer is what its folder says, and a folder that says too little is bad input."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lathe.errors import InputError
from lathe.text import tokenizer

Base = Callable[..., Path]


def test_the_template_file_wins_over_the_one_in_the_configuration(base: Base) -> None:
    folder = base("from the file", chat_template="from the configuration")
    loaded = tokenizer.load(folder).template
    assert loaded is not None
    assert loaded.source == "from the file"


def test_of_several_templates_the_default_one_is_taken(base: Base) -> None:
    several = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "plain"}]
    loaded = tokenizer.load(base(None, chat_template=several)).template
    assert loaded is not None
    assert loaded.source == "plain"


def test_all_configured_ends_are_stops(base: Base) -> None:
    folder = base(None)
    (folder / "generation_config.json").write_text('{"eos_token_id": [0, 4]}')
    (folder / "config.json").write_text('{"eos_token_id": 5, "max_position_embeddings": 512}')
    tok = tokenizer.load(folder)
    assert tok.stop_ids == {0, 4, 5}
    assert (tok.eos_id, tok.max_tokens) == (0, 512)


def test_an_answer_ends_where_another_text_would_begin(base: Base) -> None:
    tok = tokenizer.load(base(bos_token="<s>"))
    assert tok.stop_ids == {tok.bos_id, tok.eos_id, tok.turn_end_id}


def test_a_token_may_be_named_as_text_or_as_an_object(base: Base) -> None:
    tok = tokenizer.load(base(eos_token={"content": "</s>", "lstrip": False}))
    assert tok.token(tok.eos_id) == "</s>"


def test_limits_stored_in_the_file_cut_nothing(base: Base) -> None:
    folder = base()
    stored = json.loads((folder / "tokenizer.json").read_text())
    stored["truncation"] = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    (folder / "tokenizer.json").write_text(json.dumps(stored))
    assert len(tokenizer.load(folder).encode("one two three four five six")) > 3


def test_decoding_leaves_special_tokens_out(base: Base) -> None:
    tok = tokenizer.load(base())
    assert tok.decode([*tok.encode("Grüße 🙂"), tok.id("<|im_end|>")]) == "Grüße 🙂"


def test_the_hash_changes_with_whatever_decides_ids(base: Base) -> None:
    hashes = {
        tokenizer.load(base(name="one")).content_hash,
        tokenizer.load(base("another", name="two")).content_hash,
        tokenizer.load(base(name="three", eos_token="</s>")).content_hash,
        tokenizer.load(base(None, name="four")).content_hash,
    }
    assert len(hashes) == 4
    assert tokenizer.load(base(name="five")).content_hash in hashes


def test_a_folder_without_a_tokenizer_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tokenizer.json is not there") as error:
        tokenizer.load(tmp_path)
    assert error.value.hint


def test_a_token_that_the_base_has_no_embedding_for_is_named_where_a_text_has_it(base: Base) -> None:
    folder = base()
    size = tokenizer.load(folder).vocab_size
    (folder / "config.json").write_text(json.dumps({"vocab_size": size}))
    described = json.loads((folder / "tokenizer.json").read_text())
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    for id, text, special in ((size, "lamp", False), (size + 1, "<image>", True)):
        described["added_tokens"].append({"id": id, "content": text, "special": special, **flags})
    (folder / "tokenizer.json").write_text(json.dumps(described))
    tok = tokenizer.load(folder)
    assert (tok.usable_size, tok.vocab_size) == (size, size + 2)
    assert tok.decode(tok.encode("a table, an <image>")) == "a table, an <image>"  # data cannot write a special token
    with pytest.raises(InputError, match=rf"a text has the token 'lamp', id {size}, and .* the base has {size}"):
        tok.encode("two lamps")


def test_an_end_token_beyond_the_vocabulary_is_none(base: Base) -> None:
    """The ids of a padded embedding have no text: one of them as a stop would be the word None in a Modelfile."""
    folder = base()
    (folder / "generation_config.json").write_text('{"eos_token_id": [4, 100000, -1]}')
    tok = tokenizer.load(folder)
    assert tok.stop_ids == {0, 2, 4}
    assert "None" not in {tok.token(id) for id in tok.stop_ids}


@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer_config.json", "config.json", "generation_config.json"])
@pytest.mark.parametrize("content", ["", "{", "[1]", "\x00"])
def test_a_damaged_file_is_named(base: Base, file: str, content: str) -> None:
    folder = base()
    (folder / file).write_text(content)
    with pytest.raises(InputError, match=file):
        tokenizer.load(folder)


def test_a_base_that_names_no_end_is_bad_input(base: Base) -> None:
    with pytest.raises(InputError, match="no end-of-text token"):
        tokenizer.load(base(eos_token=None))
