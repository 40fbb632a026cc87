"""A byte-level BPE tokenizer of our own, cut into words exactly as SmolLM's.

    tokenizer = train_tokenizer(texts, vocabulary=4096)
    tokenizer.decode(tokenizer.encode("Größe: 12").ids)      # "Größe: 12"

Digits stand alone, then GPT-2's byte level: llama.cpp knows this cut as `smollm`, so exported files tokenise as we
do. No token is added before a text: a document starts with its first token, and `<|endoftext|>` only stands between
documents.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

DOCUMENT_END, TURN_START, TURN_END, PAD = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|pad|>"
SPECIAL_TOKENS = (DOCUMENT_END, TURN_START, TURN_END, PAD)
"""In the order of their ids, from 0."""
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""Plain ChatML, without a system message of its own."""


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """A tokenizer with `vocabulary` ids: 4 special tokens, the 256 bytes, and the most frequent merges of `texts`.

    Merges are learned with the space before a word, and a capital after a small letter, cut off; so no token holds a
    space and a letter, and a span has the same tokens after a space, a quote or an underscore: copying and finding a
    label need no second spelling. The cut is needed for training only: without such merges SmolLM's own cut gives the
    same ids.
    """
    tokenizer = Tokenizer(models.BPE())
    digits = pre_tokenizers.Digits(individual_digits=True)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    inner_words = pre_tokenizers.Split(Regex(r" (?=\p{L})|(?<=\p{Ll})(?=\p{Lu})"), "isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, inner_words, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=2,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, byte_level])
    return tokenizer


def tokenizer_config(context: int) -> dict[str, object]:
    """What tokenizer_config.json says, so that transformers reads the folder without remote code."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": DOCUMENT_END,
        "eos_token": TURN_END,
        "unk_token": DOCUMENT_END,
        "pad_token": PAD,
        "extra_special_tokens": [TURN_START],
        "add_bos_token": False,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": context,
        "padding_side": "right",
    }
