"""Tells OpenLineage of a finished build: a file in its folder, and whoever listens."""

import contextlib
import datetime
import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Optional

import orjson

from synthfilter.core import storage
from synthfilter.core.reports import LINEAGE
from synthfilter.core.secrets import redact
from synthfilter.insight.lineage import NAMESPACE, lineage_event, start_event

_SETTINGS = re.compile("OPENLINEAGE_(URL|CONFIG|_TRANSPORT.*)")
_CONFIG = "openlineage.yml"


def write_lineage(
    folder: str, manifest: Mapping[str, Any], report: Optional[Mapping[str, Any]]
) -> Optional[str]:
    """Writes `openlineage.json` of a finished build and sends it where that is set up.

    Where to is what OpenLineage's own client is told by its environment variables
    (`OPENLINEAGE_URL`, `OPENLINEAGE_API_KEY`, `OPENLINEAGE_NAMESPACE`,
    `OPENLINEAGE_DISABLED`, ...) and its file `openlineage.yml`; without any, nowhere.

    Args:
      folder: Output folder of the build.
      manifest: Its manifest.
      report: Its report; None if there is none.

    Returns:
      Why it was not written or not sent, in a line; else None. The set is finished
      either way.
    """
    event = lineage_event(
        manifest,
        report,
        folder,
        datetime.datetime.now(datetime.timezone.utc),
        os.environ.get("OPENLINEAGE_NAMESPACE") or NAMESPACE,
    )
    data = orjson.dumps(event, option=orjson.OPT_INDENT_2)
    try:
        storage.write_bytes(storage.join(folder, LINEAGE), data + b"\n")
    except OSError as error:
        return f"lineage was not written: {_one_line(error)}"
    if not is_set_up():
        return None
    return _send([start_event(event, report), event])


def is_set_up() -> bool:
    """Returns whether OpenLineage's client would find out where to send events."""
    if os.environ.get("OPENLINEAGE_DISABLED", "").strip().lower() == "true":
        return False
    if any(_SETTINGS.fullmatch(name) and os.environ[name] for name in os.environ):
        return True
    places = (Path.cwd(), Path("~/.openlineage").expanduser())
    return any((place / _CONFIG).is_file() for place in places)


def _send(events: list[dict[str, Any]]) -> Optional[str]:
    """Sends events; returns why it did not work, or None."""
    try:
        from openlineage.client import OpenLineageClient
        from openlineage.client.event_v2 import (
            InputDataset,
            Job,
            OutputDataset,
            Run,
            RunEvent,
            RunState,
        )
    except ImportError:
        return (
            f"lineage was not sent, {LINEAGE} has it: OpenLineage's client is not "
            "installed; pip install 'synthfilter[lineage]'"
        )
    try:
        with _without_log():
            client = OpenLineageClient()
            for event in events:
                client.emit(
                    RunEvent(
                        eventType=RunState[event["eventType"]],
                        eventTime=event["eventTime"],
                        producer=event["producer"],
                        run=Run(**event["run"]),
                        job=Job(**event["job"]),
                        inputs=[InputDataset(**named) for named in event["inputs"]],
                        outputs=[OutputDataset(**named) for named in event["outputs"]],
                    )
                )
            client.close()
    # Whatever a transport raises, a set that is finished stays finished.
    except Exception as error:
        return f"lineage was not sent, {LINEAGE} has it: {_one_line(error)}"
    return None


@contextlib.contextmanager
def _without_log() -> Iterator[None]:
    """Keeps the client from logging what becomes one line of ours."""
    loggers = [logging.getLogger(name) for name in ("openlineage", "urllib3")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _one_line(error: Exception) -> str:
    """Returns what an error says, without credentials."""
    said = redact(" ".join(str(error).split()))
    return f"{type(error).__name__}: {said:.300}"
