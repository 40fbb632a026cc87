"""Secrets go, control characters become visible, ordinary text stays as it is."""

from __future__ import annotations

import shlex

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lathe.resolve import strict_yaml
from lathe.safe_text import CONTROL, MASK, redact, secrets_of, typed, visible, yaml_text

CANARIES = [
    "hf_" + "aB3" * 11,
    "sk-" + "proj-" + "x9Y" * 10,
    "sk-ant-api03-" + "q" * 40,
    "ghp_" + "Z1" * 18,
    "github_pat_" + "11ABCDEFG0_" + "k" * 40,
    "AKIA" + "IOSFODNN7EXAMPLE",
    "xoxb-" + "123456789012-abcdefghijkl",
]


@pytest.mark.parametrize("secret", CANARIES, ids=lambda s: s[:8])
@pytest.mark.parametrize("around", ["{}", "token={}&x=1", 'login with "{}".', "é{}\n", "https://u:{}@host/"])
def test_known_forms_of_secrets_are_masked_wherever_they_stand(secret: str, around: str) -> None:
    said = redact(around.format(secret))
    assert secret not in said
    assert MASK in said


@pytest.mark.parametrize(
    "text",
    [
        "use_cls_token: true",
        "num_memory_tokens 7",
        "hf_hub",
        "sk-learn",
        "a task-force-of-many-people-here",
        "max_new_tokens",
    ],
)
def test_ordinary_words_are_left_alone(text: str) -> None:
    assert redact(text) == text


def test_values_of_secret_variables_are_masked_even_in_no_known_form() -> None:
    environment = {
        "MY_API_KEY": "correct horse battery",
        "HOME": "/home/ada",
        "DB_SECRET": "s3cr3t-value",
        "TOKENIZERS_PARALLELISM": "false",
    }
    secrets = secrets_of(environment)
    assert set(secrets) == {"correct horse battery", "s3cr3t-value"}
    assert redact("with correct horse battery in it", secrets) == f"with {MASK} in it"


def test_a_secret_is_found_without_the_line_end_that_its_variable_has() -> None:
    secrets = secrets_of({"A_KEY": "abcdefgh-1\r\n"})
    assert (
        redact(r"Invalid header value b'Bearer abcdefgh-1\r\n'", secrets)
        == rf"Invalid header value b'Bearer {MASK}\r\n'"
    )


def test_the_longer_of_two_nested_secrets_goes_first() -> None:
    secrets = secrets_of({"A_KEY": "abcdefgh", "B_KEY": "abcdefghijkl"})
    assert redact("abcdefghijkl", secrets) == MASK


@settings(deadline=None)
@given(st.text())
def test_no_control_character_is_left(text: str) -> None:
    assert not CONTROL.search(visible(text))


def test_an_escape_a_bell_and_a_reversal_can_be_seen() -> None:
    assert visible("a\x1b[2J\x07\u202eb\x9b\x7f") == "a␛[2J␇⟨U+202E⟩b⟨U+009B⟩␡"


def test_tabs_newlines_and_letters_of_all_scripts_stay() -> None:
    text = "a\tb\nçé 漢字 العربية"
    assert visible(text) == text


odd = [
    "a: b",
    "no",
    "null",
    "~",
    ".5",
    ".inf",
    "12",
    "1e5",
    "a#b",
    "a #b",
    "- x",
    " a",
    "{a}",
    "*a",
    "",
    "Aufträge/März 1.jsonl",
]


@settings(deadline=None, derandomize=True)
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])) | st.sampled_from(odd))
def test_yaml_reads_back_what_was_written_for_it(text: str) -> None:
    for written in (f"key: [{yaml_text(text)}]", f"key: [{yaml_text(text)}]     # said"):
        assert yaml.safe_load(written) == strict_yaml.parse(written).value == {"key": [text]}


@pytest.mark.parametrize("text", ["rows.jsonl", "../my rows/a-b_c.jsonl", "HuggingFaceTB/SmolLM2-135M"])
def test_a_usual_name_stands_in_yaml_as_it_is(text: str) -> None:
    assert yaml_text(text) == text


@pytest.mark.parametrize("path", ["runs/a", "läufe 1/it's", "-x", "$HOME/a;b", "a\nb"])
def test_a_path_is_one_word_on_one_line_where_it_is_typed(path: str) -> None:
    said = typed(path)
    assert said.isprintable()
    assert len(shlex.split(said)) == 1
    assert not said.startswith("-")
