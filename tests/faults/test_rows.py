"""Every kind of fault that docs/reliability.md numbers has a test of its number."""

import re
from pathlib import Path

FAULTS = range(1, 48)


def test_every_row_has_a_test() -> None:
    names = "\n".join(
        line
        for path in Path(__file__).parent.glob("test_*.py")
        for line in path.read_text().splitlines()
        if line.startswith("def test_row")
    )
    told = {int(number) for number in re.findall(r"(?<=_)\d\d(?=_)", names)}
    assert told == set(FAULTS)
