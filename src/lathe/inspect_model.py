"""A model that any tool made, held against its base and against rows that it should answer: what is wrong, and how to mend it.

    inspect("lathe:nano", examples, adapter=Path("adapter"))   template, bos, pad, is it applied, merge, end token, answers
    inspect("org/name", examples, gguf=Path("model.gguf"))     token ids, chats, bos, end tokens, is training in it, answers

Nothing is written. Cost: one pass over 200 answers and 40 generated answers for each model, some two minutes for 100M parameters.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lathe import plugins, stats
from lathe.contracts import GenerateSettings, Model, Progress, Request, silent
from lathe.errors import InputError, Unavailable
from lathe.records import Example, Inspection, ModelCheck
from lathe.resolve.base import find_base
from lathe.text import render
from lathe.text.tokenizer import Tokenizer

ANSWERS = 40
"""Rows that are answered; next tokens are looked at on more."""
HEADROOM, SPARE_TOKENS = 1.25, 16
CONFIDENCE = 0.95


def inspect(
    base: str | Path,
    examples: Sequence[Example],
    *,
    adapter: Path | None = None,
    gguf: Path | None = None,
    threads: int | None = None,
    progress: Progress = silent,
) -> Inspection:
    """All checks that the named files allow.

    base: as in a recipe; a folder is looked for from where you are. examples: rows with their right answers, best of the kind that
    was trained on.

    Raises InputError where neither adapter nor gguf is named or a file is none, Refused on pickles and remote code, Unavailable
    where a package is missing or the Hub is.
    """
    if adapter is None and gguf is None:
        raise InputError(
            "there is nothing to inspect", hint="Name an adapter folder with --adapter, or a file with --gguf."
        )
    _needs("adapter" if gguf is None else "gguf_f16")
    folder = find_base(str(base), Path.cwd()).folder
    from lathe.engine.fidelity import adapter_folder, gguf_file

    begun, model = time.monotonic(), Model(folder, adapter)
    tok = adapter_folder.tokenizer_of(model)
    checks = adapter_folder.check_template(model)
    _tell(progress, "adapter" if adapter else "base")
    if adapter is not None:
        checks += adapter_folder.check_adapter_folder(model, examples)
    lacking: list[ModelCheck] = []
    if gguf is not None:
        from lathe.engine.gguf.read import format_of

        _tell(progress, "gguf")
        lacking = gguf_file.check_vocabulary(gguf, tok)
        of_file = lacking or gguf_file.check_gguf_file(model, gguf, examples, format_of(gguf), threads, tok)
        told = {one.id for one in of_file}
        checks = [check for check in checks if check.ok is False or check.id not in told] + of_file
    arms = {"base": ("native", Model(folder))}
    arms |= {"adapter": ("native", model)} if adapter else {}
    arms |= {"gguf": ("llama_cpp", Model(folder, gguf_file=gguf))} if gguf and not lacking else {}
    right = {}
    for name, (runtime, one) in arms.items():
        _tell(progress, f"answers of {name}")
        right[name] = _right(runtime, one, tok, examples[:ANSWERS], threads)
    return Inspection(
        base=str(base),
        adapter=str(adapter) if adapter else None,
        gguf=str(gguf) if gguf else None,
        rows=len(examples),
        checks=(*checks, *compare_answers(right)),
        seconds=time.monotonic() - begun,
    )


def _needs(export: str) -> None:
    """Raises Unavailable where a package is missing that the same kind of export needs."""
    ability = plugins.load("exports", export).ability()
    if not ability.ok:
        raise Unavailable(f"inspecting needs packages that are {ability.detail}", hint=ability.remedy)


def _tell(progress: Progress, part: str) -> None:
    progress({"stage": "inspect", "part": part, "done": 0, "unit": part})


def _right(
    runtime: str, model: Model, tok: Tokenizer, examples: Sequence[Example], threads: int | None
) -> dict[str, bool]:
    """By row, whether a model gives the right answer word for word, or the same JSON value."""
    encoded = render.encode_all(tok, examples)
    requests = [
        Request(
            str(place), example.messages, [int(id) for id in one.ids[: one.num_prompt]],
            int(HEADROOM * (len(one.ids) - one.num_prompt)) + SPARE_TOKENS,
        )
        for place, (example, one) in enumerate(zip(examples, encoded, strict=True))
    ]  # fmt: skip
    settings = GenerateSettings(threads=threads, stop_ids=tok.stop_ids)
    session = plugins.load("runtimes", runtime).open(model, threads)
    try:
        answers = {answer.id: answer.text for answer in session.generate(requests, settings)}
    finally:
        session.close()
    return {id: same_answer(examples[int(id)].completion, text) for id, text in answers.items()}


def same_answer(right: str, text: str) -> bool:
    """The same words, blanks at the ends left out, or the same JSON value."""
    if right.strip() == text.strip():
        return True
    try:
        return bool(json.loads(right) == json.loads(text))
    except (ValueError, RecursionError):
        return False


def compare_answers(right: Mapping[str, Mapping[str, bool]]) -> Iterator[ModelCheck]:
    """Right answers of each model; the adapter must not be worse than its base, a file not worse than what it was made from."""
    for name, before in (("adapter", "base"), ("gguf", "adapter" if "adapter" in right else "base")):
        if name not in right or not right[name]:
            continue
        mine, its = right[name], right[before]
        wins = sum(mine[id] and not its[id] for id in mine)
        losses = sum(its[id] and not mine[id] for id in mine)
        worse = losses > wins and stats.mcnemar(wins, losses) < 1 - CONFIDENCE
        count = f"{sum(mine.values())} of {len(mine)} answers right, {before} {sum(its.values())}"
        yield ModelCheck(
            id=f"{name}_answers",
            ok=not worse,
            message=f"{name}: {count}" + (f"; worse by {losses - wins} (exact McNemar)" if worse else ""),
            fix=None
            if not worse
            else "Look at the checks above first: template, end token and merge lose most answers.",
            measured={f"{name}_right": sum(mine.values()), f"{before}_right": sum(its.values()), "rows": len(mine)},
        )
