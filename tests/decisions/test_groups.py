import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from synthfilter.core import schema
from synthfilter.core.schema import Origin, Reason
from synthfilter.decisions.groups import (
    PLAIN,
    make_grouping,
    settle_groups,
    tell_groups,
)

HUMAN, SYNTHETIC, UNKNOWN, REFERENCE, CORE = Origin
MIXTURE = {"synthetic": 0.5, "code": 0.3, "prose": 0.2}


def facts(*rows: dict) -> pa.RecordBatch:
    """Facts of which only what the mixture looks at matters."""
    plain = {field.name: None for field in schema.FACTS} | {"weight": 1.0}
    return pa.RecordBatch.from_pylist([plain | row for row in rows], schema.FACTS)


def tell(
    rows: list[dict], declared: list[Origin], mixture: dict | None = None, **more: str
) -> dict[str, list]:
    grouping = make_grouping(mixture or {}, more.get("fresh_after"), more.get("strata"))
    claims = np.array(declared, np.uint8)
    origin = np.where(claims == CORE, HUMAN, claims).astype(np.uint8)
    reason = np.zeros(len(rows), np.uint8)
    columns = tell_groups(facts(*rows), grouping)
    told = columns["group"], columns["fresh"]
    columns |= settle_groups(*told, claims, origin, reason, grouping)
    wanted = {field.name: field.type for field in schema.JUDGED}
    for name, values in columns.items():
        assert pa.array(values).type == wanted[name]
    return {name: values.tolist() for name, values in columns.items()}


def test_without_a_mixture_groups_are_the_origins() -> None:
    rows = [{"category": "code"}] * 5
    found = tell(rows, [HUMAN, SYNTHETIC, UNKNOWN, REFERENCE, CORE])
    assert found["group"] == [0, 1, 255, 255, 0]
    assert found["reason"] == [Reason.KEPT] * 5
    assert found["stratum"] == found["fresh"] == [0] * 5
    assert PLAIN == make_grouping({}, None, None)


def test_a_category_of_the_mixture_goes_before_the_origin() -> None:
    rows = [{"category": name} for name in ("code", "prose", "other", None)]
    found = tell(rows * 2, [HUMAN] * 4 + [SYNTHETIC] * 4, MIXTURE)
    assert found["group"] == [2, 3, 255, 255, 2, 3, 1, 1]
    nowhere = Reason.NO_GROUP
    assert found["reason"] == [0, 0, nowhere, nowhere, 0, 0, 0, 0]


def test_the_archive_is_human_where_no_group_has_it() -> None:
    found = tell([{"category": "code"}, {"category": "x"}], [CORE, CORE], MIXTURE)
    assert found["group"] == [2, 0]
    assert found["reason"] == [Reason.KEPT] * 2


def test_what_is_out_already_keeps_its_reason() -> None:
    grouping = make_grouping({"code": 1.0}, None, None)
    origin, empty = np.array([HUMAN], np.uint8), Reason.UNUSABLE_EMPTY
    none = np.array([schema.NO_GROUP], np.uint8)
    told = (none, np.zeros(1, np.uint8), origin, origin, np.array([empty]))
    assert settle_groups(*told, grouping)["reason"].tolist() == [empty]


def test_human_documents_are_fresh_from_the_next_day_on() -> None:
    day = 86_400_000
    rows = [{"created": time} for time in (day - 1, day, 2 * day, None, 2 * day)]
    declared = [HUMAN, HUMAN, CORE, HUMAN, SYNTHETIC]
    found = tell(rows, declared, fresh_after="1970-01-01")
    assert found["fresh"] == [0, 1, 1, 0, 0]
    assert tell(rows, declared)["fresh"] == [0] * 5


@given(
    st.lists(st.sampled_from(["en", "de", "", None]), min_size=1),
    st.sampled_from(["language", "source", "category"]),
)
def test_documents_of_one_value_are_one_stratum(values, strata) -> None:
    rows = [{strata: value} for value in values]
    keys = tell(rows, [HUMAN] * len(rows), strata=strata)["stratum"]
    pairs = set(zip(values, keys, strict=True))
    assert len(pairs) == len(set(values)) == len(set(keys))


def test_nothing_has_no_groups() -> None:
    assert tell([], [], MIXTURE, strata="language", fresh_after="1970-01-01") == {
        "group": [],
        "stratum": [],
        "fresh": [],
        "weight": [],
        "reason": [],
    }
