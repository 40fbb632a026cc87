"""Adapters on a base in 4 bits: they learn, the base does not move, and what is measured is what was trained."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from stopping import sigterm_after
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

import lathe
from lathe import plugins
from lathe import ship as shipping
from lathe import train as training
from lathe.contracts import Model
from lathe.engine import compare, model, quantised
from lathe.engine.generate import generate, taken
from lathe.engine.optim import adamw
from lathe.engine.packs import Pack, build_pack
from lathe.engine.step import ATTENTION, gradients, register_attention
from lathe.engine.writing import Prompt
from lathe.errors import Exit, Interrupted, Unavailable
from lathe.plan.architecture import shapes
from lathe.plan.memory import weight_bytes
from lathe.plan.parameters import count
from lathe.plan.stage import read_config
from lathe.records import Bundle, Method, TrainJob, TrainResult, TrainSpec
from lathe.runs import RunFolder
from lathe.text import render, tokenizer
from lathe.text.tokens import tokenise
from tiny_base import examples, write_base
from tiny_run import locked, new_run, quiet

pytestmark = pytest.mark.usefixtures("one_thread")
needs_bitsandbytes = pytest.mark.skipif(
    any(find_spec(name) is None for name in quantised.PACKAGES), reason=f"needs {' and '.join(quantised.PACKAGES)}"
)

METHOD = Method(kind="qlora", rank=4)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wide enough for a block of 64 numbers in each row, stored in bf16, as most bases are."""
    folder = tmp_path_factory.mktemp("models") / "wide"
    return write_base(folder, dtype=torch.bfloat16, hidden_size=64, intermediate_size=128, head_dim=16)


@pytest.fixture(scope="module")
def pack(base: Path) -> Pack:
    return build_pack(render.encode_all(tokenizer.load(base), examples(6)))


def job_in(folder: Path, base: Path, **spec: Any) -> TrainJob:
    tokenise(tokenizer.load(base), examples(14)).save(folder / "tokens.safetensors")
    train = TrainSpec(examples_per_step=5, token_budget=160, learning_rate=1e-2, checkpoint_every=3, threads=1, **spec)
    return TrainJob(
        base_folder=str(base),
        tokens_path=str(folder / "tokens.safetensors"),
        out_folder=str(folder / "train"),
        method=METHOD.model_dump(mode="json"),
        train=train.model_dump(mode="json", by_alias=True),
        seed=0,
        job_hash="job",
    )


def train(job: TrainJob, progress: Any = lambda event: None, trainer: str = "native") -> TrainResult:
    return plugins.load("trainers", trainer).train(job, progress)


def adapter(job: TrainJob) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((Path(job.out_folder) / "adapter").iterdir())}


def ready(base: Path, precision: Any = "fp32", **settings: Any) -> torch.nn.Module:
    """A 4-bit base with an adapter whose B is not zero."""
    register_attention()
    method = METHOD.model_copy(update={"dropout": settings.pop("dropout", 0.0)})
    net = model.load_for_training(base, method, 0, precision, torch.device("cpu"), attention=ATTENTION, **settings)
    return filled(net)


def filled(net: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.trainable(net).items():
            if "lora_B" in name:
                parameter.normal_(std=0.02, generator=generator)
    return net


def packed(net: torch.nn.Module) -> dict[str, torch.nn.Module]:
    """Every layer in 4 bits, by its name in the base."""
    return {
        re.sub(r"^base_model\.model\.|\.base_layer$", "", name): part
        for name, part in net.named_modules()
        if hasattr(part, "quant_state")
    }


def numbers(layer: torch.nn.Module) -> list[torch.Tensor]:
    """All that a packed matrix consists of: codes, scales in 8 bits, scales and offset of those."""
    state = layer.weight.quant_state
    return [part.detach().clone() for part in (layer.weight, state.absmax, state.state2.absmax, state.offset)]


# ------------------------------------------------------------------------------------------------- training


@needs_bitsandbytes
def test_the_loss_falls_by_the_reference_step_which_says_why_it_runs(base: Path, tmp_path: Path) -> None:
    result = train(job_in(tmp_path, base, epochs=12))
    assert result.first_loss is not None
    assert result.last_loss is not None
    assert result.last_loss < 0.9 * result.first_loss
    assert (result.step_kind, result.precision) == ("reference: the base is quantised", "fp32")


@needs_bitsandbytes
def test_a_stopped_training_goes_on_to_the_same_bytes(base: Path, tmp_path: Path) -> None:
    job = job_in(tmp_path, base, epochs=2)
    stopped = job.model_copy(update={"out_folder": str(tmp_path / "stopped")})
    train(job)
    with pytest.raises(Interrupted):
        train(stopped, sigterm_after(2))
    assert train(stopped).resumed == 1
    assert adapter(stopped) == adapter(job)


@needs_bitsandbytes
def test_steps_and_passes_without_gradient_leave_the_base_as_it_was(base: Path, pack: Pack) -> None:
    """bitsandbytes repacks a matrix for bf16 products as soon as it is used without a gradient, unless told otherwise."""
    net = ready(base)
    before = {name: numbers(layer) for name, layer in packed(net).items()}
    assert len(before) == 2 * 7
    optimizer = adamw(model.trainable(net).items(), 1e-2)
    for _ in range(3):
        gradients(net, [pack], pack.targets_S.numel())
        optimizer.step()
        optimizer.zero_grad()
    compare.logits(net.eval())
    after = {name: numbers(layer) for name, layer in packed(net).items()}
    for name, parts in before.items():
        assert all(torch.equal(one, other) for one, other in zip(parts, after[name], strict=True)), name


@needs_bitsandbytes
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-6), ("bf16", 6e-2)])
def test_loss_and_gradient_are_those_of_the_unpacked_matrices(
    base: Path, pack: Pack, precision: Any, tolerance: float
) -> None:
    from bitsandbytes.functional import dequantize_4bit

    net = ready(base, precision)
    twin = model.load_base(base, attention=ATTENTION)
    for name, layer in packed(net).items():
        twin.get_submodule(name).weight.data = dequantize_4bit(layer.weight.data, layer.weight.quant_state).float()
    dense = filled(model.attach(twin, Method(rank=4), 0))
    supervised = pack.targets_S.numel()
    assert gradients(net, [pack], supervised, precision) == pytest.approx(
        gradients(dense, [pack], supervised), rel=tolerance
    )
    found, expected = (
        torch.cat([part.grad.flatten() for part in model.trainable(one).values()]) for one in (net, dense)
    )
    assert float((found - expected).norm() / expected.norm()) < tolerance
    assert {part.dtype for part in model.trainable(net).values()} == {torch.float32}


@needs_bitsandbytes
def test_layers_that_are_computed_again_drop_the_same_numbers_and_give_the_same_gradient(
    base: Path, pack: Pack
) -> None:
    """With torch's own dropout they would drop others; under a reentrant checkpoint the adapters would get none."""
    supervised, found = pack.targets_S.numel(), {}
    for recompute in (False, True):
        net = ready(base, dropout=0.3, recompute=recompute)
        torch.manual_seed(5)
        loss = gradients(net, [pack], supervised)
        found[recompute] = loss, {name: part.grad for name, part in model.trainable(net).items()}
    (loss, expected), (again, gradient) = found[False], found[True]
    assert again == loss
    for name, part in expected.items():
        assert part.abs().max() > 0
        assert torch.equal(part, gradient[name]), name


@needs_bitsandbytes
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_plan_s_bytes_of_the_weights_are_those_that_are_loaded(base: Path, precision: Any) -> None:
    net = model.load_for_training(base, METHOD, 0, precision, torch.device("cpu"))
    own = {id(part) for part in model.trainable(net).values()}
    layers = packed(net).values()
    scales = [part for layer in layers for part in numbers(layer)[1:3]]
    held = [part for part in net.parameters() if id(part) not in own]
    known = shapes(read_config(base))
    planned = weight_bytes(known, count(known, None), "nf4", precision)
    assert sum(part.numel() * part.element_size() for part in (*held, *scales)) == planned


@needs_bitsandbytes
@pytest.mark.skipif(find_spec("trl") is None, reason="needs trl")
def test_trl_trains_the_same_adapter_on_the_same_base(base: Path, tmp_path: Path) -> None:
    """TRL would round adapters on a 4-bit base to bf16."""
    job = job_in(tmp_path, base, max_steps=3, precision="fp32")
    other = job.model_copy(update={"out_folder": str(tmp_path / "trl")})
    ours, theirs = train(job), train(other, trainer="trl")
    assert theirs.first_loss == pytest.approx(ours.first_loss, rel=1e-4)
    assert theirs.last_loss == pytest.approx(ours.last_loss, rel=1e-2)


# ------------------------------------------------------------------------------------------------- measuring


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, base: Path) -> RunFolder:
    run = new_run(tmp_path_factory.mktemp("runs") / "run")
    training.train(run, locked(base, method=METHOD), "train-inputs", quiet)
    return run


@needs_bitsandbytes
def test_the_measured_model_is_the_trained_one_and_peft_loads_it_by_itself(base: Path, trained: RunFolder) -> None:
    ours = model.load(Model.of(locked(base, method=METHOD), trained.adapter))
    form = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )
    theirs = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16, quantization_config=form), trained.adapter
    )
    layers, expected = packed(ours), packed(ready(base))
    assert layers.keys() == expected.keys() == packed(theirs).keys()
    for other in (expected, packed(theirs)):
        for name, layer in layers.items():
            assert all(torch.equal(*pair) for pair in zip(numbers(layer), numbers(other[name]), strict=True)), name
    assert compare.largest_difference(ours, theirs) < 0.1  # they hold norms and embedding in bf16
    published = model.load(Model(base, trained.adapter))
    assert compare.largest_difference(ours, published) > 1e-3, "another base is another model"


@needs_bitsandbytes
def test_the_fast_decoder_answers_as_the_plain_one_on_a_base_in_four_bits(
    base: Path, trained: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    tok = tokenizer.load(base)
    prompts = [Prompt(render.prompt_ids(tok, example.messages), 12) for example in examples(5)]

    def answers() -> dict[int, list[int]]:
        weights = taken(model.load_to_answer(Model.of(locked(base, method=METHOD), trained.adapter)))
        found = generate(weights, prompts, token_budget=400, stop_ids=tok.stop_ids, most_guesses=0)
        return {answer.index: answer.ids for answer in found}

    fast = answers()
    monkeypatch.setattr("lathe.engine.generate.can_decode", lambda _: False)
    assert fast == answers()


# ------------------------------------------------------------------------------------------------- shipping


@needs_bitsandbytes
def test_whole_weights_come_from_the_published_base_and_are_measured_again(base: Path, trained: RunFolder) -> None:
    asked: list[tuple[str, Model]] = []

    class Asked(Exception):
        pass

    def measure(arm: str, shipped: Model) -> Any:
        asked.append((arm, shipped))
        raise Asked

    again = shipping.Again(measure=measure, judge=_never)
    recipe = locked(base, method=METHOD, ship=("adapter", "merged"))
    with pytest.raises(Asked):  # at the second: the adapter is what was measured
        shipping.ship(trained, recipe, "inputs", quiet, again)
    ((arm, whole),) = asked
    assert arm == "merged"
    assert (whole.adapter_folder, whole.quantised) == (None, False)
    plain = model.load_merged(Model(base, trained.adapter))
    assert compare.largest_difference(plain, model.load(whole)) < 0.5

    bundle: Bundle = shipping.ship(trained, recipe, "inputs", quiet)
    assert not bundle.withheld, [check.message for one in bundle.withheld for check in one.failed]
    own, merged = bundle.shipped
    assert own.checks["max_logit_difference"] == 0.0
    (check,) = [one for one in merged.checked if one.id == "other_base"]
    assert check.ok is None
    assert check.measured["largest_difference_from_nf4"] > 0  # type: ignore[operator]


def _never(_: Any) -> Any:
    raise AssertionError("nothing was measured")


# ------------------------------------------------------------------------------------------------- packages


def test_a_missing_package_is_named_with_the_line_that_installs_it(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantised, "find_spec", lambda name: None if name == "bitsandbytes" else object())
    with pytest.raises(Unavailable, match="bitsandbytes") as raised:
        train(job_in(tmp_path, base))
    assert raised.value.hint == "pip install 'lathe-slm[train,qlora]'"
    assert raised.value.exit_code == Exit.UNAVAILABLE == 69


def test_no_program_of_the_hub_is_fetched_where_the_package_for_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kernels.py").write_text("FETCHED = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "kernels", raising=False)
    with quantised.without_hub_kernels(), pytest.raises(ImportError):
        import kernels
    import kernels  # type: ignore[import-not-found]

    assert kernels.FETCHED
    monkeypatch.delitem(sys.modules, "kernels")


def test_peft_and_bitsandbytes_are_imported_nowhere_without_that_care() -> None:
    """peft imports bitsandbytes, and bitsandbytes fetches a program."""
    importing: Callable[[str], object] = re.compile(
        r"^\s*(?:from|import) (?:peft|bitsandbytes|trl)\b", re.MULTILINE
    ).search
    root = Path(lathe.__file__).parent
    found = {path.relative_to(root).as_posix() for path in root.rglob("*.py") if importing(path.read_text("utf-8"))}
    careless = {name for name in found if "without_hub_kernels" not in (root / name).read_text("utf-8").lower()}
    assert careless == {"trainers/_trl.py"}, "which `trainers/trl.py` imports with that care"
