"""Scripts that put no blanks between words: there each character counts as a word.

    parted("请问订单在哪里")      ->  "请 问 订 单 在 哪 里"
    parted("order 17")           ->  "order 17"

Without it a Chinese sentence is one word, like no other but itself: no near-duplicate is found, and every other answer scores 0.
"""

from __future__ import annotations

import re

SIGN = re.compile(
    "[\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Myanmar, Khmer
    "\u3040-\u30ff\u31f0-\u31ff"  # Hiragana, Katakana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"  # Han
)


def parted(text: str) -> str:
    """The text with a blank on both sides of each such character; a text without any as it is."""
    return text if text.isascii() else SIGN.sub(r" \g<0> ", text)
