"""`synthfilter explain` on real builds: every reason, and documents kept."""

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthfilter.cli import main
from synthfilter.core.hashing import hash_texts, hex_hashes, order_hash
from synthfilter.core.profiles import count_profiles
from synthfilter.core.schema import REASON_NAMES, UNUSABLE, Reason
from synthfilter.core.text import normalise
from synthfilter.core.uses import hash_halves
from synthfilter.core.verdicts import GIVEN
from synthfilter.ledger.verdicts import add_verdicts
from synthfilter.outputs.manifest import MANIFEST, read_manifest


class SaysScore:
    """Scores what a text says of itself: `s73 ...` is 0.73; other texts have none."""

    name = "says score"
    threshold = 0.5
    version = 1
    profiles = count_profiles(
        np.concatenate([np.linspace(0.01, 0.2, 500), np.linspace(0.3, 0.99, 500)]),
        np.full(1000, 60),
        np.repeat([False, True], 500),
        np.full(1000, "x"),
    )

    def score(self, column: pa.Array) -> np.ndarray:
        first = [text.split(" ")[0] for text in column.to_pylist()]
        known = [w[0] == "s" and w[1:].isdecimal() if w else False for w in first]
        return np.array(
            [
                int(word[1:]) / 100 if mine else np.nan
                for word, mine in zip(first, known, strict=True)
            ],
            np.float32,
        )


DETECTOR = "test_explain:SaysScore"


def prose(number: int, count: int = 60) -> list[str]:
    random = np.random.default_rng(number)
    return [f"w{word}" for word in random.integers(0, 50_000, count)]


def text(score: int, number: int) -> str:
    """A text of its own for each number, with this score in percent."""
    return " ".join([f"s{score}", *prose(number)])


def hash_of(said: str) -> str:
    (found,) = hex_hashes(*hash_texts(normalise(pa.array([said], pa.large_string()))))
    return found.as_py()


def write(workshop: Any, name: str, documents: dict[str, str], **more: Any) -> None:
    workshop.write(name, [*documents.values()], id=[*documents], row_group=20, **more)


def rejects(workshop: Any, said: str) -> None:
    row = {
        "content_hash": hash_of(said),
        "verdict": "reject",
        "reviewer": "ann",
        "note": "spam",
        "time": datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc),
    }
    rows = pa.Table.from_pylist([row], schema=GIVEN)
    assert add_verdicts(str(workshop.path / "ledger"), rows) == 1


@pytest.fixture(scope="module")
def shop(shared_workshop: Any) -> Iterator[Any]:
    """Builds: `first`; `out`, with most reasons; `plain` and `hidden` with the rest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        make_builds(shared_workshop)
        yield shared_workshop


def make_builds(shop: Any) -> None:
    ledger = str(shop.path / "ledger")
    used = {"used": text(60, 500)}
    write(shop, "before/s", used)
    write(shop, "before/h", {f"b{i}": text(3, 600 + i) for i in range(3)})
    options: dict[str, Any] = {"detector": DETECTOR, "ledger": ledger}
    shop.build(
        "first",
        human=f"{shop.path}/before/h.parquet",
        synthetic=f"{shop.path}/before/s.parquet",
        **options,
    )
    human = {f"h{i}": text(5, i) for i in range(30)}
    twin = text(5, 0).split(" ")
    human |= {
        "exact": text(5, 0),
        "near": " ".join([*twin[:30], "other", *twin[31:]]),
        "empty": "",
        "long": text(5, 50) + " more" * 3000,
        "refused": text(5, 51),
        "listed": text(5, 52),
        "flagged": text(80, 53),
        "shares": " ".join([*text(5, 54).split(" "), *prose(900)[:15]]),
        "reference": " ".join(prose(901)),
    }
    urls = ["http://machine.example/1" if n == "listed" else None for n in human]
    write(shop, "human/h", human, url=urls, source=["shelf"] * len(human))
    (shop.path / "human/bad.jsonl").write_text(
        json.dumps({"id": "fine", "text": text(5, 55)}) + "\n{\n"
    )
    synthetic = {f"s{i}": text(60, 100 + i) for i in range(30)}
    synthetic |= {"high": text(99, 200), "deep": text(60, 201), **used}
    depth = [9 if name == "deep" else None for name in synthetic]
    generation = pa.array(depth, pa.int32())
    write(shop, "synthetic/s", synthetic, synth_generation=generation)
    unknown = {"foreign": " ".join(prose(300)), "open": text(30, 301)}
    write(shop, "unknown/u", unknown)
    write(shop, "against/a", {"x": " ".join(prose(900)), "y": " ".join(prose(901))})
    (shop.path / "machines.txt").write_text("machine.example\n")
    rejects(shop, human["refused"])
    shop.build(
        "out",
        unknown=f"{shop.path}/unknown",
        against=f"{shop.path}/against",
        against_ngrams=13,
        synthetic_urls=f"{shop.path}/machines.txt",
        near_duplicates=0.8,
        flagged_human="drop",
        marked_human="drop",
        max_ai_score=0.95,
        max_document_bytes=10_000,
        max_uses=1,
        max_generation=3,
        synthetic_fraction=0.3,
        unit="docs",
        target_size=20,
        count="declared",
        seed=3,
        **options,
    )
    shop.build(
        "plain",
        unknown=f"{shop.path}/before/h.parquet",
        against=f"{shop.path}/against",
        detector=DETECTOR,
    )
    asked = {f"a{i}": text(2 + i % 10, 700 + i) for i in range(100)}
    asked |= {f"z{i}": text(45, 900 + i) for i in range(30)}
    write(shop, "hidden_in/u", asked)
    shop.build(
        "hidden",
        human=f"{shop.path}/before/h.parquet",
        synthetic=f"{shop.path}/before/s.parquet",
        unknown=f"{shop.path}/hidden_in",
        max_synthetic_fraction=0.05,
        detector=DETECTOR,
    )


def explain(shop: Any, asked: str, *more: str, output: str = "out") -> Any:
    return main(["explain", str(shop.path / output), asked, *more])


def facts_of(
    shop: Any, asked: str, capsys: Any, *more: str, output: str = "out"
) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert explain(shop, asked, "--json", *more, output=output) == 0
    return json.loads(capsys.readouterr().out)["documents"]


def lines_of(
    shop: Any, asked: str, capsys: Any, *more: str, output: str = "out"
) -> list[str]:
    capsys.readouterr()
    assert explain(shop, asked, *more, output=output) == 0
    return capsys.readouterr().out.splitlines()


def some(shop: Any, reason: Reason) -> tuple[str, str]:
    """The build and id of a document of each reason, whatever it is called."""
    others = {Reason.SUSPECT: "hidden", Reason.REFERENCE_COPY: "plain"}
    output = others.get(reason, "out")
    if reason == Reason.KEPT:
        return output, shop.rows(output=output)[0]["id"]
    if reason == Reason.DEAD_LETTER:
        return output, "human/bad.jsonl:line 2"
    rows = shop.rows("rejected", output)
    return output, next(r["id"] for r in rows if r["reason"] == REASON_NAMES[reason])


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_story_that_ends_with_what_would_change_it(
    shop: Any, capsys: pytest.CaptureFixture, reason: Reason
) -> None:
    output, name = some(shop, reason)
    (facts,) = facts_of(shop, name, capsys, output=output)
    assert facts["reason"] == REASON_NAMES[reason]
    lines = lines_of(shop, name, capsys, output=output)
    print("\n".join(lines))
    assert lines[-1] == f"otherwise: {facts['otherwise']}"
    expected = "is in the set" if reason == Reason.KEPT else "was left out as"
    if reason != Reason.DEAD_LETTER:
        assert lines[0].startswith(f"{name}: {expected}")
        assert reason in UNUSABLE or f"content hash: {facts['content_hash']}" in lines
