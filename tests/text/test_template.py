"""Templates render as transformers renders them, and a hostile one can do no harm."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from lathe.errors import InputError, Refused
from lathe.records import Message
from lathe.text import template_worker
from lathe.text.template import Chat, ChatTemplate

NAMED = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
VARIABLES = {**NAMED, "enable_thinking": False}


def say(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


CONVERSATIONS = {
    "user": [say("user", "Hello")],
    "system": [say("system", " Be brief.\n"), say("user", "Grüße, 日本 <b>&amp;</b>")],
    "answered": [say("user", "a"), say("assistant", '{"x": "é"}')],
    "turns": [say("user", "a"), say("assistant", "b"), say("user", "c"), say("assistant", "\n d ")],
    "empty": [say("user", ""), say("assistant", "")],
}


def shipped_templates() -> list[Path]:
    trl = find_spec("trl")
    return sorted((Path(trl.origin).parent / "chat_templates").glob("*.jinja")) if trl and trl.origin else []


@pytest.mark.skipif(not shipped_templates(), reason="trl, whose templates this compares, is not installed")
@pytest.mark.parametrize("path", shipped_templates(), ids=lambda path: path.stem)
def test_a_shipped_template_renders_as_in_transformers(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    utils = pytest.importorskip("transformers.utils.chat_template_utils")
    source = path.read_text()

    class Clock:
        @staticmethod
        def now():
            return template_worker.DAY

    monkeypatch.setattr(utils, "datetime", Clock)
    for messages in CONVERSATIONS.values():
        for prompt in (True, False):
            chat = {"messages": messages, "add_generation_prompt": prompt}
            ours = template_worker.answer(source, VARIABLES, chat)
            try:
                theirs = utils.render_jinja_template(
                    [messages], chat_template=source, add_generation_prompt=prompt, **VARIABLES
                )
                assert ours == {"text": theirs[0][0]}
            except AssertionError:
                raise
            except Exception:
                assert ours["kind"] == "template", "transformers refuses these messages, so must we"


def test_the_child_renders_what_its_own_function_renders() -> None:
    source = "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content | trim }}\n{% endfor %}{{ messages | tojson }}"
    chats = [
        Chat([Message(role="user", content=f"é {i} 🙂\u2028 </s>"), Message(role="assistant", content="x")], i % 2 == 0)
        for i in range(150)
    ]
    template = ChatTemplate(source, VARIABLES)
    texts = template.render(chats)
    template.close()
    for chat, text in zip(chats, texts, strict=True):
        messages = [say(m.role, m.content) for m in chat.messages]
        assert text == template_worker.rendered(source, VARIABLES, messages, prompt=chat.add_generation_prompt)


@pytest.mark.parametrize("begins", ["", "{{ messages | length }} "])
def test_a_chat_and_its_answer_are_rendered_together_as_they_are_one_by_one(begins: str) -> None:
    """A template may begin otherwise once there is an answer; then there is no rest."""
    turns = "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}"
    template = ChatTemplate(begins + turns + "{% if add_generation_prompt %}[assistant] {% endif %}", VARIABLES)
    asked = [[Message(role="user", content=f"é {i}")] for i in range(150)]
    together = template.render_answered((messages, f"answer {i}") for i, messages in enumerate(asked))
    texts = template.render(Chat(messages, add_generation_prompt=True) for messages in asked)
    template.close()
    assert together == [(text, None if begins else f"answer {i}\n") for i, text in enumerate(texts)]


def test_the_date_in_a_template_never_changes() -> None:
    """A template that prints the day would otherwise give other tokens tomorrow than today."""
    assert render("{{ strftime_now('%d %B %Y') }}") == "01 January 2026"


def user(content: str) -> Chat:
    return Chat([Message(role="user", content=content)], add_generation_prompt=True)


def render(source: str, content: str = "hello") -> str:
    template = ChatTemplate(source, VARIABLES)
    try:
        return template.render([user(content)])[0]
    finally:
        template.close()


ENDLESS = (
    "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}{% endfor %}{% endfor %}{% endfor %}"
)
HOSTILE = {
    "huge output": ("{% for a in range(99999) %}{{ 'x' * 1000 }}{% endfor %}", "1,000,000 characters"),
    "huge string": ("{{ 'x' * 10**10 }}", "memory|process ended"),
    "huge range": ("{% for a in range(10**9) %}{% endfor %}", "huge loop"),
    "recursion": ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "without end|process ended"),
    "class walk": ("{{ ''.__class__.__mro__[1].__subclasses__() }}", "sandbox forbids"),
    "function globals": ("{{ raise_exception.__globals__['os'] }}", "sandbox forbids"),
    "format walk": ("{{ '{0.__class__.__mro__}'.format('') }}", "sandbox forbids"),
    "namespace walk": ("{% set n = namespace(__class__=1) %}", "sandbox forbids"),
    "namespace item": ("{% set n = namespace() %}{% set n.__class__ = 1 %}", "sandbox forbids|template"),
    "changing its input": ("{{ messages.append(1) }}", "sandbox forbids"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_template_is_refused_quickly_saying_why(name: str) -> None:
    source, why = HOSTILE[name]
    begun = time.monotonic()
    with pytest.raises((Refused, InputError), match=why):
        render(source)
    assert time.monotonic() - begun < 60, "the limits are on processor time and memory; this allows for a busy machine"


def test_no_file_is_opened_or_written_for_a_template(tmp_path: Path) -> None:
    """Even code that got out of the sandbox would find no file and no socket."""
    program = (
        "import os, socket, sys\nfrom lathe.text import template_worker as w\n"
        "w.limit_this_process()\n"
        "said = []\n"
        f"for attempt in (lambda: open({str(tmp_path / 'x')!r}, 'w'), lambda: open('/etc/hostname'), socket.socket):\n"
        "    try:\n        attempt()\n        said.append('open')\n    except OSError:\n        said.append('shut')\n"
        "os.write(1, ' '.join(said).encode())\n"
    )
    if sys.platform == "win32":
        pytest.skip("Windows has no resource limits of this kind")
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, env={**os.environ}, check=True)
    assert run.stdout == b"shut shut shut"


def test_a_template_that_raises_says_so_as_bad_input() -> None:
    with pytest.raises(InputError, match="no system role here") as error:
        render("{{ raise_exception('no system role here') }}")
    assert not isinstance(error.value, Refused)
    assert error.value.hint


def test_a_syntax_error_names_its_line() -> None:
    with pytest.raises(InputError, match="line 2"):
        render("fine\n{% for %}")


def test_an_endless_template_is_killed_and_the_next_call_starts_a_new_child() -> None:
    template = ChatTemplate("{% if messages[0].content == 'loop' %}" + ENDLESS + "{% endif %}ok", {})
    assert template.render([user("x")]) == ["ok"]
    with pytest.raises(Refused, match="processor time"):
        template.render([user("x"), user("loop"), user("x")])
    assert template.render([user("x")]) == ["ok"]
    template.close()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups of this kind")
def test_a_signal_to_our_group_does_not_reach_the_child() -> None:
    """Ctrl-C asks a run to stop after its step; a template that died of it would be taken for a hostile one."""
    template = ChatTemplate("ok", {})
    assert template.render([user("x")]) == ["ok"]
    assert template._child is not None
    assert os.getpgid(template._child.pid) != os.getpgid(0)
    template.close()


def test_a_long_row_may_be_long_where_the_template_adds_little() -> None:
    text = "x" * 3_000_000
    assert render("<{{ messages[0].content }}>", text) == f"<{text}>"
