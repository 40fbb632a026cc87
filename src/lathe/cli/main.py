"""From a command line to an exit code. Here, and only here, an error becomes words on a screen.

0 done · 1 the answer is no · 2 bad usage or input · 69 unavailable · 70 our bug · 73 in use · 74 storage · 75 interrupted
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn, TextIO

from lathe import __version__, processes
from lathe.cli import arguments, noise, signals
from lathe.cli.show import Screen
from lathe.errors import Exit, LatheError, StorageError
from lathe.processes import Rank

LIBRARY_SETTINGS = {
    "GOMP_SPINCOUNT": "2000",  # threads that spin long take the core from those that work; those that sleep wake late
    # A kernel takes 0.6 MB, every length of a pack needs some forty of its own, and to make one takes a third of a millisecond.
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "256",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "DO_NOT_TRACK": "1",
}
"""Read by libraries when they are loaded; what a person has set already is kept."""


def main(argv: Sequence[str] | None = None) -> int:
    """Does what the command line says and returns the exit code; processes that torchrun started end with this call."""
    words = list(sys.argv[1:] if argv is None else argv)
    for name, value in LIBRARY_SETTINGS.items():
        os.environ.setdefault(name, value)
    rank = processes.rank(os.environ)
    if rank is not None:
        _of_several(rank, words)
    return _command(words)


def _of_several(rank: Rank, words: Sequence[str]) -> NoReturn:
    """Leads the others that torchrun started, or follows the one that does, and ends."""
    from lathe.engine import ranks  # loads torch, which a process without others has no use for yet

    if rank.number == 0:
        ranks.end(ranks.lead(rank, lambda: _command(words)))
    follower = argparse.Namespace(do=lambda *_: ranks.follow(rank), verbose="-v" in words)
    ranks.end(_carried_out(follower, []))


def _command(words: Sequence[str]) -> int:
    """Does it in this process."""
    if not words or words[0] in ("-h", "--help", "help"):
        print(arguments.overview(), end="")
        return Exit.DONE
    if words[0] in ("-V", "--version", "version"):
        print(json.dumps({"version": __version__}) if "--json" in words else f"lathe {__version__}")
        return Exit.DONE
    try:
        args = arguments.read(words)
    except SystemExit as ending:  # argparse, after the help of a verb
        return int(ending.code or 0)
    except LatheError as error:
        _screen(sys.stdout, sys.stderr, words).error(type(error).__name__, error.message, error.hint, error.exit_code)
        return error.exit_code
    return _carried_out(args, words)


def _carried_out(args: argparse.Namespace, words: Sequence[str]) -> int:
    """Does what was read; only what it says itself comes to the screen."""
    # What libraries print must not reach a screen, nor the JSON document on stdout: the screen keeps its own copies of both.
    try:
        with noise.caught(active=not args.verbose) as caught:
            screen = _screen(caught.out, caught.talk, words)
            try:
                return _do(args, screen, caught)
            finally:
                screen.close()
    except BrokenPipeError:  # whoever read has read enough
        return Exit.DONE


def _screen(out: TextIO, talk: TextIO, words: Sequence[str]) -> Screen:
    return Screen(
        out, talk, as_json="--json" in words, quiet=bool({"-q", "--quiet"} & set(words)), environment=os.environ
    )


def _do(args: argparse.Namespace, screen: Screen, caught: noise.Caught) -> int:
    """Runs the verb; every ending becomes an exit code."""
    try:
        with signals.listening(screen):
            code = args.do(args, screen)
    except LatheError as error:
        screen.error(type(error).__name__, error.message, error.hint, error.exit_code)
        code = error.exit_code
    except MemoryError:
        screen.error(
            "MemoryError",
            "the machine's memory is used up",
            "Set a smaller train.token_budget or evaluate.token_budget, or close other programs; the same command continues.",
            Exit.UNAVAILABLE,
        )
        code = Exit.UNAVAILABLE
    except BrokenPipeError:
        raise
    except Exception as error:
        code = _unforeseen(error, screen, caught)
    noise.to_journal(caught, screen)
    return int(code)


def _unforeseen(error: Exception, screen: Screen, caught: noise.Caught) -> Exit:
    """An exception that nobody foresaw, ours or a plug-in's: its traceback goes to the journal, one line to the screen."""
    from lathe import plugins  # only a failure asks whose it is

    trace = "".join(traceback.format_exception(error))
    broken = plugins.broken(error)
    said = broken.message if broken else f"{type(error).__name__}: {error}".split("\n")[0]
    hint = (broken and broken.hint) or "This is a bug in Lathe."
    if not caught.active:
        screen.raw(trace)
    elif screen.folder is not None:
        with contextlib.suppress(StorageError):
            screen.folder.journal("bug", traceback=screen.safe(trace))
            hint = f"{hint.removesuffix('.')}; the traceback is in {screen.folder.journal_file}"
    else:
        hint = f"{hint.removesuffix('.')}; the same command with -v shows the traceback."
    code = broken.exit_code if broken else Exit.BUG
    screen.error(type(broken).__name__ if broken else "Bug", said, hint, code)
    return code


if __name__ == "__main__":
    sys.exit(main())
