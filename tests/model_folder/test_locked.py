"""A base that is another one than a run was locked with is told, and notes beside it are nobody's business."""

from __future__ import annotations

from pathlib import Path

import pytest

from lathe.errors import InputError
from lathe.model_folder import refuse_another
from lathe.storage import hashed_files


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_file_that_answers_depend_on_is_the_same_to_the_byte_or_named(base: Path, name: str) -> None:
    locked = hashed_files(base)
    refuse_another(base, locked)
    path = base / name
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match=f"{name} is not the file that the run was made with"):
        refuse_another(base, locked)
    path.unlink()
    with pytest.raises(InputError, match="is not there"):
        refuse_another(base, locked)


def test_notes_beside_a_model_may_change_or_go(base: Path) -> None:
    (base / "pretrain.json").write_text("{}")
    locked = hashed_files(base)
    (base / "pretrain.json").unlink()
    refuse_another(base, locked)
    refuse_another(base / "nowhere", ())
