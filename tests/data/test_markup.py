"""Conversations written out in a template's markup are taken apart into the turns that they were made of."""

from __future__ import annotations

import pytest

from lathe.data.conversations.markup import turns

TURNS = [
    ("user", "Hi <there>,\nhow are you?"),
    ("assistant", "Fine."),
    ("user", "2 < 3?"),
    ("assistant", "Yes.\n\n```\na\n```"),
]


def written(begin: str, end: str, names: dict[str, str]) -> str:
    return "".join(f"{begin.format(names[role])}{content}{end}" for role, content in TURNS)


SAME = {"user": "user", "assistant": "assistant"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ChatML", written("<|im_start|>{}\n", "<|im_end|>\n", SAME)),
        ("Llama 3", "<|begin_of_text|>" + written("<|start_header_id|>{}<|end_header_id|>\n\n", "<|eot_id|>", SAME)),
        ("Gemma", "<bos>" + written("<start_of_turn>{}\n", "<end_of_turn>\n", {"user": "user", "assistant": "model"})),
        ("Zephyr", written("<|{}|>\n", "</s>\n", SAME)),
        ("Alpaca headings", written("### {}:\n", "\n\n", {"user": "Instruction", "assistant": "Response"})),
    ],
)
def test_each_markup_is_taken_apart(name: str, text: str) -> None:
    assert turns(text) == (name, TURNS)


def test_a_last_answer_without_its_end_is_kept() -> None:
    found = turns("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello th")
    assert found == ("ChatML", [("user", "Hi"), ("assistant", "Hello th")])


def test_an_instruction_and_its_input_are_one_question() -> None:
    found = turns("### Instruction:\nAdd\n\n### Input:\n2 3\n\n### Response:\n5")
    assert found == ("Alpaca headings", [("user", "Add\n\n2 3"), ("assistant", "5")])


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "<|im_start|>user\nHi<|im_end|>",
        "<|im_start|>wizard\nHi<|im_end|>\n<|im_start|>assistant\nb<|im_end|>",
        "",
    ],
)
def test_a_text_without_an_answer_or_with_an_unknown_role_is_no_conversation(text: str) -> None:
    assert turns(text) is None
