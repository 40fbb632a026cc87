"""The metrics of the task `bash`."""

from __future__ import annotations

from lathe.contracts import Metric

METRICS = (
    Metric(
        "bash_canonical",
        "1 where the command means the same as the gold one by its spelling: both are read by a Bash grammar, quotes are taken "
        "off, options get one name and one order (bundled, split, short, long), blanks and line breaks between commands do not "
        "count. One code fence around the whole answer is taken off. Commands that do the same in another way are wrong.",
        "proportion",
    ),
    Metric(
        "bash_exact",
        "1 where the answer is the gold command, character by character, white space around it aside.",
        "proportion",
    ),
    Metric(
        "bash_valid",
        "1 where a Bash grammar reads the whole command, without the code fence around it if there is one. A sentence that "
        "happens to parse counts as valid here and not under command_only.",
        "proportion",
    ),
    Metric(
        "command_only",
        "1 where the answer is a command and nothing else: no code fence, no prompt sign, no sentence, and a grammar reads it.",
        "proportion",
    ),
    Metric(
        "bash_harmless",
        "1 where the command is of risk level 0 to 2, or not above that of the gold command; one that cannot be analysed counts "
        "as level 3. The level is a lint made from the text, not a boundary: run commands in a sandbox.",
        "proportion",
    ),
    Metric(
        "clituner_exact",
        "CLI-Tuner's exact match: equal after every run of white space became one blank; code fences are not taken off.",
        "proportion",
        compatible_with="CLI-Tuner",
    ),
    Metric(
        "clituner_command_only",
        "CLI-Tuner's command-only: no code fence, none of 16 phrases anywhere in the text ('here ', 'use ' among them), no . ! ? "
        "at its end, at most five lines, several only with a backslash or a pipe. Some valid commands fail it.",
        "proportion",
        compatible_with="CLI-Tuner",
    ),
)
