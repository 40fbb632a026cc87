"""Words that are encoded once give the ids that the library gives to whole texts."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from lathe.text import words
from lathe.text.words import Words

QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PARTS: dict[str, Sequence[pre_tokenizers.PreTokenizer]] = {
    "gpt2": [pre_tokenizers.ByteLevel(add_prefix_space=False)],
    "smollm2": [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)],
    "runs of digits": [
        pre_tokenizers.Digits(individual_digits=False),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    ],
    **{
        name: [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
        for name, pattern in (("qwen2", QWEN2), ("llama3", LLAMA3), ("o200k", O200K))
    },
}
NAMES = ("<|im_end|>", "<think>", "</think>", "<|im_end|>x")
PIECES = (
    *"abXY 0189'\"_-.,:;{}[]/\\|<>!?\t\n\r\x0b\x0c\x1c\x00\x7f", "   ", "\n\n", "\r\n", " \n ", "'s", "'LL", "I'm", "1234", "3.14",
    "  if x:", "camelCase", "HTTPServer", '{"id": 17, "on": "2024-03-09"}', "https://a.b/c?d=1&e=2", *NAMES,
)  # fmt: skip


OTHERS = (
    "ä",
    "é",
    "e\u0301",
    "\u0301",
    "ß",
    "ſ",
    "Ω",
    "日本",
    "🙂",
    "\xa0",
    "\x85",
    "\u2028",
    "–",
    "€",
    "²",
    "½",
    "٣",
    "ﬁ",
    "\u200b",
    "\nä",
    "ä\na",
)


def trained(steps: Sequence[pre_tokenizers.PreTokenizer], *added: AddedToken) -> Tokenizer:
    """A small byte-level BPE with these steps, so that words have several tokens and merges across them would show."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = steps[0] if len(steps) == 1 else pre_tokenizers.Sequence(list(steps))
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(drawn(seed=1, count=200), trainer)
    made.add_tokens(list(added))
    return made


def drawn(seed: int, count: int, pieces: Sequence[str] = PIECES) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices(pieces, k=draw.randrange(1, 60))) for _ in range(count)]


@pytest.mark.parametrize("name", PARTS)
def test_texts_of_all_characters_get_the_ids_of_the_library(name: str) -> None:
    backend = trained(PARTS[name], *(AddedToken(one, normalized=False) for one in NAMES))
    found = Words.of(backend)
    assert found is not None
    texts = ["", *drawn(seed=2, count=500), *drawn(seed=3, count=300, pieces=(*PIECES, *OTHERS))]
    expected = [encoding.ids for encoding in backend.encode_batch(texts, add_special_tokens=False)]
    assert [ids.tolist() for ids in found.encode(texts)] == expected
    assert [ids.tolist() for ids in found.encode(texts)] == expected, "now that all words are known"


@pytest.mark.parametrize("form", [normalizers.NFC(), normalizers.NFKC(), normalizers.NFD()])
def test_forms_of_unicode_are_the_librarys_own(form: normalizers.Normalizer) -> None:
    backend = trained(PARTS["qwen2"], *(AddedToken(one, normalized=False) for one in NAMES))
    backend.normalizer = form
    found = Words.of(backend)
    assert found is not None
    texts = drawn(seed=4, count=300, pieces=(*PIECES, *OTHERS))
    expected = [encoding.ids for encoding in backend.encode_batch(texts, add_special_tokens=False)]
    assert [ids.tolist() for ids in found.encode(texts)] == expected


def test_more_words_than_are_remembered_are_encoded_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "MOST", 50)
    backend = trained(PARTS["gpt2"])
    found = Words.of(backend)
    assert found is not None
    for text in drawn(seed=3, count=20):
        assert found.encode([text])[0].tolist() == backend.encode(text, add_special_tokens=False).ids


@pytest.mark.parametrize(
    "steps",
    [
        [pre_tokenizers.ByteLevel(add_prefix_space=True)],
        [pre_tokenizers.Metaspace()],
        [pre_tokenizers.Split(Regex(r"\p{L}+"), "removed")],
        [pre_tokenizers.Split(Regex(r"\p{Sc}|\s+|\S+"), "isolated")],
        [pre_tokenizers.Split(Regex(r"(?<=a)b|[\s\S]"), "isolated")],
        [pre_tokenizers.Split(Regex(r"\p{L}+|\p{N}+"), "isolated")],  # leaves gaps
    ],
)
def test_other_ways_of_parting_are_left_to_the_library(steps: list[pre_tokenizers.PreTokenizer]) -> None:
    assert Words.of(trained(steps)) is None


@pytest.mark.parametrize("setting", ["lstrip", "rstrip", "single_word"])
def test_so_are_names_that_depend_on_what_stands_beside_them(setting: str) -> None:
    assert Words.of(trained(PARTS["gpt2"], AddedToken("<x>", **{setting: True}))) is None


def test_so_are_models_that_are_no_byte_pair_encodings() -> None:
    backend = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    assert Words.of(backend) is None
