"""The benchmark's corpus is what it says it is."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
LABELS = ("human", "synthetic")
WORDS = "river stone lamp crow linen harbour winter glass iron meadow candle".split()


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / program), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def sentences_of(label: str) -> list[str]:
    return [
        f"The {label} {first} met the {second} near a {third}."
        for first in WORDS
        for second in WORDS
        for third in WORDS
    ]


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("labelled")
    for label in LABELS:
        text = [" ".join(sentences_of(label)[n : n + 11]) for n in range(0, 1331, 11)]
        table = pa.table({"text": text, "label": [label] * len(text)})
        pq.write_table(table, folder / f"{label}.parquet")
    return str(folder / "*.parquet")


def make_corpus(sentences: str, output: Path, *options: str) -> dict[str, int]:
    done = run(
        "corpus.py",
        *("--sentences", sentences, "--megabytes", "1", "--output", str(output)),
        *options,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def read_texts(corpus: Path, label: str) -> list[str]:
    paths = sorted((corpus / label).glob("*.parquet"))
    assert paths
    return [text for path in paths for text in pq.read_table(path)["text"].to_pylist()]


@pytest.fixture(scope="module")
def corpus(sentences: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("corpus")
    make_corpus(sentences, output)
    return output


def test_the_same_seed_gives_the_same_files_and_another_does_not(
    sentences: str, corpus: Path, tmp_path: Path
) -> None:
    make_corpus(sentences, tmp_path / "again")
    make_corpus(sentences, tmp_path / "other", "--seed", "1")
    for label in LABELS:
        for path in (corpus / label).glob("*.parquet"):
            again = tmp_path / "again" / label / path.name
            assert again.read_bytes() == path.read_bytes()
        texts = set(read_texts(corpus, label))
        assert not texts & set(read_texts(tmp_path / "other", label))


def test_a_twentieth_are_exact_copies_and_a_twentieth_near_copies(
    corpus: Path,
) -> None:
    for label in LABELS:
        texts = read_texts(corpus, label)
        distinct = set(texts)
        assert len(texts) - len(distinct) == len(texts) // 20
        known = set(sentences_of(label))
        edited = [text for text in distinct if not known.issuperset(split(text))]
        assert len(edited) == len(texts) // 20
        for text in edited[:5]:
            assert min(changed_words(text, other) for other in distinct - {text}) <= 3


def split(text: str) -> list[str]:
    return text.replace("\n", " ").replace(". ", ".|").split("|")


def changed_words(text: str, other: str) -> int:
    words, others = text.split(" "), other.split(" ")
    if len(words) != len(others):
        return len(words)
    return sum(a != b for a, b in zip(words, others, strict=True))


def test_half_of_the_documents_are_human_and_they_have_the_promised_size(
    corpus: Path,
) -> None:
    facts = json.loads((corpus / "corpus.json").read_text())
    texts = {label: read_texts(corpus, label) for label in LABELS}
    assert [len(texts[label]) for label in LABELS] == [250, 250]
    sizes = [len(text.encode()) for label in LABELS for text in texts[label]]
    assert facts["documents"] == 500
    assert facts["text_bytes"] == sum(sizes)
    assert 0.9e6 < sum(sizes) < 1.1e6
    assert min(sizes) > 900
    assert max(sizes) < 3_300


def test_the_jsonl_variant_holds_the_same_documents(
    sentences: str, corpus: Path, tmp_path: Path
) -> None:
    make_corpus(sentences, tmp_path, "--format", "jsonl")
    for label in LABELS:
        rows = [
            row
            for path in sorted((corpus / label).glob("*.parquet"))
            for row in pq.read_table(path).to_pylist()
        ]
        lines = [
            json.loads(line)
            for path in sorted((tmp_path / "jsonl" / label).glob("*.jsonl"))
            for line in path.read_text().splitlines()
        ]
        assert lines == rows
        assert list(rows[0]) == ["id", "text", "source"]
        assert len({row["id"] for row in rows}) == len(rows)


def test_a_corpus_is_not_written_over_another(sentences: str, corpus: Path) -> None:
    done = run(
        "corpus.py",
        *("--sentences", sentences, "--megabytes", "1", "--output", str(corpus)),
    )
    assert done.returncode == 1
    assert "holds a corpus already" in done.stderr
    assert "Traceback" not in done.stderr
