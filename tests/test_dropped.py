"""What is dropped: found among the documents, and marked there."""

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from synthfilter import dropped as module
from synthfilter.core import schema
from synthfilter.core.schema import RANK_CORE, RANK_OTHERS, Reason


def settled_rows(*rows: dict[str, Any]) -> pa.RecordBatch:
    """`DECIDED` rows with zeros where nothing is given."""
    nothing = dict.fromkeys(schema.DECIDED.names, 0)
    return pa.RecordBatch.from_pylist(
        [nothing | row for row in rows], schema=schema.DECIDED
    )


@given(
    st.lists(st.tuples(st.integers(0, 8), st.sampled_from([0, 0, 9])), max_size=12),
    st.sets(st.integers(0, 8)),
    st.data(),
)
def test_only_what_is_in_gets_the_reason_in_any_split_of_batches(
    rows, gone, data
) -> None:
    settled = settled_rows(*({"order": o, "reason": r, "rank": 5} for o, r in rows))
    dropped = [
        {
            **dict.fromkeys(module.DROPPED.names, 0),
            "order": order,
            "reason": Reason.NEAR_COPY,
            "match_hi": order + 100,
            "match_lo": order,
            "similarity": 0.5,
        }
        for order in gone
    ]
    cut = data.draw(st.integers(0, len(dropped)))
    parts = [
        pa.RecordBatch.from_pylist(part, schema=module.DROPPED)
        for part in (dropped[cut:], dropped[:cut])
    ]
    marked = module.mark_dropped(settled, iter(parts))
    assert marked.schema.equals(schema.DECIDED)
    for before, after in zip(settled.to_pylist(), marked.to_pylist(), strict=True):
        order = before["order"]
        if order in gone and before["reason"] == Reason.KEPT:
            before |= {
                "reason": Reason.NEAR_COPY,
                "match_hi": order + 100,
                "match_lo": order,
                "similarity": 0.5,
            }
        assert after == before


def test_neither_references_nor_the_archive_go_for_their_own_kind() -> None:
    reference, core, other = 5, RANK_CORE + 5, RANK_OTHERS + 5
    rank = np.array([reference, reference, core, core, other, other], np.uint64)
    pairs = np.array([[0, 1], [0, 2], [0, 4], [2, 3], [2, 4], [4, 5]])
    found = module.may_drop(rank, pairs)
    assert found.tolist() == [False, True, True, False, True, True]
