"""What could run code is refused, under any name and without being opened."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lathe.errors import Exit, InputError, LatheError, Refused
from lathe.model_folder import check_base, executable
from lathe.model_folder.executable import is_pickle
from small_folder import Bomb, change


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
    "sub/deep/pytorch_model.bin", "training_args.bin", "scaler.npy", "scaler.npz", "a.pickle", "a.dill", "a.mar", "A.BIN",
)  # fmt: skip
DISGUISES: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "zip": zipped,
    "tar": tarred,
    "gzip": gzip.compress,
    "7z": lambda data: b"7z\xbc\xaf\x27\x1c" + data,
    "bzip2": lambda data: b"BZh9" + data,
    "xz": lambda data: b"\xfd7zXZ\x00" + data,
}
RENAMED = (
    "model.safetensors",
    "model-00002.safetensors",
    "vocab.json",
    "renamed.json",
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
        check_base(base)
    assert Path(name).name in caught.value.message
    assert caught.value.exit_code == Exit.REFUSED


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", RENAMED)
def test_a_pickle_under_another_name_is_refused_unopened(base: Path, tmp_path: Path, name: str, protocol: int) -> None:
    canary = tmp_path / "canary"
    (base / name).parent.mkdir(parents=True, exist_ok=True)
    (base / name).write_bytes(pickle.dumps(Bomb(canary), protocol))
    with pytest.raises(Refused, match=Path(name).name):
        check_base(base)
    assert not canary.exists()


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("name", ["model.safetensors", "extra.data"])
def test_a_wrapped_pickle_is_refused(base: Path, tmp_path: Path, name: str, disguise: str) -> None:
    (base / name).write_bytes(DISGUISES[disguise](pickle.dumps(Bomb(tmp_path / "canary"))))
    with pytest.raises(Refused, match=name):
        check_base(base)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("head", [b"PK\x03\x04", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b\x08"])
def test_archives_are_refused(base: Path, head: bytes) -> None:
    (base / "weights").write_bytes(head + bytes(64))
    with pytest.raises(Refused, match="weights"):
        check_base(base)


@pytest.mark.parametrize(
    ("file", "key", "value"),
    [
        ("config.json", "auto_map", {"AutoModel": "modeling_x.Model"}),
        ("config.json", "trust_remote_code", True),
        ("config.json", "custom_pipelines", {"x": {"impl": "x.X"}}),
        ("tokenizer_config.json", "auto_map", {"AutoTokenizer": ["tokenization_x.T", None]}),
        ("generation_config.json", "custom_generate", "someone/code"),
        ("adapter_config.json", "auto_mapping", {"base_model_class": "X"}),
        ("sub/preprocessor_config.json", "auto_map", {"AutoProcessor": "x.X"}),
    ],
)
def test_a_configuration_that_asks_for_remote_code_is_refused(base: Path, file: str, key: str, value: Any) -> None:
    (base / file).parent.mkdir(exist_ok=True)
    change(base / file, **{key: value})
    with pytest.raises(Refused, match=rf"remote code \({key}\)"):
        check_base(base)


@pytest.mark.parametrize("name", ["modeling_custom.py", "sub/setup.py", "generate.py", "sub/__init__.py", "kernel.so"])
def test_code_is_refused(base: Path, name: str) -> None:
    (base / name).parent.mkdir(exist_ok=True)
    (base / name).write_text("print('hello')")
    with pytest.raises(Refused, match=rf"\{Path(name).suffix} is code"):
        check_base(base)


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
        (".git/hook.py", ""),
        ("vocab.txt", "".join(f"token{n}\n" for n in range(5000))),
    ],
)
def test_honest_and_hidden_files_are_not_refused(base: Path, name: str, data: str) -> None:
    (base / name).parent.mkdir(parents=True, exist_ok=True)
    (base / name).write_text(data)
    check_base(base)


def test_a_pickle_is_known_by_its_opcodes_in_every_protocol() -> None:
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert is_pickle(pickle.dumps(Bomb(Path("x")), protocol))
        assert is_pickle(pickle.dumps(io.BytesIO(b"x"), max(2, protocol)))


def test_a_folder_of_too_many_files_is_no_model(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executable, "MAX_FILES", 3)
    with pytest.raises(InputError, match="more than 3 files"):
        check_base(base)


def test_every_refusal_is_a_lathe_error_with_a_hint(base: Path) -> None:
    (base / "x.bin").write_bytes(b"")
    with pytest.raises(LatheError) as caught:
        check_base(base)
    assert caught.value.hint
