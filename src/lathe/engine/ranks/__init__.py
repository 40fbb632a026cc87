"""Ranks: the processes that torchrun started for one command. The first does what the command says, the others share its steps.

    torchrun --standalone --nproc-per-node 2 -m lathe train tickets.yaml

    status = lead(rank, command)            # in rank 0: everything that the command does; `command` trains with `helpers()`
    status = follow(rank)                   # in every other one: waits, helps with each training, ends when rank 0 does
    end(status)                             # in all

Rank 0 alone reads rows, plans, measures, holds the optimiser and writes. A training begins with a call that it leaves in torchrun's
store, so that an hour of other work before it keeps nobody at a socket. Of a step, rank 0 broadcasts who does what and the trained
weights, and gets the sum of the gradients: as many bytes as an all-reduce moves. Words go over gloo; numbers go over NCCL where the
model is on GPUs, one to a rank, and over gloo elsewhere.

Where what is trained lies in shards (`lathe.engine.shards`) every rank has a part in all that is done:

    with together(Shards, shape) as ranks:  # in rank 0: each rank makes its part
        ranks.do(Shards.clip, 1.0)          # and calls a method of it, at the same time

leading.py      who leads and who follows, the connection of a training, and the end
helping.py      the others take a share of each step
acting.py       all have a part of what is trained
exchange.py     words, weights and gradients on their way
"""

from lathe.engine.ranks.acting import Place, Together
from lathe.engine.ranks.leading import end, follow, helpers, lead, others, together

__all__ = ["Place", "Together", "end", "follow", "helpers", "lead", "others", "together"]
