"""What a base is called where others read it: in a card, on the Hub, in a GGUF file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gguf_base import write_gguf_base
from lathe import hub, plugins
from lathe.contracts import Model
from lathe.publish import contents
from tiny_run import locked

SNAPSHOT = "hub/models--maker--small/snapshots/0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("said", "folder", "name"),
    [
        ("maker/small", f"/home/ada/{SNAPSHOT}", "maker/small"),
        ("maker/small@v2", f"/home/ada/{SNAPSHOT}", "maker/small"),
        (f"/home/ada/{SNAPSHOT}", f"/home/ada/{SNAPSHOT}", "maker/small"),
        (f"../{SNAPSHOT}/", f"/home/ada/{SNAPSHOT}", "maker/small"),
        ("models/mine", "/home/ada/models/mine", "mine"),
        ("lathe:nano", "/usr/lib/lathe/assets/nano", "lathe:nano"),
    ],
)
def test_a_base_is_known_by_its_name_on_the_hub_or_by_that_of_its_folder(said: str, folder: str, name: str) -> None:
    """A folder of two parts, models/mine, looks like a Hub id and is none."""
    recipe = locked(Path(said)).model_copy(update={"base_folder": folder})
    recipe = recipe.model_copy(update={"recipe": recipe.recipe.model_copy(update={"base": said})})
    assert hub.base_name(recipe) == name
    published = contents.portable('{"base_model_name_or_path": "/home/ada"}', hub.base_name(recipe))
    assert json.loads(published)["base_model_name_or_path"] == name


def test_a_gguf_file_of_a_base_in_the_hubs_cache_is_not_called_after_a_commit(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    base = write_gguf_base(tmp_path / SNAPSHOT)
    plugins.load("exports", "gguf_q8_0").write(Model(base), tmp_path / "model.gguf")
    assert gguf.GGUFReader(tmp_path / "model.gguf").fields["general.name"].contents() == "maker/small tuned"
