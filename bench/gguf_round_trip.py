"""Does a model survive the way to GGUF, and what does each format cost it?

    python bench/gguf_round_trip.py                                   # the bundled base
    python bench/gguf_round_trip.py BASE [ADAPTER] --formats F16,Q4_K_M --prompts 200
    python bench/gguf_round_trip.py BASE --quantizer build/bin/llama-quantize

Writes the model (with the adapter merged in) in each format, asks llama.cpp for token ids, rendered chats, bos and end tokens, and
at positions of right answers of generated rows for its next tokens; the model itself gives its own. Exit code 1 where one fails.

--quantizer: llama.cpp's own program, which is in no wheel (`cmake --build build --target llama-quantize`), makes each K format from
an F16 file of the base; every tensor must have the type and the bytes that Lathe writes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import gguf
import numpy as np
from transformers import PreTrainedModel

from lathe import plugins
from lathe.contracts import Model
from lathe.engine.fidelity import predictions, texts
from lathe.engine.fidelity.blocks import check_blocks
from lathe.engine.gguf.read import matrices
from lathe.engine.gguf.storage import FORMATS, STANDS_FOR, Format, main_type
from lathe.engine.gguf.write import write
from lathe.engine.llama_server import LlamaServer
from lathe.engine.model import load_base, load_merged
from lathe.records import Example, ModelCheck, TaskSetup
from lathe.text import render, tokenizer

NANO = Path(__file__).parents[1] / "src" / "lathe" / "assets" / "nano"


def rows(count: int) -> list[Example]:
    """Generated rows that no recipe draws: their seed is the bench's own."""
    corpus, task = plugins.load("corpora", "edge_json"), plugins.load("tasks", "json_extraction")
    setup = TaskSetup(schemas=dict(corpus.schemas()))
    return [task.example(row, setup) for row in islice(corpus.rows(seed=20261120, n=count), count)]


def checked(model: Model, path: Path, format: Format, examples: list[Example]) -> tuple[list[ModelCheck], float]:
    """All checks of one written file, and the seconds that they took."""
    begun = time.perf_counter()
    tok, tuned, base = tokenizer.load(model.base_folder), load_merged(model), load_base(model.base_folder)
    write(tuned, tok, path, format, model.base_folder.name)
    encoded = render.encode_all(tok, examples)
    with LlamaServer(path, context=max(1024, *(len(one.ids) + 64 for one in encoded))) as server:
        found = texts.check_texts(tok, server)
        seen = predictions.look(predictions.places(encoded), tuned, base, server)
    same, in_file = predictions.check_predictions(seen, format)
    return [
        *found,
        check_blocks(format, matrices(path)),
        same,
        *([in_file] if model.adapter_folder else []),
    ], time.perf_counter() - begun


def rounded(base: Path) -> PreTrainedModel:
    """A base whose weights are halves, so that both quantisers start from the same numbers."""
    return load_base(base).half().float()


def compared(quantizer: Path, base: Path, formats: list[Format]) -> int:
    """Prints, for each K format, of how many tensors type and bytes are those of llama.cpp's program; how many formats differ."""
    model, tok, failed = rounded(base), tokenizer.load(base), 0
    with tempfile.TemporaryDirectory() as folder:
        half, ours, theirs = (Path(folder) / f"{name}.gguf" for name in ("half", "ours", "theirs"))
        write(model, tok, half, "F16", base.name)
        for format in formats:
            write(model, tok, ours, format, base.name)
            subprocess.run([quantizer, half, theirs, format, "1"], check=True, capture_output=True)
            mine, other = ({one.name: one for one in gguf.GGUFReader(path).tensors} for path in (ours, theirs))
            kinds = sum(one.tensor_type == other[name].tensor_type for name, one in mine.items())
            same = sum(np.array_equal(one.data, other[name].data) for name, one in mine.items())
            print(
                f"{format}: of {len(mine)} tensors {kinds} have the type and {same} the bytes that {quantizer.name} writes"
            )
            failed += same < len(mine) or mine.keys() != other.keys()
    return failed


def main() -> int:
    """Prints one block a format; 1 where a check fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("base", type=Path, nargs="?", default=NANO)
    parser.add_argument("adapter", type=Path, nargs="?", default=None)
    parser.add_argument("--formats", default=",".join(FORMATS))
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument(
        "--quantizer", type=Path, default=None, help="llama.cpp's llama-quantize, to compare bytes with"
    )
    asked = parser.parse_args()
    wanted = [one for one in FORMATS if one in asked.formats.split(",")]
    if asked.quantizer is not None:
        return int(compared(asked.quantizer, asked.base, [one for one in wanted if main_type(one) in STANDS_FOR]) > 0)
    examples, model, failed = rows(asked.prompts), Model(asked.base, asked.adapter), 0
    for format in wanted:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.gguf"
            checks, seconds = checked(model, path, format, examples)
            print(f"{format}: {path.stat().st_size / 1e6:.1f} MB, checked in {seconds:.0f} s")
        for check in checks:
            print(f"  {'ok' if check.ok else 'WRONG'}  {check.id}: {check.message}")
            failed += check.ok is False
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
