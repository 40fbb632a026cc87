"""Secrets and personal data are found, nothing else is, and nothing of them is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lathe.data.findings.secrets import iban, kinds, luhn, redacted

# Written in two parts, so that no scanner takes this file for a leak.
PLANTED = {
    "private key": "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEow\n-----END RSA " + "PRIVATE KEY-----",
    "Hugging Face token": "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZ012345",
    "OpenAI or Anthropic key": "sk-" + "proj-aB3dE5gH7jK9mN1pQ3sT5vX7",
    "GitHub token": "ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vX7zB1dF3hJ5lN7",
    "AWS key": "AKIA" + "Q3T5V7X9Z1B3D5F7",
    "Google key": "AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
    "Slack token": "xoxb-" + "2345678901-abcdefghij",
    "Stripe key": "sk_live_" + "aB3dE5gH7jK9mN1pQ3sT5vX7",
    "JSON web token": "eyJ" + "hbGciOiJIUzI1NiJ9.eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
    "password in an address": "postgres://admin:hunter22@db.internal:5432/x",
    "secret value": "api_key = 'Zx9Kp2Lm8Qw4Rt7Yv1Bn5'",
    "e-mail address": "maria.lopez@acme-tools.io",
    "card number": "4111 1111 1111 1111",
    "bank account (IBAN)": "DE89 3704 0044 0532 0130 00",
    "US social security number": "536-22-1845",
    "phone number": "+49 30 901820 12",
}


@pytest.mark.parametrize(("kind", "planted"), PLANTED.items())
def test_a_planted_text_is_found_by_its_kind_and_never_shown(kind: str, planted: str) -> None:
    text = f"Please use {planted} for it."
    assert kind in kinds(text)
    shown = redacted(text)
    assert f"[{kind}]" in shown
    assert planted not in shown
    assert kinds(shown) == []


@pytest.mark.parametrize(
    "honest",
    [
        "Order 4111 1111 1111 1112 has no valid check digit.",
        "The id is 550e8400-e29b-41d4-a716-446655440000, made 2024-05-03T10:00:00.123456.",
        "Write to someone@example.com or root@localhost.",
        "Total: 1,234,567.89 of 2024-01-02, range 10-20-3000, version 3.11.7",
        "use_cls_token: true, num_memory_tokens: 16, tokenizer = AutoTokenizer",
        "See https://example.org/a:b and the ratio 16:9.",
        "password: the user is asked for it",
        "sk-learn and hf_hub are libraries.",
        "ISBN 978-3-16-148410-0, EAN 4006381333931x",
        "0000 0000 0000 0000",
        "scp notes.txt ubuntu@build.server.com:/home/ubuntu",
    ],
)
def test_honest_texts_are_passed_over(honest: str) -> None:
    assert kinds(honest) == []
    assert redacted(honest) == honest


def test_several_are_each_replaced_in_place() -> None:
    text = f"{PLANTED['e-mail address']}, then {PLANTED['AWS key']}."
    assert redacted(text) == "[e-mail address], then [AWS key]."
    assert kinds(text) == ["AWS key", "e-mail address"]


@given(st.integers(10**14, 10**15 - 1))
def test_exactly_one_check_digit_makes_a_card_number_valid(body: int) -> None:
    assert sum(luhn(f"{body}{digit}") for digit in range(10)) == 1


def test_a_bank_account_with_two_digits_changed_places_is_none() -> None:
    assert iban("GB82 WEST 1234 5698 7654 32")
    assert not iban("GB82 WEST 1234 5698 7654 23")


@given(st.text(max_size=300))
def test_any_text_can_be_looked_at_and_redacting_twice_changes_nothing(text: str) -> None:
    assert redacted(redacted(text)) == redacted(text)
