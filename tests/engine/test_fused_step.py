"""The fused step against the reference: the same loss and the same gradients, and the reference where it does not apply."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft.tuners.lora import LoraLayer
from tokenizers import Tokenizer

from lathe.corpora.structured_text import CORPUS
from lathe.engine import model, step
from lathe.engine.devices import Precision
from lathe.engine.fused import choice, compiled, eager, elementwise, projection
from lathe.engine.fused.stack import FusedStep, narrow
from lathe.engine.packs import Pack, build_pack
from lathe.engine.windows import encoded
from lathe.records import Method
from lathe.records.pretrain import Mix
from lathe.resolve.base import bundled
from lathe.schedule.packing import pack
from lathe.text import tokenizer
from lathe.text.render import Encoded
from lathe.text.tokens import TokenSet, tokenise
from tiny_base import examples, write_base

pytestmark = pytest.mark.usefixtures("one_thread")

BASES: dict[str, dict[str, Any]] = {
    "llama": {},
    "llama, own head, biases": {"tie_word_embeddings": False, "attention_bias": True},
    "llama, one key head": {"num_key_value_heads": 1},
    "qwen2": {},
    "qwen3": {"tie_word_embeddings": False},
    "mistral": {"sliding_window": None},
}


Fused = Callable[..., FusedStep]


@pytest.fixture(params=["eager", "compiled"])
def fused_step(request: pytest.FixtureRequest) -> Fused:
    """A fused step on a model, its element-wise parts of each kind; skipped where there is no compiler."""

    def built(net: torch.nn.Module, precision: Precision = "fp32") -> FusedStep:
        dtype = narrow(net, precision)
        if request.param == "compiled" and isinstance(reason := compiled.load(dtype), str):
            pytest.skip(reason)
        return FusedStep(net, precision, elementwise.named(request.param, dtype))

    return built


@pytest.fixture(scope="module")
def tokens(tiny_base: Path) -> TokenSet:
    return tokenise(tokenizer.load(tiny_base), examples(9))


def built(tokens: TokenSet, budget: int = 200) -> tuple[list[Pack], int]:
    packs = [build_pack([tokens.row(row) for row in rows]) for rows in pack(tokens.lengths, budget)]
    return packs, int(tokens.supervised_lengths.sum())


def sample(tokens: TokenSet) -> list[Encoded]:
    return [tokens.row(row) for row in pack(tokens.lengths, 200)[0]]


def adapted(folder: Path, dtype: torch.dtype = torch.float32, **method: Any) -> torch.nn.Module:
    """A model whose B matrices are not zero, gains not one and biases not zero, so that every gradient is something."""
    step.register_attention()
    base = model.load_base(folder, dtype=dtype, attention=step.ATTENTION)
    net = model.attach(base, Method(**({"rank": 4} | method)), seed=3)
    with torch.no_grad():
        for number, (name, parameter) in enumerate(model.trainable(net).items()):
            if "lora_B" in name or parameter.dim() == 1:
                drawn = torch.empty_like(parameter).normal_(generator=torch.Generator().manual_seed(number), std=0.1)
                parameter += drawn
    return net


def taken(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    found = {name: part.grad.double() for name, part in model.trainable(net).items()}
    net.zero_grad()
    return found


def error(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> float:
    """Relative, over all gradients together."""
    assert found.keys() == expected.keys()
    off = sum(float((found[name] - expected[name]).square().sum()) for name in expected)
    return math.sqrt(off / sum(float(part.square().sum()) for part in expected.values()))


METHODS: dict[str, dict[str, Any]] = {"adapters": {}, "all weights": {"kind": "full"}}
trains = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


@trains
@pytest.mark.parametrize("name", BASES)
def test_loss_and_every_gradient_are_the_reference_s(
    fused_step: Fused, tmp_path: Path, tokens: TokenSet, name: str, method: dict[str, Any]
) -> None:
    net = adapted(write_base(tmp_path / "base", name.split(",")[0], **BASES[name]), **method)
    packs, supervised = built(tokens)
    assert len(packs) > 1
    assert choice.unfit(net) is None
    expected_loss = step.gradients(net, packs, supervised)
    expected = taken(net)
    loss = fused_step(net).gradients(packs, supervised)
    found = taken(net)
    assert loss == pytest.approx(expected_loss, rel=1e-6)
    for tensor, gradient in expected.items():
        assert float((found[tensor] - gradient).norm() / gradient.norm()) < 1e-5, tensor


@pytest.mark.parametrize("name", ["llama, own head, biases", "qwen3"])
def test_with_dropout_both_steps_drop_the_same_numbers(
    fused_step: Fused, tmp_path: Path, tokens: TokenSet, name: str
) -> None:
    net = adapted(write_base(tmp_path / "base", name.split(",")[0], **BASES[name]), dropout=0.3)
    packs, supervised = built(tokens)
    assert choice.unfit(net) is None
    fused = fused_step(net)
    losses = {}
    for seed in (1, 2):
        torch.manual_seed(seed)
        losses[seed] = step.gradients(net, packs, supervised)
        expected = taken(net)
        torch.rand(100)  # numbers that something else drew in between change nothing
        assert fused.gradients(packs, supervised) == pytest.approx(losses[seed], rel=1e-6)
        found = taken(net)
        for tensor, gradient in expected.items():
            assert float((found[tensor] - gradient).norm() / gradient.norm()) < 1e-5, tensor
    assert losses[1] != pytest.approx(losses[2], rel=1e-4)
    assert choice.is_fused(choice.choose(net, sample(tokens), "fp32")[1])


def test_a_row_is_dropped_alike_in_every_split_of_the_step(
    fused_step: Fused, tiny_base: Path, tokens: TokenSet
) -> None:
    net = adapted(tiny_base, dropout=0.2)
    for take in (fused_step(net).gradients, lambda *step_: step.gradients(net, *step_)):
        found = []
        for budget in (80, 150, 1000):
            torch.manual_seed(5)
            found.append((take(*built(tokens, budget)), taken(net)))
        for loss, gradients in found[1:]:
            assert loss == pytest.approx(found[0][0], rel=1e-6)
            assert error(gradients, found[0][1]) < 1e-5


def test_bf16_with_dropout_is_as_near_to_fp32_as_autocast_is(
    fused_step: Fused, tiny_base: Path, tokens: TokenSet
) -> None:
    packs, supervised = built(tokens)
    wide, narrow = (adapted(tiny_base, dtype, dropout=0.2) for dtype in (torch.float32, torch.bfloat16))
    with torch.no_grad():
        for parameter in wide.parameters():
            if not parameter.requires_grad:
                parameter.copy_(parameter.bfloat16())
    step.gradients(wide, packs, supervised)
    exact = taken(wide)
    step.gradients(narrow, packs, supervised, "bf16")
    autocast = error(taken(narrow), exact)
    fused_step(narrow, "bf16").gradients(packs, supervised)
    assert error(taken(narrow), exact) <= 1.5 * autocast


def test_a_dropout_of_torch_s_own_takes_the_reference(tiny_base: Path, tokens: TokenSet) -> None:
    net = adapted(tiny_base, dropout=0.2)
    for part in net.modules():
        if isinstance(part, LoraLayer):
            part.lora_dropout["default"] = torch.nn.Dropout(0.2)
    assert "draws other numbers in every pass" in choice.choose(net, sample(tokens), "fp32")[1]


@pytest.mark.parametrize("targets", [("q_proj",), ("v_proj", "down_proj"), ("up_proj",), ("o_proj", "k_proj")])
def test_any_targets_may_have_the_adapters(
    fused_step: Fused, tiny_base: Path, tokens: TokenSet, targets: tuple[str, ...]
) -> None:
    net = adapted(tiny_base, targets=targets, rank=3, alpha=7.0)
    packs, supervised = built(tokens)
    assert choice.unfit(net) is None
    step.gradients(net, packs, supervised)
    expected = taken(net)
    fused_step(net).gradients(packs, supervised)
    assert error(taken(net), expected) < 1e-5


@trains
def test_what_is_trained_is_read_anew_at_every_step_and_gradients_add_up(
    fused_step: Fused, tiny_base: Path, tokens: TokenSet, method: dict[str, Any]
) -> None:
    net = adapted(tiny_base, **method)
    packs, supervised = built(tokens)
    fused = fused_step(net)
    fused.gradients(packs, supervised)
    taken(net)
    with torch.no_grad():
        for parameter in model.trainable(net).values():
            parameter.mul_(0.5)
    step.gradients(net, packs, supervised)
    step.gradients(net, packs, supervised)
    expected = taken(net)
    fused.gradients(packs, supervised)
    fused.gradients(packs, supervised)
    assert error(taken(net), expected) < 1e-5


@trains
def test_bf16_is_as_near_to_fp32_as_autocast_is(
    fused_step: Fused, tiny_base: Path, tokens: TokenSet, method: dict[str, Any]
) -> None:
    """Weights that are trained stay float32, and products round them."""
    packs, supervised = built(tokens)
    net = adapted(tiny_base, **method)
    with torch.no_grad():
        # So that the same base is exact in both.
        for parameter in net.parameters():
            if not parameter.requires_grad:
                parameter.copy_(parameter.bfloat16())
    exact_loss = step.gradients(net, packs, supervised)
    exact = taken(net)
    narrow = adapted(tiny_base, torch.float32 if method else torch.bfloat16, **method)
    autocast_loss = step.gradients(narrow, packs, supervised, "bf16")
    autocast = taken(narrow)
    loss = fused_step(narrow, "bf16").gradients(packs, supervised)
    assert error(taken(narrow), exact) <= 1.5 * error(autocast, exact)
    assert abs(loss - exact_loss) <= 1.5 * max(abs(autocast_loss - exact_loss), 1e-3)


def test_a_step_that_broke_off_leaves_nothing_in_the_gradients_of_the_next(
    fused_step: Fused, tiny_base: Path, tokens: TokenSet
) -> None:
    net = adapted(tiny_base, kind="full")
    packs, supervised = built(tokens)
    fused = fused_step(net)
    fused.gradients(packs, supervised)
    expected = taken(net)

    def broken_off() -> Iterator[Pack]:
        yield packs[0]
        raise MemoryError

    with pytest.raises(MemoryError):
        fused.gradients(broken_off(), supervised)
    net.zero_grad()  # as the loop does
    fused.gradients(packs, supervised)
    assert error(taken(net), expected) == 0


@trains
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_same_step_gives_the_same_bytes(
    fused_step: Fused, tiny_base: Path, tokens: TokenSet, precision: Any, method: dict[str, Any]
) -> None:
    packs, supervised = built(tokens)
    results = []
    for _ in range(2):
        net = adapted(tiny_base, torch.bfloat16 if precision == "bf16" and not method else torch.float32, **method)
        results.append((fused_step(net, precision).gradients(packs, supervised), taken(net)))
    assert results[0][0] == results[1][0]
    assert all(torch.equal(part, results[1][1][name]) for name, part in results[0][1].items())


@trains
def test_the_choice_leaves_the_model_as_it_was(tiny_base: Path, tokens: TokenSet, method: dict[str, Any]) -> None:
    net = adapted(tiny_base, **method)
    before = {name: part.detach().clone() for name, part in model.trainable(net).items()}
    take, kind = choice.choose(net, sample(tokens), "fp32")
    assert choice.is_fused(kind)
    assert take.__self__.__class__ is FusedStep
    assert all(torch.equal(part, before[name]) for name, part in model.trainable(net).items())
    assert all(part.grad is None for part in net.parameters())


def test_a_fused_step_that_is_wrong_is_not_taken(
    tiny_base: Path, tokens: TokenSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = adapted(tiny_base)
    monkeypatch.setattr(choice, "best", lambda dtype: (eager, "eager"))
    monkeypatch.setattr(eager, "gated_backward", lambda grad, both: torch.zeros_like(both))
    assert choice.choose(net, sample(tokens), "fp32")[1].startswith("reference: the fused step's gradient of ")
    monkeypatch.setattr(eager, "normalise", lambda hidden, _, normed, inverse: (normed.copy_(hidden), inverse.fill_(1)))
    assert choice.choose(net, sample(tokens), "bf16")[1].startswith("reference: the fused step's loss is")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_fused_step_that_forgets_one_matrix_is_not_taken(
    tiny_base: Path, tokens: TokenSet, monkeypatch: pytest.MonkeyPatch, precision: Precision
) -> None:
    net = adapted(tiny_base, torch.bfloat16 if precision == "bf16" else torch.float32)
    name, forgotten = next(
        (name, part) for name, part in model.trainable(net).items() if "1.mlp.up_proj.lora_B" in name
    )
    add = projection.add_gradient
    monkeypatch.setattr(
        projection, "add_gradient", lambda part, gradient: None if part is forgotten else add(part, gradient)
    )
    assert choice.choose(net, sample(tokens), precision)[1] == (
        f"reference: the fused step's gradient of {name} is 1.0e+00 off"
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize(
    "name", ["layers.0.input_layernorm.weight", "embed_tokens.weight", "layers.1.mlp.up_proj.weight"]
)
def test_a_fused_step_that_forgets_one_of_all_weights_is_not_taken(
    tiny_base: Path, tokens: TokenSet, monkeypatch: pytest.MonkeyPatch, precision: Precision, name: str
) -> None:
    net = adapted(tiny_base, kind="full")
    whole, forgotten = next((whole, part) for whole, part in net.named_parameters() if whole.endswith(name))
    gradients = FusedStep.gradients

    def forgetful(fused: FusedStep, packs: Iterable[Pack], supervised: int) -> float:
        loss = gradients(fused, packs, supervised)
        forgotten.grad = None
        return loss

    monkeypatch.setattr(FusedStep, "gradients", forgetful)
    assert choice.choose(net, sample(tokens), precision)[1] == (
        f"reference: the fused step's gradient of {whole} is 1.0e+00 off"
    )


def test_rows_that_the_base_knows_well_do_not_keep_a_right_step_from_bf16() -> None:
    """Of a small loss, and of its small gradient, bf16's rounding is a large share in either step."""
    folder = bundled("lathe:nano")
    step.register_attention()
    net = model.attach(model.load_base(folder, dtype=torch.bfloat16, attention=step.ATTENTION), Method(rank=8), 0)
    drills = CORPUS.documents(1, 0, Mix(longest_characters=250, lookup_share=1.0))
    told = encoded(drills, Tokenizer.from_file(str(folder / "tokenizer.json")), 3000)
    losses = []
    for ids, weights in islice(told, 3):
        row = Encoded(ids.astype(np.int32), weights > 0.3, int((weights > 0.3).argmax()))
        losses.append(step.gradients(net, [build_pack([row])], int((weights > 0.3).sum()), precision="bf16"))
        taken(net)
        assert choice.is_fused(choice.choose(net, [row], "bf16")[1])
    assert min(losses) < 0.1


def test_an_architecture_that_is_not_written_out_takes_the_reference(tmp_path: Path, tokens: TokenSet) -> None:
    net = adapted(write_base(tmp_path / "base", "olmo2"))
    take, kind = choice.choose(net, sample(tokens), "fp32")
    assert kind.startswith("reference: olmo2")
    assert take([built(tokens)[0][0]], 10) > 0


def test_where_only_some_weights_are_trained_the_reference_is_taken(tiny_base: Path, tokens: TokenSet) -> None:
    net = adapted(tiny_base, kind="full")
    net.get_decoder().embed_tokens.weight.requires_grad_(False)
    assert choice.choose(net, sample(tokens), "fp32")[1] == "reference: model.embed_tokens.weight is not trained"
