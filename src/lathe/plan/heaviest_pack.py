"""The pack of a run that needs most memory, and what else of the run's packs memory depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from lathe.plan import fused_attention, fused_step
from lathe.plan.architecture import Shapes
from lathe.plan.setting import Setting
from lathe.schedule.prefixes import computed
from lathe.schedule.steps import StepPlan
from lathe.text.tokens import TokenSet

SAMPLE_TOKENS = 512
"""Budget of the pack on which the native trainer holds the fused step against the reference."""


def with_heaviest_pack(
    setting: Setting,
    model: Shapes,
    course: StepPlan,
    tokens: TokenSet,
    attended: Sequence[fused_attention.Attended] | None,
) -> Setting:
    """The setting with what memory needs to know of the course's packs. attended: of the fused step; empty
    where it attends in tiles."""
    lengths, supervised, laid = tokens.lengths, tokens.supervised_lengths, course.laid
    if not laid:
        return setting
    met = lengths[np.concatenate([rows for rows, _ in laid])]
    setting = replace(setting, num_packs=len(laid), longest_row=int(lengths.max()), row_lengths=len(np.unique(met)))
    if attended is None:
        most = _largest(course, tokens)
    else:
        most = _fused_pack(course, tokens, model, setting, attended)
        products, form = fused_step.met(laid, attended, supervised), fused_step.form_of(model, setting)
        setting = replace(setting, kernels=products.kernels(form))
    sample = replace(course, shared=False).packs(0, SAMPLE_TOKENS)[0]
    return replace(
        setting,
        pack_tokens=most.tokens,
        pack_supervised=most.scored,
        pack_weights=most.attention,
        pack_batch=most.batch,
        sample_tokens=int(lengths[sample].sum()),
        sample_supervised=int(supervised[sample].sum()),
    )


def _largest(course: StepPlan, tokens: TokenSet) -> fused_step.Pack:
    """Most tokens that one pack has, and most with loss that one has."""
    supervised = tokens.supervised_lengths
    return fused_step.Pack(
        max(computed(stretches) for _, stretches in course.laid),
        max(int(supervised[rows].sum()) for rows, _ in course.laid),
        0,
    )


def _fused_pack(
    course: StepPlan,
    tokens: TokenSet,
    model: Shapes,
    setting: Setting,
    attended: Sequence[fused_attention.Attended],
) -> fused_step.Pack:
    """The pack of which the fused step holds most."""
    kept = partial(fused_attention.kept_by_head, width=model.queries // model.heads)
    form, layers = fused_step.form_of(model, setting), model.num_layers - 1
    lengths, supervised = tokens.lengths, tokens.supervised_lengths
    counts = [computed(stretches) for _, stretches in course.laid]
    each = [0 if form.tiles else sum(kept(one.start, one.end) for one in stretches) for _, stretches in course.laid]
    place = fused_step.heaviest(model, form, np.array(counts), np.array(each))
    rows, _ = course.laid[place]
    scored = int(supervised[rows].sum())
    if form.tiles:
        batch = fused_attention.alive_in_tiles(model, int(lengths[rows].max()))
        return fused_step.Pack(counts[place], scored, 0, batch)
    last = sum(kept(*ends) for ends in fused_attention.scored_ends(lengths[rows], supervised[rows]))
    in_batches = partial(fused_attention.alive_in_batches, model, compiled=setting.compiled)
    return fused_step.Pack(counts[place], scored, layers * each[place] + last, max(map(in_batches, attended[place])))
