"""The detector behind Beam's RunInference."""

import json
import os
import pickle
import re
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
from apache_beam.ml.inference.base import (
    KeyedModelHandler,
    ModelMetadata,
    PredictionResult,
    RunInference,
)
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

import synthfilter as sf
from synthfilter.core.errors import UserError
from synthfilter.core.text import normalise
from synthfilter.detection.detector import load_detector
from synthfilter.detection.thresholds import FORMAT, FORMAT_VERSION, identify
from synthfilter.handler import TextScore

TEXTS = [
    "Rain again, all day. Missed the bus and walked, soaked.",
    "",
    "Moreover, tea plays a pivotal role in fostering community.",
    "  \u200b ",
    *(f"Sentence {i} of the tide table, and then {'more ' * i}." for i in range(300)),
]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with a plain.bin, q.ftz and other.bin (unknown labels)."""
    import fasttext

    folder = tmp_path_factory.mktemp("models")
    words = {"human": "rain bus kitchen mate", "synthetic": "delve tapestry pivotal"}
    lines = [f"__label__{label} the {said} of it" for label, said in words.items()]
    text = folder / "train.txt"
    text.write_text("\n".join(lines * 150) + "\n")
    options: dict[str, Any] = {"thread": 1, "seed": 1, "verbose": 0, "epoch": 20}
    options |= {"dim": 4, "bucket": 300, "wordNgrams": 2, "minCount": 1}
    model = fasttext.train_supervised(str(text), **options)
    model.save_model(str(folder / "plain.bin"))
    model.quantize(retrain=False)
    model.save_model(str(folder / "q.ftz"))
    data = (folder / "plain.bin").read_bytes()
    other = data.replace(b"__label__human", b"__label__happy")
    (folder / "other.bin").write_bytes(other)
    return folder


def keep(results: list[Any], path: str) -> None:
    """Writes the results of a pipeline where the test finds them."""
    Path(path).write_bytes(pickle.dumps(results))


def collect(transform: Callable[[beam.Pipeline], beam.PCollection]) -> list[Any]:
    """Runs a pipeline and returns what comes out of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/results"
        with beam.Pipeline(runner=FnApiRunner()) as pipeline:
            results = transform(pipeline) | beam.combiners.ToList()
            _ = results | "Keep" >> beam.Map(keep, path)
        return pickle.loads(Path(path).read_bytes())


def run(handler: Any, elements: Iterable[Any], **options: Any) -> dict[Any, Any]:
    """Runs RunInference; returns results by text, or by key if there are keys."""
    found = collect(
        lambda p: p | beam.Create(elements) | RunInference(handler, **options)
    )
    pairs = [
        (r.example, r) if isinstance(r, PredictionResult) else tuple(r) for r in found
    ]
    assert len({key for key, _ in pairs}) == len(pairs)
    return dict(pairs)


def scores_of(results: dict[Any, PredictionResult]) -> dict[Any, float | None]:
    return {key: result.inference.ai_score for key, result in results.items()}


def expected_scores(texts: list[str], path: str | None) -> dict[str, float | None]:
    scores = load_detector(path).score(normalise(pa.array(texts))).tolist()
    return {
        text: None if np.isnan(score) else score
        for text, score in zip(texts, scores, strict=True)
    }


def test_results_are_the_scores_of_the_detector() -> None:
    results = run(sf.FastTextModelHandler(), TEXTS)
    assert scores_of(results) == expected_scores(TEXTS, None)
    assert {r.model_id for r in results.values()} == {"synthfilter default detector"}


def test_results_say_the_same_as_the_transform() -> None:
    handler = sf.FastTextModelHandler(threshold=0.6)
    scored = [{"text": text} for text in TEXTS] | sf.Score(threshold=0.6)
    expected = {row["text"]: (row["ai_score"], row["origin"]) for row in scored}
    results = run(handler, TEXTS)
    assert {text: tuple(r.inference) for text, r in results.items()} == expected
    assert {r.inference.label for r in results.values()} == {
        "human",
        "synthetic",
        None,
    }


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_other_batches_give_the_same_scores(size: int) -> None:
    handler = sf.FastTextModelHandler(min_batch_size=size, max_batch_size=size)
    assert scores_of(run(handler, TEXTS)) == expected_scores(TEXTS, None)


def test_texts_that_cannot_be_scored_have_neither_score_nor_label() -> None:
    handler = sf.FastTextModelHandler(threshold=0)
    results = run(handler, ["", " \n", None, TEXTS[0]])
    nothing = TextScore(None, None)
    assert [results[t].inference for t in ("", " \n", None)] == [nothing] * 3
    assert results[TEXTS[0]].inference.label == "synthetic"


def test_invalid_unicode_costs_no_other_text_its_score() -> None:
    handler = sf.FastTextModelHandler()
    texts = ["a lone \ud800 surrogate", *TEXTS[:3]]
    results = list(handler.run_inference(texts, handler.load_model()))
    assert [result.example for result in results] == texts
    scores = [result.inference.ai_score for result in results]
    assert scores == [None, *expected_scores(TEXTS[:3], None).values()]


def test_no_text_is_no_result() -> None:
    handler = sf.FastTextModelHandler()
    assert run(handler, []) == {}
    assert list(handler.run_inference([], handler.load_model())) == []


def test_keys_stay_with_their_texts() -> None:
    handler = KeyedModelHandler(sf.FastTextModelHandler())
    results = run(handler, list(enumerate(TEXTS)))
    assert [results[i].example for i in range(len(TEXTS))] == TEXTS
    expected = expected_scores(TEXTS, None)
    assert scores_of(results) == {i: expected[text] for i, text in enumerate(TEXTS)}


def test_records_are_scored_by_a_field() -> None:
    handler = sf.FastTextModelHandler().with_preprocess_fn(lambda row: row["text"])
    assert set(run(handler, [{"text": "one"}, {"text": "two"}])) == {"one", "two"}


def test_batches_of_ones_own_are_taken() -> None:
    handler = sf.FastTextModelHandler().with_no_batching()
    results = run(handler, [TEXTS[:2], TEXTS[2:4]])
    assert scores_of(results) == expected_scores(TEXTS[:4], None)


def test_results_cross_a_shuffle_under_their_type() -> None:
    typed = RunInference(sf.FastTextModelHandler()).with_output_types(PredictionResult)
    found = collect(lambda p: p | beam.Create(TEXTS[:3]) | typed | beam.Reshuffle())
    expected = expected_scores(TEXTS[:3], None)
    assert {r.example: r.inference.ai_score for r in found} == expected


def test_an_inference_argument_overrules_the_threshold() -> None:
    handler = sf.FastTextModelHandler(threshold=1)
    text = TEXTS[0]
    assert run(handler, [text])[text].inference.label == "human"
    overruled = run(handler, [text], inference_args={"threshold": 0.0})
    assert overruled[text].inference.label == "synthetic"


def test_a_threshold_can_follow_the_length(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "m.bin").write_bytes((tiny / "plain.bin").read_bytes())
    path = str(tmp_path / "m.bin")
    bands = {"0": 1.0, "4": 0.0}
    table = {"thresholds": {"0.01": 0.5}, "thresholds_by_length": {"0.01": bands}}
    (tmp_path / "m.json").write_text(json.dumps(table))
    texts = ["the rain  of", "the rain of it", ""]
    for handler in (
        sf.FastTextModelHandler(path),
        sf.FastTextModelHandler(path, target_fpr=0.01),
    ):
        results = run(handler, texts)
        labels = [results[text].inference.label for text in texts]
        assert labels == ["human", "synthetic", None]
    constant = sf.FastTextModelHandler(path, threshold=0)
    assert run(constant, texts)[texts[0]].inference.label == "synthetic"


def test_a_calibration_gives_the_threshold(tiny: Path, tmp_path: Path) -> None:
    path = str(tiny / "plain.bin")
    detector = load_detector(path)
    row = {"threshold": 0.5, "by_length": {"0": 1.0, "4": 0.0}}
    made = {"format": FORMAT, "version": FORMAT_VERSION, "detector": identify(detector)}
    file = tmp_path / "c.json"
    file.write_text(json.dumps(made | {"thresholds": {"0.02": row}}))
    handler = sf.FastTextModelHandler(path, target_fpr=0.02, calibration=str(file))
    texts = ["the rain of", "the rain of it"]
    results = run(handler, texts)
    assert [results[t].inference.label for t in texts] == ["human", "synthetic"]
    # As the transform says.
    options = {"detector": path, "target_fpr": 0.02, "calibration": str(file)}
    scored = [{"text": text} for text in texts] | sf.Score(**options)
    assert [row["origin"] for row in scored] == ["human", "synthetic"]
    for options, message in (
        ({"calibration": str(tmp_path / "none.json")}, "cannot read"),
        ({"detector": None}, "calibrates other scores"),
        ({"target_fpr": 0.3}, "measured at false-positive rates 0.02, not at 0.3"),
    ):
        given = {"detector": path, "target_fpr": 0.02, "calibration": str(file)}
        with pytest.raises(UserError, match=message):
            sf.FastTextModelHandler(**{**given, **options}).load_model()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"treshold": 0.5}, r"may hold threshold, got \['treshold'\]"),
        ({"threshold": 1.5}, "between 0 and 1, got 1.5"),
        ({"threshold": float("nan")}, "between 0 and 1, got nan"),
        ({"threshold": "0.5"}, "must be a number, got '0.5'"),
        ({"threshold": True}, "must be a number, got True"),
    ],
)
def test_wrong_inference_arguments_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(sf.FastTextModelHandler(), ["x"], inference_args=arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": -0.1}, "between 0 and 1, got -0.1"),
        ({"target_fpr": 1}, "above 0 and below 1, got 1"),
        ({"threshold": 0.5, "target_fpr": 0.1}, "both set the threshold; give one"),
        ({"calibration": "c.json"}, "calibration needs target_fpr"),
        ({"min_batch_size": 0}, "min_batch_size must be at least 1"),
        ({"max_batch_size": 3}, "at most max_batch_size, got 64 and 3"),
        ({"model_copies": 0}, "model_copies must be at least 1, got 0"),
    ],
)
def test_wrong_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        sf.FastTextModelHandler(**options)


@pytest.mark.parametrize("name", ["plain.bin", "q.ftz"])
def test_any_two_label_model_works(tiny: Path, name: str) -> None:
    path = str(tiny / name)
    texts = ["the rain of it", "delve the tapestry", ""]
    results = run(sf.FastTextModelHandler(path), texts)
    assert scores_of(results) == expected_scores(texts, path)
    labels = [results[text].inference.label for text in texts]
    assert labels == ["human", "synthetic", None]
    assert {r.model_id for r in results.values()} == {path}


def test_labels_without_a_known_meaning_are_refused(tiny: Path) -> None:
    with pytest.raises(UserError, match=r"got .*__label__happy"):
        run(sf.FastTextModelHandler(str(tiny / "other.bin")), ["x"])


def test_a_missing_model_is_said_in_one_line(tmp_path: Path) -> None:
    handler = sf.FastTextModelHandler(str(tmp_path / "none.bin"))
    expected = rf"cannot read '{re.escape(str(tmp_path))}/none\.bin': [^\n]*"
    with pytest.raises(UserError) as failed:
        handler.load_model()
    assert re.fullmatch(expected, str(failed.value))
    with pytest.raises(UserError) as failed:
        run(handler, ["x"])
    assert re.fullmatch(expected, str(failed.value))


@pytest.mark.parametrize("element", [7, {"text": "x"}, ("key", "x")])
def test_elements_that_are_no_text_are_refused(element: Any) -> None:
    with pytest.raises(UserError, match=r"expected str .*KeyedModelHandler"):
        run(sf.FastTextModelHandler(), [element])


def test_another_model_can_be_taken_up(tiny: Path) -> None:
    handler = sf.FastTextModelHandler(str(tiny / "none.bin"))
    handler.update_model_path(str(tiny / "plain.bin"))
    handler.update_model_path(None)
    handler.update_model_path("")
    model = handler.load_model()
    (result,) = handler.run_inference(["the rain of it"], model)
    assert result.model_id == str(tiny / "plain.bin")
    # Results carry the model that made them, not the one that comes next.
    handler.update_model_path(str(tiny / "q.ftz"))
    (result,) = handler.run_inference(["the rain of it"], model)
    assert result.model_id == str(tiny / "plain.bin")


def test_a_side_input_names_another_model(tiny: Path) -> None:
    news = ModelMetadata(str(tiny / "plain.bin"), "tiny")

    def transform(pipeline: beam.Pipeline) -> beam.PCollection:
        latest = pipeline | "News" >> beam.Create([news])
        texts = pipeline | "Texts" >> beam.Create(["the rain of it"])
        handler = sf.FastTextModelHandler()
        return texts | RunInference(handler, model_metadata_pcoll=latest)

    assert [result.model_id for result in collect(transform)] == [news.model_id]


def test_processes_can_share_a_model() -> None:
    handler = sf.FastTextModelHandler(model_copies=2)
    assert (handler.share_model_across_processes(), handler.model_copies()) == (True, 2)
    assert scores_of(run(handler, TEXTS[:9])) == expected_scores(TEXTS[:9], None)
    assert sf.FastTextModelHandler(large_model=True).share_model_across_processes()
    assert not sf.FastTextModelHandler().share_model_across_processes()


def test_what_beam_asks_a_handler_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_VARIABLE", "before")
    handler = sf.FastTextModelHandler(
        max_batch_size=99, max_batch_duration_secs=2, env_vars={"SOME_VARIABLE": "set"}
    )
    assert handler.batch_elements_kwargs() == {
        "min_batch_size": 64,
        "max_batch_size": 99,
        "max_batch_duration_secs": 2,
    }
    assert handler.get_num_bytes(["ab", "ü", "", None]) == 4
    assert handler.get_metrics_namespace() == "synthfilter"
    assert handler.get_resource_hints() == {}
    handler.set_environment_vars()
    assert os.environ["SOME_VARIABLE"] == "set"


def test_a_handler_travels_without_its_model() -> None:
    assert len(pickle.dumps(sf.FastTextModelHandler())) < 1000


def test_beam_counts_what_was_scored() -> None:
    pipeline = beam.Pipeline(runner=FnApiRunner())
    _ = pipeline | beam.Create(TEXTS[:3]) | RunInference(sf.FastTextModelHandler())
    result = pipeline.run()
    result.wait_until_finish()
    counted = {
        counter.key.metric.name: counter.committed
        for counter in result.metrics().query()["counters"]
        if counter.key.metric.namespace == "synthfilter"
    }
    assert counted["num_inferences"] == 3
