"""The steps of a job that cleans crawled pages by the rules of C4.

Raffel et al. 2020, section 2.2: lines that are sentences, pages that have some of them,
and no line twice in the whole set.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.runners.runner import PipelineResult

Page = dict[str, Any]

MIN_WORDS_IN_LINE = 5
MIN_SENTENCES = 3
SENTENCE_END = re.compile(r"[.!?][\"')]*(?:\s|$)")
LINE_ENDS = (".", "!", "?", '"')
BOILERPLATE = ("javascript", "cookie", "terms of use", "privacy policy")


def count(what: str) -> None:
    """Adds one to a counter of the job."""
    Metrics.counter("c4", what).inc()


def read_page(line: str) -> Iterator[Page]:
    """Yields the page of a line of JSON, unless it has no text."""
    count("pages read")
    try:
        page = json.loads(line)
    except ValueError:
        count("pages left out: no JSON")
        return
    if page.get("text"):
        yield page
    else:
        count("pages left out: no text")


def clean_page(page: Page) -> Iterator[Page]:
    """Yields the page with its good lines, if it has enough of them."""
    lines = [line.strip() for line in page["text"].splitlines()]
    good = [line for line in lines if is_sentence(line)]
    text = "\n".join(good)
    if "{" in text or "lorem ipsum" in text.lower():
        count("pages left out: code or filler")
    elif len(SENTENCE_END.findall(text)) < MIN_SENTENCES:
        count("pages left out: too few sentences")
    else:
        yield {**page, "text": text}


def is_sentence(line: str) -> bool:
    """Returns whether a line is long enough, ends as a sentence, and is text."""
    lower = line.lower()
    return (
        line.endswith(LINE_ENDS)
        and not line.endswith("...")
        and len(line.split()) >= MIN_WORDS_IN_LINE
        and not any(said in lower for said in BOILERPLATE)
    )


class DropRepeatedLines(beam.PTransform):
    """Keeps each line in one page of all, the one with the lowest id."""

    def expand(self, pages: beam.PCollection) -> beam.PCollection:
        """Returns the pages without lines that another page has, too."""
        by_id = pages | "ById" >> beam.Map(lambda page: (page["id"], page))
        owners = (
            pages
            | "Lines" >> beam.FlatMap(lines_of).with_output_types(tuple[bytes, str])
            | "Owner" >> beam.CombinePerKey(min)
            | "OwnedBy" >> beam.Map(lambda owned: (owned[1], owned[0]))
        )
        return (
            {"pages": by_id, "owned": owners}
            | "Join" >> beam.CoGroupByKey()
            | "KeepOwned" >> beam.FlatMap(keep_owned_lines)
        )


def lines_of(page: Page) -> Iterator[tuple[bytes, str]]:
    """Yields each line's hash with the page's id."""
    for line in page["text"].splitlines():
        yield hash_line(line), page["id"]


def hash_line(line: str) -> bytes:
    """Returns what tells lines apart, whatever their case."""
    return hashlib.blake2b(line.lower().encode(), digest_size=16).digest()


def keep_owned_lines(joined: tuple[str, dict[str, Iterable[Any]]]) -> Iterator[Page]:
    """Yields the page with the lines that are its own, if enough are left."""
    _, found = joined
    owned = set(found["owned"])
    for page in found["pages"]:
        lines = page["text"].splitlines()
        kept = [line for line in lines if hash_line(line) in owned]
        text = "\n".join(kept)
        if len(SENTENCE_END.findall(text)) < MIN_SENTENCES:
            count("pages left out: the rest is in other pages")
        else:
            count("pages written")
            yield {**page, "text": text}


def print_counters(result: PipelineResult) -> None:
    """Prints what was counted, also by steps of others."""
    for counter in sorted(
        result.metrics().query()["counters"],
        key=lambda counter: (counter.key.metric.namespace, counter.key.metric.name),
    ):
        metric = counter.key.metric
        print(f"{metric.namespace}: {metric.name}: {counter.committed:,}")
