"""Fields of dataclasses as options: what they may be, and what is said of them."""

import dataclasses
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest

import synthfilter as sf
from synthfilter.core.errors import UserError
from synthfilter.options import check_types, describe_fields, describe_inherited


@dataclasses.dataclass(kw_only=True)
class Base:
    """What both have.

    Args:
      names: Of things; a long text, so that it takes more than one of the lines which
        a docstring has.
    """

    names: list[str] = dataclasses.field(default_factory=list)


@describe_inherited
@dataclasses.dataclass(kw_only=True)
class Options(Base):
    """Has options.

    Checks them.

    Args:
      share: Between 0 and 1.
      shares: Of each group.
      count: How many.
      flag: Whether.
    """

    share: Optional[float] = None
    shares: dict[str, float] = dataclasses.field(default_factory=dict)
    count: int = 3
    flag: bool = False

    def __post_init__(self) -> None:
        """Checks the options."""
        check_types(self)


def test_the_docstring_knows_the_fields_of_the_bases_in_their_order() -> None:
    assert (Options.__doc__ or "").splitlines() == [
        "Has options.",
        "",
        "Checks them.",
        "",
        "Args:",
        "  names: Of things; a long text, so that it takes more than one of the lines "
        "which a",
        "    docstring has.",
        "  share: Between 0 and 1.",
        "  shares: Of each group.",
        "  count: How many.",
        "  flag: Whether.",
    ]
    assert list(describe_fields(Options)) == [
        "names",
        "share",
        "shares",
        "count",
        "flag",
    ]


def test_one_value_stands_for_a_list_and_a_path_for_its_text() -> None:
    assert Options(names="one").names == ["one"]  # type: ignore[arg-type]
    assert Options(names=("a", Path("b/c"))).names == ["a", "b/c"]  # type: ignore[arg-type]
    given = ["a"]
    assert Options(names=given).names is not given


def test_whole_numbers_are_numbers_whoever_made_them() -> None:
    options = Options(share=1, count=np.int64(4), shares={"a": np.float32(0.5)})
    assert (options.share, options.count, options.shares) == (1, 4, {"a": 0.5})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"names": [1]}, "names expects a list of str, got 1"),
        ({"names": {"a": 1}}, "names expects a list of str, got {'a': 1}"),
        ({"names": None}, "names has no value"),
        ({"share": "half"}, "share expects float, got 'half'"),
        ({"share": True}, "share expects float, got True"),
        ({"shares": [0.5]}, "shares expects `name: float` lines, got [0.5]"),
        ({"shares": {"a": "b"}}, "shares expects `name: float` lines, got 'b'"),
        ({"count": 1.5}, "count expects int, got 1.5"),
        ({"flag": 1}, "flag expects bool, got 1"),
    ],
)
def test_a_value_of_another_type_is_refused(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as raised:
        Options(**values)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    "make",
    [
        lambda: sf.Build(human=["a"], output="b", seed="1"),
        lambda: sf.Score(threshold="1"),
        lambda: sf.Deduplicate(fields=3),
        lambda: sf.Mix(seed="1"),
        lambda: sf.WriteShards("out", seed="1"),
    ],
)
def test_every_transform_checks_its_types(make: Any) -> None:
    with pytest.raises(UserError, match=r"^(seed|threshold|fields) expects "):
        make()
