"""A finished run goes on from the files that it was sealed with: some are written again, else a changed one ends the call."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import pytest

import finished_run
from lathe.contracts import Endpoint
from lathe.errors import InputError
from lathe.pipeline import Run
from lathe.storage import append_line
from local_endpoint import Server, said
from tiny_run import quiet

pytestmark = pytest.mark.usefixtures("one_thread")

LICENCE = ("publish.licence=MIT",)
"""A change that only the report depends on."""


@pytest.fixture(scope="module")
def original(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished_run.finished(tmp_path_factory.mktemp("finished") / "run", tiny_base).folder.path


@pytest.fixture
def finished(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "runs" / original.name))


def changed(path: Path) -> None:
    """Another last byte, as many of them."""
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


EVIDENCE = ("train/adapter/adapter_model.safetensors", "eval/tuned/predictions.jsonl", "data/test.jsonl", "plan.json")


@pytest.mark.parametrize("name", EVIDENCE)
def test_what_was_changed_is_not_sealed_anew_by_a_run_that_goes_on(name: str, finished: Path) -> None:
    changed(finished / name)
    for sets in ((), LICENCE):
        with pytest.raises(InputError, match=rf"{name} is not as it was when the run ended"):
            Run.start(finished, sets).go(progress=quiet)
    assert name in [damage.path for damage in Run.open(finished).verify().damaged]


def test_nor_by_a_stage_or_a_probe_that_is_asked_for_alone(finished: Path) -> None:
    changed(finished / "eval" / "tuned" / "predictions.jsonl")
    for ask in (Run.start(finished, LICENCE).report, Run.open(finished).regrade, Run.open(finished).doubt):
        with pytest.raises(InputError, match="not as it was when the run ended"):
            ask()
    assert not Run.open(finished).verify().ok


def test_another_licence_is_told_and_the_run_is_whole_again(finished: Path) -> None:
    run = Run.start(finished, LICENCE)
    run.go(progress=quiet)
    assert run.verify().ok
    assert "license: mit" in run.folder.card.read_text()


def test_a_recipe_with_another_comment_is_sealed_as_it_is_now(finished: Path) -> None:
    run = Run.open(finished)
    run.folder.recipe.write_text("# as Lathe's next version words it\n" + run.folder.recipe.read_text())
    run.go(progress=quiet)
    assert run.verify().ok


def test_what_was_shipped_and_told_is_written_again_where_it_is_gone_or_changed(finished: Path) -> None:
    run = Run.open(finished)
    before = {path: path.read_bytes() for path in (run.folder.bundle / "merged" / "model.safetensors", run.folder.card)}
    shutil.rmtree(run.folder.bundle / "merged")
    changed(run.folder.card)
    run.go(progress=quiet)
    assert {path: path.read_bytes() for path in before} == before
    assert run.verify().ok


def test_a_report_that_is_asked_for_alone_is_written_again_too(finished: Path) -> None:
    run = Run.open(finished)
    run.folder.report_html.unlink()
    run.go(until="report", progress=quiet)
    assert run.folder.report_html.is_file()


def test_weights_that_were_changed_answer_nothing(finished: Path) -> None:
    changed(finished / "train" / "adapter" / "adapter_model.safetensors")
    with pytest.raises(InputError, match="adapter_model"):
        Run.open(finished).specialist()


def test_requests_that_are_answered_after_the_end_change_nothing(finished: Path) -> None:
    run = Run.open(finished)
    append_line(run.folder.requests_log, "{}")
    Run.start(finished, LICENCE).go(progress=quiet)  # sealed with one request
    append_line(run.folder.requests_log, "{}")
    assert run.verify().ok


def test_an_arm_that_is_measured_after_the_end_is_sealed_with_the_rest(finished: Path) -> None:
    run = Run.open(finished)
    with closing(Server(lambda number, body: said('{"is":"red"}'))) as server:
        for _ in range(2):
            run.evaluate_endpoint(Endpoint(server.url, "tiny"), quiet)
    held = run.verify()
    assert (held.ok, held.unsealed) == (True, ())
    changed(run.folder.eval_report("endpoint-tiny"))
    with pytest.raises(InputError, match="endpoint-tiny"):
        run.go(progress=quiet)
