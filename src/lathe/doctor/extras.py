"""One tiny real operation of each optional part: what is installed may still not work."""

from __future__ import annotations

import importlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from lathe.records import Capability

HUB = "huggingface.co"
HUB_SECONDS = 3.0
CHILD_SECONDS = 120
WITHOUT_HUB_KERNELS = """
import sys
sys.modules["kernels"] = None
"""
"""bitsandbytes, which peft imports too, would fetch a program from the Hub with that package and run it."""
PEFT_PROBE = f"""{WITHOUT_HUB_KERNELS}
import torch
from peft import LoraConfig, get_peft_model
net = get_peft_model(torch.nn.Sequential(torch.nn.Linear(4, 4)), LoraConfig(r=2, target_modules=["0"]))
net(torch.ones(1, 4)).sum().backward()
assert sum(part.grad is not None for part in net.parameters()) == 2, "an adapter got no gradient"
print("an adapter of rank 2 got its gradients")
"""
QUANTISED_PROBE = f"""{WITHOUT_HUB_KERNELS}
import torch, bitsandbytes
from bitsandbytes.functional import dequantize_4bit, quantize_4bit
given = torch.randn(64, 64)
packed, state = quantize_4bit(given, quant_type="nf4")
assert float((dequantize_4bit(packed, state) - given).abs().mean()) < 0.2, "NF4 gave other numbers back"
print("64 x 64 numbers went through NF4 and back")
"""


def table() -> str:
    """pyarrow: a Parquet file of two rows, written and read."""
    arrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.parquet")
        parquet.write_table(arrow.table({"text": ["a", "b"]}), path)
        rows = parquet.read_table(path).to_pylist()
    if rows != [{"text": "a"}, {"text": "b"}]:
        raise ValueError(f"two rows came back as {rows}")
    return "two rows went through a Parquet file"


def model_file() -> str:
    """gguf: a file with one tensor, written and read."""
    import numpy as np

    gguf = importlib.import_module("gguf")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "probe.gguf")
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_tensor("probe", np.arange(32, dtype=np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        tensors = [tensor.data.sum() for tensor in gguf.GGUFReader(path).tensors]
    if tensors != [496.0]:
        raise ValueError(f"a tensor of sum 496 came back as {tensors}")
    return "a tensor went through a GGUF file"


def grammar() -> str:
    """llguidance: which of three tokens a list of labels lets come next."""
    llguidance, tokenizers = importlib.import_module("llguidance"), importlib.import_module("tokenizers")
    words = tokenizers.models.WordLevel(vocab={"yes": 0, "no": 1, "</s>": 2}, unk_token="no")
    tokenizer = tokenizers.Tokenizer(words)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokens = llguidance.LLTokenizer(tokenizer.to_str(), eos_token=2)
    matcher = llguidance.LLMatcher(tokens, llguidance.LLMatcher.grammar_from_lark('start: "yes"'))
    allowed = [token for token in range(3) if matcher.compute_bitmask()[0] >> token & 1]
    if allowed != [0]:
        raise ValueError(f"of three tokens it let {allowed} come next, expected the first")
    return "a list of labels let the right token come next"


def tried(name: str, package: str, extra: str, work: Callable[[], str]) -> Callable[[Path], Capability]:
    """A probe of one package; without it the extra is named."""

    def probe(_: Path) -> Capability:
        remedy = f"pip install 'lathe-slm[{extra}]'"
        if find_spec(package) is None:
            return Capability(name=name, ok=False, detail="not installed", remedy=remedy)
        try:
            return Capability(name=name, ok=True, detail=work())
        except Exception as error:
            said = str(error).strip().rsplit("\n", 1)[-1] or type(error).__name__
            return Capability(name=name, ok=False, detail=said[:200], remedy=f"Install it anew: {remedy}")

    return probe


def in_child(program: str) -> Callable[[], str]:
    """Work that loads torch, so that this process does not."""

    def work() -> str:
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=CHILD_SECONDS, check=False
        )
        if done.returncode:
            raise ValueError(done.stderr.strip() or f"ended with code {done.returncode}")
        return done.stdout.strip().rsplit("\n", 1)[-1]

    return work


def hub(_: Path) -> Capability:
    """Whether the Hub answers, and whether a token is there; the token itself is never shown."""
    token = "a token is there" if has_token() else "no token, which public models do not need"
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        return Capability(
            name="hub", ok=False, detail=f"switched off by HF_HUB_OFFLINE; {token}", remedy="Unset HF_HUB_OFFLINE."
        )
    try:
        with socket.create_connection((HUB, 443), timeout=HUB_SECONDS):
            return Capability(name="hub", ok=True, detail=f"{HUB} answers; {token}")
    except OSError as error:
        remedy = "Bases and data in local folders work without it."
        return Capability(name="hub", ok=False, detail=f"{HUB}: {error.strerror or error}; {token}", remedy=remedy)


def has_token() -> bool:
    """Whether the Hub's own client would find a token."""
    from huggingface_hub import get_token

    return get_token() is not None


PROBES: dict[str, Callable[[Path], Capability]] = {
    "peft": tried("peft", "peft", "train", in_child(PEFT_PROBE)),
    "4-bit": tried("4-bit", "bitsandbytes", "qlora", in_child(QUANTISED_PROBE)),
    "parquet": tried("parquet", "pyarrow", "hub", table),
    "gguf-file": tried("gguf-file", "gguf", "gguf", model_file),
    "grammar": tried("grammar", "llguidance", "constrain", grammar),
    "hub": hub,
}
"""By name. A proxy may hide the Hub from `hub`, which opens a plain connection."""
