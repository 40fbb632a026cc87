"""A model behind an endpoint, measured on the very rows of a run; what was answered is not asked again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from shouting_world import WORDS, World

from lathe import endpoint as endpoints
from lathe import evaluate, plugins
from lathe.contracts import Endpoint, Model
from lathe.errors import Unavailable
from lathe.pipeline.on_demand import endpoint_arm
from lathe.records import EvalReport
from lathe.runtimes.openai import RUNTIME
from local_endpoint import Answer, Server, said


def measure(world: World, url: str, monkeypatch: pytest.MonkeyPatch) -> EvalReport:
    known = plugins.load
    monkeypatch.setattr(plugins, "load", lambda kind, name: RUNTIME if name == "openai" else known(kind, name))
    model = Model(Path(world.locked.base_folder), endpoint=Endpoint(url, "tiny"))
    return evaluate.evaluate(
        world.run, world.locked, "endpoint-tiny", "test", "inputs", world.progress, runtime="openai", model=model
    )


def test_an_endpoint_is_measured_on_the_same_items_and_continues(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server loses its key after eight answers; the same call later asks for the other four alone."""
    monkeypatch.setattr(endpoints, "LONGEST_PAUSE", 0.01)
    refusing = True

    def rule(number: int, body: dict[str, Any]) -> Answer:
        if refusing and number > 8:
            return 401, {"error": {"message": "expired"}}
        return said(body["messages"][-1]["content"].upper())

    server = Server(rule)
    try:
        with pytest.raises(Unavailable, match="expired"):
            measure(world, server.url, monkeypatch)
        kept = world.run.predictions("endpoint-tiny").read_text().count("\n")
        refusing, before = False, len(server.asked)
        report = measure(world, server.url, monkeypatch)
    finally:
        server.close()
    assert 5 <= kept <= 8
    # A set: a request of the first call may still arrive, for a word that it never got an answer to.
    assert len({body["messages"][-1]["content"] for body in server.asked[before:]}) == len(WORDS) - kept
    score = report.score("exact")
    assert score is not None
    assert (score.value, report.n, report.peak_bytes) == (1.0, len(WORDS), None)


def test_an_endpoint_that_never_answers_leaves_nothing_and_takes_nothing_away(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the same model was measured at another address before."""
    monkeypatch.setattr(endpoints, "LONGEST_PAUSE", 0.01)
    with pytest.raises(Unavailable):
        measure(world, "http://127.0.0.1:9/v1", monkeypatch)
    folder = world.run.predictions("endpoint-tiny").parent
    assert not folder.exists()

    server = Server(lambda number, body: said(body["messages"][-1]["content"].upper()))
    try:
        measure(world, server.url, monkeypatch)
    finally:
        server.close()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(Unavailable):
        measure(world, "http://127.0.0.1:9/v1", monkeypatch)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_answers_of_another_model_than_was_asked_for_are_told_in_the_report(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(lambda number, body: said(body["messages"][-1]["content"].upper(), model="other-7b"))
    try:
        report = measure(world, server.url, monkeypatch)
    finally:
        server.close()
    (told,) = (one for one in report.findings if one.id == "other_model")
    assert (told.level, told.message) == (
        "warning",
        f"asked for tiny, the endpoint answered as other-7b ({len(WORDS)})",
    )


def test_the_arm_has_the_models_name_without_what_a_folder_cannot_have() -> None:
    assert endpoint_arm(Endpoint("http://a/v1", "Qwen/Qwen3-8B")) == "endpoint-Qwen-Qwen3-8B"
    assert endpoint_arm(Endpoint("http://a/v1", "../..")) == "endpoint-model"
