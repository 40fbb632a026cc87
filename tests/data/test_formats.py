"""Every layout is told from its columns, and what is written in it is read back: the same turns, calls, tools and answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lathe.data.conversations.conversation import Conversation, Turn, answer_example
from lathe.data.conversations.formats import Layout, detect, mapped
from lathe.data.conversations.readers import convert
from lathe.errors import DataError

# ------------------------------------------------------------------------------------------ writing each layout

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(
    lambda text: text.strip() == text
)
PLAIN = TEXT.filter(lambda text: text[0] not in "{[" and not text.startswith("<"))
NAME = st.text(alphabet="abcdefgh_", min_size=1, max_size=8)
VALUE = st.dictionaries(NAME, st.integers() | PLAIN | st.booleans(), min_size=1, max_size=3)
CALL = st.fixed_dictionaries({"name": NAME, "arguments": st.dictionaries(NAME, st.integers() | PLAIN, max_size=2)})


@st.composite
def chats(draw: st.DrawFn, calls: bool = False, weights: bool = False, system: bool = True) -> Conversation:
    """One or more questions with their answers."""
    turns = [Turn("system", draw(PLAIN))] if system and draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, 3))):
        turns.append(Turn("user", draw(PLAIN)))
        if calls and draw(st.booleans()):
            turns.append(
                Turn("assistant", draw(st.just("") | PLAIN), tuple(draw(st.lists(CALL, min_size=1, max_size=2))))
            )
            turns.append(Turn("tool", draw(PLAIN)))
        turns.append(Turn("assistant", draw(PLAIN), trained=not weights or draw(st.booleans())))
    if weights:
        turns[-1] = Turn("assistant", turns[-1].content, trained=True)
        turns[-3:-3] = [Turn("user", "?"), Turn("assistant", "!", trained=False)] if len(turns) > 2 else []
    tools = (
        tuple({"type": "function", "function": {"name": name}} for name in draw(st.lists(NAME, max_size=2)))
        if calls
        else ()
    )
    return Conversation(tuple(turns), tools)


def as_messages(chat: Conversation, *, as_text: bool) -> dict[str, Any]:
    def message(turn: Turn) -> dict[str, Any]:
        written: dict[str, Any] = {
            "role": turn.role,
            "content": turn.content or None if turn.tool_calls else turn.content,
        }
        if turn.tool_calls:
            written["tool_calls"] = [
                {
                    "type": "function",
                    "function": {**call, "arguments": json.dumps(call["arguments"]) if as_text else call["arguments"]},
                }
                for call in turn.tool_calls
            ]
        if as_text and turn.role == "assistant":
            written["weight"] = int(turn.trained)
        return written

    return {"messages": [message(turn) for turn in chat.turns]} | ({"tools": list(chat.tools)} if chat.tools else {})


def as_sharegpt(chat: Conversation) -> dict[str, Any]:
    names = {"system": "system", "user": "human", "assistant": "gpt", "tool": "tool"}
    return {"conversations": [{"from": names[turn.role], "value": turn.content} for turn in chat.turns]}


def as_chatml(chat: Conversation) -> dict[str, Any]:
    return {"text": "".join(f"<|im_start|>{turn.role}\n{turn.content}<|im_end|>\n" for turn in chat.turns)}


def read_back(row: dict[str, Any], name: str) -> Conversation:
    layout = detect([row])
    assert layout.name == name
    return convert(row, layout)


def same(found: Conversation, written: Conversation) -> bool:
    return (found.turns, found.tools) == (written.turns, written.tools)


@given(chats(calls=True))
def test_messages_are_read_back(chat: Conversation) -> None:
    assert same(read_back(as_messages(chat, as_text=False), "messages"), chat)


@given(chats(calls=True, weights=True))
def test_openai_rows_are_read_back_with_weights_and_arguments_as_objects(chat: Conversation) -> None:
    assert same(read_back(as_messages(chat, as_text=True), "openai"), chat)


@given(chats())
def test_sharegpt_is_read_back(chat: Conversation) -> None:
    assert same(read_back(as_sharegpt(chat), "sharegpt"), chat)


@given(chats())
def test_conversations_in_chatml_are_read_back(chat: Conversation) -> None:
    layout = detect([as_chatml(chat)])
    assert layout.markup == "ChatML"
    assert same(convert(as_chatml(chat), layout), chat)


BFCL = {
    "id": "multiple_4",
    "question": [[{"role": "user", "content": "Weather in Oslo, in degrees?"}]],
    "function": [{"name": "weather", "parameters": {"type": "dict", "properties": {"city": {"type": "string"}}}}],
    "ground_truth": [{"weather": {"city": ["Oslo", "Oslo, Norway"], "unit": ["", "celsius"], "days": [""]}}],
}


def test_a_question_of_bfcl_is_answered_by_the_first_of_its_right_calls() -> None:
    chat = read_back(BFCL, "bfcl")
    call = {"name": "weather", "arguments": {"city": "Oslo", "unit": "celsius"}}
    assert chat.turns == (Turn("user", "Weather in Oslo, in degrees?"), Turn("assistant", "", (call,)))
    assert chat.tools == tuple(BFCL["function"])
    assert (chat.id, chat.target) == ("multiple_4", None)
    nothing = read_back({**BFCL, "ground_truth": []}, "bfcl")
    assert (nothing.turns[-1], nothing.target) == (Turn("assistant", "[]"), [])
    with pytest.raises(DataError, match="expected each possible answer to be "):
        read_back({**BFCL, "ground_truth": ["weather"]}, "bfcl")


@given(PLAIN, PLAIN)
def test_pairs_of_texts_are_read_back_from_every_pair_layout(asked: str, answered: str) -> None:
    chat = Conversation((Turn("user", asked), Turn("assistant", answered)))
    rows = {
        "prompt-completion": [
            {"prompt": asked, "completion": answered},
            {"input": asked, "target": answered},
            {
                "prompt": [{"role": "user", "content": asked}],
                "completion": [{"role": "assistant", "content": answered}],
            },
        ],
        "question-answer": [
            {"question": asked, "answer": answered},
            {"question": asked, "answers": {"text": [answered], "answer_start": [0]}},
        ],
        "alpaca": [{"instruction": asked, "output": answered}, {"instruction": asked, "input": "", "output": answered}],
        "text-label": [{"text": asked, "label": answered}, {"text": asked, "category": answered}],
    }
    for name, written in rows.items():
        for row in written:
            assert same(read_back(row, name), chat), row


@given(chats(calls=True))
def test_messages_that_end_with_a_question_are_a_prompt_where_an_answer_stands_beside_them(chat: Conversation) -> None:
    row = as_messages(chat, as_text=False)
    *asked, answer = row["messages"]
    found = read_back({**row, "messages": asked, "completion": [answer]}, "prompt-completion")
    assert found.turns[-1] == chat.turns[-1]
    assert [(turn.role, turn.text()) for turn in found.turns] == [(turn.role, turn.text()) for turn in chat.turns]
    assert len(list(found.answers())) == 1
    assert same(read_back({**row, "completion": "a note"}, "messages"), chat)


def test_a_row_may_say_which_part_of_its_prompt_was_asked() -> None:
    """Duplicates are told by it: an instruction that all rows share would make them alike."""
    row = {"messages": [{"role": "user", "content": "Extract.\n\nTwo lamps"}], "completion": "{}", "input": "Two lamps"}
    assert read_back(row, "prompt-completion").input == "Two lamps"
    assert read_back(row | {"input": "Three lamps"}, "prompt-completion").input == "Extract.\n\nTwo lamps"


def test_answers_inside_a_prompt_are_not_learned() -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
    found = read_back({"prompt": turns, "completion": [{"role": "assistant", "content": "d"}]}, "prompt-completion")
    assert [answer.content for _, answer in found.answers()] == ["d"]
    assert found.input == "a\nb\nc"


@given(PLAIN, VALUE)
def test_a_json_answer_is_kept_as_a_value(asked: str, value: dict[str, Any]) -> None:
    for row in ({"prompt": asked, "expected_output": value}, {"prompt": asked, "completion": json.dumps(value)}):
        found = read_back(row, "prompt-completion")
        assert found.target == value
        assert json.loads(found.completion) == value


@given(PLAIN, PLAIN, PLAIN)
def test_an_alpaca_input_stands_below_its_instruction(instruction: str, given_: str, output: str) -> None:
    found = read_back({"instruction": instruction, "input": given_, "output": output, "system": "Be brief."}, "alpaca")
    assert found.turns == (
        Turn("system", "Be brief."),
        Turn("user", f"{instruction}\n\n{given_}"),
        Turn("assistant", output),
    )
    assert found.input == f"{instruction}\n\n{given_}"


@given(PLAIN)
def test_a_plain_text_is_one_answer_without_a_prompt(text: str) -> None:
    assert read_back({"text": text}, "text").turns == (Turn("assistant", text),)


# ------------------------------------------------------------------------------------------ interaction logs

LOGGED = {
    "id": "b3",
    "agent": {"role": "coder", "capabilities": ["code"]},
    "execution": {
        "status": "success",
        "input_messages": [{"role": "system", "content": "You are a coder."}, {"role": "user", "content": "Task: add"}],
        "output": "def add(a, b): return a + b",
        "errors": [],
    },
}


def test_an_interaction_log_is_read_with_the_logged_system_prompt_or_one_by_role() -> None:
    layout = detect([LOGGED])
    assert layout.name == "interaction"
    logged, given_ = convert(LOGGED, layout), convert(LOGGED, layout, {"coder": "Write clean code."})
    assert [turn.content for turn in logged.turns] == ["You are a coder.", "Task: add", "def add(a, b): return a + b"]
    assert given_.turns[0] == Turn("system", "Write clean code.")
    assert given_.turns[1:] == logged.turns[1:]
    assert (logged.id, logged.meta["agent"], logged.meta["status"]) == ("b3", "coder", "success")
    assert logged.input == "Task: add"


def test_a_failed_interaction_has_no_answer_to_learn() -> None:
    failed = {**LOGGED, "execution": {**LOGGED["execution"], "output": None}}  # type: ignore[dict-item]
    with pytest.raises(DataError, match=r"expected 'execution.output' to be a text, got nothing"):
        convert(failed, detect([LOGGED]))


# ------------------------------------------------------------------------------------------ detection


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "a", "completion": "b"}, "prompt-completion (prompt, completion)"),
        ({"prompt": "a", "expected_output": {}}, "prompt-completion (prompt, completion = expected_output)"),
        ({"text": "a", "category": "b"}, "text-label (text, label = category)"),
        ({"text": "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|im_end|>"}, "text (text, ChatML inside)"),
        ({"text": "### Instruction:\na\n\n### Response:\nb"}, "text (text, Alpaca headings inside)"),
        (
            {"text": "<start_of_turn>user\na<end_of_turn>\n<start_of_turn>model\nb<end_of_turn>\n"},
            "text (text, Gemma inside)",
        ),
        ({"instruction": "a", "output": "b", "system": "c"}, "alpaca (instruction, output, system)"),
        ({"messages": [{"role": "user", "content": "a"}], "tools": []}, "messages (messages, tools)"),
        (
            {"messages": [{"role": "user", "content": "a"}], "completion": "b"},
            "prompt-completion (prompt = messages, completion)",
        ),
    ],
)
def test_the_layout_is_said_aloud(row: dict[str, Any], said: str) -> None:
    assert detect([row]).said() == said


@pytest.mark.parametrize("answered", ["answer", "target", "output"])
def test_a_text_with_an_answer_beside_it_is_a_prompt_with_its_completion(answered: str) -> None:
    """As in the README's own recipe; it was read as a text alone, and the answers were lost without a word."""
    row = {"text": "Order 17 from Mira", answered: {"order": 17}}
    assert detect([row]).said() == f"prompt-completion (prompt = text, completion = {answered})"
    chatml = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\nhello<|im_end|>\n"
    assert detect([{"text": chatml, answered: "hello"}]).said() == "text (text, ChatML inside)"


def test_the_layout_of_most_rows_counts() -> None:
    rows = [{"prompt": "a"}, *[{"prompt": "a", "completion": "b"}] * 3, {"text": "a"}]
    assert detect(rows).name == "prompt-completion"


def test_an_explicit_mapping_wins_over_what_the_columns_tell() -> None:
    row = {"prompt": "wrong", "completion": "wrong", "q": "right?", "a": "right"}
    found = convert(row, detect([row], {"prompt": "q", "completion": "a"}))
    assert [turn.content for turn in found.turns] == ["right?", "right"]
    assert convert(row, detect([row], {"input": "q", "target": "a"})).turns == found.turns


def test_a_mapping_to_a_column_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(DataError, match="which no row has") as caught:
        mapped([{"expected_output": "a", "prompt": "b"}], {"prompt": "prompt", "completion": "expected_outputs"})
    assert caught.value.hint == "Did you mean 'expected_output'?"


@pytest.mark.parametrize(
    ("row", "said", "hint"),
    [
        (
            {"promt": "a", "completions": "b"},
            "'promt', 'completions'",
            "Nearest is prompt-completion, which has prompt, completion.",
        ),
        ({"a": 1}, "they have the columns 'a'", "Known are: "),
        ({}, "(none)", "say in a recipe which is which: data: {fields: {input: YOUR_COLUMN"),
        (
            {"prompt": "a", "chosen": "b", "rejected": "c"},
            "preference pairs",
            "data: {fields: {input: prompt, target: chosen}}",
        ),
        ({"conversations": "a"}, "not known", "Known are"),
        ({"Where is my card": "I lost it", "arrival": "lost"}, "the first row", "Put a line of names above it"),
        ({"Come soon!": "Where is it?", "arrival": "arrival"}, "'Come soon!', 'arrival'", "text,label"),
        ({"input": "a", "target": None}, "the first row: input = 'a', target = nothing", "no answer is missing"),
        ({"prompt": {"a": 1}, "completion": "b"}, "the columns of prompt-completion", "What is asked is a text"),
    ],
)
def test_an_unknown_layout_names_the_columns_seen_and_the_nearest(row: dict[str, Any], said: str, hint: str) -> None:
    with pytest.raises(DataError) as caught:
        detect([row])
    assert said in caught.value.message
    assert hint in (caught.value.hint or "")


@given(
    st.dictionaries(
        st.sampled_from(["prompt", "completion", "text", "label", "messages", "execution", "output", "x"]),
        st.none() | st.integers() | st.text(max_size=3) | st.lists(st.none(), max_size=2) | VALUE,
        max_size=4,
    )
)
def test_any_row_has_a_layout_or_a_data_error_and_is_read_or_refused(row: dict[str, Any]) -> None:
    try:
        found = convert(row, detect([row]))
    except DataError:
        return
    assert found.turns[-1].role == "assistant"


# ------------------------------------------------------------------------------------------ faults of rows

CHAT = Layout("messages", {"messages": "messages"})


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "no answer at its end: it is empty"),
        ([{"role": "user", "content": "a"}], "it ends with the user's turn"),
        ([{"role": "wizard", "content": "a"}], "messages[0] has the role 'wizard'"),
        (["a"], "expected messages[0] to be a message, got 'a'"),
        ([{"role": "user", "content": 3}], "expected 'messages[0].content' to be a text, got 3"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "parts of the kinds image_url"),
        (
            [{"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}],
            "a text that is no JSON",
        ),
        (
            [{"role": "assistant", "content": None, "tool_calls": [{"function": {"arguments": {}}}]}],
            "to have a name and arguments",
        ),
        ([{"role": "assistant", "content": "a", "weight": 0.5}], "has the weight 0.5, expected 0 or 1"),
        (3, "expected 'messages' to be a list of messages, got 3"),
    ],
)
def test_a_row_that_cannot_be_read_says_what_was_expected(messages: object, said: str) -> None:
    with pytest.raises(DataError) as caught:
        convert({"messages": messages}, CHAT)
    assert said in caught.value.message


def test_parts_of_text_are_joined_and_functions_of_old_are_calls() -> None:
    row = {
        "messages": [
            {"role": "developer", "content": [{"type": "text", "text": "Be "}, {"type": "text", "text": "brief."}]},
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": '{"x": 1}'}},
        ]
    }
    found = convert(row, CHAT)
    assert found.turns[0] == Turn("system", "Be brief.")
    assert found.turns[1].tool_calls == ({"name": "f", "arguments": {"x": 1}},)
    assert found.completion == '{"arguments":{"x":1},"name":"f"}'


def test_every_trained_answer_of_a_conversation_is_an_example_with_the_turns_before_it() -> None:
    chat = Conversation(
        (Turn("user", "a"), Turn("assistant", "b", trained=False), Turn("user", "c"), Turn("assistant", "d"))
    )
    ((before, answer),) = chat.answers()
    made = answer_example(before, answer, "1", chat)
    assert [message.content for message in made.messages] == ["a", "b", "c"]
    assert made.completion == "d"


def test_short_columns_are_kept_as_slices_and_long_ones_are_not() -> None:
    row = {"prompt": "a", "completion": "b", "schema_id": "order", "level": 3, "blob": "x" * 100, "id": 7}
    found = convert(row, detect([row]))
    assert found.meta == {"schema_id": "order", "level": "3"}
    assert found.id == "7"


def test_no_rows_have_no_layout() -> None:
    with pytest.raises(DataError, match="there are no rows"):
        detect([])
