"""From a command line to an exit code. Here, and only here, an error becomes words on a screen.

0 done · 1 the answer is no · 2 bad usage or input · 69 unavailable · 70 our bug · 73 in use · 74 storage · 75 interrupted
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from lathe import __version__, processes
from lathe.cli import arguments, noise, signals, streams
from lathe.cli.show import Screen
from lathe.errors import Exit, LatheError, StorageError, says_out_of_memory
from lathe.processes import Rank

LIBRARY_SETTINGS = {
    "GOMP_SPINCOUNT": "2000",  # threads that spin long take the core from those that work; those that sleep wake late
    # A kernel takes 0.6 MB, every length of a pack needs some forty of its own, and to make one takes a third of a millisecond.
    "ONEDNN_PRIMITIVE_CACHE_CAPACITY": "256",
    # torch keeps 0.27 MB more of each of the last 1,024 products, which saves some 5 microseconds where one comes again.
    "LRU_CACHE_CAPACITY": "64",
    "TOKENIZERS_PARALLELISM": "false",
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "DO_NOT_TRACK": "1",
}
"""Read by libraries when they are loaded; what a person has set already is kept."""

MORE_FILES = "Allow more of them, with `ulimit -n 1024` say; the same command continues."
FORBIDDEN = "Allow it with chmod, or name another place."
MORE_SPACE = "Make room where temporary files go (TMPDIR) and where the runs are; the same command continues."
REFUSALS = {
    errno.EMFILE: MORE_FILES,
    errno.ENFILE: MORE_FILES,
    errno.ENOSPC: MORE_SPACE,
    errno.EDQUOT: MORE_SPACE,
    errno.EFBIG: "A file may not grow so large here: see `ulimit -f`. The same command continues.",
    errno.EROFS: "Name a folder that can be written to: --runs for the runs, TMPDIR for temporary files.",
    errno.EACCES: FORBIDDEN,
    errno.EPERM: FORBIDDEN,
    errno.EIO: "The disk fails, or what it is connected by.",
}
"""What to do where the system gives no more, wherever in a library that is met."""


def main(argv: Sequence[str] | None = None) -> int:
    """Does what the command line says and returns the exit code; processes that torchrun started end with this call."""
    words = list(sys.argv[1:] if argv is None else argv)
    streams.ensure_open()
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
    follower = argparse.Namespace(do=lambda *_: ranks.follow(rank), verbose="-v" in words, json=False, quiet=False)
    ranks.end(_carried_out(follower))


def _command(words: Sequence[str]) -> int:
    """Does it in this process."""
    options = set(words) if all(word.startswith("-") for word in words) else set()
    if not words or words[0] == "help" or options & {"-h", "--help"}:
        return _told(arguments.overview())
    if words[0] == "version" or options & {"-V", "--version"}:
        return _told((json.dumps({"version": __version__}) if "--json" in words else f"lathe {__version__}") + "\n")
    try:
        args = arguments.read(words)
    except SystemExit as ending:  # argparse, after the help of a verb
        return int(ending.code or 0)
    except LatheError as error:
        with noise.caught(active=False) as caught:
            screen = _screen(caught, as_json="--json" in words, quiet=False)
            screen.error(type(error).__name__, error.message, error.hint, error.exit_code)
        return error.exit_code
    return _carried_out(args)


def _told(text: str) -> int:
    """Prints what is the same for everybody."""
    with noise.caught(active=False) as caught:
        caught.out.write(text)
        caught.out.flush()
        return _with_its_data(Exit.DONE, caught)


def _carried_out(args: argparse.Namespace) -> int:
    """Does what was read; only what it says itself comes to the screen."""
    # What libraries print must not reach a screen, nor the JSON document on stdout: the screen keeps its own copies of both.
    with noise.caught(active=not args.verbose) as caught:
        screen = _screen(caught, as_json=args.json, quiet=args.quiet)
        try:
            code = _do(args, screen, caught)
        finally:
            screen.close()
        if caught.unread and screen.folder is not None:
            screen.say(f"nobody read stdout to its end; the work went on, and the run is in {screen.folder.path}")
        return _with_its_data(code, caught)


def _with_its_data(code: int, caught: noise.Caught) -> int:
    """The exit code, where all data came to stdout; else 74, for nobody may take an answer for given that is not there."""
    if caught.refusal is None:
        return code
    caught.talk.write(f"error: could not write to stdout: {caught.refusal.strerror}\n")
    return Exit.STORAGE


def _screen(caught: noise.Caught, *, as_json: bool, quiet: bool) -> Screen:
    return Screen(caught.out, caught.talk, as_json=as_json, quiet=quiet, environment=os.environ)


def _do(args: argparse.Namespace, screen: Screen, caught: noise.Caught) -> int:
    """Runs the verb; every ending becomes an exit code."""
    try:
        with signals.listening(screen):
            code = args.do(args, screen)
    except LatheError as error:
        refused = error.__cause__.errno if isinstance(error.__cause__, OSError) else None
        screen.error(type(error).__name__, error.message, error.hint or REFUSALS.get(refused or 0), error.exit_code)
        code = error.exit_code
    except Exception as error:
        code = _of_others(error, screen, caught)
    noise.to_journal(caught, screen)
    return int(code)


def _of_others(error: Exception, screen: Screen, caught: noise.Caught) -> Exit:
    """An exception that Lathe did not raise: of a machine that has no more to give, or else our bug."""
    if says_out_of_memory(error):
        screen.error(
            "MemoryError",
            "the machine's memory is used up",
            "Set a smaller train.token_budget or evaluate.token_budget, or close other programs; the same command continues.",
            Exit.UNAVAILABLE,
        )
        return Exit.UNAVAILABLE
    if isinstance(error, OSError) and error.errno in REFUSALS:
        what = f"{error.filename}: " if error.filename else ""
        screen.error("StorageError", f"{what}{error.strerror}", REFUSALS[error.errno], Exit.STORAGE)
        return Exit.STORAGE
    return _unforeseen(error, screen, caught)


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
