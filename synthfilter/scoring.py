"""What the detector and the marks in it say of text: for `Score`, and without Beam."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, Optional

import numpy as np
import pyarrow as pa

from synthfilter.annotate import COLUMNS, annotate
from synthfilter.core import hashing, schema
from synthfilter.core.batches import column
from synthfilter.core.errors import UserError
from synthfilter.core.schema import Origin, Reason
from synthfilter.decisions.origin import OriginRules, judge
from synthfilter.detection.detector import Detector, load_detector
from synthfilter.detection.lengths import Threshold
from synthfilter.detection.thresholds import choose_threshold
from synthfilter.elements import TEXT_LIMIT
from synthfilter.inputs.conform import conform_columns


def score_texts(
    texts: Any,
    *,
    detector: Optional[str] = None,
    threshold: Optional[float] = None,
    target_fpr: Optional[float] = None,
    calibration: Optional[str] = None,
) -> dict[str, list[Any]]:
    """Returns ai_score, origin and content_hash of each text, as `Score` adds them.

        scored = dataset.map(sf.score_texts, input_columns="text", batched=True)
        frame = frame.assign(**sf.score_texts(frame["text"]))

    Lists as long as `texts`, in its order; None where the detector cannot tell, as for
    None and empty text. Each process loads a detector once and keeps it.

    Args:
      texts: A list of str or None, or a column of text: an Arrow array, a Series of
        pandas or polars, a numpy array.
      detector: Path of a fastText model, or package.module:Class; without it, the
        model that comes with synthfilter.
      threshold: Score from which on a text counts as machine text, 0 to 1; without it,
        the detector's own.
      target_fpr: Instead of a threshold: the share of human texts that may score as
        machine text, such as 0.01.
      calibration: File of synthfilter calibrate that has the thresholds for target_fpr;
        without it, the detector's own table.

    Raises:
      UserError: `texts` is no list or column of text, an option is out of range, or the
        detector or the calibration is not there or not one.
    """
    loaded, at = _load(detector, threshold, target_fpr, calibration)
    batch = pa.RecordBatch.from_pydict({schema.TEXT: as_text_column(texts)})
    rows = np.arange(len(batch))
    documents = conform_columns(batch, {schema.TEXT: schema.TEXT}, COLUMNS, rows)
    unknown = np.full(len(batch), Origin.UNKNOWN, np.uint8)
    scored = score_documents(documents, unknown, loaded, at, "declared")
    return {name: values.to_pylist() for name, values in scored.items()}


@functools.lru_cache(maxsize=4)
def _load(detector: Optional[str], *options: Any) -> tuple[Detector, Threshold]:
    loaded = load_detector(detector)
    return loaded, choose_threshold(loaded, *options)


def score_documents(
    documents: pa.RecordBatch,
    declared: np.ndarray,
    detector: Detector,
    threshold: Threshold,
    language_policy: str,
) -> dict[str, pa.Array]:
    """Returns ai_score, origin and content_hash, null where nobody can tell.

    Args:
      documents: `COLUMNS` of `annotate`, `error` and `position`.
      declared: `Origin` of each that has one already.
      detector: The loaded detector.
      threshold: From which score on a document counts as machine text.
      language_policy: declared or drop, see `Score`.
    """
    facts = annotate(documents, detector, TEXT_LIMIT)
    score = column(facts, schema.AI_SCORE)
    found = judge(
        declared,
        column(facts, schema.CLAIMS),
        score,
        column(facts, schema.REASON),
        threshold.of(column(facts, schema.WORDS)),
        OriginRules("keep", "keep", "keep", language_policy, max_ai_score=None),
    )
    nobody = (found.claims == 0) | (found.reason == Reason.UNSCORABLE)
    names = np.array(schema.ORIGIN_NAMES, object)[found.origin]
    return {
        schema.AI_SCORE: pa.array(score, mask=np.isnan(score)),
        schema.ORIGIN: pa.array(names, pa.string(), mask=nobody),
        schema.CONTENT_HASH: hashing.hex_hashes(
            column(facts, schema.CONTENT_HI), column(facts, schema.CONTENT_LO)
        ),
    }


def as_text_column(texts: Any) -> pa.Array:
    """Returns texts as one large_string array; null for those not valid Unicode.

    Raises:
      UserError: they are no list or column of text.
    """
    if isinstance(texts, (str, bytes, Mapping)):
        raise UserError(
            f"expected a list or a column of texts, got a {type(texts).__name__}; give "
            "[text] for one, batch['text'] for a batch, and to datasets' map "
            "input_columns='text', batched=True"
        )
    try:
        if hasattr(texts, "__arrow_c_stream__"):
            texts = pa.chunked_array(texts)
        if isinstance(texts, pa.ChunkedArray):
            texts = texts.combine_chunks()
        if isinstance(texts, pa.Array):
            return _cast_text(texts)
        return _text_of_list(list(texts))
    except (pa.ArrowException, TypeError) as error:
        raise UserError(f"expected str or None as texts, got others ({error})") from (
            error
        )


def _cast_text(values: pa.Array) -> pa.Array:
    """Returns an Arrow column of text, or of nulls only, as large_string."""
    if pa.types.is_dictionary(values.type):
        return _cast_text(values.dictionary).take(values.indices)
    if values.type not in (pa.string(), pa.large_string(), pa.string_view(), pa.null()):
        raise TypeError(f"a column of {values.type}")
    return values.cast(pa.large_string())


def _text_of_list(texts: Sequence[Any]) -> pa.Array:
    # pandas says NaN where a text is missing.
    to_column = functools.partial(pa.array, type=pa.large_string(), from_pandas=True)
    try:
        return to_column(texts)
    except UnicodeEncodeError:
        return to_column([text if _is_unicode(text) else None for text in texts])


def _is_unicode(text: Any) -> bool:
    """Returns False for text with lone surrogates."""
    try:
        str(text).encode()
    except UnicodeEncodeError:
        return False
    return True
