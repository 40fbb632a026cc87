"""Which type a weight of a GGUF file is stored in, and that llama.cpp's own code writes the K types."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
import pytest

from gguf_base import write_gguf_base
from lathe import plugins
from lathe.engine.fidelity import predictions
from lathe.engine.fidelity.blocks import check_blocks
from lathe.engine.gguf import kernel
from lathe.engine.gguf.read import format_of, matrices
from lathe.engine.gguf.storage import FORMATS, STANDS_FOR, Format, Mixture, Type, main_type
from lathe.engine.gguf.write import write
from lathe.engine.llama_server import LlamaServer
from lathe.engine.model import load_base
from lathe.errors import InputError, Unavailable
from lathe.plan import findings
from lathe.plan.architecture import shapes
from lathe.records import Message
from lathe.text import render, tokenizer

pytestmark = pytest.mark.usefixtures("one_thread")
pytest.importorskip("xllamacpp", reason="the extra gguf is not installed")

NANO = Path(predictions.__file__).parents[2] / "assets" / "nano"
WEIGHT = np.random.default_rng(3).standard_normal((24, 512), dtype=np.float32)
MATRICES = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")


def in_blocks(kind: Type) -> np.ndarray:
    width, num_bytes = gguf.GGML_QUANT_SIZES[kind]
    return kernel.quantised(WEIGHT, int(kind), WEIGHT.shape[1] // width * num_bytes)


@pytest.mark.parametrize("kind", [Type.Q8_0, Type.Q5_0, Type.Q5_1, Type.Q4_0])
def test_llama_cpps_code_writes_the_bytes_that_the_gguf_package_writes_where_both_can(kind: Type) -> None:
    assert np.array_equal(in_blocks(kind), gguf.quants.quantize(WEIGHT, kind))


@pytest.mark.parametrize(("kind", "largest"), [(Type.Q6_K, 0.08), (Type.Q5_K, 0.15), (Type.Q4_K, 0.3)])
def test_a_k_block_holds_its_weights_to_the_last_bit_that_it_has(kind: Type, largest: float) -> None:
    back = gguf.quants.dequantize(in_blocks(kind), kind)
    assert largest / 3 < np.abs(back - WEIGHT).max() < largest


def types(format: Format, layers: int, width: int = 256, tied: bool = True) -> dict[str, list[str]]:
    """By matrix, the type in each layer."""
    mixture = Mixture(format, layers, tied)
    return {
        name: [mixture.type_of(f"blk.{layer}.{name}.weight", width).name for layer in range(layers)]
        for name in MATRICES
    }


def test_a_mixture_gives_more_bits_where_errors_cost_most() -> None:
    """As `llama-quantize` has it for a model of twelve layers."""
    found = types("Q4_K_M", 12)
    more = ["Q6_K" if layer in (0, 3, 6, 9, 10, 11) else "Q4_K" for layer in range(12)]
    assert found["attn_v"] == found["ffn_down"] == more
    assert {name for name, kinds in found.items() if set(kinds) == {"Q4_K"}} == set(MATRICES) - {"attn_v", "ffn_down"}
    assert all(set(kinds) == {"Q6_K"} for kinds in types("Q6_K", 12).values())


@pytest.mark.parametrize(("tied", "embedding"), [(True, "Q6_K"), (False, "Q4_K")])
def test_the_output_gets_six_bits_and_so_does_the_embedding_that_stands_for_it(tied: bool, embedding: str) -> None:
    mixture = Mixture("Q4_K_M", 12, tied)
    assert mixture.type_of("token_embd.weight", 256).name == embedding
    assert mixture.type_of("output.weight", 256).name == "Q6_K"
    assert mixture.type_of("output.weight", 576).name == "Q8_0"


@pytest.mark.parametrize(
    ("format", "width", "usual", "more"),
    [
        ("Q4_K_M", 576, "Q5_0", "Q8_0"),
        ("Q5_K_M", 576, "Q5_1", "Q8_0"),
        ("Q6_K", 576, "Q8_0", "Q8_0"),
        ("Q4_K_M", 40, "F16", "F16"),
        ("Q4_0", 40, "F16", "F16"),
        ("Q4_0", 576, "Q4_0", "Q4_0"),
        ("F16", 40, "F16", "F16"),
    ],
)
def test_rows_that_no_block_divides_are_stored_otherwise(format: Format, width: int, usual: str, more: str) -> None:
    found = types(format, 12, width)
    assert set(found["attn_q"]) == {usual}
    assert more in found["ffn_down"]


@pytest.mark.parametrize("format", [one for one in FORMATS if main_type(one) in STANDS_FOR])
def test_a_file_in_k_blocks_says_through_llama_cpp_what_the_model_says(format: Format, tmp_path: Path) -> None:
    model, tok, path = load_base(NANO), tokenizer.load(NANO), tmp_path / "model.gguf"
    write(model, tok, path, format, "nano")
    assert format_of(path) == format
    assert {one.kind for one in matrices(path)} <= {main_type(format), Type.Q6_K}
    ids = render.prompts(tok, [(Message(role="user", content="Order 17 from Mira: two lamps, 12.50 each. " * 3),)])[0]
    answer = [predictions.Place(ids[:end], ids[end], last=False) for end in range(10, len(ids) - 1, 4)]
    with LlamaServer(path, 512, threads=1) as server:
        files = [server.next_token(place.before, 40) for place in answer]
    ours = predictions.log_probabilities(model, answer)
    kl = sum(predictions.divergence(one, file) for one, file in zip(ours, files, strict=True)) / len(files)
    assert 0 < kl < predictions.ROUNDING[format]


def test_a_file_without_the_blocks_that_its_name_says_does_not_pass(tmp_path: Path) -> None:
    """Rows of 64 and 96: llama.cpp writes such a file, calls it Q4_K_M, and no weight of it is in Q4_K."""
    base = write_gguf_base(tmp_path / "base")
    write(load_base(base), tokenizer.load(base), tmp_path / "model.gguf", "Q4_K_M", "tiny")
    found = check_blocks(format_of(tmp_path / "model.gguf"), matrices(tmp_path / "model.gguf"))
    assert found.ok is False
    assert "rows of 64, 96 are no multiple of 256" in found.message
    assert "gguf_q8_0" in str(found.fix)
    assert found.measured["q5_0_share"] > found.measured["q8_0_share"] > 0
    assert found.measured["narrow_share"] == 1.0
    plain = check_blocks("", matrices(tmp_path / "model.gguf"))
    assert plain.ok is None, "a file that names no format cannot be held to one"


def test_bits_are_counted_over_the_matrices(tmp_path: Path) -> None:
    base = write_gguf_base(tmp_path / "base")
    for format, bits in (("F16", 16.0), ("Q8_0", 8.5), ("Q4_0", 4.5)):
        write(load_base(base), tokenizer.load(base), tmp_path / "model.gguf", format, "tiny")
        found = check_blocks(format, matrices(tmp_path / "model.gguf"))
        assert found.ok
        assert found.measured["bits_per_weight"] == bits
        assert found.measured["narrow_share"] == 0.0


def test_a_build_that_hides_the_quantiser_is_named_before_anything_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "FUNCTION", "ggml_no_such_function")
    kernel._function.cache_clear()
    exporter = plugins.load("exports", "gguf_q4_k_m")
    assert not exporter.ability().ok
    assert "does not show llama.cpp's ggml_no_such_function" in exporter.ability().detail
    assert plugins.load("exports", "gguf_q4_0").ability().ok
    with pytest.raises(Unavailable, match="does not show"):
        in_blocks(Type.Q4_K)


@pytest.mark.parametrize("kind", ["gguf_q4_k_m", "gguf_q5_k_m", "gguf_q6_k"])
def test_a_k_format_is_refused_before_training_where_no_row_of_the_base_fits_its_blocks(
    kind: str, tmp_path: Path
) -> None:
    """The plan says so in the same words, without the packages that know blocks."""
    exporter, base = plugins.load("exports", kind), write_gguf_base(tmp_path / "base")
    with pytest.raises(InputError) as refused:
        exporter.foresee(base)
    assert "they are 64, 96 wide, expected a multiple of 256" in refused.value.message
    plugins.load("exports", "gguf_q8_0").foresee(base)
    exporter.foresee(NANO)
    model = shapes(json.loads((base / "config.json").read_text()))
    (found,) = findings.does_not_ship((kind, "merged"), model)
    assert found.message == f"ship names {kind}: {refused.value.message}"
    assert f"{found.fix.capitalize()}." == refused.value.hint
