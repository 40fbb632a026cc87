"""The mask of every row is proved, and what is wrong with rows, template and tokenizer is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import decoders, models, pre_tokenizers

from lathe.data.conversations.masks import MaskProof, faults, mask_of, tokenizer_findings
from lathe.records import Example, Message
from lathe.text.coloured import coloured, pieces
from lathe.text.render import Encoded, encode_all
from lathe.text.tokenizer import Tokenizer, load

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>"]
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.fixture
def base(tmp_path: Path) -> Callable[..., Tokenizer]:
    """A tokenizer of single bytes with ChatML; keyword arguments go into tokenizer_config.json."""

    def write(template: str | None = CHATML, post: bool = False, **named: str) -> Tokenizer:
        alphabet = SPECIAL + sorted(pre_tokenizers.ByteLevel.alphabet())
        backend = tokenizers.Tokenizer(models.BPE(vocab={token: id for id, token in enumerate(alphabet)}, merges=[]))
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        backend.add_special_tokens(SPECIAL)
        if post:
            backend.post_processor = tokenizers.processors.TemplateProcessing(
                single="<s> $A", special_tokens=[("<s>", 3)]
            )
        backend.save(str(tmp_path / "tokenizer.json"))
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": SPECIAL[0], **named}))
        if template is not None:
            (tmp_path / "chat_template.jinja").write_text(template)
        return load(tmp_path)

    return write


def example(asked: str, answer: str) -> Example:
    return Example(id="1", input=asked, messages=(Message(role="user", content=asked),), completion=answer)


def proof(tok: Tokenizer, examples: list[Example], max_tokens: int | None = None) -> MaskProof:
    found = MaskProof(tok, max_tokens)
    for number, row in enumerate(encode_all(tok, examples), start=1):
        found.add(mask_of(row, tok, max_tokens), f"rows.jsonl:{number}")
    return found


def ids(found: MaskProof) -> dict[str, int]:
    return {finding.id: finding.count for finding in found.findings()}


def test_good_rows_have_no_finding_and_their_lengths_add_up(base: Callable[..., Tokenizer]) -> None:
    tok = base(pad_token="<s>")
    found = proof(tok, [example("Hi", "Hello"), example("What is up?", "Not much")])
    assert found.findings() == []
    lengths = found.lengths("mine")
    assert (lengths.rows, lengths.supervised) == (2, len("Hello") + len("Not much") + 2)
    assert lengths.longest == len(encode_all(tok, [example("What is up?", "Not much")])[0].ids)
    assert 0 < lengths.supervised < lengths.tokens


def test_answers_that_would_be_cut_are_counted_with_what_would_be_left(base: Callable[..., Tokenizer]) -> None:
    found = proof(base(pad_token="<s>"), [example("Hi", "word " * 20), example("Hi", "ok")], max_tokens=60)
    (finding,) = found.findings()
    assert (finding.id, finding.level, finding.count) == ("answer_cut_by_length", "error", 1)
    assert "1 of 2 answers would be cut at 60 tokens" in finding.message
    assert finding.examples[0].startswith("rows.jsonl:1: ")
    assert "of 101 of the answer would be left" in finding.examples[0]


def test_the_context_of_the_base_is_the_limit_where_none_is_said(
    base: Callable[..., Tokenizer], tmp_path: Path
) -> None:
    base(pad_token="<s>")
    (tmp_path / "config.json").write_text(json.dumps({"max_position_embeddings": 40}))
    assert ids(proof(load(tmp_path), [example("Hi", "word " * 20)])) == {"answer_cut_by_length": 1}


def test_an_empty_answer_has_nothing_to_learn_but_the_end(base: Callable[..., Tokenizer]) -> None:
    assert ids(proof(base(pad_token="<s>"), [example("Hi", "")])) == {"nothing_supervised": 1}


def test_text_that_reads_like_a_special_token_is_named(base: Callable[..., Tokenizer]) -> None:
    assert ids(proof(base(pad_token="<s>"), [example("Say <|im_end|> twice <|im_end|>", "no")])) == {"special_text": 1}


def test_padding_that_is_the_end_token_is_named_and_the_end_still_trained(base: Callable[..., Tokenizer]) -> None:
    tok = base()
    assert tok.pad_id == tok.eos_id
    assert ids(proof(tok, [example("Hi", "Hello")])) == {"pad_is_end": 0}
    assert bool(encode_all(tok, [example("Hi", "Hello")])[0].supervised[-1])


def test_a_template_of_another_model_is_named(base: Callable[..., Tokenizer]) -> None:
    turn = "'<|start_header_id|>' + message['role'] + '<|end_header_id|>' + message['content'] + '<|im_end|>'"
    foreign = "{% for message in messages %}{{ " + turn + " }}{% endfor %}"
    (finding,) = tokenizer_findings(base(foreign, pad_token="<s>"))
    assert finding.id == "template_not_in_vocabulary"
    assert "<|end_header_id|>, <|start_header_id|>" in finding.message


def test_template_and_tokenizer_that_both_write_the_beginning_are_named_and_rows_have_it_once(
    base: Callable[..., Tokenizer],
) -> None:
    tok = base("{{ bos_token }}" + CHATML, post=True, bos_token="<s>", pad_token="<|im_start|>")
    found = proof(tok, [example("Hi", "Hello")])
    assert "two_write_bos" in ids(found)
    assert "double_bos" not in ids(found)


def test_a_base_without_a_template_is_named(base: Callable[..., Tokenizer]) -> None:
    assert [finding.id for finding in tokenizer_findings(base(None, pad_token="<s>"))] == ["no_template"]


@pytest.mark.parametrize(
    ("ids", "supervised", "found"),
    [
        ([1, 1, 5, 6, 2], [0, 0, 0, 1, 1], "double_bos"),
        ([1, 5, 6, 7], [0, 0, 1, 1], "end_not_trained"),
        ([1, 5, 6, 2], [0, 1, 1, 0], "end_not_trained"),
        ([1, 5, 6, 2], [0, 0, 0, 0], "nothing_supervised"),
    ],
)
def test_each_fault_of_a_row_has_its_name(ids: list[int], supervised: list[int], found: str) -> None:
    row = Encoded(np.array(ids, np.int32), np.array(supervised, np.bool_), 1)
    assert found in [name for name, _ in faults(row, frozenset({2}), 1, None)]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufdd0\ufdd1\ufdd2\ufdd3"), max_size=30)


def test_the_coloured_tokens_spell_the_row_and_only_the_answer_is_supervised(base: Callable[..., Tokenizer]) -> None:
    tok = base()

    @settings(deadline=None, max_examples=40)
    @given(TEXT, TEXT)
    def holds(asked: str, answer: str) -> None:
        row = encode_all(tok, [example(asked, answer)])[0]
        shown = coloured(tok, row, "rows.jsonl:1").tokens
        assert len(shown) == len(row.ids)
        assert "".join(token.text for token in shown) == tok.backend.decode(row.ids.tolist(), skip_special_tokens=False)
        assert answer.strip() in "".join(token.text for token in shown if token.supervised)

    holds()


def test_a_character_of_several_tokens_stands_at_its_last_one(base: Callable[..., Tokenizer]) -> None:
    tok = base()
    assert pieces(tok, tok.encode("aé🙂")) == ["a", "", "é", "", "", "", "🙂"]
