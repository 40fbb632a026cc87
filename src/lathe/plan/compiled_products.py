"""Which products oneDNN compiles, and what is kept of them: each shape by itself, and torch holds some of them once more.

    compiles("fp32", has_avx512=True, has_tiles=False)      True
products(278).num_kept, products(278).num_bytes         256, of 278 shapes that were met
"""

from __future__ import annotations

from typing import Literal, NamedTuple

MOST, AT_HAND = 256, 64
"""Of how many shapes oneDNN keeps the code, and torch what leads to it (both in `cli.main.LIBRARY_SETTINGS`)."""
BYTES, BYTES_IN_TILES, BYTES_AT_HAND = 280_000, 380_000, 270_000
"""Of one: a mean, where a processor multiplies in tiles, and at hand. 0.30 to 0.39 MB in tiles, 0.71 where no side is a
multiple of 32, and 0.27 more at hand, of 24 kinds of product (torch 2.13, by mallinfo2)."""


def compiles(precision: Literal["fp32", "bf16"], *, has_avx512: bool, has_tiles: bool) -> bool:
    """Whether it multiplies at all, as `engine.devices.compiles_products` has it: torch asks it on processors with AVX-512, and
    the engine not in fp32 where it would compute in bf16."""
    return has_avx512 and (precision == "bf16" or not has_tiles)


class Products(NamedTuple):
    """num_kept: of the shapes that were met. num_bytes: which these take."""

    num_kept: int
    num_bytes: int

    @property
    def formula(self) -> str:
        """How the bytes come about."""
        return f"{self.num_kept} compiled products of oneDNN, {self.num_bytes:,} bytes with those that torch has at hand, measured"


def products(met: int, tiles: bool) -> Products:
    """Of so many shapes. tiles: whether the processor multiplies bf16 in them."""
    kept = min(MOST, met)
    return Products(kept, kept * (BYTES_IN_TILES if tiles else BYTES) + min(AT_HAND, kept) * BYTES_AT_HAND)
