"""Does a GGUF file hold its weights in the type that its format is called after, and how many bits does each take?

Blocks of the K formats are 256 weights wide. Where a model's rows are no multiple of that, llama.cpp stores them in other types,
and says so only while it writes: of a Q4_K_M of SmolLM2-135M, whose rows are 576 wide, most is no Q4_K.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from lathe.engine.gguf.read import Matrix
from lathe.engine.gguf.storage import STANDS_FOR, block, main_type
from lathe.records import ModelCheck

SMALLEST_SHARE = 0.001


def check_blocks(format: str, matrices: Sequence[Matrix]) -> ModelCheck:
    """format: as the file says it; an empty text where it does not."""
    weights = Counter[str]()
    for one in matrices:
        weights[one.kind.name] += one.num_weights
    total = weights.total() or 1
    bits = 8 * sum(one.num_bytes for one in matrices) / total
    shares = {name: count / total for name, count in weights.most_common()}
    told = ", ".join(f"{share:.1%} {name}" for name, share in shares.items() if share >= SMALLEST_SHARE)
    wanted = main_type(format)
    ok = None if wanted is None else wanted.name in weights
    narrow = [one for one in matrices if wanted in STANDS_FOR and one.width % block(wanted)]
    widths = ", ".join(map(str, sorted({one.width for one in narrow})))
    reason = f"; rows of {widths} are no multiple of 256, which K blocks need" if narrow else ""
    named = format or "a file that names no format"
    return ModelCheck(
        id="blocks",
        ok=ok,
        message=f"{named}: of its matrices {told}, {bits:.1f} bits a weight{reason}",
        fix=None
        if ok is not False
        else f"No matrix of the file is in {format}, which its name says. Ship gguf_q8_0, gguf_q5_1 or gguf_q4_0.",
        measured={
            "bits_per_weight": bits,
            "narrow_share": sum(one.num_weights for one in narrow) / total,
            **{f"{name.lower()}_share": share for name, share in shares.items()},
        },
    )
