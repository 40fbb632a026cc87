"""The process that looks at rows beside another one: `python -m lathe.data.looker`, spoken to in pickles of its parent.

Read (`lathe.worker`): the terms, then chunks (conversations, show). Written for each chunk: what was seen of it, or the error that
it met. It ends when its input does.
"""

from __future__ import annotations

import traceback

from lathe.data.findings.single_rows import SingleRows
from lathe.worker import receive, send, streams


def main() -> None:
    """Answers chunks until the input ends."""
    stdin, stdout = streams()
    rows = SingleRows(receive(stdin))
    while (chunk := receive(stdin)) is not None:
        answer: object
        try:
            answer = rows.seen(*chunk)
        except Exception as error:
            error.add_note(f"in a process beside:\n{traceback.format_exc()}")
            answer = error
        send(stdout, answer)


if __name__ == "__main__":
    main()
