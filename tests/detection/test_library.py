import pickle

import numpy as np
import pyarrow as pa
import pytest

from synthfilter.detection.detector import load_detector
from synthfilter.detection.fasttext_file import parse
from synthfilter.detection.library import LibraryModel
from synthfilter.detection.linear import LinearModel
from synthfilter.detection.tokens import SPACES, WORDS

TEXTS = ["the rain and the bus", "delve in a tapestry", "", "__label__human of", "qqq"]


@pytest.mark.parametrize(
    "options", [{"minn": 2, "maxn": 4}, {"loss": "ova"}, {"loss": "hs"}]
)
def test_models_that_are_not_linear_score_as_stock_fasttext(train, stock, options):
    path = train(**options)
    expected = np.clip(stock(path, TEXTS), 0, 1)
    expected[[2, 3]] = np.nan if options else expected[[2, 3]]
    got = load_detector(str(path)).score(pa.array(TEXTS))
    keep = [0, 1, 4]
    assert np.allclose(got[keep], expected[keep], rtol=0, atol=2e-6)
    assert np.isnan(got[2])


def test_quantised_models_score_as_stock_fasttext(tmp_path, train, stock):
    import fasttext

    model = fasttext.load_model(str(train(dim=4)))
    model.quantize(retrain=False)
    path = tmp_path / "q.ftz"
    model.save_model(str(path))
    got = load_detector(str(path)).score(pa.array(TEXTS))
    assert np.allclose(got[:2], stock(path, TEXTS)[:2], rtol=0, atol=2e-6)


def test_the_linear_and_the_library_path_agree(train):
    path = train()
    library = LibraryModel(path.read_bytes(), ["__label__synthetic"], SPACES)
    linear = load_detector(str(path)).score(pa.array(TEXTS[:2]))
    logit = library.evidence(pa.array(TEXTS)).logit[:2]
    assert np.allclose(1 / (1 + np.exp(-logit)), linear, rtol=0, atol=2e-6)


@pytest.mark.parametrize("tokens", [SPACES, WORDS])
def test_both_paths_count_the_same_tokens_and_words(train, tokens):
    texts = pa.array([*TEXTS, "17 3.5 ! (the", "", None])
    path = train()
    library = LibraryModel(path.read_bytes(), ["__label__synthetic"], tokens)
    parsed = parse(path.read_bytes())
    index = parsed.labels.index("__label__synthetic")
    linear = LinearModel(parsed, index, tokens).evidence(texts)
    found = library.evidence(texts)
    assert found.tokens.tolist() == linear.tokens.tolist()
    assert found.words.tolist() == linear.words.tolist()


def test_several_machine_labels_add_up(tmp_path):
    import fasttext

    lines = [
        f"__label__{label} {words}"
        for label, words in [
            ("human", "rain bus kitchen"),
            ("gpt", "delve tapestry realm"),
            ("llama", "furthermore pivotal crucial"),
        ]
        for _ in range(30)
    ]
    (tmp_path / "t.txt").write_text("\n".join([*lines, ""]))
    model = fasttext.train_supervised(
        str(tmp_path / "t.txt"), thread=1, verbose=0, dim=4, epoch=20, lr=0.5
    )
    model.save_model(str(tmp_path / "m.bin"))
    (tmp_path / "m.json").write_text('{"labels": {"synthetic": ["gpt", "llama"]}}')
    detector = load_detector(str(tmp_path / "m.bin"))
    human, gpt, llama, both = detector.score(
        pa.array(["rain bus", "delve realm", "pivotal crucial", "delve pivotal"])
    )
    assert human < 0.5 and min(gpt, llama, both) > 0.9


def test_a_library_model_can_be_pickled_after_use(train):
    model = LibraryModel(
        train(minn=2, maxn=4).read_bytes(), ["__label__synthetic"], WORDS
    )
    column = pa.array(TEXTS)
    before = model.evidence(column).logit
    after = pickle.loads(pickle.dumps(model)).evidence(column).logit
    assert np.array_equal(before, after, equal_nan=True)
