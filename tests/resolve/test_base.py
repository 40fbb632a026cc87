"""The base: found where the recipe says, refused by content where it could run code."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from httpx2 import TransportError

from lathe import hub
from lathe.errors import Exit, InputError, Refused
from lathe.resolve.base import base_files, find_base
from small_folder import Bomb, write_folder

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "base")


def test_a_folder_is_found_relative_to_the_recipe_and_as_an_absolute_path(base: Path) -> None:
    assert find_base("base", base.parent).folder == base
    assert find_base("./base", base.parent).folder == base
    assert find_base(str(base), Path("/")).folder == base
    assert find_base(str(base), Path("/")).revision is None


def test_the_bundled_base_is_found() -> None:
    assert (find_base("lathe:nano", Path("/")).folder / "config.json").is_file()


@pytest.mark.parametrize(
    ("name", "says", "hint"),
    [
        ("lathe:nanno", "there is no bundled model lathe:nanno", "lathe:nano"),
        ("no such thing", "is no folder", "a Hub id such as"),
        ("./missing", "is no folder", "a Hub id such as"),
        ("a/b/c", "is no folder", "a Hub id such as"),
    ],
)
def test_a_base_that_is_nowhere_is_told_with_what_there_is(tmp_path: Path, name: str, says: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        find_base(name, tmp_path)
    assert says in caught.value.message
    assert hint in (caught.value.hint or "")


def test_what_could_run_code_is_refused_and_what_is_missing_is_told(base: Path) -> None:
    """tests/model_folder/ has every case."""
    (base / "tokenizer.json").rename(base / "vocab.json")
    with pytest.raises(InputError, match=r"no tokenizer\.json"):
        find_base("base", base.parent)
    (base / "vocab.json").write_bytes(pickle.dumps(Bomb(base / "canary")))
    with pytest.raises(Refused, match="pickle"):
        find_base("base", base.parent)
    assert not (base / "canary").exists()


def test_base_files_are_hashed_and_others_left_out(base: Path) -> None:
    (base / "README.md").write_text("words")
    files = base_files(base)
    assert [file.path for file in files] == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    (base / "tokenizer.json").write_text("{ }")
    changed = [a.path for a, b in zip(files, base_files(base), strict=True) if a.sha256 != b.sha256]
    assert changed == ["tokenizer.json"]


# the Hub, from a cache in its own layout, without a network --------------------------------------------


def cached(home: Path, repo: str) -> Path:
    """A repository as huggingface_hub keeps it: refs/main names a commit, snapshots/COMMIT links to blobs."""
    folder = home / "hub" / f"models--{repo.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(REVISION)
    real = write_folder(folder / "blobs")
    snapshot = folder / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    for file in real.iterdir():
        (snapshot / file.name).symlink_to(Path("../../blobs") / file.name)
    return snapshot


ASK = """
import sys
from pathlib import Path
from lathe.errors import LatheError
from lathe.resolve.base import base_files, find_base
for name in sys.argv[1:]:
    try:
        base = find_base(name, Path("/"))
    except LatheError as error:
        print(f"{error.exit_code.value}|{error.message}|{error.hint}")
    else:
        print(f"0|{base.folder}|{base.revision}|{len(base_files(base.folder))}")
"""


def ask(home: Path, *bases: str, offline: str) -> list[list[str]]:
    """What a fresh process says about Hub ids, with its cache in `home` and a Hub that refuses connections."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    told = {**kept, "HF_HOME": str(home), "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": offline}
    done = subprocess.run(
        [sys.executable, "-c", ASK, *bases], env=told, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return [line.split("|") for line in done.stdout.strip().split("\n")[-len(bases) :]]


@pytest.mark.parametrize("offline", ["0", "1"])
def test_hub_ids_without_a_network(tmp_path: Path, offline: str) -> None:
    """What the cache holds is found with its commit, what it does not hold is unavailable, a pickle in it is refused."""
    snapshot = cached(tmp_path, "maker/small")
    (cached(tmp_path, "maker/pickled") / "pytorch_model.bin").write_bytes(pickle.dumps([1]))
    plain, pinned, missing, pickled = ask(
        tmp_path, "maker/small", f"maker/small@{REVISION}", "maker/other", "maker/pickled", offline=offline
    )
    assert plain == pinned == ["0", str(snapshot), REVISION, "4"]
    assert int(missing[0]) == Exit.UNAVAILABLE
    assert f"base maker/other (no folder {Path('/maker/other')}, so a Hub id)" in missing[1]
    assert "hf download maker/other" in missing[2]
    assert int(pickled[0]) == Exit.REFUSED


@pytest.mark.parametrize("listed", [False, True])
def test_only_of_a_commit_whose_list_of_files_is_not_cached_it_is_asked_whether_the_hub_is_there(
    listed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot, asked = cached(tmp_path, "maker/small"), []

    def refused(*_: object, **said: object) -> None:
        asked.append(said["revision"])
        raise TransportError("refused")

    if listed:
        (snapshot.parents[1] / "trees").mkdir()
        (snapshot.parents[1] / "trees" / f"{REVISION}.json").write_text("{}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", refused)
    told: dict[str, object] = {}
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **said: told.update(said) or str(snapshot))
    assert hub.snapshot(f"maker/small@{REVISION}", "model", ["*"], called="it") == snapshot
    assert (asked, told["local_files_only"]) == (([], False) if listed else ([REVISION], True))
