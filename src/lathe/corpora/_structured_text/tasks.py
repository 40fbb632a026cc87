"""Documents that set a task and answer it, in chat form or plain, alone or with worked examples.

    extract     a text (any rendering) and a schema shown in some way, or none -> JSON
    render      JSON -> listing, YAML, CSV, prose
    question    a record or a table and questions about single values
    reshape     JSON -> JSON with keys renamed, picked, dropped or reordered
    gather      a table or several small texts -> an array of objects
    label       short texts with label names -> the label
    call        function signatures and a wish -> {"name": ..., "arguments": {...}}
    shell       plain English -> a shell line
    graph       sentences about who relates to what -> entities and relations

Each is a function (rng, room) -> Draft; `room` is the number of characters to stay below, roughly.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from lathe.corpora._structured_text.draft import Draft
from lathe.corpora._structured_text.record_tasks import examples, extract, gather, question, render, reshape
from lathe.corpora._structured_text.short_tasks import call, graph, label, plain_text, shell

TASKS: tuple[tuple[Callable[[Random, int], Draft], int], ...] = (
    (extract, 52),
    (examples, 14),
    (gather, 7),
    (question, 8),
    (reshape, 6),
    (render, 4),
    (label, 4),
    (call, 4),
    (shell, 3),
    (graph, 3),
    (plain_text, 1),
)
"""Tasks with their shares."""
