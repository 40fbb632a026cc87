"""The verb `serve`: a finished run behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from lathe.cli.show import Screen
from lathe.errors import Exit

if TYPE_CHECKING:
    from lathe.serve import Ready

TOKEN_VARIABLE = "LATHE_SERVE_TOKEN"
"""Where a token that is to stay the same is read from; on the command line every user of the machine could see it."""


def serve(args: argparse.Namespace, screen: Screen) -> Exit:
    """Serves until a signal ends it, which is its usual end."""
    from lathe.pipeline import Run
    from lathe.serve import Limits, Settings

    screen.by_line = True
    run = Run.open(args.run)
    screen.folder = run.folder
    settings = Settings(
        host=args.host,
        port=args.port,
        names=tuple(args.names),
        certificate=args.tls_cert,
        key=args.tls_key,
        token=os.environ.get(TOKEN_VARIABLE) or None,
        policy=args.risky,
        file=args.file,
        base=not args.no_base,
        limits=Limits(
            at_once=args.at_once,
            waiting=args.waiting,
            tokens=args.max_tokens,
            body_bytes=args.max_body,
            seconds=args.seconds,
        ),
    )
    by_status = run.serve(settings, lambda ready: _tell(ready, settings.token is not None, screen))
    count = sum(by_status.values())
    told = ", ".join(f"{number} x {status}" for status, number in sorted(by_status.items()))
    screen.say(f"  {count} requests{f' ({told})' if told else ''}; their log is {run.folder.requests_log}")
    return Exit.DONE


def _tell(ready: Ready, given: bool, screen: Screen) -> None:
    """Where it is, and how to ask it. A token that was drawn is shown once; one from the environment is not repeated."""
    token = f"${TOKEN_VARIABLE}" if given else ready.token
    if screen.as_json:
        screen.row({"url": ready.url, "token": None if given else ready.token, "models": list(ready.models)})
        return
    page = ready.url if given else f"{ready.url}/#{ready.token}"
    screen.line(f"  try it    {page}", "bold")
    screen.line(f"  API       {ready.url}/v1   models {', '.join(ready.models)}")
    screen.line(f"  token     {token}")
    screen.say(f"  {ready.tokens:,} tokens for a prompt and its answer; Ctrl-C ends it")
