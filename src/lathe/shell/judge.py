"""The judgement of one command: a level, classes and reasons, without running anything. A lint, not a boundary: the sandbox is the boundary.

    judge("rm -rf /tmp/job-123").level        2
    judge("x=$(printf 'r\\155'); $x -rf /")   4, "deletes the root of the file system: “/”; runs a program whose name was hidden ..."

Cost: a tenth of a millisecond for a common command. Pure: no file, clock or environment is looked at.
"""

from __future__ import annotations

import re

from lathe.shell import calls, gate, rules, statements
from lathe.shell.interpret import TooMuch
from lathe.shell.verdict import UNANALYSABLE, Finding, Risk

LONGEST = 65536
"""Characters; a longer command is not analysed."""
__all__ = ("judge", "rules")


def judge(command: str) -> Risk:
    """The risk of running a command line or a short script. Never raises on any text."""
    if len(command) > LONGEST:
        return _risk([], "longer than is analysed", command)
    text, suspicious = gate.cleaned(command)
    script = statements.begin(calls.judge)
    fault = ""
    try:
        script.script(text)
    except (TooMuch, RecursionError) as much:
        fault = str(much) if isinstance(much, TooMuch) else "nested too deep"
    fault = fault or next(iter(script.faults), "") or gate.prose(text)
    return _risk([*script.findings, *suspicious], fault, text)


def _risk(findings: list[Finding], fault: str, text: str) -> Risk:
    worst = sorted(findings, key=lambda finding: -finding.level)
    level = worst[0].level if worst else 0
    if fault and level < 4 and (raw := gate.raw(text)):
        worst, level = [raw, *worst], raw.level
    told = [finding for finding in worst if finding.kind or level == finding.level]
    kept = tuple(dict.fromkeys([*(finding for finding in told if finding.kind), *told]))[:8]
    if fault and level < 3:
        return Risk(UNANALYSABLE, kept, fault)
    return Risk(level, kept)


def is_valid(command: str) -> bool:
    """Whether the grammar reads all of it and it says something. A NUL stands in no command: no process can be given one."""
    if "\0" in command:
        return False
    from lathe.shell import grammar

    text, _ = grammar.lift(command, 0)
    return bool(re.sub(r"(?m)^\s*#.*$", "", text).strip()) and not grammar.parse(text).fault
