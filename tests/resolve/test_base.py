"""The base: found where the recipe says, refused by content where it could run code."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lathe.errors import Exit, InputError, LatheError, Refused
from lathe.resolve.base import base_files, find_base
from lathe.resolve.refusal import LARGEST_SIZES, check_folder, is_pickle

REVISION = "0123456789abcdef0123456789abcdef01234567"


def safetensors(**tensors: tuple[list[int], int]) -> bytes:
    """A file in the format: length of the header, header, zeros. Each tensor: shape and bytes, as 32-bit floats."""
    header, at = {}, 0
    for name, (shape, size) in tensors.items():
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(at)


def fill(folder: Path, **changed: Any) -> Path:
    """A folder that looks like a base. `changed`: entries of config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "hidden_size": 8, **changed}))
    (folder / "model.safetensors").write_bytes(safetensors(weight=([2, 2], 16)))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "tokenizer_config.json").write_text("{}")
    return folder


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return fill(tmp_path / "base")


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


# what could run code ----------------------------------------------------------------------------------


class Bomb:
    """Were it ever unpickled, a file would appear."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (os.system, (f"touch {self.path}",))


def zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("model/data.pkl", data)
    return out.getvalue()


def tarred(data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo("pickle")
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


NAMES = (
    "pytorch_model.bin", "model.pt", "model.pth", "model.ckpt", "model.pkl", "model.joblib", "adapter_model.bin",
    "sub/deep/pytorch_model.bin", "training_args.bin", "scaler.npy",
)  # fmt: skip
DISGUISES: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "zip": zipped,
    "tar": tarred,
    "gzip": gzip.compress,
    "7z": lambda data: b"7z\xbc\xaf\x27\x1c" + data,
}
RENAMED = (
    "model.safetensors",
    "model-00002.safetensors",
    "vocab.json",
    "notes.txt",
    "README.md",
    "extra",
    "sub/tokenizer.model",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_named_like_a_pickle_is_refused(base: Path, name: str) -> None:
    (base / name).parent.mkdir(parents=True, exist_ok=True)
    (base / name).write_bytes(b"harmless")
    with pytest.raises(Refused) as caught:
        check_folder(base)
    assert Path(name).name in caught.value.message
    assert caught.value.exit_code == Exit.REFUSED


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", RENAMED)
def test_a_pickle_under_another_name_is_refused_unopened(base: Path, tmp_path: Path, name: str, protocol: int) -> None:
    canary = tmp_path / "canary"
    (base / name).parent.mkdir(parents=True, exist_ok=True)
    (base / name).write_bytes(pickle.dumps(Bomb(canary), protocol))
    with pytest.raises(Refused, match=Path(name).name):
        check_folder(base)
    assert not canary.exists()


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("name", ["model.safetensors", "extra.data"])
def test_a_wrapped_pickle_is_refused(base: Path, tmp_path: Path, name: str, disguise: str) -> None:
    (base / name).write_bytes(DISGUISES[disguise](pickle.dumps(Bomb(tmp_path / "canary"))))
    with pytest.raises(Refused):
        check_folder(base)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        ("config.json", "auto_map", {"AutoModel": "modeling_x.Model"}),
        ("config.json", "trust_remote_code", True),
        ("config.json", "custom_pipelines", {"x": {"impl": "x.X"}}),
        ("tokenizer_config.json", "auto_map", {"AutoTokenizer": ["tokenization_x.T", None]}),
        ("generation_config.json", "custom_generate", "someone/code"),
    ],
)
def test_remote_code_is_refused(base: Path, file: str, key: str, value: Any) -> None:
    known = json.loads((base / file).read_text()) if (base / file).exists() else {}
    (base / file).write_text(json.dumps({**known, key: value}))
    with pytest.raises(Refused, match=key):
        check_folder(base)


@pytest.mark.parametrize("name", ["modeling_custom.py", "sub/setup.py", "generate.py"])
def test_python_code_is_refused(base: Path, name: str) -> None:
    (base / name).parent.mkdir(exist_ok=True)
    (base / name).write_text("print('hello')")
    with pytest.raises(Refused, match=r"\.py"):
        check_folder(base)


@pytest.mark.parametrize(
    "data",
    [b"", b"1234567", struct.pack("<Q", 10**12) + b"{}", struct.pack("<Q", 2) + b"[]" + bytes(8), b"GGUF" + bytes(100)],
    ids=["empty", "short", "long-header", "list-header", "gguf"],
)
def test_weights_that_are_no_safetensors_are_refused(base: Path, data: bytes) -> None:
    (base / "model.safetensors").write_bytes(data)
    with pytest.raises(Refused, match="no safetensors"):
        check_folder(base)


def tensor(**changed: Any) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16], **changed}


def with_header(text: str, num_bytes: int = 16) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode() + bytes(num_bytes)


DAMAGED = {
    "cut-off": (safetensors(weight=([2, 2], 16))[:-1], "is cut off"),
    "cut-in-header": (safetensors(weight=([2, 2], 16))[:20], "is cut off"),
    "too-long": (safetensors(weight=([2, 2], 16)) + b"\0", "longer than it should be"),
    "no-json": (with_header("{nothing"), "header cannot be read"),
    "twice": (with_header('{"a": %s, "a": %s}' % ((json.dumps(tensor()),) * 2)), "stands twice"),
    "overlap": (with_header(json.dumps({"a": tensor(), "b": tensor()}), 32), "overlap"),
    "gap": (with_header(json.dumps({"a": tensor(), "b": tensor(data_offsets=[20, 36])}), 36), "gap"),
    "wrong-size": (with_header(json.dumps({"a": tensor(shape=[3, 2])})), "16 bytes for a tensor"),
    "negative": (with_header(json.dumps({"a": tensor(shape=[-2, -2])})), "shape"),
    "huge": (with_header(json.dumps({"a": tensor(shape=[2**60, 2**60])})), "shape"),
    "fraction": (with_header(json.dumps({"a": tensor(shape=[2.0, 2])})), "shape"),
    "many-dimensions": (with_header(json.dumps({"a": tensor(shape=[1] * 9 + [4])})), "shape"),
    "unknown-type": (with_header(json.dumps({"a": tensor(dtype="OBJ")})), "OBJ"),
    "no-offsets": (with_header('{"a": {"dtype": "F32", "shape": [2]}}'), "header cannot be read"),
    "list-entry": (with_header('{"a": [1]}'), "header cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_weights_are_told_before_anything_loads_them(base: Path, name: str) -> None:
    data, says = DAMAGED[name]
    (base / "model.safetensors").write_bytes(data)
    with pytest.raises(InputError, match=says):
        check_folder(base)


@pytest.mark.parametrize("key", LARGEST_SIZES)
@pytest.mark.parametrize("size", [0, -1, 10**12, 1.5, "64", True, [8]], ids=str)
def test_a_size_that_no_model_has_is_told_before_anything_is_allocated(base: Path, key: str, size: Any) -> None:
    fill(base, **{key: size})
    with pytest.raises(InputError, match=key):
        check_folder(base)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("README.md", "# A model\n\nNotes (c) someone. I think so.\n" * 50),
        ("merges.txt", "#version: 0.2\nt h\nth e\n. .\n"),
        ("LICENSE", "Apache License\nVersion 2.0\n"),
        ("chat_template.jinja", "{% for m in messages %}{{ m.content }}{% endfor %}"),
        ("empty.txt", ""),
        ("sentence.txt", "cell and more. Oh, N. B."),
        (".cache/huggingface/download/x.metadata", "abc\n"),
        ("vocab.txt", "".join(f"token{n}\n" for n in range(5000))),
    ],
)
def test_honest_files_are_not_refused(base: Path, name: str, data: str) -> None:
    (base / name).parent.mkdir(parents=True, exist_ok=True)
    (base / name).write_text(data)
    check_folder(base)


def test_a_pickle_is_known_by_its_opcodes_in_every_protocol() -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert is_pickle(pickle.dumps(Bomb(Path("x")), protocol))
        assert is_pickle(pickle.dumps(io.BytesIO(b"x"), max(2, protocol)))


# what is missing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("remove", "says"),
    [
        ("config.json", "holds no config.json"),
        ("model.safetensors", r"no \*.safetensors"),
        ("tokenizer.json", "no tokenizer.json"),
    ],
)
def test_a_folder_that_is_no_model_is_told_what_is_missing(base: Path, remove: str, says: str) -> None:
    (base / remove).unlink()
    with pytest.raises(InputError, match=says):
        check_folder(base)


@pytest.mark.parametrize(
    ("text", "says"),
    [("{", "is no JSON"), ("[]", "expected an object"), ("{}", "names no model_type"),
     ('{"model_type": 3}', "names no model_type"), ("[" * 10**5, "is no JSON")],
)  # fmt: skip
def test_a_configuration_that_cannot_be_read(base: Path, text: str, says: str) -> None:
    (base / "config.json").write_text(text)
    with pytest.raises(InputError, match=says):
        check_folder(base)


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
    real = fill(folder / "blobs")
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
    assert "maker/other" in missing[1]
    assert "hf download maker/other" in missing[2]
    assert int(pickled[0]) == Exit.REFUSED


def test_every_refusal_is_a_lathe_error_with_a_hint(base: Path) -> None:
    (base / "x.bin").write_bytes(b"")
    with pytest.raises(LatheError) as caught:
        check_folder(base)
    assert caught.value.hint
