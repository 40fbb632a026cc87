"""Publishing is a dry run, then a check of licences, secrets, card and bytes, and only then an upload; the Hub is a stub here."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hub_stub
from card_numbers import definitions, unresolved
from finished_run import finished
from lathe.pipeline import Run
from lathe.publish.checks import about_base, changed_card
from lathe.records import Bundle, Decision, RunRecord
from lathe.report import cards
from lathe.runs import RunFolder
from lathe.storage import commit_text
from lathe.verify import seal
from tiny_run import quiet

pytestmark = pytest.mark.usefixtures("one_thread")

LICENCES = "publish: {licence: Apache-2.0, data_licence: CC-BY-4.0}"
SECRET = "AKIA" + "QWERTYUIOPASDFGH"


@pytest.fixture(scope="module")
def run(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return finished(tmp_path_factory.mktemp("published") / "run", tiny_base, LICENCES)


@pytest.fixture
def hub() -> Iterator[hub_stub.Hub]:
    with hub_stub.running() as stub:
        yield stub


def lathe(run: RunFolder, *words: str, hub: hub_stub.Hub, token: str = hub_stub.TOKEN) -> tuple[int, Any]:
    """Exit code and JSON document of `lathe publish`, in a process of its own, with the stub as its Hub."""
    done = subprocess.run(
        [sys.executable, "-m", "lathe", "publish", str(run.path), *words, "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "HF_ENDPOINT": hub.address, "HF_TOKEN": token, "HF_HUB_DISABLE_XET": "1"},
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def blockers(run: Run, data: str | None = None) -> list[str]:
    return [one.id for publication in run.publish("ada/colours", data) for one in publication.blockers]


def test_a_dry_run_says_what_would_go_there_and_asks_the_hub_nothing(run: Run, hub: hub_stub.Hub) -> None:
    code, said = lathe(run.folder, "--to", "ada/colours", "--data", "ada/colours-rows", hub=hub)
    assert (code, said["ok"], hub.requests) == (0, True, [])
    model, rows = said["publications"]
    assert {file["path"] for file in model["files"]} >= {
        "README.md", "CARD.json", "SHA256SUMS", "model.safetensors", "tokenizer.json", "adapter/adapter_model.safetensors",
    }  # fmt: skip
    assert [file["path"] for file in rows["files"]] == [
        "CARD.json", "README.md", "SHA256SUMS", "test.jsonl", "train.jsonl", "validation.jsonl",
    ]  # fmt: skip
    assert model["commit"] is rows["commit"] is None


def test_what_is_pushed_is_what_was_measured_byte_for_byte(run: Run, hub: hub_stub.Hub) -> None:
    code, said = lathe(run.folder, "--to", "ada/colours", "--data", "ada/colours-rows", "--push", hub=hub)
    assert code == 0, said
    model, rows = hub.files["models/ada/colours"], hub.files["datasets/ada/colours-rows"]
    assert model["model.safetensors"] == (run.folder.bundle / "merged" / "model.safetensors").read_bytes()
    assert model["README.md"] == run.folder.card.read_bytes()
    assert rows["train.jsonl"] == run.folder.rows("train").read_bytes()
    for files, publication in zip((model, rows), said["publications"], strict=True):
        assert {name: hashlib.sha256(data).hexdigest() for name, data in files.items()} == {
            file["path"]: file["sha256"] for file in publication["files"]
        }
        for line in files["SHA256SUMS"].decode().strip().split("\n"):
            sha256, name = line.split("  ")
            assert hashlib.sha256(files[name]).hexdigest() == sha256
        assert publication["commit"].startswith(hub.address)
    assert {repo["visibility"] for repo in hub.repos.values()} == {"private"}
    assert '"event": "published"' in run.folder.journal_file.read_text()
    assert run.verify().ok


def test_the_card_speaks_of_the_repository_that_it_lies_in(run: Run, hub: hub_stub.Hub) -> None:
    lathe(run.folder, "--to", "ada/colours", "--push", hub=hub)
    files = hub.files["models/ada/colours"]
    readme = files["README.md"].decode()
    assert "library_name: transformers\n" in readme
    assert "config.json" in files
    assert "adapter_config.json" not in files
    assert "| merged | at the top |" in readme
    assert "| adapter | `adapter/` |" in readme
    assert any(name.startswith("adapter/") for name in files)


def test_a_new_repository_is_public_only_where_that_is_said(run: Run, hub: hub_stub.Hub) -> None:
    assert lathe(run.folder, "--to", "ada/colours", "--push", "--public", hub=hub)[0] == 0
    assert hub.repos["ada/colours"]["visibility"] == "public"


def test_no_path_of_this_machine_is_published(run: Run, hub: hub_stub.Hub, tiny_base: Path) -> None:
    lathe(run.folder, "--to", "ada/colours", "--data", "ada/colours-rows", "--push", hub=hub)
    for name, files in hub.files.items():
        for path, data in files.items():
            if not path.endswith(".safetensors"):
                assert str(tiny_base.parent).encode() not in data, f"{name}: {path}"
                assert str(run.folder.path).encode() not in data, f"{name}: {path}"
    config = json.loads(hub.files["models/ada/colours"]["adapter/adapter_config.json"])
    assert config["base_model_name_or_path"] == tiny_base.name


def test_every_number_of_the_cards_leads_to_a_record_of_the_run(run: Run) -> None:
    for card in cards(run.folder, run.locked):
        assert unresolved(card, definitions(run.locked)) == []


@pytest.mark.parametrize(("token", "refuse"), [("hf_wrong", None), (hub_stub.TOKEN, 403)])
def test_a_token_that_may_not_write_is_said_and_nothing_is_there(
    run: Run, hub: hub_stub.Hub, token: str, refuse: int | None
) -> None:
    hub.refuse = refuse
    code, said = lathe(run.folder, "--to", "ada/colours", "--push", hub=hub, token=token)
    assert code == 69
    assert "does not let this token write to ada/colours" in said["error"]["message"]
    assert token not in json.dumps(said)
    assert not hub.files


def test_a_hub_that_is_not_there_is_unavailable(run: Run) -> None:
    nowhere = hub_stub.Hub()
    nowhere.address = "http://127.0.0.1:9"
    code, said = lathe(run.folder, "--to", "ada/colours", "--push", hub=nowhere)
    assert (code, said["error"]["kind"]) == (69, "Unavailable")


@pytest.mark.parametrize("name", ["colours", "ada/col/ours", "../x", "ada/x@v1", ""])
def test_a_name_that_no_repository_has_is_bad_usage(run: Run, hub: hub_stub.Hub, name: str) -> None:
    code, said = lathe(run.folder, "--to", name, hub=hub)
    assert (code, said["error"]["kind"]) == (2, "InputError")


# ------------------------------------------------------------------------------------------ what stands against it


def test_a_number_typed_into_the_card_by_hand_is_refused(tiny_base: Path, tmp_path: Path, hub: hub_stub.Hub) -> None:
    run = finished(tmp_path / "run", tiny_base, LICENCES)
    card = run.folder.card.read_text()
    commit_text(run.folder.card, card.replace("## Limits\n", "It is right in 98 % of cases.\n\n## Limits\n"))
    seal(run.folder)  # even where the seal was made again
    code, said = lathe(run.folder, "--to", "ada/colours", "--push", hub=hub)
    (against,) = said["publications"][0]["blockers"]
    assert (code, against["id"], hub.requests) == (1, "card", [])
    assert "It is right in 98 % of cases." in against["message"]

    front = card.replace("value: 0.", "value: 1.", 1) if "value: 0." in card else card.replace("value: ", "value: 9", 1)
    commit_text(run.folder.card, front)
    seal(run.folder)
    assert blockers(run) == ["card"]
    commit_text(run.folder.card, card)
    seal(run.folder)
    assert blockers(run) == []


def test_what_differs_in_a_long_line_of_the_card_is_shown() -> None:
    found, expected = (f"{'word ' * 40}{end}, and {'so on ' * 40}" for end in ("0.51", "0.61"))
    (finding,) = changed_card(found, expected, "report.json", "lathe run r")
    assert "0.51, and" in finding.message
    assert "0.61, and" in finding.message
    assert len(finding.message) < 400


def test_a_missing_licence_blocks_and_stating_it_makes_only_the_report_again(tiny_base: Path, tmp_path: Path) -> None:
    run = finished(tmp_path / "run", tiny_base)
    assert blockers(run, "ada/rows") == ["model_licence", "data_licence", "data_licence"]
    trained = run.folder.train_result.stat().st_mtime_ns
    stated = Run.start(run.folder.path, ("publish.licence=MIT", "publish.data_licence=CC0-1.0"))
    stated.report(quiet)
    seal(stated.folder)
    assert blockers(stated, "ada/rows") == []
    assert "license: mit" in stated.folder.card.read_text()
    assert stated.folder.train_result.stat().st_mtime_ns == trained
    assert stated.hashes["ship"] == run.hashes["ship"]


def test_a_file_that_was_changed_after_it_was_measured_is_not_published(tiny_base: Path, tmp_path: Path) -> None:
    run = finished(tmp_path / "run", tiny_base, LICENCES)
    weights = run.folder.bundle / "merged" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    (against,) = run.publish("ada/colours")[0].blockers
    assert against.id == "changed_files"
    assert "bundle/merged/model.safetensors" in against.message


def test_a_secret_in_the_rows_keeps_them_here_and_is_not_quoted(tiny_base: Path, tmp_path: Path) -> None:
    run = finished(tmp_path / "run", tiny_base, LICENCES, extra=SECRET)
    model, data = run.publish("ada/colours", "ada/rows", push=True)
    assert [one.id for one in data.blockers] == ["secret"]
    assert SECRET not in data.to_json()
    assert ".jsonl:" in data.blockers[0].message
    assert model.commit is data.commit is None, "nothing is sent where anything stands against a part of it"


def test_a_person_in_the_rows_is_noted(tiny_base: Path, tmp_path: Path) -> None:
    run = finished(tmp_path / "run", tiny_base, LICENCES, extra="ada@lovelace-mail.org")
    _, data = run.publish("ada/colours", "ada/rows")
    assert data.ok
    assert any("e-mail address in 1 places" in note for note in data.notes)


def test_an_adapter_whose_base_nobody_else_has_is_noted(run: Run) -> None:
    bundle = run.folder.load(run.folder.bundle_record, Bundle)
    alone = bundle.model_copy(update={"shipped": tuple(one for one in bundle.shipped if one.kind == "adapter")})
    assert len(list(about_base(str(run.locked.base_folder), bundle))) == 1
    (note,) = about_base("lathe:nano", alone)  # its licence is Lathe's own
    assert "is not on the Hub" in note
    assert len(list(about_base("HuggingFaceTB/SmolLM2-135M", alone))) == 1


def test_neither_a_rehearsal_nor_a_refused_model_is_published(tiny_base: Path, tmp_path: Path) -> None:
    run = finished(tmp_path / "run", tiny_base, LICENCES)
    decided = run.folder.load(run.folder.decision, Decision)
    record = run.folder.load(run.folder.run_record, RunRecord)
    run.folder.commit(run.folder.decision, decided.model_copy(update={"verdict": "abort"}))
    run.folder.commit(run.folder.run_record, record.model_copy(update={"smoke": True}))
    assert {"smoke", "verdict"} <= set(blockers(run))
