"""Three hundred texts on which two tokenizers that are not the same are likely to differ: always the same ones.

golden_texts(("<|im_start|>", "<|im_end|>"))  -> 300 texts: scripts, marks, digits, code, blanks, special tokens, mixtures
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from lathe.records import Message

NUM_TEXTS = 300
_WRITTEN = (
    "", " ", "  ", "\n", "\n\n", "\t", " \n \t ", "\r\n", "a", " a", "a ", "  a  b   c", "trailing   ", "\n leading",
    "x\n\n\ny", "The quick brown fox jumps over the lazy dog.", "don't we'll they're I'd it's you've I'm",
    "DON'T WE'LL", "e.g. i.e. etc.", "0", "7", "42", "123", "1234567890", "3.14159", "-1e-9", "1,234,567.89",
    "12:34:56", "2026-11-20", "+49 30 1234567", "a1b2c3", "½ ² Ⅷ ①", "١٢٣ ४५ ๖", "$1.00 €2,50 ¥300 £4", "50%",
    "#1 @you &me *x* _y_ ~z~ ^w^ |v| `u`", "____", "----", "....", "!!!???", "naïve café Größe ÀÉÎ ñ ç ø å ß",
    "ΑΒΓ αβγ", "Привет, мир", "שלום עולם", "مرحبا بالعالم", "नमस्ते दुनिया", "สวัสดีชาวโลก", "日本語テキスト", "中文字符，标点。",
    "한국어 텍스트", "ไทย123", "Tiếng Việt có dấu", "ქართული", "አማርኛ", "🙂👍🏽", "👩‍👩‍👧‍👦 🇩🇪 ❤️", "𝕏 𝒜 𐍈",
    "\u00a0\u2003\u3000", "\u200b\u200d\ufeff", "fi ﬂ",
    "“quotes” ‘single’ «angle» – — …", "a\u2028b", "a\u0085b", "\x00\x01\x7f", "tab\tend",
    '{"a": [1, 2.5, null, true], "b": {"c": "d\\n"}}', "[[], {}, \"\"]", "<a href='x'>y</a>",
    "SELECT * FROM t WHERE a >= 1;", "x = {**y}",
    "def f(a, *, b=1) -> None:\n    return a[::-1] if b else lambda x: x ** 2\n",
    "for (int i = 0; i < 10; ++i) { s += a[i]; }",
    "#!/bin/sh\nls -la | grep '^d' > /dev/null 2>&1 && echo \"$HOME\"", "https://example.org/a/b?c=d&e=%20f#g",
    "C:\\Users\\x\\y.txt", "someCamelCaseIdentifier snake_case_name SCREAMING_CASE kebab-case",
    "\\frac{1}{2} \\alpha_{i}^{2}", "| a | b |\n|---|---|\n| 1 | 2 |", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "ababababababab", "supercalifragilisticexpialidocious", "wWwWwW", "ab\ncd",
)  # fmt: skip
_PIECES = (
    "order", " the", "Größe", "日本", "🙂", "12", " 3.5", "\n", "\n\n", "  ", "\t", "'s", "'LL", '"key": ', "[", "]}",
    ", ", "://", "é", " Ж", "_x", "Id", "HTTP", " 2026", "-07", ";", "\u00a0", "مر", "0", "=>", " #", "…", "%",
    "word ", "\r\n",
)  # fmt: skip


DECOMPOSED = ("e\u0301", "a\u0301e\u0308 (combined)", "A\u030a o\u0302\u0323")
"""Characters written in parts, which a tokenizer with a Unicode normal form puts together first; llama.cpp never does."""


def golden_texts(special: Sequence[str]) -> list[str]:
    """NUM_TEXTS texts; every special token's name alone, between letters, blanks and another one, then mixtures of pieces."""
    texts = list(_WRITTEN)
    for name in special[:12]:
        texts += [name, f"a{name}b", f" {name} ", f"{name}\n{name}", f"{name}user\nhi{special[0]}"]
    rng = Random(20261120)
    while len(texts) < NUM_TEXTS:
        texts.append("".join(rng.choices(_PIECES, k=rng.randrange(2, 14))))
    return texts[:NUM_TEXTS]


def golden_chats(system: bool) -> list[tuple[Message, ...]]:
    """Conversations that templates treat differently: with a system turn where there may be one, several turns, odd text."""

    def turn(role: str, content: str) -> Message:
        return Message.model_validate({"role": role, "content": content})

    plain = [
        (turn("user", text),) for text in ("Hello", "two\nlines", 'a "quoted" {json: 1}', "Größe 日本 🙂 12", "x" * 300)
    ]
    longer = [
        (turn("user", "one"), turn("assistant", "two"), turn("user", "three")),
        (turn("user", "1"), turn("assistant", "2"), turn("user", "3"), turn("assistant", "4"), turn("user", "5")),
    ]
    instructed = [(turn("system", "Answer as JSON."), *chat) for chat in (plain[0], plain[2], longer[0])]
    return [*plain, *longer, *(instructed if system else [])]
