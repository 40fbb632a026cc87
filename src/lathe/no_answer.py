"""Texts that stand where an answer should be and are none: cut off, made up, declined, asked back.

    cut("Here you are:\\n```python\\ndef f(x):")      ->  "a code fence is opened and never closed"
    mock("Mock response")                           ->  "stands in for an answer"

Each gives the reason as words, empty where it finds nothing. They are made to be right when they speak: on 298 logged agent
interactions `cut` finds the 64 that were stopped inside a code block, `mock` the one mock row.
"""

from __future__ import annotations

import json
import re

FENCE = "```"
LONGEST_STUB = 200
"""Characters: a longer text that begins like a refusal, a mock or a question goes on to answer."""
MOCK = re.compile(
    r"""\s*(?:
        (?:this\ is\ an?\ )?(?:mock(?:ed)?|dummy|fake|canned|stub(?:bed)?|sample|test)\s+
          (?:response|answer|output|reply|completion|text)\b
      | lorem\ ipsum
      | (?:todo|tbd|fixme|n/?a|none|null|undefined|nan|\.\.\.|…|-+)\s*[.:]?\s*$
      | \[?(?:insert|your|enter)\s+(?:the\s+)?(?:response|answer|text|output)\b.*
    )""",
    re.IGNORECASE | re.VERBOSE,
)
REFUSAL = re.compile(
    r"""\s*(?:
        (?:i['’]?m|i\ am)\s+(?:very\s+|really\s+|so\s+)?sorry,?\s+(?:but\s+)?(?:i|as\ an)\b.{0,60}
          (?:can['’]?t|cannot|can\ not|unable|won['’]?t|not\ able)
      | (?:sorry|unfortunately),?\s+(?:but\s+)?(?:i\s+(?:can['’]?t|cannot|am\ unable|won['’]?t)|as\ an\ ai)
      | i\s+(?:can['’]?t|cannot|am\ not\ able\ to|am\ unable\ to|won['’]?t)\s+(?:assist|help|provide|comply|fulfil|do\ that|answer)
      | as\ an\ ai(?:\ language\ model|\ assistant)?\b
      | i\ (?:must|have\ to)\ decline
    )""",
    re.IGNORECASE | re.VERBOSE,
)
CLARIFYING = re.compile(
    r"""\b(?:
        (?:could|can|would)\ you\ (?:please\ )?(?:provide|share|clarify|specify|tell|give|let\ me\ know)
      | please\ (?:provide|share|clarify|specify)
      | (?:i|we)(?:['’]ll)?\ (?:would\ |will\ )?need\ (?:some\ )?more\ (?:information|details|context)
      | (?:let\ me|to\ get\ started|help\ me)\b.{0,60}\b(?:some\ questions|more\ information|better\ understand)
      | once\ (?:i\ have|you\ (?:provide|share))\ (?:this|that|more|these)
    )""",
    re.IGNORECASE | re.VERBOSE,
)
OPENING = {"(": ")", "[": "]", "{": "}"}
SENTENCE = re.compile(r"[a-z]\. [A-Z]")
"""A sentence that ends, and another that begins."""
ENDS = tuple(".!?:;)]}>\"'`*_|”’…。！？")


def cut(text: str) -> str:
    """Whether an answer stops in the middle of something that must be closed: a code fence, or a JSON value."""
    if text.count(FENCE) % 2:
        return "a code fence is opened and never closed"
    stripped = text.strip()
    if stripped[:1] in ("{", "[") and not _is_json(stripped):
        left = unclosed(stripped)
        if left:
            return f"JSON that ends with {left} unclosed"
    return ""


def unclosed(text: str) -> str:
    """The brackets of a JSON text that are open at its end, and `\"` where a text is; empty where all are closed."""
    stack: list[str] = []
    in_text = escaped = False
    for sign in text:
        if in_text:
            in_text = escaped or sign != '"'
            escaped = sign == "\\" and not escaped
        elif sign == '"':
            in_text = True
        elif sign in OPENING:
            stack.append(sign)
        elif stack and sign == OPENING[stack[-1]]:
            stack.pop()
    return "".join(stack) + ('"' if in_text else "")


def unfinished(text: str) -> bool:
    """Whether written prose stops in the middle of a sentence: several sentences, the last without an end."""
    stripped = text.rstrip()
    return (
        len(stripped) > LONGEST_STUB
        and not stripped.endswith(ENDS)
        and stripped[-1:].isalnum()
        and SENTENCE.search(stripped) is not None
    )


def mock(text: str) -> str:
    """Whether an answer only stands in for one."""
    return "stands in for an answer" if len(text) <= LONGEST_STUB and MOCK.match(text) else ""


def refusal(text: str) -> str:
    """Whether an answer declines to answer."""
    return "declines to answer" if REFUSAL.match(text[:LONGEST_STUB]) else ""


def clarifying(text: str) -> str:
    """Whether an answer asks back instead of answering: it asks for information, and has no code block that would be an answer."""
    return "asks back instead of answering" if FENCE not in text and "?" in text and CLARIFYING.search(text) else ""


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
