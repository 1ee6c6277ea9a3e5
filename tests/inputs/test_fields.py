import pytest

from synthfilter.core.errors import UserError
from synthfilter.inputs.fields import describe, map_fields, parse_fields
from synthfilter.inputs.paths import Columns


def test_fields_are_pairs_of_name_and_column() -> None:
    assert parse_fields(["text=body", "id=a=b"]) == {"text": "body", "id": "a=b"}
    assert parse_fields([]) == {}


@pytest.mark.parametrize("entry", ["text", "text=", "=body", "txet=body", ""])
def test_a_field_that_is_not_one_is_an_error_that_names_it(entry: str) -> None:
    with pytest.raises(UserError, match="NAME=COLUMN") as raised:
        parse_fields([entry])
    assert repr(entry) in str(raised.value)


def test_names_that_people_use_are_understood() -> None:
    columns = ["uuid", "contents", "dataset", "date", "url", "model", "label"]
    columns += ["reviewed"]
    assert map_fields(Columns(columns, []), {}, "f") == {
        "text": "contents",
        "id": "uuid",
        "source": "dataset",
        "created": "date",
        "url": "url",
        "generator": "model",
        "reviewed": "reviewed",
    }


def test_the_first_alias_is_taken_and_the_users_choice_before_it() -> None:
    columns = ["content", "text", "doc_id", "id"]
    assert map_fields(Columns(columns, []), {}, "f") == {"text": "text", "id": "id"}
    chosen = {"text": "content", "id": "doc_id"}
    assert map_fields(Columns(columns, []), chosen, "f") == chosen


@pytest.mark.parametrize(
    ("columns", "chosen", "message"),
    [
        (["body", "id"], {}, "in.jsonl: no text column.* found body, id; name it with"),
        (["generation"], {}, "no text column"),
        ([], {}, "found none"),
        (["text"], {"id": "key"}, "in.jsonl: no column 'key' for 'id'; found text"),
        (["text", "id", "id"], {}, "in.jsonl: a column name comes twice in text, id"),
    ],
)
def test_columns_that_cannot_be_mapped_are_an_error_that_names_them(
    columns: list[str], chosen: dict[str, str], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        map_fields(Columns(columns, []), chosen, "in.jsonl")


@pytest.mark.parametrize("name", ["category", "language", "weight"])
def test_not_every_file_needs_what_groups_are_made_of(name: str) -> None:
    chosen = {name: "kind"}
    assert map_fields(Columns(["text"], []), chosen, "f") == {"text": "text"}
    assert map_fields(Columns(["text", "kind"], []), chosen, "f") == {
        "text": "text",
        name: "kind",
    }


def test_the_mapping_is_told_in_one_line() -> None:
    mapping = {"text": "content", "id": "id"}
    assert (
        describe(mapping, Columns(["id", "content", "lang", "score"], []))
        == "text <- content, id; metadata <- lang, score"
    )
    assert describe({"text": "text"}, Columns(["text"], [])) == "text"
    chat = {"text": "messages", "chat_roles": "user"}
    said = describe(chat, Columns(["messages"], []))
    assert said == "text <- messages, chat_roles=user"
