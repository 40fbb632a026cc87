"""The registry of public sets: every entry complete, and true of the files where a mirror has them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from lathe.public_sources import PUBLIC_SOURCES, PublicSource, by_place, by_sha256

BESIDE = Path(__file__).parents[2] / "shared" / "data"
MIRROR = Path(os.environ.get("LATHE_MIRROR") or BESIDE)


def test_every_entry_is_found_by_content_and_by_place_and_is_complete() -> None:
    assert (
        len({source.sha256 for source in PUBLIC_SOURCES})
        == len({source.place for source in PUBLIC_SOURCES})
        == len(PUBLIC_SOURCES)
    )
    for source in PUBLIC_SOURCES:
        assert by_sha256(source.sha256) is by_place(source.place) is source
        assert source.licence
        assert source.citation
        assert len(source.sha256) == 64
    assert by_sha256("0" * 64) is by_place("nowhere") is None


@pytest.mark.parametrize("source", PUBLIC_SOURCES, ids=lambda source: source.place)
def test_the_mirror_holds_the_files_as_they_are_known(source: PublicSource) -> None:
    path = MIRROR / source.place
    if not path.is_file():
        pytest.skip(f"no mirror of {source.name}: LATHE_MIRROR names none that holds {source.place}")
    data = path.read_bytes()
    assert hashlib.sha256(data).hexdigest() == source.sha256
    if path.suffix == ".csv":
        import csv

        assert sum(1 for _ in csv.reader(data.decode().split("\n"))) - 1 >= source.num_rows
    else:
        assert data.count(b"\n") == source.num_rows
