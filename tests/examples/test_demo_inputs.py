import datetime
import gzip
import itertools
import json
import re
import statistics
import sys
from pathlib import Path

import harvest
import make_inputs
import prose
import pyarrow.parquet as pq
import pytest
import sampler

FIELDS = {"id", "text", "source", "topic", "voice", "generator", "created"}


@pytest.fixture(scope="module")
def written() -> list[dict]:
    return make_inputs.read_written()


@pytest.fixture(scope="module")
def sampled(written: list[dict]) -> list[dict]:
    return make_inputs.sample_documents(written, seed=0)


def words_of(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def shingles(text: str, length: int) -> set[tuple[str, ...]]:
    words = words_of(text)
    return {tuple(words[i : i + length]) for i in range(len(words) - length + 1)}


def read_lines(path: Path) -> list[str]:
    # Not splitlines(), which also breaks at characters that JSON leaves alone.
    return path.read_text(encoding="utf-8").rstrip("\n").split("\n")


# The written documents


def test_every_written_document_has_all_fields(written):
    assert len(written) >= 96
    for document in written:
        assert set(document) == FIELDS
        assert all(isinstance(document[name], str) for name in FIELDS)
        assert all(document[name].strip() for name in FIELDS)
        assert "language model" in document["generator"]
        datetime.date.fromisoformat(document["created"])


def test_written_documents_differ_in_id_text_topic_and_length(written):
    assert len({document["id"] for document in written}) == len(written)
    assert len({document["text"] for document in written}) == len(written)
    assert len({document["topic"] for document in written}) == len(written)
    assert len({document["voice"] for document in written}) >= 40
    lengths = [len(document["text"].split()) for document in written]
    assert min(lengths) >= 60
    assert max(lengths) <= 700
    assert 180 <= statistics.median(lengths) <= 260
    assert statistics.pstdev(lengths) > 60


def test_no_two_written_documents_are_near_copies(written):
    sets = [shingles(document["text"], 5) for document in written]
    for left, right in itertools.combinations(sets, 2):
        assert len(left & right) < 0.05 * len(left | right)


# The harvester


def test_harvested_documents_have_the_promised_shape():
    documents = list(harvest.harvest(max_documents=60))
    assert len(documents) == 60
    assert len({document["id"] for document in documents}) == 60
    for document in documents:
        assert list(document) == [
            "id", "text", "source", "license", "created", "path"
        ]  # fmt: skip
        assert 60 <= len(document["text"].split()) <= 700
        assert document["created"] is None
        assert document["source"].startswith("python ")
        assert ">>>" not in document["text"]


def test_harvesting_twice_gives_the_same_documents():
    assert list(harvest.harvest(25)) == list(harvest.harvest(25))


def test_harvesting_stops_where_it_is_told():
    assert list(harvest.harvest(0)) == []
    assert len(list(harvest.harvest(3))) == 3
    with pytest.raises(ValueError, match="got -1"):
        list(harvest.harvest(-1))


SENTENCE = "The owner of a boat must check each of the ropes before it leaves. "
MODULE = f'''
"""A module about boats.

{SENTENCE * 6}

Args:
  ropes: {SENTENCE}

>>> check(boat)
"""
raise RuntimeError("a harvested module was run")

class Boat:
    def leave(self):
        """{SENTENCE * 7}"""
'''


def make_distribution(folder: Path, name: str, files: dict[str, str]) -> None:
    info = f"{name}-1.5.dist-info"
    metadata = (
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.5\nLicense: MIT\n\n"
        f"# {name}\n\n{SENTENCE * 7}\n\n```\n{SENTENCE}\n```\n"
    )
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/METADATA"])
    files = {**files, f"{info}/METADATA": metadata, f"{info}/RECORD": record}
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")


def test_a_distribution_gives_its_description_and_its_docstrings(tmp_path):
    files = {
        "boats/core.py": MODULE,
        "boats/tests/helper.py": MODULE,
        "boats/test_core.py": MODULE,
        "boats/data.csv": SENTENCE * 20,
    }
    make_distribution(tmp_path, "boats", files)
    [distribution] = harvest.distributions_by_name([str(tmp_path)])
    documents = list(harvest.distribution_documents(distribution))
    assert [document["id"] for document in documents] == [
        "boats-1.5/METADATA#1",
        "boats-1.5/boats/core.py#1",
    ]
    assert {document["source"] for document in documents} == {"boats 1.5"}
    assert {document["license"] for document in documents} == {"MIT"}
    assert documents[0]["text"] == (SENTENCE * 7).strip()
    assert documents[1]["text"] == (
        (SENTENCE * 6).strip() + "\n\n" + (SENTENCE * 7).strip()
    )
    assert "boats.core" not in sys.modules


def test_files_that_cannot_be_parsed_or_read_are_passed_over(tmp_path):
    files = {
        "boats/broken.py": f'"""{SENTENCE * 9}"""\ndef (:',
        "boats/nul.py": f'"""{SENTENCE * 9}"""\nx = "\0"',
        "boats/gone.py": MODULE,
        "boats/latin.py": MODULE,
    }
    make_distribution(tmp_path, "boats", files)
    (tmp_path / "boats/gone.py").unlink()
    (tmp_path / "boats/latin.py").write_bytes(MODULE.encode() + b"# caf\xe9")
    [distribution] = harvest.distributions_by_name([str(tmp_path)])
    documents = list(harvest.distribution_documents(distribution))
    assert [document["path"] for document in documents] == ["METADATA"]


def test_the_products_own_text_is_not_harvested(tmp_path):
    make_distribution(tmp_path, "synthfilter", {"synthfilter/core.py": MODULE})
    make_distribution(tmp_path, "anchors", {})
    found = harvest.distributions_by_name([str(tmp_path)])
    assert [distribution.metadata["Name"] for distribution in found] == ["anchors"]


def test_prose_keeps_sentences_and_drops_code_tables_and_legal_text():
    text = (
        "Intro\n-----\n"
        "Returns the **number** of `boats` that are\nin the harbour at the moment.\n\n"
        "    boats = count(harbour)\n\n"
        "Parameters\n----------\n"
        "harbour : Harbour\n    Where the boats are at the time of the call.\n\n"
        "Notes\n-----\n"
        "Boats that are at sea do not count, as [the docs](https://x.org) explain.\n\n"
        "Licensed under the terms of the licence that is in the file beside this.\n"
    )
    assert prose.prose_sections(text) == [
        ["Returns the number of boats that are in the harbour at the moment."],
        ["Boats that are at sea do not count, as the docs explain."],
    ]


# The sampler


def test_sampling_depends_on_the_seed_and_the_number_alone(written):
    model = sampler.train([document["text"] for document in written])
    first = sampler.sample(model, 80, seed=0, number=1)
    assert first == sampler.sample(model, 80, seed=0, number=1)
    assert first != sampler.sample(model, 80, seed=0, number=2)
    assert first != sampler.sample(model, 80, seed=1, number=1)


def test_samples_have_the_asked_lengths_and_tidy_sentences(sampled):
    lengths = [len(document["text"].split()) for document in sampled]
    assert min(lengths) >= 60
    assert max(lengths) <= 720
    assert len({document["text"] for document in sampled}) == len(sampled)
    for document in sampled:
        assert re.match(r"[^\W_]", document["text"])
        assert not document["text"][0].islower()
        assert not re.search(r" [.,;:!?]|[.!?] [a-z]", document["text"])


def test_samples_seldom_copy_more_than_twelve_words_in_a_row(written, sampled):
    texts = (" ".join(sampler.split_tokens(document["text"])) for document in written)
    known = set().union(*(shingles(text, 13) for text in texts))
    found = [shingles(document["text"], 13) for document in sampled]
    copied = sum(len(document & known) for document in found)
    assert copied < 0.02 * sum(map(len, found))
    assert not any(len(document & known) > 0.2 * len(document) for document in found)


def test_a_model_of_one_text_knows_only_its_words():
    text = "The boat that left the harbour was the boat that came back at noon."
    sample = sampler.sample(sampler.train([text]), 30, seed=0, number=0)
    assert set(words_of(sample)) <= set(words_of(text))


# The files


def test_make_inputs_writes_what_it_prints(tmp_path, capsys):
    make_inputs.make_inputs(tmp_path, max_human_documents=150)
    printed = dict(
        re.fullmatch(r"(\S+): ([\d,]+) (?:documents|lines)", line).groups()
        for line in capsys.readouterr().out.splitlines()
    )
    written = {
        path.relative_to(tmp_path).as_posix(): count_rows(path)
        for path in tmp_path.rglob("*.*")
    }
    assert {name: int(count.replace(",", "")) for name, count in printed.items()} == (
        written
    )
    assert list(written) and {name.split("/")[0] for name in written} == {
        "human", "synthetic", "crawl"
    }  # fmt: skip


def count_rows(path: Path) -> int:
    if path.suffix == ".parquet":
        return pq.read_metadata(path).num_rows
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes()).count(b"\n")
    return len(read_lines(path))


def test_make_inputs_writes_the_same_bytes_again(tmp_path):
    for name in ("one", "two"):
        make_inputs.make_inputs(tmp_path / name, max_human_documents=40)
    paths = [p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.*")]
    assert paths
    for path in paths:
        one, two = tmp_path / "one" / path, tmp_path / "two" / path
        assert one.read_bytes() == two.read_bytes()


def test_the_crawl_has_every_kind_of_row_and_no_provenance(tmp_path):
    make_inputs.make_inputs(tmp_path, max_human_documents=150)
    rows, broken = [], []
    for path in sorted((tmp_path / "crawl").iterdir()):
        for line in read_lines(path):
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                broken.append(line)
    assert len(broken) == 1
    assert all(set(row) == {"id", "text", "source"} for row in rows)
    assert len({row["id"] for row in rows}) == len(rows)
    assert sum(row["text"] is None for row in rows) == 1
    assert sum(row["text"] == "" for row in rows) == 1

    human = pq.read_table(tmp_path / "human")["text"].to_pylist()
    synthetic = [
        json.loads(line)["text"]
        for path in (tmp_path / "synthetic").iterdir()
        for line in gzip.decompress(path.read_bytes()).decode().split("\n")[:-1]
    ]
    inputs = {*human, *synthetic}
    texts = [row["text"] for row in rows if row["text"]]
    squeezed = {" ".join(text.split()) for text in inputs}
    copies = [text for text in texts if " ".join(text.split()) in squeezed]
    assert sum(text not in inputs for text in copies) >= 3
    assert len(texts) - len(copies) >= 20
    near = [t for t in texts if t not in copies and any(t in s for s in inputs)]
    assert near
