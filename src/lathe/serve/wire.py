"""What comes over the wire, as OpenAI's API has it, and what may not come.

    read(ChatRequest, b'{"model": "edge-json", "messages": [{"role": "user", "content": "Order 17"}]}')

A key that is not here is refused by name, and so is a setting that would ask for another answer than the likeliest one, which is
what is measured unless a recipe sets a temperature: temperature, penalties and several choices are no options.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import from_json

from lathe.records import Json, Message
from lathe.serve import faults
from lathe.serve.refusal import Refusal

MOST_STOPS = 4
MOST_TURNS = 256
MOST_TOOLS = 128
MOST_NAME = 64


class Asked(BaseModel):
    """What a client wrote: types are not guessed, an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


T = TypeVar("T", bound=Asked)


class TextPart(Asked):
    """A piece of a turn; pictures and sound are not taken."""

    type: Literal["text"]
    text: str


class CalledFunction(Asked):
    """arguments: the JSON text of an object."""

    name: Annotated[str, Field(max_length=MOST_NAME)]
    arguments: str


class Called(Asked):
    """A call that an assistant's turn made."""

    id: Annotated[str, Field(min_length=1, max_length=256)]
    type: Literal["function"]
    function: CalledFunction


class Turn(Asked):
    """One turn of a conversation; a text, or calls, or both.

    refusal: why an answer was withheld, as clients send it back; the model sees it as the text of that turn, for a turn without a
    text is in no chat template, and the next question may be about the reason. annotations, audio and function_call: what clients
    send back of an answer that has none.
    """

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | tuple[TextPart, ...] | None = None
    name: str | None = None
    tool_calls: Annotated[tuple[Called, ...] | None, Field(max_length=MOST_TOOLS)] = None
    tool_call_id: str | None = None
    refusal: str | None = None
    annotations: Annotated[tuple[Json, ...] | None, Field(max_length=0)] = None
    audio: None = None
    function_call: None = None

    @model_validator(mode="after")
    def _says_something(self) -> Turn:
        if self.tool_calls and self.role != "assistant":
            raise ValueError("only an assistant's turn has tool_calls")
        if self.refusal and self.role != "assistant":
            raise ValueError("only an assistant's turn has a refusal")
        if self.content is None and not self.tool_calls and not self.refusal:
            raise ValueError("a turn without tool_calls has a text as its content")
        return self

    @property
    def text(self) -> str:
        """What it says, or why nothing is said; empty where it only calls."""
        if self.content is None:
            return self.refusal or ""
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)

    def message(self) -> Message:
        """As the chat template takes it; `developer` is a newer name of `system`."""
        return Message(role="system" if self.role == "developer" else self.role, content=self.text)


class Function(Asked):
    """A function that may be called. parameters: JSON Schema of its arguments; None = it takes none. strict: calls that do not fit
    are withheld."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+$", max_length=MOST_NAME)]
    description: str | None = None
    parameters: dict[str, Json] | None = None
    strict: bool | None = None


class Tool(Asked):
    """Tools are functions; a client runs them, never this server."""

    type: Literal["function"]
    function: Function


class FunctionName(Asked):
    """A function that is among the tools."""

    name: str


class NamedTool(Asked):
    """This one function has to be called."""

    type: Literal["function"]
    function: FunctionName


Choice = TypeVar("Choice", Literal["none", "auto", "required"] | NamedTool | None, bool | None)


class NamedSchema(Asked):
    """schema: None = the run's own schema of that name. strict: an answer that does not fit is refused, not only marked."""

    name: Annotated[str, Field(min_length=1, max_length=128)]
    description: str | None = None
    json_schema: Annotated[dict[str, Json] | None, Field(alias="schema")] = None
    strict: bool | None = None


class ResponseFormat(Asked):
    """What the answer has to be. A model of the native runtime is held to it; every finished answer is held against it."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: NamedSchema | None = None

    @model_validator(mode="after")
    def _named(self) -> ResponseFormat:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema stands there exactly where type is json_schema")
        return self


class StreamOptions(Asked):
    include_usage: bool | None = None


class Extras(Asked):
    """Lathe's own. prompt: task = the text is put into the very prompt of the measurement; as_given = as it stands."""

    prompt: Literal["task", "as_given"]


class Common(Asked):
    """What both kinds of request have. Of n, temperature and penalties only the values of greedy answers are taken."""

    model: Annotated[str, Field(max_length=256)]
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    stop: str | tuple[str, ...] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int | None, Field(ge=1, le=1)] = None
    temperature: Annotated[float | None, Field(ge=0, le=0)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    frequency_penalty: Annotated[float | None, Field(ge=0, le=0)] = None
    presence_penalty: Annotated[float | None, Field(ge=0, le=0)] = None
    seed: int | None = None
    user: Annotated[str | None, Field(max_length=256)] = None

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts at which an answer ends, besides the model's own end."""
        return (self.stop,) if isinstance(self.stop, str) else self.stop or ()

    @field_validator("stop")
    @classmethod
    def _few_stops(cls, stop: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        stops = (stop,) if isinstance(stop, str) else stop or ()
        if len(stops) > MOST_STOPS or not all(stops):
            raise ValueError(f"up to {MOST_STOPS} texts that are not empty are taken")
        return stop


class ChatRequest(Common):
    """POST /v1/chat/completions"""

    messages: Annotated[tuple[Turn, ...], Field(min_length=1, max_length=MOST_TURNS)]
    max_completion_tokens: Annotated[int | None, Field(ge=1)] = None
    response_format: ResponseFormat | None = None
    tools: Annotated[tuple[Tool, ...] | None, Field(min_length=1, max_length=MOST_TOOLS)] = None
    tool_choice: Literal["none", "auto", "required"] | NamedTool | None = None
    parallel_tool_calls: bool | None = None
    logprobs: Literal[False] | None = None
    store: Literal[False] | None = None
    lathe: Extras | None = None

    @field_validator("tool_choice", "parallel_tool_calls")
    @classmethod
    def _tools_for_the_choice(cls, wanted: Choice, asked: ValidationInfo) -> Choice:
        # Tools that are wrong themselves are not among the data yet, and are said for themselves.
        if asked.data.get("tools", ()) is None and wanted not in (None, "none"):
            raise ValueError("stands there only beside tools")
        return wanted

    @property
    def limit(self) -> int | None:
        """Most new tokens, by the newer name first."""
        return self.max_completion_tokens or self.max_tokens


class CompletionRequest(Common):
    """POST /v1/completions: the text is continued as it stands; names of special tokens in it are special tokens."""

    prompt: Annotated[str, Field(min_length=1)]
    echo: Literal[False] | None = None
    best_of: Annotated[int | None, Field(ge=1, le=1)] = None


def read(kind: type[T], body: bytes) -> T:
    """The request in a body. Raises Refusal 400, which names what is wrong and never shows what was sent."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        document = None if found[0]["type"] == "json_invalid" else from_json(body)
        said, key = faults.told([dict(fault) for fault in found], document)
        raise Refusal(400, f"the request cannot be used: {said}", param=key) from None
    except RecursionError:
        raise Refusal(400, "the request is nested too deeply") from None
