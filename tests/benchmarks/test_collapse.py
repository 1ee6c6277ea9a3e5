"""The collapse benchmark, in a small world: what protects must go on protecting."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.collapse import __main__ as command
from benchmarks.collapse import detector, report, world
from benchmarks.collapse.chain import run_chain
from benchmarks.collapse.figures import fit_share, mean_of, ratios
from benchmarks.collapse.jobs import Job, read_results, write_result
from benchmarks.collapse.trigram import Trigrams

RESULTS = report.ROOT / "benchmarks/collapse/results.jsonl"
SMALL = world.Setting(budget=60_000, crawl=72_000, generations=2, reviewed=50)


@pytest.fixture(scope="module")
def chains() -> dict[str, list[dict]]:
    names = ("replace", "accumulate", "ledger80", "share10", "perfect")
    return {name: run_chain(name, 1, SMALL) for name in names}


def test_the_pipeline_protects_what_others_lose(chains: dict[str, list[dict]]) -> None:
    lost = {name: ratios(chain)[-1] for name, chain in chains.items()}
    assert lost["replace"] > 1.6
    assert lost["accumulate"] > 1.2
    assert lost["perfect"] < 1.04
    # Of what accumulation loses and perfect labels would save, most is saved.
    saved = np.log(lost["accumulate"] / lost["ledger80"])
    assert saved > 0.5 * np.log(lost["accumulate"] / lost["perfect"])
    assert lost["share10"] < 1.1


def test_less_machine_text_gets_into_the_set(chains: dict[str, list[dict]]) -> None:
    true = {name: chain[-1]["true"] for name, chain in chains.items()}
    assert true["replace"] == 1 and true["perfect"] == 0
    assert true["ledger80"] < 0.5 * true["accumulate"]
    assert chains["ledger80"][-1]["human_lost"] < 0.02
    for made in chains["share10"][1:]:
        assert made["true"] < 0.13
        assert made["low"] <= made["true"] <= made["high"]


def test_sets_have_the_size_that_was_asked_for(chains: dict[str, list[dict]]) -> None:
    for chain in chains.values():
        for made in chain[1:]:
            assert made["words"] == pytest.approx(SMALL.budget, rel=0.01)


def test_figures_follow_the_true_share(chains: dict[str, list[dict]]) -> None:
    lines = [
        {"kind": "trigrams", "policy": name, "seed": 1, "generations": chain}
        for name, chain in chains.items()
    ]
    fit = fit_share(lines)
    assert 0.2 < fit.slope < 0.7 and fit.correlation > 0.9 and fit.sets == 5
    tails = [chains[name][-1]["tail_coverage"] for name in ("replace", "perfect")]
    assert tails[0] < tails[1]
    # It misleads: nonsense is new, and human text that is kept is not.
    assert chains["replace"][-1]["novelty"] > chains["perfect"][-1]["novelty"]
    rare = {name: ratios(c, "rare_perplexity")[-1] for name, c in chains.items()}
    assert rare["replace"] > ratios(chains["replace"])[-1] > rare["perfect"]
    assert "**no**" in report.goals_table(lines) or "yes" in report.goals_table(lines)
    assert report.results_table(lines).count("\n") == 6


def test_a_crawl_is_contaminated_as_it_is_said_and_ids_tell_nothing() -> None:
    here = world.make_world(SMALL, 3)
    texts = [" ".join(["word"] * 100)] * 800
    written = [f"{number} {text}" for number, text in enumerate(texts)]
    crawl = world.make_crawl(here, 1, written, [])
    assert crawl.texts.machine_share() == pytest.approx(0.83, abs=0.01)
    assert crawl.texts.words.sum() == pytest.approx(SMALL.crawl, rel=0.01)
    assert crawl.texts.ids == [f"crawl1-{n}" for n in range(len(crawl.texts))]
    known = set(crawl.written.texts)
    copies = [
        t for t, m in zip(crawl.texts.texts, crawl.texts.machine, strict=True) if m
    ]
    assert len(known) == len(crawl.written) < len(copies)
    again = world.make_crawl(here, 1, written, [])
    assert again.texts.texts == crawl.texts.texts
    clean = world.make_crawl(here, 1, written, [], clean=True)
    assert not clean.texts.machine.any() and not len(clean.written)


def test_human_text_is_in_one_place_only() -> None:
    here = world.make_world(SMALL, 1)
    library = world.read_library()
    parts = [here.archive, *here.fresh]
    assert len({t for p in parts for t in p.ids}) == sum(map(len, parts))
    assert not set(library.test) & {t for p in parts for t in p.texts}
    other = world.make_world(SMALL, 2)
    assert other.archive.texts != here.archive.texts
    assert [d.tolist() for d in other.test] == [d.tolist() for d in here.test]
    with pytest.raises(ValueError, match="too little text"):
        world.make_world(SMALL._replace(budget=10**7), 1)


def test_text_survives_tokens_and_numbers() -> None:
    said = "The cost ($1,250.75) isn't known; ask the States."
    tokens = world.tokenise(said)
    assert world.write_out(tokens) == said
    words = world.Vocabulary(tokens)
    assert words.decode(words.encode(said)) == said


def test_trigrams_are_a_distribution_and_write_what_they_know() -> None:
    rng = np.random.default_rng(4)
    documents = [rng.integers(2, 40, 30) ** 2 // 40 + 2 for _ in range(60)]
    size = 45
    model = Trigrams(documents, size)
    context = documents[0][:5]
    total = 0.0
    for word in range(1, size):
        tail = [] if word == world.END else [word]
        total += np.exp(model.log_probabilities([np.append(context, tail)])[5])
    # The number that begins documents has its share of the floor, too.
    assert total == pytest.approx(1, abs=1e-3)
    sampled = model.sample(9000, rng)
    seen = set(np.concatenate(documents).tolist())
    assert set(np.concatenate(sampled).tolist()) <= seen
    assert sum(map(len, sampled)) >= 9000
    firsts = np.bincount([document[0] for document in sampled], minlength=size)
    expected = [np.exp(model.log_probabilities([[word]])[0]) for word in range(2, size)]
    assert firsts[2:] / firsts.sum() == pytest.approx(np.array(expected), abs=0.1)


def test_the_neural_model_is_a_distribution_and_learns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torch")
    from benchmarks.collapse import neural

    monkeypatch.setattr(neural, "FREQUENT", 60)
    rng = np.random.default_rng(5)
    # Every word is followed by the next one; the last ones are too rare for a class.
    size = 100
    documents = [start + np.arange(30) for start in rng.integers(2, 40, 400)]
    documents += [np.arange(70, size)] * 3
    model = neural.Neural(documents, size, 1)
    found = [
        np.exp(model.log_probabilities([np.array([word])])[0])
        for word in range(2, size)
    ]
    ends = np.exp(model.log_probabilities([np.array([], np.int64)])[0])
    # What is left is that of another beginning.
    assert 0.9 < sum(found) + ends <= 1.0001
    known = -model.log_probabilities(documents[:20]).mean()
    assert known < 0.5 * np.log(size)
    sampled = model.sample(2000, rng)
    assert sum(map(len, sampled)) >= 2000
    assert all(neural.SHORTEST <= len(document) for document in sampled)


def test_the_fitted_detector_sees_what_comes_again() -> None:
    topical = "harbour fisheries convention treaty arbitration commissioners " * 4
    scattered = " ".join(world.read_library().vocabulary.words[9000:9024])
    found = detector.Repetition().score(pa.array([topical, scattered, "of the"]))
    assert found[0] < 0.01 < 0.5 < found[1]
    assert np.isnan(found[2])


def test_a_run_that_was_stopped_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    jobs = [Job("trigrams", "replace", seed) for seed in (1, 2)]
    path = tmp_path / "results.jsonl"
    write_result(path, {**jobs[0]._asdict(), "cpu_s": 1})
    with path.open("a") as file:
        file.write('{"kind": "trig')
    assert [Job.of(line) for line in read_results(path)] == jobs[:1]
    write_result(path, {**jobs[1]._asdict(), "cpu_s": 1})
    assert [Job.of(line) for line in read_results(path)] == jobs
    monkeypatch.setattr(command, "JOBS", jobs)
    assert command.main(["run", "--results", str(path)]) == 0
    assert "0 of 2 runs left" in capsys.readouterr().out


def test_figures_stand_between_their_markers() -> None:
    page = "a\n<!-- x -->\nold\n<!-- end of x -->\nb <!-- y -->"
    assert report.fill(page, {"x": "1 | 2", "z": "no"}) == (
        "a\n<!-- x -->\n1 | 2\n<!-- end of x -->\nb <!-- y -->"
    )
    assert mean_of([1.0, 3.0]).show(".1f") == "2.0 ± 6.3"
    assert mean_of([1.0]).show(".1f") == "1.0"


def test_the_documentation_has_the_figures_that_were_found() -> None:
    parts = report.all_parts(read_results(RESULTS))
    for page in report.PAGES:
        text = page.read_text()
        assert report.fill(text, parts) == text
    pages = "".join(page.read_text() for page in report.PAGES)
    assert all(f"<!-- end of {name} -->" in pages for name in parts)
    drawn = report.PICTURE.read_text()
    assert drawn.startswith("<svg xmlns") and "var(--" not in drawn
