"""Writes TRL's labels for rows of our own, so that tests can hold Lathe's loss masks against them where TRL is not installed.

    python bench/trl_masks.py                        # needs trl and torch; writes tests/fixtures/trl_masks/

Six chat templates that TRL ships (Apache-2.0; each the template of a published model), one tokenizer of bytes made here, and two
ways of training: prompt-completion rows, and conversations with `assistant_only_loss`, for which TRL swaps in its own variant of
the template. What stands in the files is what SFTTrainer would feed to the model: input ids, and labels with -100 where no loss is.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import tokenizers
from tokenizers import decoders, models, pre_tokenizers

FOLDER = Path(__file__).parents[1] / "tests" / "fixtures" / "trl_masks"
TEMPLATES = ("cohere", "gemma", "lfm2", "llama3", "phi3", "qwen2_5")
BOS, EOS = "<s>", "<|endoftext|>"
SPECIAL = [
    EOS, BOS, "<pad>", "<|im_start|>", "<|im_end|>", "<start_of_turn>", "<end_of_turn>", "<|start_header_id|>", "<|end_header_id|>",
    "<|eot_id|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>",
    "<|USER_TOKEN|>", "<|CHATBOT_TOKEN|>", "<|SYSTEM_TOKEN|>",
]  # fmt: skip
CHATS = (
    (("user", "What is 2 + 3?"), ("assistant", "5")),
    (("user", "Extract as JSON:\nTwo cups, 4.50 EUR"), ("assistant", '{"item": "cup", "quantity": 2, "total": 4.5}')),
    (
        ("user", "List files"),
        ("assistant", "ls -la"),
        ("user", "All of them, with their size"),
        ("assistant", "ls -la --size\n# done"),
    ),
    (("user", "Grüße 🙂"), ("assistant", "Grüße zurück, 你好"), ("user", "Tschüss"), ("assistant", "Bis bald!")),
)


def write_tokenizer(path: Path) -> None:
    """Bytes as tokens and every special token that the templates write."""
    alphabet = SPECIAL + sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = tokenizers.Tokenizer(models.BPE(vocab={token: id for id, token in enumerate(alphabet)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(SPECIAL)
    backend.save(str(path))


def labels_of(rows: list[dict], template: str, scratch: Path, assistant_only: bool) -> list[dict]:  # type: ignore[type-arg]
    """Input ids and labels that SFTTrainer makes of rows."""
    from datasets import Dataset
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    from trl import SFTConfig, SFTTrainer

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(FOLDER / "tokenizer.json"), bos_token=BOS, eos_token=EOS, pad_token="<pad>"
    )
    tokenizer.chat_template = template
    shape = {
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "num_key_value_heads": 1,
    }
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **shape))
    config = SFTConfig(
        output_dir=str(scratch), report_to=[], bf16=False, max_length=None, assistant_only_loss=assistant_only
    )
    trainer = SFTTrainer(model=model, args=config, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)
    made = trainer.train_dataset
    batches = [trainer.data_collator([made[place]]) for place in range(len(made))]
    return [{"input_ids": batch["input_ids"][0].tolist(), "labels": batch["labels"][0].tolist()} for batch in batches]


def main() -> int:
    import trl

    FOLDER.mkdir(parents=True, exist_ok=True)
    write_tokenizer(FOLDER / "tokenizer.json")
    chats = [[{"role": role, "content": content} for role, content in chat] for chat in CHATS]
    pairs = [{"prompt": chat[:-1], "completion": chat[-1:]} for chat in chats]
    for name in TEMPLATES:
        template = (Path(trl.__file__).parent / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as scratch:
            found = {
                "made_by": f"trl {trl.__version__}, bench/trl_masks.py",
                "template": template,
                "chats": chats,
                "prompt_completion": labels_of(pairs, template, Path(scratch), False),
                "assistant_only": labels_of([{"messages": chat} for chat in chats], template, Path(scratch), True),
            }
        (FOLDER / f"{name}.json").write_text(json.dumps(found, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        print(f"  {name}: {len(chats)} conversations, two ways of training")
    return 0


if __name__ == "__main__":
    sys.exit(main())
