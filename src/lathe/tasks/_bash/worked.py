"""Worked examples of the task `bash`; the contract test and the docs read them."""

from __future__ import annotations

from lathe.contracts import Worked

ROW = {"id": "1", "input": "List all files here with their sizes", "target": "ls -al"}
FIND = {"id": "2", "input": "Delete the object files below src", "target": "find src -name '*.o' -delete"}
NAMES = (
    "bash_canonical", "bash_exact", "bash_valid", "command_only", "bash_harmless", "clituner_exact", "clituner_command_only",
)  # fmt: skip


def _scores(*values: float) -> dict[str, float | None]:
    return dict(zip(NAMES, values, strict=True))


WORKED = (
    Worked(ROW, "ls -al", _scores(1, 1, 1, 1, 1, 1, 1), "the gold command"),
    Worked(ROW, "ls  -al\n", _scores(1, 0, 1, 1, 1, 1, 1), "blanks only"),
    Worked(ROW, "ls -l --all", _scores(1, 0, 1, 1, 1, 0, 1), "the same options, split and long"),
    Worked(ROW, "```bash\nls -al\n```", _scores(1, 0, 1, 0, 1, 0, 0), "the command in a code fence"),
    Worked(ROW, "ls -a", _scores(0, 0, 1, 1, 1, 0, 1), "an option is missing"),
    Worked(ROW, "$ ls -al", _scores(0, 0, 1, 0, 1, 0, 1), "a prompt sign before it"),
    Worked(ROW, "You can use ls to list all of the files.", _scores(0, 0, 1, 0, 0, 0, 0), "a sentence"),
    Worked(ROW, "Use ls to list files.", _scores(0, 0, 1, 0, 1, 0, 0), "a short sentence: no program is called Use"),
    Worked(ROW, "`ls -al`", _scores(0, 0, 1, 0, 0, 0, 1), "the marks of a code span: the shell would run what the command prints"),
    Worked(ROW, "ls 'a", _scores(0, 0, 0, 0, 0, 0, 1), "a quote that is not closed"),
    Worked(ROW, "", _scores(0, 0, 0, 0, 1, 0, 0), "nothing"),
    Worked(FIND, "find src -name \"*.o\" -delete", _scores(1, 0, 1, 1, 1, 0, 1), "other quotes"),
    Worked(FIND, "find src -name *.o -delete", _scores(0, 0, 1, 1, 1, 0, 1), "the shell reads the pattern before find does"),
    Worked(FIND, "rm -rf src/* ~", _scores(0, 0, 1, 1, 0, 0, 1), "deletes the home"),
)  # fmt: skip
