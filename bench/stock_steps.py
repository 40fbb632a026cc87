"""A training step as other people take it, on the same examples: TRL as it comes, TRL packed, and transformers' plain Trainer."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

LONGEST, RANK = 1024, 16
"""Tokens of the longest row; rank of the adapters."""
Told = dict[str, Any]
Variant = Callable[[Path, int, bool], Told]
"""Measures a step in this process: folder of base and tokens, token budget, whether all weights are trained -> what it took."""


def method(full: bool) -> Any:
    """What is trained: all weights, or adapters."""
    from lathe.records import Method

    return Method(kind="full") if full else Method(rank=RANK)


class Watch:
    """CPU and wall seconds between `start` and `stop`; the last pair counts."""

    def start(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def stop(self) -> None:
        self.cpu, self.wall = time.process_time() - self._cpu, time.perf_counter() - self._wall


def _in_trainer(made: Callable[..., Any], steps: int) -> Told:
    """Runs a trainer of transformers for so many steps, the last one timed."""
    from transformers import TrainerCallback

    watch, losses = Watch(), []

    class Timing(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            watch.start()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            watch.stop()

        def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, float], **_: Any) -> None:
            if "loss" in logs:
                losses.append(logs["loss"])

    trainer = made(callbacks=[Timing()])
    trainer.train()
    if trainer.state.global_step != steps:
        raise RuntimeError(f"{trainer.state.global_step} steps were taken, expected {steps}")
    return {"cpu": watch.cpu, "wall": watch.wall, "loss": losses[0]}


def _common(steps: int, batch: int, a_step: int) -> Told:
    return {
        "output_dir": tempfile.mkdtemp(), "per_device_train_batch_size": batch, "gradient_accumulation_steps": a_step,
        "max_steps": steps, "logging_steps": 1, "save_strategy": "no", "report_to": [], "disable_tqdm": True, "use_cpu": True,
        "dataloader_pin_memory": False, "learning_rate": 1e-4,
    }  # fmt: skip


def trl(packed_to: int | None, *, bf16: bool = True) -> Variant:
    """SFTTrainer with its defaults (bf16 autocast, checkpointing, batches of 8), or packed to a length without checkpointing.

    bf16: False is what one sets on a processor that has no bf16, where TRL as it comes imitates it.
    """

    def run(folder: Path, _: int, full: bool) -> Told:
        import torch
        from transformers import AutoTokenizer
        from trl import SFTConfig, SFTTrainer

        from lathe.engine import model
        from lathe.text.tokens import TokenSet
        from lathe.trainers._trl import labelled

        rows = labelled(TokenSet.load(folder / "tokens.safetensors"))
        words = AutoTokenizer.from_pretrained(folder / "base", local_files_only=True)
        net = model.attach(model.load_base(folder / "base", dtype=torch.float32), method(full), 0)

        def made(batch: int = 8, a_step: int = len(rows) // 8, **more: Any) -> Any:
            own = {"packing": True, "max_length": packed_to, "gradient_checkpointing": False} if packed_to else {}
            config = SFTConfig(**_common(2, batch, a_step), **own, **({} if bf16 else {"bf16": False}))
            return SFTTrainer(model=net, args=config, train_dataset=rows, processing_class=words, **more)

        if packed_to is None:
            return _in_trainer(made, 2)
        packs = len(made(batch=1).train_dataset)
        return _in_trainer(lambda **more: made(batch=1, a_step=packs, **more), 2)

    return run


def plain(folder: Path, _: int, full: bool) -> Told:
    """transformers' Trainer in fp32, all rows padded to 1,024 tokens, all tokens scored: what is written by hand most often."""
    import torch
    from transformers import Trainer, TrainingArguments

    from lathe.engine import model
    from lathe.text.tokens import TokenSet

    tokens = TokenSet.load(folder / "tokens.safetensors")
    net = model.attach(model.load_base(folder / "base", dtype=torch.float32), method(full), 0)

    def padded(rows: list[Told]) -> Told:
        ids = torch.zeros(len(rows), LONGEST, dtype=torch.long)
        real = torch.zeros_like(ids)
        for place, row in enumerate(rows):
            ids[place, : len(row["ids"])] = torch.from_numpy(row["ids"].astype(np.int64))
            real[place, : len(row["ids"])] = 1
        return {"input_ids": ids, "attention_mask": real, "labels": ids.masked_fill(real == 0, -100)}

    rows = [{"ids": tokens.row(place).ids} for place in range(len(tokens))]
    arguments = TrainingArguments(**_common(1, 4, len(rows) // 4), remove_unused_columns=False)
    return _in_trainer(
        lambda **more: Trainer(model=net, args=arguments, train_dataset=rows, data_collator=padded, **more), 1
    )
