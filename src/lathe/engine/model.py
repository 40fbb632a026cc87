"""Models: loaded from a folder, fitted with adapters, merged, and written back.

    model = load(Model(base_folder, adapter_folder))              # base + adapter, float32
    model = attach(load_base(base_folder), method, seed=0)        # ready for training

Loading opens safetensors, JSON and tokenizer files only (`lathe.model_folder`). All weights are held in the dtype that is
asked for, whatever the dtype of storage; in a quantised base the matrices of the layers are held in NF4, and computed with in that
dtype.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from lathe.contracts import Model
from lathe.engine import eight_bits
from lathe.engine.adapters import (
    ADAPTER_WEIGHT,
    CONFIG_NAME,
    SAFETENSORS_WEIGHTS_NAME,
    LoraConfig,
    LoraLayer,
    PeftModel,
    get_peft_model,
    get_peft_model_state_dict,
)
from lathe.engine.between_layers import give_back_between_layers
from lathe.engine.devices import Precision, pick_device
from lathe.engine.disk import os_errors
from lathe.engine.dropout import RowDropout
from lathe.engine.quantised import four_bit, settle
from lathe.errors import InputError
from lathe.model_folder import check_adapter, check_model, has_own_head, is_full_model, stored_tensors
from lathe.records import Method

TOKENIZER_FILES = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "generation_config.json",
    "vocab.json", "merges.txt", "tokenizer.model", "added_tokens.json",
)  # fmt: skip
"""What belongs to a model folder besides config.json and weights."""

FLOATS = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32, "F64": torch.float64}
"""safetensors' names of the floating-point formats that a base may be stored in."""

LOADING_FAILS = (
    ValueError, RuntimeError, KeyError, TypeError, AttributeError, OSError, SafetensorError, StrictDataclassError
)  # fmt: skip
"""What transformers raises where configuration and weights do not belong together."""
OLD_CONSTANTS = (".masked_bias", ".rotary_emb.inv_freq")
"""Ends of names of what earlier versions of transformers stored beside the weights, though it is none."""
OTHER_CONFIG = "config.json is of another model, or was changed: bring back the one that came with the weights."


def load_base(
    folder: Path, *, dtype: torch.dtype = torch.float32, attention: str = "sdpa", quantised: bool = False
) -> PreTrainedModel:
    """The causal language model in a folder, in evaluation mode, all parameters frozen.

    quantised: in NF4 and on the device where it will stay, since it is the GPU that could not hold it otherwise. Raises InputError
    where the folder is no sound model, Refused where it holds pickles or code, Unavailable without the packages for NF4.
    """
    config = read_config(folder)
    # Quantised from the stored numbers, so that training, answers and checks have the same ones whatever they compute in.
    form = (
        {"dtype": stored_dtype(folder), "quantization_config": four_bit(dtype), "device_map": {"": pick_device()}}
        if quantised
        else {"dtype": dtype}
    )
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            folder,
            config=config,
            **form,
            attn_implementation=attention,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are refused below, with their sizes
        )
    except LOADING_FAILS as error:
        raise _not_loaded(folder, error) from error
    if report["mismatched_keys"]:
        name, stored, asked = min(report["mismatched_keys"])
        raise InputError(
            f"{folder}: {name} has the shape {tuple(stored)} in the weights, and config.json asks for {tuple(asked)}",
            hint=OTHER_CONFIG,
        )
    if report["missing_keys"]:
        # transformers would go on with random numbers in their place.
        missing = sorted(report["missing_keys"])
        raise InputError(
            f"{folder} lacks {len(missing)} weights that its config.json asks for, {missing[0]} among them"
        )
    if unused := sorted(name for name in report["unexpected_keys"] if not name.endswith(OLD_CONSTANTS)):
        # transformers would leave them out: layers of a model that is deeper than its config.json says.
        raise InputError(
            f"{folder} holds {len(unused)} weights that its config.json has no place for, {unused[0]} among them",
            hint=OTHER_CONFIG,
        )
    _check_head(folder, model)
    if has_own_head(folder):
        # transformers loads it as it is and leaves the configuration, by which other programs would drop it from what is written.
        model.config.tie_word_embeddings = False
    _check_numbers(folder, model)
    if quantised:
        settle(model, dtype)
    return model.eval().requires_grad_(False)


def read_config(folder: Path) -> PretrainedConfig:
    """The configuration of a model in a folder. Raises as `load_base`."""
    check_model(folder)
    try:
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except LOADING_FAILS as error:
        raise _not_loaded(folder, error) from error


def load(model: Model, *, dtype: torch.dtype = torch.float32, attention: str = "sdpa") -> PreTrainedModel | PeftModel:
    """What a `contracts.Model` names: the base, the base with its adapter, or fully tuned weights; nothing is trainable.

    Raises InputError where a folder is no sound model or adapter, Refused where one holds pickles or code, and as `load_base`.
    """
    if model.adapter_folder is None:
        return load_base(model.base_folder, dtype=dtype, attention=attention, quantised=model.quantised)
    if is_full_model(model.adapter_folder):
        return load_base(model.adapter_folder, dtype=dtype, attention=attention)
    check_adapter(model.adapter_folder)
    base = load_base(model.base_folder, dtype=dtype, attention=attention, quantised=model.quantised)
    try:
        tuned = PeftModel.from_pretrained(base, str(model.adapter_folder), local_files_only=True)
    except (ValueError, RuntimeError, KeyError, TypeError, OSError, SafetensorError) as error:
        raise InputError(f"{model.adapter_folder} does not fit {model.base_folder}: {_first_line(error)}") from error
    broken = [
        name for name, weight in tuned.named_parameters() if ADAPTER_WEIGHT in name and not weight.isfinite().all()
    ]
    if broken:
        raise InputError(
            f"{model.adapter_folder} holds values that are no numbers in {len(broken)} weights, {broken[0]} among them",
            hint="Its training diverged, or the file is damaged: take an earlier checkpoint.",
        )
    return tuned.to(dtype).eval().requires_grad_(False)


def load_merged(model: Model, *, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """As `load`, with the adapter folded into the weights; the sum is formed in float32 and cast to `dtype` once.

    The base is the one that was published, also where the adapter was trained on a quantised one: a sum cannot be held in 4 bits.
    """
    tuned = load(replace(model, quantised=False), dtype=torch.float32)
    merged = tuned.merge_and_unload(safe_merge=True) if isinstance(tuned, PeftModel) else tuned
    return merged.to(dtype)


def load_to_answer(model: Model) -> PreTrainedModel:
    """What generates, in its number format and on the device: merged, for speed; on a base in 4 bits the adapter stays beside it.

    Raises as `load`, and InputError where that format is not for this device.
    """
    dtype = torch.bfloat16 if model.precision == "bf16" else torch.float32
    if model.quantised:
        return causal(load(model, dtype=dtype))
    merged = load_merged(model, dtype=dtype).to(pick_device())
    if model.precision == "int8":
        eight_bits.hold(merged)
    return merged


def load_for_training(
    folder: Path,
    method: Method,
    seed: int,
    precision: Precision,
    device: torch.device,
    *,
    attention: str = "sdpa",
    recompute: bool = False,
) -> PreTrainedModel | PeftModel:
    """A base with what `method` trains, in the dtype in which its frozen weights are kept.

    recompute: layers keep their input alone and are computed again in the backward pass. Raises as `load_base` and `attach`, and
    InputError where the architecture cannot do that.
    """
    # Full fine-tuning keeps its weights in float32: an update is smaller than a bf16 weight's last bit.
    storage = torch.bfloat16 if precision == "bf16" and method.kind != "full" else torch.float32
    base = load_base(folder, dtype=storage, attention=attention, quantised=method.quantised)
    if recompute:
        try:
            base.gradient_checkpointing_enable({"use_reentrant": False})
        except ValueError as error:
            raise InputError(
                f"the layers of {base.config.model_type} cannot be computed again", hint="Set train.recompute: false."
            ) from error
    give_back_between_layers(base, device)
    return attach(base.to(device), method, seed)


def attach(base: PreTrainedModel, method: Method, seed: int) -> PreTrainedModel | PeftModel:
    """Makes the model trainable as `method` says. A matrices are drawn from `seed` alone, B is zero; dropout is `RowDropout`.

    Adapters are float32 whatever the dtype of the base. Raises InputError where a target matches no layer, or the output head.
    """
    if method.kind == "full":
        return base.requires_grad_(True).train()
    linear = linear_layers(base)
    targets = linear if method.targets == "all-linear" else list(method.targets)
    head = base.get_output_embeddings()
    if any(part is head and name.rpartition(".")[2] in targets for name, part in base.named_modules()):
        raise InputError(
            f"method.targets {targets} hold the output head, which adapters are not trained on here",
            hint=f"Its other linear layers: {', '.join(linear)}.",
        )
    config = LoraConfig(
        r=method.rank,
        lora_alpha=method.alpha,
        lora_dropout=method.dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
        base_model_name_or_path=base.config._name_or_path,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = get_peft_model(base, config)
        except ValueError as error:
            raise InputError(
                f"method.targets {targets} match no layer of the base", hint=f"Its linear layers: {', '.join(linear)}."
            ) from error
    if method.dropout:
        adapted = [part for part in model.modules() if isinstance(part, LoraLayer)]
        for number, part in enumerate(adapted):
            part.lora_dropout = nn.ModuleDict({name: RowDropout(method.dropout, number) for name in part.lora_dropout})
    return model.train()


def linear_layers(base: PreTrainedModel) -> list[str]:
    """Names of the linear layers, as far as they differ within a block (q_proj, down_proj ...), sorted; without the output head."""
    output = base.get_output_embeddings()
    return sorted(
        {
            name.rpartition(".")[2]
            for name, part in base.named_modules()
            if isinstance(part, nn.Linear) and part is not output
        }
    )


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Trainable parameters by name, in the model's order."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def causal(model: nn.Module) -> PreTrainedModel:
    """The transformers model inside, adapters left in place."""
    inner = model.get_base_model() if isinstance(model, PeftModel) else model
    assert isinstance(inner, PreTrainedModel)
    return inner


def head(model: nn.Module) -> Tensor:
    """The output head's weight, shape (vocabulary, hidden)."""
    return causal(model).get_output_embeddings().weight


def write_trained(model: nn.Module, folder: Path) -> None:
    """Writes what was trained into an existing folder, the same weights giving the same bytes.

    A PEFT model gives an adapter folder that peft loads, else whole weights in the dtype they are held in.
    """
    if not isinstance(model, PeftModel):
        write_model(causal(model), folder)
        return
    tensors = {name: part.detach().contiguous() for name, part in get_peft_model_state_dict(model).items()}
    with os_errors():
        save_file(dict(sorted(tensors.items())), folder / SAFETENSORS_WEIGHTS_NAME, metadata={"format": "pt"})
    config = model.peft_config["default"]
    # peft holds the targets as a set, whose order changes from process to process.
    fields = {key: sorted(value) if isinstance(value, set) else value for key, value in config.to_dict().items()}
    fields["inference_mode"] = True
    text = json.dumps(fields, indent=2, sort_keys=True, default=str)
    (folder / CONFIG_NAME).write_text(text + "\n", encoding="utf-8")


def write_result(model: nn.Module, base_folder: Path, folder: Path) -> None:
    """As `write_trained`; whole weights bring the base's tokenizer with them, so that the folder is a model by itself."""
    write_trained(model, folder)
    if not isinstance(model, PeftModel):
        copy_tokenizer(base_folder, folder)


def copy_tokenizer(base_folder: Path, folder: Path) -> None:
    """Copies those of TOKENIZER_FILES that a base has."""
    for name in TOKENIZER_FILES:
        if (base_folder / name).is_file():
            shutil.copyfile(base_folder / name, folder / name)


def write_model(model: PreTrainedModel, folder: Path) -> None:
    """Writes config.json and model.safetensors into an existing folder, without a tokenizer."""
    with os_errors():
        model.save_pretrained(folder, max_shard_size="50GB")


def stored_dtype(folder: Path) -> torch.dtype:
    """The floating-point dtype in which a model folder holds most of its numbers."""
    sizes = dict.fromkeys(FLOATS, 0)
    for tensor in stored_tensors(folder).values():
        if tensor.dtype in sizes:
            sizes[tensor.dtype] += tensor.size
    return FLOATS[max(sizes, key=sizes.__getitem__)]


def _check_head(folder: Path, model: PreTrainedModel) -> None:
    """The engine computes hidden @ head.T (`lathe.model_folder.configuration.check_form` has what a configuration adds to that)."""
    output = model.get_output_embeddings()
    if not isinstance(output, nn.Linear) or output.bias is not None:
        raise InputError(
            f"{folder}: the output head of {model.config.model_type} is not a plain matrix, which is not supported yet"
        )


def _check_numbers(folder: Path, model: PreTrainedModel) -> None:
    """With one weight that is no number every answer and every loss is none, whatever is trained on it."""
    floats = ((name, weight) for name, weight in model.named_parameters() if weight.is_floating_point())
    broken = [name for name, weight in floats if not all(torch.isfinite(end) for end in torch.aminmax(weight))]
    if broken:
        raise InputError(
            f"{folder} holds values that are no numbers in {len(broken)} weights, {broken[0]} among them",
            hint="The file is damaged, or the training that wrote it diverged: download it again, or take an earlier one.",
        )


def _not_loaded(folder: Path, error: Exception) -> InputError:
    return InputError(f"{folder} could not be loaded as a causal language model: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    """The first line of what an error says, and the next one where the first only announces it."""
    if isinstance(error, KeyError):
        return f"it names {error}, which transformers does not know"
    first, _, rest = str(error).strip().partition("\n")
    return (
        f"{first} {rest.strip().partition(chr(10))[0]}"
        if first.endswith(":") and rest
        else first or type(error).__name__
    )
