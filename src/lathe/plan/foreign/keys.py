"""What the keys of other trainers mean: one table, since the tools share most names.

A key is a setting of Lathe's (SETTINGS), or without effect on what is learned (WITHOUT_EFFECT), or it changes what is learned in
a way that a Lathe recipe cannot say (REFUSED). Keys of inner mappings are written with dots. To teach a key: one line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SETTINGS: Mapping[str, tuple[str, ...]] = {
    "base": ("base_model", "model_name_or_path", "model", "model_name", "model_id"),
    "revision": ("model_revision", "revision_of_model"),
    "method": ("adapter", "finetuning_type"),
    "four_bit": ("load_in_4bit", "quantization_bit", "use_qlora"),
    "rank": ("lora_r", "lora_rank", "lora.r", "lora.rank", "peft.r", "r"),
    "alpha": ("lora_alpha", "lora.alpha", "lora.lora_alpha", "peft.lora_alpha"),
    "dropout": ("lora_dropout", "lora.dropout", "lora.lora_dropout", "peft.lora_dropout"),
    "targets": (
        "lora_target_modules", "target_modules", "lora_target", "lora.target_modules", "lora.targets", "peft.target_modules",
    ),
    "all_linear": ("lora_target_linear",),
    "adapters": ("use_peft",),
    "epochs": ("num_epochs", "num_train_epochs", "epochs"),
    "max_steps": ("max_steps",),
    "micro_batch": ("micro_batch_size", "per_device_train_batch_size", "batch_size"),
    "accumulation": ("gradient_accumulation_steps",),
    "learning_rate": ("learning_rate", "lr"),
    "warmup_steps": ("warmup_steps",),
    "warmup_share": ("warmup_ratio",),
    "schedule": ("lr_scheduler", "lr_scheduler_type"),
    "weight_decay": ("weight_decay",),
    "clip_norm": ("max_grad_norm",),
    "max_tokens": ("sequence_len", "max_length", "max_seq_length", "cutoff_len", "model_max_length"),
    "too_long": ("excess_length_strategy",),
    "padding": ("pad_to_sequence_len", "padding", "pad_to_max_length"),
    "packing": ("sample_packing", "packing"),
    "neat_packing": ("neat_packing",),
    "save_strategy": ("save_strategy",),
    "save_steps": ("save_steps",),
    "save_total_limit": ("save_total_limit",),
    "eval_strategy": ("eval_strategy", "evaluation_strategy"),
    "eval_steps": ("eval_steps",),
    "load_best": ("load_best_model_at_end",),
    "patience": ("early_stopping_patience",),
    "bf16": ("bf16",),
    "fp16": ("fp16",),
    "dtype": ("dtype", "torch_dtype"),
    "cpu": ("use_cpu", "no_cuda"),
    "checkpointing": ("gradient_checkpointing",),
    "optimiser": ("optimizer", "optim"),
    "seed": ("seed",),
    "name": ("run_name", "wandb_run_name"),
    "datasets": ("datasets",),
    "test_datasets": ("test_datasets",),
    "train_file": ("train_file", "dataset_name", "dataset", "data_path"),
    "validation_file": ("validation_file", "eval_dataset"),
    "validation_share": ("val_set_size", "val_size"),
    "limit": ("max_samples",),
    "rows": ("train_rows",),
    "validation_rows": ("validation_rows",),
    "test_rows": ("test_rows",),
    "repetition_penalty": ("repetition_penalty",),
    "spot": ("spot", "use_spot", "preemptible"),
}  # fmt: skip
"""Lathe's word for each setting, and the names that other tools give it."""

COLUMNS = "columns are told by their usual names, or named in data.fields"
WITHOUT_EFFECT: Mapping[str, str] = {
    "output_dir": "runs stand in runs/", "overwrite_output_dir": "a run is never overwritten",
    "logging_steps": "every step is logged", "logging_dir": "runs stand in runs/", "logging_strategy": "every step is logged",
    "report_to": "nothing leaves the machine", "wandb": "nothing leaves the machine", "plot_loss": "the report plots it",
    "model_type": "read from the base's config.json", "tokenizer_type": "read from the base's folder",
    "eval_batch_size": "answers are generated within evaluate.token_budget",
    "per_device_eval_batch_size": "answers are generated within evaluate.token_budget",
    "metric_for_best_model": "the task's primary metric decides", "greater_is_better": "the metric itself says so",
    "group_by_length": "rows are packed", "dataloader_num_workers": "rows are held in memory",
    "preprocessing_num_workers": "rows are held in memory", "dataset_prepared_path": "a run keeps its own rows",
    "overwrite_cache": "a run keeps its own rows", "tf32": "the precision is train.precision",
    "flash_attention": "attention is the engine's own", "flash_attn": "attention is the engine's own",
    "attn_implementation": "attention is the engine's own", "xformers_attention": "attention is the engine's own",
    "push_to_hub": "nothing leaves the machine", "hub_model_id": "nothing leaves the machine",
    "deepspeed": "one device trains", "fsdp": "one device trains", "fsdp_config": "one device trains",
    "local_rank": "one device trains", "ddp_timeout": "one device trains", "bnb_4bit_quant_type": "NF4 is the only form",
    "bnb_4bit_compute_dtype": "the precision is train.precision", "strict": "faults are always named",
    "template": "the base's own chat template is used", "chat_template": "the base's own chat template is used",
    "do_train": "a chain trains", "do_eval": "a chain evaluates", "remove_unused_columns": "columns are named in data.fields",
    "dataset_dir": "paths stand in the recipe", "gradient_checkpointing_kwargs": "packs bound the memory",
    "special_tokens": "the base's own are used", "disable_tqdm": "the screen decides", "save_only_model": "checkpoints continue",
    "peft_type": "LoRA", "task_type": "a causal model", "bias": "biases stay as they are", "save_safetensors": "always",
    "assistant_only_loss": "prompts never carry loss; of a conversation the last answer is trained",
    "mask_history": "of a conversation the last answer is trained", "eos_token": "the base's own are used",
    "adam_beta2": "AdamW's second moment decays at 0.95", "adam_epsilon": "AdamW's epsilon is 1e-8",
    "dataset_text_field": "columns are named in data.fields", "dataset_num_proc": "rows are held in memory",
    "datasets.ds_type": "told by the file", "datasets.chat_template": "the base's own chat template is used",
    "datasets.field": COLUMNS, "datasets.field_messages": COLUMNS, "datasets.field_tools": COLUMNS, "datasets.field_human": COLUMNS,
    "datasets.field_model": COLUMNS, "datasets.message_field_role": COLUMNS, "datasets.message_field_content": COLUMNS,
    "datasets.message_property_mappings": COLUMNS, "datasets.type.field_system": COLUMNS,
    "datasets.type.field_instruction": COLUMNS, "datasets.type.field_input": COLUMNS, "datasets.type.field_output": COLUMNS,
    "datasets.roles": "told by their usual names",
    "datasets.preprocess_shards": "rows are held in memory",
}  # fmt: skip
"""Keys without effect on what is learned, and why. Those of an entry of `datasets` or `test_datasets` stand behind `datasets`."""

PART = "part of the rows; write these to a file of their own and name that"
REFUSED: Mapping[str, str] = {
    "rl": "preference training is another method",
    "neftune_noise_alpha": "noise on the embeddings changes what is learned",
    "noisy_embedding_alpha": "noise on the embeddings changes what is learned",
    "use_rslora": "the adapter would be scaled by alpha / sqrt(rank)",
    "peft_use_rslora": "the adapter would be scaled by alpha / sqrt(rank)",
    "use_dora": "DoRA is another method", "peft_use_dora": "DoRA is another method",
    "lora_fan_in_fan_out": "the adapter's matrices would be turned",
    "lora_modules_to_save": "whole modules would be trained", "modules_to_save": "whole modules would be trained",
    "additional_target": "whole modules would be trained",
    "label_smoothing_factor": "another loss", "loss_type": "another loss", "loraplus_lr_ratio": "two learning rates",
    "lora_model_dir": "training would begin from an adapter", "adapter_name_or_path": "training would begin from an adapter",
    "resume_from_checkpoint": "training would begin from a checkpoint of another tool",
    "load_in_8bit": "a base in 8 bits is not trained here; 4 bits are qlora",
    "trust_remote_code": "code of a model's folder is never run",
    "train_on_inputs": "the prompt would carry loss", "train_on_prompt": "the prompt would carry loss",
    "tokens": "the vocabulary would change", "resize_token_embeddings_to_32x": "the vocabulary would change",
    "resize_vocab": "the vocabulary would change", "adam_beta1": "AdamW's moments are fixed",
    "use_galore": "another optimiser", "use_badam": "another optimiser", "freeze_trainable_layers": "part of the layers",
    "reward_model": "preference training is another method", "unfrozen_parameters": "part of the layers",
    "layers_to_transform": "part of the layers", "layers_pattern": "part of the layers",
    "completion_only_loss": "the prompt would carry loss",
    "lr_scheduler_kwargs": "another course of the learning rate", "cosine_min_lr_ratio": "another course of the learning rate",
    "cosine_constant_lr_ratio": "another course of the learning rate", "lr_quadratic_warmup": "another course of the learning rate",
    "embedding_lr": "two learning rates", "embedding_lr_scale": "two learning rates", "lr_groups": "several learning rates",
    "init_lora_weights": "the adapter would begin elsewhere", "peft_init_lora_weights": "the adapter would begin elsewhere",
    "pissa_init": "the adapter would begin elsewhere", "use_llama_pro": "part of the layers", "relora": "several adapters in turn",
    "rope_scaling": "positions would be scaled", "overrides_of_model_config": "another model",
    "pretraining_dataset": "pretraining on plain text is another method", "default_system": "other prompts",
    "default_system_message": "other prompts", "dataset_train_split": PART, "dataset_shard_num": PART, "dataset_shard_idx": PART,
    "datasets.split": PART, "datasets.shards": PART, "datasets.shards_idx": PART,
    "datasets.roles_to_train": "other turns than answers would carry loss", "datasets.train_on_eos": "other ends would carry loss",
    "datasets.message_field_training": "another mask", "datasets.message_field_training_detail": "another mask",
    "datasets.drop_system_message": "prompts would lose their system turn", "datasets.split_thinking": "other answers",
    "datasets.input_transform": "other prompts", "datasets.type.system_prompt": "other prompts",
    "datasets.type.system_format": "other prompts", "datasets.type.format": "other prompts",
    "datasets.type.no_input_format": "other prompts", "datasets.trust_remote_code": "code of a data set is never run",
}  # fmt: skip
"""Keys that change what is learned, where they are set to anything but off or as it is here, and what they would do."""

ANSWERERS = ("assistant", "gpt", "model")
AS_HERE: Mapping[str, tuple[Any, ...]] = {
    "adam_beta1": (0.9,), "completion_only_loss": (True,), "init_lora_weights": (True,), "peft_init_lora_weights": (True,),
    "dataset_train_split": ("train",), "datasets.split": ("train",),
    "datasets.roles_to_train": (*ANSWERERS, *([one] for one in ANSWERERS)),
    "datasets.train_on_eos": ("turn", "last"), "loss_type": ("nll", "chunked_nll", "default"),
}  # fmt: skip
"""Values of refused keys that say what Lathe does. Of these keys no value means off but null."""

MEANT = {name: setting for setting, names in SETTINGS.items() for name in names}
MARKS = frozenset({
    "base_model", "model_name_or_path", "micro_batch_size", "per_device_train_batch_size", "num_train_epochs", "finetuning_type",
    "lora_r", "gradient_accumulation_steps", "lora_target_modules", "cutoff_len", "max_seq_length", "per_device_eval_batch_size",
})  # fmt: skip
"""Keys that only another trainer's configuration has."""
