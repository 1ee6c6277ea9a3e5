from typing import Any

import pytest

from synthfilter.insight.differences import (
    compare_books,
    compare_figures,
    compare_inputs,
    compare_settings,
    compare_shares,
)


def manifest(**changes: Any) -> dict[str, Any]:
    return {
        "synthfilter_version": "1",
        "options": {"seed": 0, "keep": ["human"]},
        "detector": {"name": "d", "sha256": "aa"},
        "inputs": [],
        "books": {
            "read": 10,
            "kept": 7,
            "left_out": {"mixture": 2, "near_copy": 0},
            "dead_letters": 1,
        },
        "shares": {"unit": "docs", "got": {"docs": {"human": 7, "synthetic": 0}}},
        **changes,
    }


def test_options_detector_and_version_that_differ_are_told() -> None:
    other = manifest(
        options={"seed": 1, "keep": ["human"], "count": "declared"},
        detector={"name": "d", "sha256": "bb"},
        synthfilter_version="2",
    )
    assert compare_settings(manifest(), other) == [
        ("seed", 0, 1),
        ("detector sha256", "aa", "bb"),
        ("synthfilter version", "1", "2"),
        ("count", None, "declared"),
    ]
    assert compare_settings(other, other) == []


def test_books_stand_side_by_side_without_what_is_nothing_in_both() -> None:
    books = {
        "read": 12,
        "kept": 7,
        "left_out": {"mixture": 2, "near_copy": 2},
        "dead_letters": 1,
    }
    assert compare_books(manifest(), manifest(books=books)) == [
        ("read", 10, 12),
        ("dead_letters", 1, 1),
        ("mixture", 2, 2),
        ("near_copy", 0, 2),
        ("kept", 7, 7),
    ]


def test_books_that_are_no_counts_are_refused() -> None:
    books = {**manifest()["books"], "kept": "seven"}
    with pytest.raises(TypeError, match="kept is no count, but 'seven'"):
        compare_books(manifest(), manifest(books=books))


def test_shares_that_differ_have_dotted_names() -> None:
    other = manifest(shares={"unit": "docs", "got": {"docs": {"human": 5}}})
    assert compare_shares(manifest(), other) == [
        ("got.docs.human", 7, 5),
        ("got.docs.synthetic", 0, None),
    ]


def test_inputs_are_told_apart_by_path_and_fingerprint() -> None:
    def files(**said: tuple[str, str]) -> dict[str, Any]:
        return manifest(
            inputs=[
                {"path": name, "fingerprint": mark, "declared": origin, "rows": 1}
                for name, (mark, origin) in said.items()
            ]
        )

    first = files(a=("1", "human"), b=("2", "human"), c=("3", "human"), d=("4", "core"))
    second = files(
        b=("2", "human"), c=("9", "human"), d=("4", "human"), e=("5", "core")
    )
    assert compare_inputs(first, second) == {
        "unchanged": ["b"],
        "changed": ["c", "d"],
        "removed": ["a"],
        "added": ["e"],
    }


def test_figures_of_reports_that_differ_are_told() -> None:
    first: dict[str, Any] = {
        "diversity": {
            "near_copy_rate": 0.02,
            "by_origin": {"all": {"words": {"total": 10}, "compression_ratio": 2.9}},
            "sketches": {"all": {"words": "a"}},
            "novelty": None,
        },
        "lengths": {"by_origin": {"human": {"quantiles": {"0.5": 340}, "kept": [1]}}},
        "ages": {"by_origin": {"human": {"median": "2023-05", "months": {}}}},
        "run": {"seconds": 1},
    }
    second = {
        "diversity": {
            "near_copy_rate": 0.03,
            "by_origin": {"all": {"words": {"total": 12}, "compression_ratio": 2.9}},
            "sketches": {"all": {"words": "b"}},
        },
        "lengths": {"by_origin": {"human": {"quantiles": {"0.5": 350}, "kept": [2]}}},
        "ages": {"by_origin": {}},
        "run": {"seconds": 2},
    }
    assert compare_figures(first, second) == [
        ("diversity.all.words.total", 10, 12),
        ("near_copy_rate", 0.02, 0.03),
        ("lengths.human.0.5", 340, 350),
        ("median age.human", "2023-05", None),
    ]
    assert compare_figures({}, {"lengths": [], "ages": None}) == []
