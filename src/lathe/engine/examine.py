"""What a network being pretrained is worth so far: bits per byte of held-out documents, and copying.

examiner = Examiner(recipe, documents, tokenizer)
examiner.held_out(examined(master))
examiner.copying(examined(master), lengths=(4, 16), distances=(128, 2048))
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

from lathe.engine import rare_tokens
from lathe.engine.attention import PACKED, register_attention
from lathe.engine.copying import copy_scores
from lathe.engine.loss import supervised_loss
from lathe.engine.packs import pack_of_windows
from lathe.engine.step import hidden
from lathe.engine.tokenizer_training import PAD, SPECIAL_TOKENS
from lathe.engine.windows import Documents, WeightedText, encoded, make_chunk
from lathe.records.pretrain import CopyScore, HeldOut, Mix, PretrainRecipe, RareScore

_HELD_OUT_SEED = 1_000_003
_HELD_OUT = Mix(longest_characters=1500, lookup_share=0.1)
_HELD_OUT_TOKENS = 60_000
_RARE_TOKENS, _RARE_LONGEST = 60_000, 600


def examined(master: LlamaForCausalLM) -> LlamaForCausalLM:
    """A copy as it will be shipped: bf16, with an attention that needs no mask."""
    register_attention()
    network = copy.deepcopy(master).to(torch.bfloat16).requires_grad_(False).eval()
    table = type(network.model.rotary_emb)(network.config)  # its numbers stay float32
    network.model.rotary_emb = table.to(master.device)
    network.set_attn_implementation(PACKED)
    return network


class Examiner:
    """Measures a network on held-out documents and on copying, always on the same material."""

    def __init__(self, recipe: PretrainRecipe, documents: Documents, tokenizer: Tokenizer) -> None:
        stream = documents(recipe.seed + _HELD_OUT_SEED, 0, _HELD_OUT)
        self.recipe, self.documents = recipe, documents
        self.texts: list[WeightedText] = []

        def kept() -> Iterator[WeightedText]:
            for document in stream:
                self.texts.append(document)
                yield document

        self.tokenizer = tokenizer
        self.chunk = make_chunk(
            encoded(kept(), tokenizer, _HELD_OUT_TOKENS),
            window=min(1024, recipe.network.context),
            pad=SPECIAL_TOKENS.index(PAD),
            seed=0,
        )
        self.filler = torch.from_numpy(self.chunk.ids_WT.astype(np.int64)).flatten()
        self.filler = self.filler[self.filler >= len(SPECIAL_TOKENS)]
        self.tokens = torch.tensor(
            [
                index
                for index in range(len(SPECIAL_TOKENS) + 256, recipe.network.vocabulary)
                if "\ufffd" not in tokenizer.decode([index])
            ]
        )

    @torch.no_grad()
    def held_out(self, network: LlamaForCausalLM) -> HeldOut:
        """Bits per byte over all windows, and over the tokens of weight 1."""
        pad = self.tokenizer.token_to_id(PAD)
        nats = answer_nats = 0.0
        text_bytes = answer_bytes = 0
        head_VD = network.lm_head.weight
        for ids_T, weights_T in zip(self.chunk.ids_WT, self.chunk.weights_WT, strict=True):
            positions_1T = np.arange(len(ids_T))[None]
            used, answer = (
                pack_of_windows(ids_T[None], positions_1T, scored.astype(np.float32)[None]).to(network.device)
                for scored in (ids_T != pad, (weights_T == 1) & (ids_T != pad))
            )
            hidden_TD = hidden(network, used)
            nats += float(supervised_loss(hidden_TD, head_VD, used.scored_S, used.targets_S))
            answer_nats += float(supervised_loss(hidden_TD, head_VD, answer.scored_S, answer.targets_S))
            text_bytes += self._bytes(ids_T[ids_T != pad])
            answer_bytes += self._bytes(ids_T[(weights_T == 1) & (ids_T != pad)])
        return HeldOut(
            documents=self.chunk.num_documents,
            bits_per_byte=nats / math.log(2) / max(1, text_bytes),
            answer_bits_per_byte=answer_nats / math.log(2) / max(1, answer_bytes),
        )

    def _bytes(self, ids: np.ndarray) -> int:
        return len(self.tokenizer.decode(ids.tolist(), skip_special_tokens=False).encode())

    def rare(self, network: LlamaForCausalLM, kinds: rare_tokens.TokenKinds) -> RareScore:
        """How well tokens are copied that hardly a document holds, on documents that were not trained on."""
        stream = self.documents(self.recipe.seed + _HELD_OUT_SEED, 0, rare_tokens.DOCUMENTS)
        kept = [one for one in encoded(stream, self.tokenizer, _RARE_TOKENS) if len(one[0]) <= _RARE_LONGEST]
        tried = (("unchanged", None), ("swapped", kinds.ordinary), ("rare", kinds.rare))
        shares = {
            what: rare_tokens.copied(network.model, network.lm_head.weight, kept, kinds, swap_for, self.recipe.seed)
            for what, swap_for in tried
        }
        return RareScore(num_tokens=len(kinds.rare), **shares)

    def copying(
        self,
        network: LlamaForCausalLM,
        lengths: tuple[int, ...],
        distances: tuple[int, ...],
        count: int = 64,
        words: str | None = None,
    ) -> tuple[CopyScore, ...]:
        """Copying scores of the network by length and distance, both in tokens.

        words: a long random text whose stretches are copied; None copies tokens drawn one by one, which no text holds side
        by side.
        """
        text = None if words is None else torch.tensor(self.tokenizer.encode(words, add_special_tokens=False).ids)
        mark, close = (self.tokenizer.encode(words, add_special_tokens=False).ids for words in ("copy: <", ">\n"))
        return tuple(
            copy_scores(
                network.model,
                network.lm_head.weight,
                mark=mark,
                close=close,
                filler=self.filler,
                tokens=self.tokens if text is None else text,
                lengths=lengths,
                distances=distances,
                count=count,
                in_order=text is not None,
            )
        )
