"""The child process that renders chat templates: `python -m lathe.text.template_worker`, fed with JSON lines.

A chat template is a program that came with a model. It runs here, in jinja2's immutable sandbox, in a process that can open
no file and no socket, with a limit on processor time, memory and output, so that the worst it can do is to be killed.

Read, one line a batch:    {"template": "...", "variables": {...}, "chats": [{"messages": [...], "add_generation_prompt": true}]}
Written, one line a chat:  {"text": "..."} or {"error": "...", "kind": "template" | "hostile"}
or, for a batch:           {"template": "...", "variables": {...}, "roles": ["system", "user"]}
Written, one line:         {"prompt": ["<s>", 0, "[INST]", 1, "[/INST]"], "answered": [...]}; null where contents matter

A chat may also have the "answer" that the assistant gives: then the line holds the "rest" too, which the answered chat has behind
the text; null where it begins otherwise.

Settings, filters and functions are those of transformers' `apply_chat_template` (5.23), with one exception: `strftime_now`
tells a fixed day. Templates that print the date would otherwise give other tokens tomorrow than today.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import signal
import sys
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, NoReturn

import jinja2
import jinja2.debug  # jinja2 imports it when a template fails; by then this process can open no file
import jinja2.ext
import jinja2.sandbox

from lathe.text.template_pieces import pieces, writes_only

CPU_SECONDS = 2.0
MEMORY_BYTES = 512 * 1024**2
MAX_ADDED_CHARACTERS = 1_000_000
DAY = datetime(2026, 1, 1)


class Hostile(Exception):
    """A template did what no honest template does."""


class GenerationBlock(jinja2.ext.Extension):
    """`{% generation %} ... {% endgeneration %}` renders what stands inside; training templates mark answers with it."""

    tags = {"generation"}  # noqa: RUF012 - jinja2 declares it so

    def parse(self, parser: Any) -> Any:
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_inside"), [], [], body).set_lineno(line)

    def _inside(self, caller: Any) -> Any:
        return caller()


class SafeNamespace(jinja2.utils.Namespace):
    """jinja2's namespace without names that begin with an underscore, which could reach Python's internals."""

    def __init__(*args: Any, **kwargs: Any) -> None:  # so that `namespace(self=...)` works, as in jinja2
        self, args = args[0], args[1:]
        attributes = dict(*args, **kwargs)
        for name in attributes:
            SafeNamespace._check(name)
        jinja2.utils.Namespace.__init__(self, attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        SafeNamespace._check(name)
        super().__setitem__(name, value)

    @staticmethod
    def _check(name: Any) -> None:
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError(f"a namespace attribute may not begin with an underscore: {name!r}")


class SafeDict:
    """`dict(...)` and `dict.fromkeys(...)`, and nothing else of the type."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args, **kwargs)


def raise_exception(message: str) -> NoReturn:
    raise jinja2.exceptions.TemplateError(message)


def tojson(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def strftime_now(format: str) -> str:
    return DAY.strftime(format)


@lru_cache(maxsize=1)
def settings() -> jinja2.Environment:
    """Those of transformers."""
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[GenerationBlock, jinja2.ext.loopcontrols]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = strftime_now
    environment.globals["dict"] = SafeDict()
    environment.globals["namespace"] = SafeNamespace
    return environment


@lru_cache(maxsize=8)
def compiled(template: str) -> jinja2.Template:
    """The template, ready to be rendered."""
    return settings().from_string(template)


@lru_cache(maxsize=8)
def needs_no_contents(template: str) -> bool:
    """Whether the template only writes out what messages say."""
    return writes_only(settings().parse(template))


def rendered(template: str, variables: dict[str, Any], messages: list[dict[str, str]], *, prompt: bool) -> str:
    """The text of a chat. prompt: whether it ends where the assistant begins to write.

    Raises Hostile where it grows beyond what was put in plus MAX_ADDED_CHARACTERS.
    """
    most = MAX_ADDED_CHARACTERS + sum(len(message["content"]) for message in messages)
    given = {**variables, "messages": messages, "add_generation_prompt": prompt, "tools": None, "documents": None}
    pieces, size = [], 0
    for piece in compiled(template).generate(given):
        pieces.append(piece)
        size += len(piece)
        if size > most:
            raise Hostile(f"it wrote more than {MAX_ADDED_CHARACTERS:,} characters of its own")
    return "".join(pieces)


def texts(template: str, variables: dict[str, Any], chat: dict[str, Any]) -> dict[str, str | None]:
    """The text of one chat and, where it has an answer, the rest."""
    messages = chat["messages"]
    text = rendered(template, variables, messages, prompt=chat["add_generation_prompt"])
    if "answer" not in chat:
        return {"text": text}
    messages = [*messages, {"role": "assistant", "content": chat["answer"]}]
    whole = rendered(template, variables, messages, prompt=False)
    return {"text": text, "rest": whole.removeprefix(text) if whole.startswith(text) else None}


def parted(template: str, variables: dict[str, Any], roles: list[str]) -> dict[str, list[str | int] | None]:
    """Chats of these roles as what the template writes and the numbers of contents in between: as prompts, and answered.

    None where the template could look at what messages say, writes a message twice, or fails.
    """
    contents = [secrets.token_hex(16) for _ in (*roles, "assistant")]
    said = [{"role": role, "content": text} for role, text in zip((*roles, "assistant"), contents, strict=True)]
    with contextlib.suppress(Exception):
        if needs_no_contents(template):
            prompt = pieces(rendered(template, variables, said[:-1], prompt=True), contents)
            answered = pieces(rendered(template, variables, said, prompt=False), contents)
            # One that writes a long message a thousand times is stopped where it is rendered.
            if all(Counter(found)[number] <= 1 for found in (prompt, answered) for number in range(len(contents))):
                return {"prompt": prompt, "answered": answered}
    return {"prompt": None, "answered": None}


def answer(template: str, variables: dict[str, Any], chat: dict[str, Any]) -> dict[str, str | None]:
    """The line to write for one chat."""
    try:
        return texts(template, variables, chat)
    except Hostile as error:
        return {"kind": "hostile", "error": str(error)}
    except jinja2.exceptions.SecurityError as error:
        return {"kind": "hostile", "error": f"it reached for what the sandbox forbids: {error}"}
    except MemoryError:
        return {"kind": "hostile", "error": f"it used more than {MEMORY_BYTES // 1024**2} MB of memory"}
    except RecursionError:
        return {"kind": "hostile", "error": "it calls itself without end"}
    except OverflowError as error:
        return {"kind": "hostile", "error": f"it asked for a huge loop or number: {error}"}
    except jinja2.exceptions.TemplateSyntaxError as error:
        return {"kind": "template", "error": f"line {error.lineno}: {error.message}"}
    except Exception as error:
        return {"kind": "template", "error": f"{type(error).__name__}: {error}"}


def limit_this_process() -> None:
    """From here on: bounded memory, no file, no socket, no child. Does what the platform has; the parent's clock is for all."""
    with contextlib.suppress(ImportError):
        import resource

        for name, most in (("RLIMIT_AS", MEMORY_BYTES), ("RLIMIT_NOFILE", 3), ("RLIMIT_NPROC", 0), ("RLIMIT_FSIZE", 0)):
            with contextlib.suppress(AttributeError, ValueError, OSError):
                resource.setrlimit(getattr(resource, name), (most, most))


def processor_time(seconds: float) -> None:
    """Kills this process (SIGPROF) after so many seconds of processor time; 0 switches off."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def main() -> None:
    """Answers batches until the input ends."""
    # What jinja2 and Python load lazily must be loaded before the limits.
    for probe in ("{{ raise_exception('x') }}", "{{ messages | tojson }}{{ strftime_now('%d %b %Y') }}"):
        answer(probe, {}, {"messages": [], "add_generation_prompt": True})
    parted("{{ messages[0].content }}", {}, ["user"])
    limit_this_process()
    for line in sys.stdin.buffer:
        batch = json.loads(line)
        template, variables = batch["template"], batch["variables"]
        asked: list[Callable[[], object]] = [
            partial(answer, template, variables, chat) for chat in batch.get("chats", ())
        ]
        if "roles" in batch:
            asked.append(partial(parted, template, variables, batch["roles"]))
        for work in asked:
            processor_time(CPU_SECONDS)
            said = work()
            processor_time(0)
            sys.stdout.buffer.write(json.dumps(said).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
