"""The process that looks at rows beside another one: `python -m lathe.data.looker`, spoken to in pickles of its parent.

Read: the terms, then chunks (conversations, show). Written for each chunk: what was seen of it, or the error that it met. Each
message is its length in 8 bytes and itself. It ends when its input does.
"""

from __future__ import annotations

import pickle
import sys
import traceback
from typing import IO, Any

from lathe.data.findings.single_rows import SingleRows


def read(stream: IO[bytes]) -> Any:
    """The next message; None at the end."""
    size = int.from_bytes(stream.read(8), "little")
    return pickle.loads(stream.read(size)) if size else None


def main() -> None:
    """Answers chunks until the input ends."""
    # Whatever a library prints must not stand between the messages.
    stdin, stdout, sys.stdout = sys.stdin.buffer, sys.stdout.buffer, sys.stderr
    rows = SingleRows(read(stdin))
    while (chunk := read(stdin)) is not None:
        answer: object
        try:
            answer = rows.seen(*chunk)
        except Exception as error:
            error.add_note(f"in a process beside:\n{traceback.format_exc()}")
            answer = error
        message = pickle.dumps(answer)
        stdout.write(len(message).to_bytes(8, "little") + message)
        stdout.flush()


if __name__ == "__main__":
    main()
