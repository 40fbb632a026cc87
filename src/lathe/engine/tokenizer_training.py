"""A byte-level BPE tokenizer of our own, cut into words exactly as SmolLM's.

    tokenizer = train_tokenizer(texts, vocabulary=4096)
    tokenizer.decode(tokenizer.encode("Größe: 12").ids)      # "Größe: 12"

Digits stand alone, then GPT-2's byte level: llama.cpp knows this cut as `smollm`, so exported files tokenise as we
do. No token is added before a text: a document starts with its first token, and `<|endoftext|>` only stands between
documents.
"""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

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
    """A tokenizer with `vocabulary` ids: 4 special tokens, the 256 bytes, and the most frequent merges of `texts`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=2,
    )
    tokenizer.train_from_iterator(texts, trainer)
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
