"""A network's weights for decoding, of a copy: the network stays whole, to be compared with."""

from __future__ import annotations

import copy

from transformers import PreTrainedModel

from lathe.engine.generate import Taken, taken


def copied(net: PreTrainedModel) -> Taken:
    return taken(copy.deepcopy(net))
