"""The native runtime: requests in, predictions out."""

from __future__ import annotations

from pathlib import Path

import pytest

from lathe import plugins
from lathe.contracts import GenerateSettings, Model, Request
from lathe.engine import model
from lathe.errors import InputError
from lathe.records import Method
from lathe.text import tokenizer
from lathe.text.render import prompt_ids
from tiny_base import examples

pytestmark = pytest.mark.usefixtures("one_thread")


def requests(base: Path, new: int = 9) -> list[Request]:
    tok = tokenizer.load(base)
    return [Request(example.id, example.messages, prompt_ids(tok, example.messages), new) for example in examples(7)]


def test_each_request_gets_one_prediction(tiny_base: Path) -> None:
    session = plugins.load("runtimes", "native").open(Model(tiny_base), threads=1)
    wanted = requests(tiny_base)
    found = {one.id: one for one in session.generate(wanted, GenerateSettings(token_budget=120))}
    assert found.keys() == {request.id for request in wanted}
    for request in wanted:
        one = found[request.id]
        assert one.prompt_tokens == len(request.prompt_ids)
        assert one.new_tokens == 9 if one.finish == "length" else one.new_tokens < 9
        assert one.seconds > 0


def test_stop_tokens_end_an_answer_and_are_not_part_of_it(tiny_base: Path) -> None:
    runtime = plugins.load("runtimes", "native")
    session = runtime.open(Model(tiny_base), threads=1)
    wanted = requests(tiny_base)[:1]
    everything = GenerateSettings(stop_ids=frozenset(range(264)))
    (nothing,) = session.generate(wanted, everything)
    assert (nothing.text, nothing.finish, nothing.new_tokens) == ("", "stop", 0)


def test_a_fully_tuned_folder_stands_in_for_the_base(tiny_base: Path, tmp_path: Path) -> None:
    net = model.attach(model.load_base(tiny_base), Method(kind="full"), seed=0)
    for parameter in net.parameters():
        parameter.data.mul_(1.5)
    (tmp_path / "full").mkdir()
    model.write_trained(net, tmp_path / "full")
    texts = []
    for loaded in (Model(tiny_base), Model(tiny_base, tmp_path / "full")):
        session = plugins.load("runtimes", "native").open(loaded, threads=1)
        texts.append(sorted((one.id, one.text) for one in session.generate(requests(tiny_base), GenerateSettings())))
    assert texts[0] != texts[1]


def test_a_folder_that_is_no_model_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        plugins.load("runtimes", "native").open(Model(tmp_path))


def test_a_closed_session_says_so(tiny_base: Path) -> None:
    session = plugins.load("runtimes", "native").open(Model(tiny_base), threads=1)
    session.close()
    with pytest.raises(ValueError, match="closed"):
        next(session.generate(requests(tiny_base), GenerateSettings()))
