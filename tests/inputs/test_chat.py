import numpy as np
import pyarrow as pa
import pytest

from synthfilter.core import schema
from synthfilter.core.claims import tell_claims
from synthfilter.core.errors import UserError
from synthfilter.inputs.chat import render_messages
from synthfilter.inputs.conform import conform_columns
from synthfilter.inputs.fields import map_fields, parse_fields
from synthfilter.inputs.paths import Columns
from synthfilter.inputs.records import documents_of_records

OPENAI = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "What is a quay?"},
    {"role": "assistant", "content": "A place for ships."},
]
SHAREGPT = [
    {"from": "system", "value": "Be brief."},
    {"from": "human", "value": "What is a quay?"},
    {"from": "gpt", "value": "A place for ships."},
]
PARTS = [
    {"role": m["role"], "content": [{"type": "text", "text": m["content"]}]}
    for m in OPENAI
]
ALL = "system: Be brief.\n\nuser: What is a quay?\n\nassistant: A place for ships."


def rendered(messages: list | None, *fields: str) -> tuple[str | None, str | None]:
    """The text of one chat, as a record and as a row of Arrow."""
    record = {"chat": messages, "id": "1"}
    chosen = parse_fields(["text=chat", *fields])
    mapping = map_fields(Columns(["chat", "id"], []), chosen, "f")
    (row,) = documents_of_records([record], mapping).to_pylist()
    # A row before it, so that no offset is 0.
    batch = pa.RecordBatch.from_pylist([record, record]).slice(1)
    found = conform_columns(batch, mapping, ["text", "metadata"], np.arange(1))
    (same,) = found.to_pylist()
    assert row["metadata"] is None and same["metadata"] is None
    return row["text"], same["text"]


@pytest.mark.parametrize("messages", [OPENAI, SHAREGPT, PARTS])
def test_chats_of_every_form_give_one_text(messages: list) -> None:
    assert rendered(messages) == (ALL, ALL)


@pytest.mark.parametrize("messages", [OPENAI, SHAREGPT, PARTS])
def test_the_user_says_which_roles_and_how(messages: list) -> None:
    chosen = ("chat_roles=assistant", "chat_template={content}")
    assert rendered(messages, *chosen) == ("A place for ships.",) * 2
    chosen = ("chat_roles=user,gpt", r"chat_template=<{role}>\n{content}\n")
    text = "<user>\nWhat is a quay?\n<assistant>\nA place for ships."
    assert rendered(messages, *chosen) == (text, text)


def test_what_a_template_says_is_not_read_again() -> None:
    messages = [{"role": "user", "content": "{role} {content} \\n %s"}]
    assert rendered(messages) == ("user: {role} {content} \\n %s",) * 2


def test_messages_without_content_and_other_parts_are_passed_over() -> None:
    messages = [
        {"role": "user", "content": [
            {"type": "image_url", "text": None},
            {"type": "text", "text": "one"},
            {"type": "text", "text": "two"},
        ]},
        {"role": "assistant", "content": None},
    ]  # fmt: skip
    assert rendered(messages) == ("user: one\ntwo",) * 2
    called = [{"role": "assistant", "tool_calls": [1]}, *OPENAI[1:2]]
    assert render_messages(called, {}) == "user: What is a quay?"


def test_a_chat_of_nothing_is_an_empty_text_and_none_is_none() -> None:
    chosen = "chat_roles=tool"
    assert rendered(OPENAI, chosen) == ("", "")
    record = {"chat": None}
    mapping = {"text": "chat"}
    (row,) = documents_of_records([record], mapping).to_pylist()
    assert row["error"] == "chat: expected a string, got nothing"
    assert documents_of_records([{"chat": []}], mapping).to_pylist()[0]["text"] == ""


def test_the_text_may_be_a_chat_within_something() -> None:
    record = {"data": {"messages": OPENAI, "n": 1}}
    chosen = parse_fields(["text=data.messages"])
    mapping = map_fields(Columns.of_records([record]), chosen, "f")
    (row,) = documents_of_records([record], mapping).to_pylist()
    batch = pa.RecordBatch.from_pylist([record])
    found = conform_columns(batch, mapping, ["text", "metadata"], np.arange(1))
    assert found.to_pylist()[0]["text"] == row["text"] == ALL
    assert found.to_pylist()[0]["metadata"] == row["metadata"] == '{"data":{"n":1}}'


@pytest.mark.parametrize(
    "messages",
    [
        [{"who": "x", "said": "y"}],
        [{"role": "user", "content": 5}],
        [{}],
        [OPENAI[0], {}],
    ],
)
def test_what_is_no_message_is_an_error_of_its_row(messages: list) -> None:
    (row,) = documents_of_records([{"text": messages}], {"text": "text"}).to_pylist()
    assert "expected messages with role and content" in row["error"]


def test_a_template_without_content_is_an_error() -> None:
    with pytest.raises(UserError, match=r"chat_template must have \{content\}"):
        parse_fields(["text=messages", "chat_template={role}"])
    with pytest.raises(UserError, match="found messages; name it with --fields text=m"):
        map_fields(Columns.of_records([{"messages": OPENAI}]), {}, "f")


def test_the_model_of_a_chat_wrote_it_unless_only_users_speak() -> None:
    record = {"model": "gpt-4", "conversation": OPENAI}
    for roles, told in (("assistant", ["producer=synthetic"]), ("user", [None])):
        chosen = parse_fields(["text=conversation", f"chat_roles={roles}"])
        mapping = map_fields(Columns.of_records([record]), chosen, "f")
        of_record = documents_of_records([record], mapping)
        batch = pa.RecordBatch.from_pylist([record])
        found = conform_columns(batch, mapping, [schema.CLAIMS], np.arange(1))
        for batch in (of_record, found):
            claims = batch.column(schema.CLAIMS).to_numpy()
            assert [said or None for said in tell_claims(claims).to_pylist()] == told
