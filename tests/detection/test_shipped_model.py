import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthfilter.core.text import normalise
from synthfilter.detection.detector import default_model_path, load_detector
from synthfilter.detection.evaluation import auroc
from synthfilter.detection.tokens import WORDS

HUMAN = [
    """So we got to the lake around four, maybe later, and Dave had forgotten the tent
    poles again. Second time this year! I wasn't even mad. We slung the fly over a rope
    between two birches, ate cold beans, and listened to it rain till I fell asleep.
    Woke up with a slug on my ear. Would I go back? Yeah, probably next weekend.""",
    """The pump quit on Tuesday. My brother-in-law reckoned it was the float switch, I
    said wiring, and neither of us was right: a mouse had nested in the motor housing
    and chewed what was left of the gasket. Forty dollars and a ruined pair of jeans
    later it runs, though it rattles worse than it used to.""",
    """I never liked the second act. They cut the scene with the letter, you know, the
    only one where she gets to be angry, and then the lights go down for what felt like
    ten minutes while somebody dragged a sofa off. Nobody near me clapped much. The kid
    who played the postman was good, mind.""",
]
MACHINE = [
    """In conclusion, effective communication plays a crucial role in fostering strong
    relationships and promoting a positive work environment. By actively listening,
    providing constructive feedback, and embracing diverse perspectives, individuals can
    enhance collaboration and achieve their shared goals. Ultimately, investing in these
    essential skills can lead to greater success and overall well-being.""",
    """Renewable energy offers numerous benefits for both individuals and communities.
    Additionally, it helps to reduce greenhouse gas emissions, ensuring a more
    sustainable future for generations to come. However, it is important to note that
    the transition also presents several challenges, including the need for significant
    investment in infrastructure and innovative technologies.""",
    """As the sun dipped below the horizon, Elara felt a sense of profound wonder wash
    over her. The ancient forest seemed to whisper secrets of a forgotten time, its
    gentle melodies weaving a tapestry of hope and resilience. With a determined heart,
    she stepped forward, ready to embrace the journey that lay ahead.""",
]


@pytest.fixture(scope="module")
def shipped():
    return load_detector()


@pytest.fixture(scope="module")
def facts():
    return json.loads(Path(default_model_path()).with_suffix(".json").read_bytes())


def test_the_shipped_model_is_the_one_that_its_json_describes(shipped, facts):
    data = Path(default_model_path()).read_bytes()
    assert shipped.sha256 == facts["sha256"] == hashlib.sha256(data).hexdigest()
    assert len(data) < 8e6
    assert shipped.settings.tokens == WORDS and shipped.settings.canonical
    assert set(shipped.labels) == {"__label__human", "__label__synthetic"}


def test_the_shipped_thresholds_rise_as_the_rate_falls(shipped):
    words = np.array([10, 60, 150, 300, 1000])
    levels = [shipped.threshold_at(fpr).of(words) for fpr in (0.05, 0.01, 0.001)]
    assert (np.diff(levels, axis=0) > 0).all()
    assert (levels[0] > 0.5).all() and (levels[-1] < 1).all()
    assert shipped.threshold.of(words).tolist() == levels[1].tolist()


def test_it_puts_machine_text_above_human_text(shipped):
    scores = shipped.score(normalise(pa.array(HUMAN + MACHINE)))
    assert scores[: len(HUMAN)].max() < 0.5 < scores[len(HUMAN) :].min()


def test_markup_and_typography_do_not_change_a_score(shipped):
    plain = "It's the team's \"goal\" - to listen, and to learn... from each other."
    marked = (
        "**It\u2019s** the team\u2019s \u201cgoal\u201d \u2014 to "
        "[listen](http://a.b),\u00a0and to\u200b `learn`\u2026 from\n<i>each</i> other."
    )
    first, second = shipped.score(normalise(pa.array([plain, marked])))
    assert first == second


@pytest.mark.parametrize("text", ["", " ", "\0", "x" * 1_000_000, "\u4e2d" * 5000])
def test_text_without_a_known_word_has_no_score(shipped, text):
    assert np.isnan(shipped.score(normalise(pa.array([text]))))[0]


def test_the_card_names_every_source_and_figure(facts):
    card = Path(default_model_path()).with_name("README.md").read_text()
    assert facts["sha256"] in card
    for source, licence in facts["data"].items():
        assert f"| {source} | {licence} |" in card
    assert f"{facts['measured']['all']['auroc']:.3f}" in card


def test_it_ranks_the_labelled_data_it_was_trained_on(shipped, labelled_data):
    paths = sorted(labelled_data.glob("*.parquet"))
    tables = [pq.read_table(path, columns=["text", "label"]) for path in paths]
    rows = pa.concat_tables(tables).combine_chunks()
    rows = rows.take(pa.array(np.arange(0, len(rows), 10)))
    scores = shipped.score(normalise(rows["text"].combine_chunks()))
    synthetic = np.array(rows["label"].to_pylist()) == "synthetic"
    known = np.isfinite(scores)
    assert known.mean() > 0.99
    scores, synthetic = scores[known], synthetic[known]
    assert auroc(scores[~synthetic], scores[synthetic]) > 0.9
    top = np.sort(scores)[-len(scores) // 100 :]
    assert len(np.unique(top)) > 0.9 * len(top)


NO_PROSE = {
    "numbers": "\n".join(f"{i}, {i * 3.7:.2f}, {i * i}, -{i}.5" for i in range(40)),
    "table": "year | sales | cost\n" + "\n".join(f"{i} | {i}7 | 4" for i in range(30)),
    "json": json.dumps([{"id": i, "size": i * 7, "tags": ["a", i]} for i in range(30)]),
    "code": "".join(f"x[{i}] = f(y[{i}], z={i}) * (w.a - {i})\n" for i in range(30)),
    "dump": " ".join(f"{i * 7919 % 65536:04x}" for i in range(200)),
    "marks": "*** --- === +++ ::: ... ;;; ((( ))) !!! ??? ,,, " * 9,
}


@pytest.mark.parametrize("kind", NO_PROSE)
def test_tables_and_code_have_no_score_where_words_are_asked_for(shipped, kind):
    settings = dataclasses.replace(shipped.settings, min_word_share=0.45)
    strict = dataclasses.replace(shipped, settings=settings)
    texts = normalise(pa.array([NO_PROSE[kind], *HUMAN, *MACHINE]))
    assert np.isnan(strict.score(texts)).tolist() == [True] + [False] * 6


@pytest.mark.parametrize(
    "text",
    [
        "Am Morgen gingen wir zum Bahnhof, weil der Zug nach Hamburg um halb sieben "
        "abfuhr. Es regnete, und niemand sprach ein Wort.",
        "Por la mañana fuimos a la estación porque el tren salía a las seis y media. "
        "Llovía y nadie decía una palabra.",
        "Утром мы пошли на вокзал, потому что поезд уходил в половине седьмого. "
        "Шёл дождь, и никто не говорил ни слова.",
        "早上我们去了火车站,因为火车六点半开。下着雨,谁也没有说话。",
        "Too short to tell.",
    ],
)
def test_what_it_does_not_know_has_no_score(shipped, text):
    english = "In the morning we went to the station, since the train left at six."
    unknown, known = shipped.score(normalise(pa.array([text, english])))
    assert np.isnan(unknown)
    assert 0 < known < 1
