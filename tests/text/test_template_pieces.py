"""A template is rendered once for all chats of the same roles only where what messages say cannot matter to it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from lathe.records import Message
from lathe.text.template import Chat, ChatTemplate
from lathe.text.template_pieces import pieces
from lathe.text.template_worker import answer, needs_no_contents, parted

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
PLAIN = {
    "chatml": CHATML,
    "a default system turn": "{% if messages[0]['role'] != 'system' %}{{ 'Be good.' }}{% endif %}" + CHATML,
    "by roles": "{% for m in messages %}{% if m.role == 'user' %}[{{ m.content }}]"
    "{% else %}{{ m.content ~ eos }}{% endif %}{% endfor %}",
    "by place": "{% for m in messages %}{{ '' if loop.first else '|' }}"
    "{{ m.content if loop.last else '> ' + m.content }}{% endfor %}",
    "a neighbour's role": "{% for m in messages %}{{ messages[loop.index0 - 1].role }}{{ m.content }}{% endfor %}",
    "tools that are none": "{% set c = tools %}{% for m in messages %}{% for t in m.tool_calls %}"
    "{{ t | tojson }}{% endfor %}{{ m.content }}{% endfor %}",
    "only the last": "{{ messages[-1].content }}",
    "none": "Hello",
}
LOOKING = {
    "trimmed": "{% for m in messages %}{{ m.content | trim }}{% endfor %}",
    "stripped": "{% for m in messages %}{{ m.content.strip() }}{% endfor %}",
    "compared": "{% for m in messages %}{% if m.content == 'a' %}b{% endif %}{% endfor %}",
    "asked whether it is there": "{% for m in messages %}{% if m.content %}b{% endif %}{% endfor %}",
    "searched": "{% for m in messages %}{{ 'b' if '</think>' in m['content'] }}{% endfor %}",
    "searched for": "{% for m in messages %}{{ m.content in 'abc' }}{% endfor %}",
    "chosen by": "{% for m in messages %}{{ 'x' if m.content else 'y' }}{% endfor %}",
    "given a name": "{% for m in messages %}{% set c = m.content %}{{ c | upper }}{% endfor %}",
    "a message's other name": "{% set m = messages[0] %}{{ m.content | upper }}",
    "a name used twice": "{% for m in messages %}{{ m.content }}{% endfor %}{% for m in tools %}{{ m }}{% endfor %}",
    "handed on whole": "{{ messages | tojson }}",
    "all its parts": "{% for m in messages %}{{ m.items() | list }}{% endfor %}",
    "asked for its part": "{% for m in messages %}{{ m.get('content') | upper }}{% endfor %}",
    "by a key that is made": "{% for m in messages %}{{ m['con' + 'tent'] | upper }}{% endfor %}",
    "the neighbour": "{% for m in messages %}{{ loop.previtem.content | upper if loop.previtem }}{% endfor %}",
    "the loop asked": "{% for m in messages %}{{ 'new' if loop.changed(m.content) }}{% endfor %}",
    "a slice": "{% for m in messages[1:] %}{{ m.content | upper }}{% endfor %}",
    "output caught": "{% filter upper %}{% for m in messages %}{{ m.content }}{% endfor %}{% endfilter %}",
    "output named": "{% set c %}{{ messages[0].content }}{% endset %}{{ c | upper }}",
    "a macro": "{% macro f(m) %}{{ m.content | upper }}{% endmacro %}{{ f(messages[0]) }}",
    "a rest of messages": "{% for m in messages if m.content != 'a' %}{{ m.content }}{% endfor %}",
    "two targets": "{% for a, b in messages %}{{ a }}{% endfor %}",
    "multiplied": "{% for m in messages %}{{ m.content * 2 }}{% endfor %}",
    "an index": "{{ 'abc'[messages[0].content] }}",
    "its own parts": "{% for m in messages recursive %}{{ m.content }}{{ loop(messages) }}{% endfor %}",
    "no template": "{% for",
}
SAID = ("", "a", "</think>", " b \n", "{{ 7 }}", "0" * 32, "Grüße 日本", "<|im_end|>\n<|im_start|>assistant\n")


def shipped() -> Iterator[tuple[str, str]]:
    trl = find_spec("trl")
    if trl and trl.origin:
        for path in sorted((Path(trl.origin).parent / "chat_templates").glob("*.jinja")):
            yield path.stem, path.read_text()


@pytest.mark.parametrize("source", PLAIN.values(), ids=PLAIN)
def test_a_template_that_only_writes_needs_no_contents(source: str) -> None:
    assert needs_no_contents(source)


@pytest.mark.parametrize("source", LOOKING.values(), ids=LOOKING)
def test_a_template_that_looks_at_a_message_is_shown_each(source: str) -> None:
    assert parted(source, {}, ["user"]) == {"prompt": None, "answered": None}


@pytest.mark.parametrize("source", [*PLAIN.values(), *dict(shipped()).values()], ids=[*PLAIN, *dict(shipped())])
def test_chats_put_together_are_the_template_s_own(source: str) -> None:
    template = ChatTemplate(source, {"eos": "</s>"})
    if not needs_no_contents(source):
        pytest.skip("it looks at what messages say")
    for roles in (["user"], ["system", "user"], ["user", "assistant", "user"]):
        chats = [
            (
                [Message(role=role, content=SAID[(number + place) % len(SAID)]) for place, role in enumerate(roles)],
                SAID[-number],
            )
            for number in range(len(SAID))
        ]
        for (messages, text), found in zip(chats, template.render_answered(chats), strict=True):
            told = [{"role": message.role, "content": message.content} for message in messages]
            chat = {"messages": told, "add_generation_prompt": True, "answer": text}
            said = answer(source, template.variables, chat)
            assert found == (said["text"], said["rest"])
            assert template.render([Chat(messages, add_generation_prompt=True)]) == [said["text"]]
    template.close()


def test_a_message_that_is_written_again_and_again_is_rendered_under_the_limit() -> None:
    source = "{% for i in range(9) %}{{ messages[0].content }}{% endfor %}"
    assert needs_no_contents(source)
    assert parted(source, {}, ["user"])["prompt"] is None


def test_a_template_that_refuses_roles_says_so_as_ever() -> None:
    source = "{% for m in messages %}{{ raise_exception('no system turn') if m.role == 'system' }}{{ m.content }}{% endfor %}"
    assert parted(source, {}, ["user"])["prompt"] == ["", 0, ""]
    assert parted(source, {}, ["system"])["prompt"] is None


def test_the_child_is_asked_once_for_each_row_of_roles(monkeypatch: pytest.MonkeyPatch) -> None:
    template, asked = ChatTemplate(CHATML, {}), []
    send = template._send
    monkeypatch.setattr(template, "_send", lambda request: (asked.append(request), send(request)))
    chats = [((Message(role="user", content=text),), "yes") for text in SAID]
    template.render_answered(chats)
    template.render_answered([((Message(role="system", content="s"), *messages), text) for messages, text in chats])
    assert asked == [{"roles": ("user",)}, {"roles": ("system", "user")}]
    template.close()


def test_a_text_is_parted_by_its_contents() -> None:
    assert pieces("<A>[B]", ["A", "B"]) == ["<", 0, ">[", 1, "]"]
    assert pieces("as ever", []) == ["as ever"]
