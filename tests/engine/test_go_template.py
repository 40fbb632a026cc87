"""Ollama's template gives the prompts of the base's own, or is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from gguf_base import QWEN_LIKE, write_gguf_base
from lathe.engine.gguf import go_template
from lathe.errors import InputError
from lathe.records import Message
from lathe.text import tokenizer
from lathe.text.template import Chat
from lathe.text.tokenizer import Tokenizer
from tiny_base import CHATML

PHI_LIKE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
GEMMA_LIKE = (
    "{{ '<|endoftext|>' }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
    "{% for message in messages %}{{ '<start>' + ('model' if message['role'] == 'assistant' else message['role']) + '\n' "
    "+ message['content'] + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<start>model\n' }}{% endif %}"
)
LLAMA_2_LIKE = (
    "{{ '<|im_start|>' }}{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'system' %}{{ message['content'] + '\n' }}"
    "{% else %}{{ ' ' + message['content'] + ' <|endoftext|>' }}{% endif %}{% endfor %}"
)
"""Its two special tokens end alike, in |>, as <s> and </s> do."""
UNSEEN = (
    Message(role="user", content="first {{ x }}"),
    Message(role="assistant", content='a "second"'),
    Message(role="user", content="third\nline"),
)


def with_template(folder: Path, template: str | None) -> Tokenizer:
    return tokenizer.load(write_gguf_base(folder / "base", template=template))


@pytest.mark.parametrize("template", [CHATML, QWEN_LIKE, PHI_LIKE, GEMMA_LIKE, LLAMA_2_LIKE, None])
def test_the_pieces_give_the_prompts_of_the_template(template: str | None, tmp_path: Path) -> None:
    tok = with_template(tmp_path, template)
    pieces = go_template.derive(tok)
    expected = (
        tok.template.render([Chat(UNSEEN, add_generation_prompt=True)])[0]
        if tok.template
        else "".join(f"{message.content}\n" for message in UNSEEN)
    )
    assert pieces.render(UNSEEN) == expected
    assert ("system" in pieces.around) == (template != GEMMA_LIKE)


def test_a_template_that_does_more_is_refused(tmp_path: Path) -> None:
    numbered = CHATML.replace("message['content']", "loop.index | string + message['content']")
    with pytest.raises(InputError, match="cannot be told as a Go template"):
        go_template.derive(with_template(tmp_path, numbered))


def test_the_modelfile_names_file_template_stops_and_context(tmp_path: Path) -> None:
    tok = with_template(tmp_path, QWEN_LIKE)
    text = go_template.modelfile("model-q8_0.gguf", go_template.derive(tok), tok)
    assert text.startswith('FROM ./model-q8_0.gguf\nTEMPLATE """')
    assert "{{ if .System }}{{ else }}<|im_start|>system\nYou are helpful." in text
    assert (
        '{{ if eq .Role "system" }}<|im_start|>system\n{{ .Content }}<|im_end|>\n{{ else if eq .Role "user" }}' in text
    )
    assert 'PARAMETER stop "<|im_end|>"\n' in text
    assert "PARAMETER temperature 0\nPARAMETER num_ctx 2048\n" in text


def test_braces_and_quotes_of_a_template_stay_text() -> None:
    pieces = go_template.Pieces('{{ "x" }}', '{{ "x" }}', {"user": ("<u>", "</u>")}, "")
    assert (
        pieces.go()
        == '{{ "{{ \\"x\\" }}" }}{{ range .Messages }}{{ if eq .Role "user" }}<u>{{ .Content }}</u>{{ end }}{{ end }}'
    )
