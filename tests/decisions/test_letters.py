import numpy as np
import pytest

from synthfilter.core.errors import ShortageError, UserError
from synthfilter.core.schema import BLOCKS_PER_FILE, Reason
from synthfilter.decisions.letters import (
    Letters,
    check_letters,
    check_most,
    find_unwritten,
)

FOUND = [Letters("a", 60, 2), Letters("b", 30, 0), Letters("c", 10, 3)]


@pytest.mark.parametrize("most", [5, 6, 0.05, 0.06, 0.99])
def test_a_number_or_share_of_dead_letters_may_be_reached(most: float) -> None:
    check_letters(FOUND, most)


@pytest.mark.parametrize("most", [4, 1, 0, 0.049])
def test_more_dead_letters_stop_the_build_and_the_worst_files_are_named(
    most: float,
) -> None:
    with pytest.raises(ShortageError) as error:
        check_letters(FOUND, most)
    assert f"5 of 100 records cannot be read, more than max_dead_letters={most:g};" in (
        str(error.value)
    )
    assert "most of them in c 3, a 2;" in str(error.value)


def test_a_build_of_nothing_has_no_dead_letters() -> None:
    check_letters([], 0)


@pytest.mark.parametrize("most", [-1, -0.1, 1.5, float("nan"), float("inf")])
def test_what_is_no_number_and_no_share_is_refused(most: float) -> None:
    with pytest.raises(UserError, match="max_dead_letters must be a whole number or"):
        check_most(most)


@pytest.mark.parametrize("most", [None, 0, 0.5, 1, 1e6])
def test_none_a_share_and_a_whole_number_are_taken(most: float | None) -> None:
    check_most(most)


def test_the_first_dead_letters_of_a_file_and_its_last_are_written() -> None:
    dead, kept = Reason.DEAD_LETTER, Reason.KEPT
    reasons = np.array([dead, kept, dead, dead, kept, dead, dead, kept])
    rows = {1: [2, 3, 5], 2: [3, 5], 3: [5], 4: [], 5: []}
    for border in range(8):
        blocks = {0: reasons[:border], 1: reasons[border:], BLOCKS_PER_FILE: reasons}
        found = {
            key: Letters("f", len(part), int((part == dead).sum()))
            for key, part in blocks.items()
        }
        for most, expected in rows.items():
            parts = [find_unwritten(found, k, blocks[k], most) for k in (0, 1)]
            assert np.flatnonzero(np.concatenate(parts)).tolist() == expected
            whole = find_unwritten(found, BLOCKS_PER_FILE, reasons, most)
            assert np.flatnonzero(whole).tolist() == expected
