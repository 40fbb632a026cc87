"""Does a base survive the way to GGUF and back? Run before any training: an empty network of the shipped shape must
pass.

    python bench/gguf_round_trip.py                       # random weights, shipped recipe, tokenizer of a small
    sample python bench/gguf_round_trip.py src/lathe/assets/nano # a base folder

Writes a float32 GGUF, reads it back with transformers and prints the largest difference of the logits and of the
tokenizer's ids. Where the package xllamacpp is installed, llama.cpp's token ids are compared on 100 strings too.
Exit code 1 where anything differs.
"""

from __future__ import annotations

import json
import sys
import tempfile
import urllib.request
from pathlib import Path
from random import Random

import gguf
import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

from lathe.engine.base_folder import new_network, write_base
from lathe.engine.tokenizer_training import train_tokenizer
from lathe.pretrain import document_source, read_pretrain_recipe

_TYPES = {"normal": gguf.TokenType.NORMAL, "control": gguf.TokenType.CONTROL}


def rotated(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a query or key matrix from transformers' order (halves) to llama.cpp's (pairs), head by head."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write_gguf(folder: Path, path: Path) -> None:
    """Write a base folder as a float32 GGUF file."""
    model: LlamaForCausalLM = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    config, tokenizer = model.config, json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("nano")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    special = {token["id"] for token in tokenizer["added_tokens"]}
    vocabulary = sorted(tokenizer["model"]["vocab"].items(), key=lambda item: item[1])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([token for token, _ in vocabulary])
    writer.add_token_types([_TYPES["control" if index in special else "normal"] for _, index in vocabulary])
    writer.add_token_merges(
        [merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["model"]["merges"]]
    )
    writer.add_bos_token_id(config.bos_token_id)
    writer.add_eos_token_id(config.eos_token_id)
    writer.add_pad_token_id(config.pad_token_id)
    writer.add_add_bos_token(False)
    writer.add_chat_template((folder / "chat_template.jinja").read_text(encoding="utf-8"))
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, tensor in model.named_parameters():
        array = tensor.detach().numpy()
        if name.endswith("q_proj.weight"):
            array = rotated(array, config.num_attention_heads)
        elif name.endswith("k_proj.weight"):
            array = rotated(array, config.num_key_value_heads)
        target = names.get_name(name, try_suffixes=(".weight",))
        if target is None:
            raise SystemExit(f"no GGUF name for {name}")
        writer.add_tensor(target, np.ascontiguousarray(array))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def strings(count: int = 100) -> list[str]:
    """Corpus pieces and the awkward cases: digits, blanks, scripts, emoji, control characters."""
    awkward = [
        "",
        " ",
        "  \n\n\t x",
        "12345 67.89",
        "a1b2",
        "don't we'll",
        "naïve Größe",
        "日本語テキスト",
        "🙂👍🏽",
        "\u00a0\u200b",
        "x\r\ny",
        '{"a": [1, 2]}',
        "١٢٣ ४५",
        "½ ² Ⅷ",
        "ÀÉÎ",
        "tab\tend ",
        "____",
        "a" * 200,
        "<|im_start|>user\nhi<|im_end|>\n",
        "e\u0301",
    ]
    stream, rng = document_source("structured_text")(7, 0, 600, 0.3), Random(7)
    while len(awkward) < count:
        text = next(stream).text.replace("<|endoftext|>", "")
        start = rng.randrange(max(1, len(text) - 80))
        awkward.append(text[start : start + 80])
    return awkward


def llama_cpp_ids(path: Path, texts: list[str]) -> list[list[int]] | None:
    """Token ids by llama.cpp, or None where its package is missing."""
    try:
        import xllamacpp
    except ImportError:
        return None
    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx = str(path), 512
    server = xllamacpp.Server(params)
    return [_tokenized(server.listening_address, text) for text in texts]


def _tokenized(address: str, text: str) -> list[int]:
    body = json.dumps({"content": text, "add_special": False, "parse_special": True}).encode()
    request = urllib.request.Request(f"{address}/tokenize", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["tokens"]


def main(arguments: list[str]) -> int:
    """Print the differences; 0 where there are none."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, path = Path(temporary), Path(temporary) / "base.gguf"
        if arguments:
            folder = Path(arguments[0])
        else:
            recipe = read_pretrain_recipe("nano")
            texts = (
                document.text
                for document, _ in zip(document_source("structured_text")(1, 0, 1500, 0.15), range(2000), strict=False)
            )
            tokenizer = train_tokenizer(texts, recipe.network.vocabulary)
            network = new_network(recipe.network, tokenizer, recipe.seed)
            with torch.no_grad():  # the blocks start at zero, which would hide a wrong permutation
                for parameter in network.parameters():
                    parameter.normal_(std=0.1) if parameter.ndim == 2 else None
            write_base(folder, network, tokenizer)
        write_gguf(folder, path)
        ours = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        back = AutoModelForCausalLM.from_pretrained(temporary, gguf_file=path.name, dtype=torch.float32)
        our_tokenizer, back_tokenizer = (
            AutoTokenizer.from_pretrained(folder),
            AutoTokenizer.from_pretrained(temporary, gguf_file=path.name),
        )
        ids = torch.randint(4, ours.config.vocab_size, (2, 64), generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            gap = float((ours(ids).logits - back(ids).logits).abs().max())
        texts = strings()
        expected = [our_tokenizer(text, add_special_tokens=False).input_ids for text in texts]
        wrong_round_trip = sum(
            our_tokenizer.decode(i, clean_up_tokenization_spaces=False) != text
            for i, text in zip(expected, texts, strict=True)
        )
        wrong_back = sum(
            back_tokenizer(text, add_special_tokens=False).input_ids != i
            for i, text in zip(expected, texts, strict=True)
        )
        print(
            f"largest logit difference {gap:.2e}; texts not given back {wrong_round_trip}; "
            f"ids differ after the round trip {wrong_back} of {len(texts)}"
        )
        llama = llama_cpp_ids(path, texts)
        wrong_llama = 0
        if llama is None:
            print("llama.cpp: not measured (pip install xllamacpp)")
        else:
            differing = [text for text, mine, theirs in zip(texts, expected, llama, strict=True) if mine != theirs]
            wrong_llama = len(differing)
            print(f"llama.cpp: ids differ on {wrong_llama} of {len(texts)}: {differing[:5]!r}")
        return int(gap > 1e-4 or wrong_round_trip > 0 or wrong_llama > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
