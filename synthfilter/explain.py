"""The command `synthfilter explain`: what a build did with one document, and why."""

import argparse
import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Optional

import pyarrow.compute as pc

from synthfilter.console import Reporter
from synthfilter.core import schema
from synthfilter.core.errors import UserError
from synthfilter.core.schema import ORIGIN_NAMES, REASON_NAMES, Origin, Reason
from synthfilter.core.uses import TIME, is_registration
from synthfilter.core.verdicts import NOTE, REVIEWER, VERDICT
from synthfilter.decisions.verdicts import latest_verdicts
from synthfilter.explain_facts import Row, document_facts, letter_facts
from synthfilter.explain_files import DEAD_LETTERS, KEPT, find_documents, read_match
from synthfilter.explain_relations import Relations, relate
from synthfilter.identity import build_number
from synthfilter.insight.otherwise import tell_otherwise
from synthfilter.insight.story import tell_more, tell_story
from synthfilter.ledger.read import read_uses
from synthfilter.ledger.table import Ledger, open_ledger
from synthfilter.ledger.verdicts import read_verdicts
from synthfilter.options import add_command, make_options
from synthfilter.outputs.manifest import read_manifest

# What has a place among others, or others that matter for it.
_RELATED = tuple(
    REASON_NAMES[reason]
    for reason in (
        Reason.KEPT,
        Reason.EXACT_COPY,
        Reason.NEAR_COPY,
        Reason.SUSPECT,
        Reason.MIXTURE,
    )
)
_MIXED = (KEPT, REASON_NAMES[Reason.MIXTURE])
# Options besides seed and shares that say which documents the mixture takes first.
_OTHER_ORDERS = (
    "mixture",
    "strata",
    "min_fresh",
    "protect",
    "repeat",
    "floors",
    "caps",
)


@dataclasses.dataclass(kw_only=True)
class Explain:
    """Tells what a finished build did with a document, and why.

    The document is named by its id, by its content_hash (all of it, or its first eight
    or more digits) or, if it could not be read, by its file and place there, such as
    'part-0.jsonl:line 7'.

    Args:
      ledger: Folder of the ledger, which knows when builds used the document, and what
        reviewers said of it.
      text: Print how the text begins, where the build has it.
      json: Print the facts as JSON, for programs.
    """

    ledger: Optional[str] = None
    text: bool = False
    json: bool = False

    def run(self, folder: str, asked: str, reporter: Reporter) -> list[Row]:
        """Prints and returns the facts of each document that is meant.

        Args:
          folder: Output folder of the build.
          asked: The id, hash or place.
          reporter: Where to print.

        Raises:
          UserError: there is no finished build, no such document, or no ledger.
        """
        manifest = read_manifest(folder)
        options = manifest["options"]
        found = find_documents(folder, manifest, asked)
        documents = [
            letter_facts(match, read_match(folder, match))
            if match.kind == DEAD_LETTERS
            else document_facts(match, read_match(folder, match), manifest)
            for match in found.matches
        ]
        _add_relations(folder, manifest, documents)
        if self.ledger is not None:
            _add_ledger(self.ledger, manifest["build_id"], documents)
        for facts in documents:
            if not self.text:
                facts["text"] = None
            facts["otherwise"] = tell_otherwise(facts, options)
        if self.json:
            told = {
                "build_id": manifest["build_id"],
                "asked": asked,
                "documents": documents,
                "more": found.more,
            }
            reporter.say(json.dumps(told, indent=2))
            return documents
        for number, facts in enumerate(documents):
            lines = tell_story(facts, options)
            for line in [""] * bool(number) + lines:
                reporter.say(line)
        for line in tell_more(found.more):
            reporter.say(line)
        return documents


def _add_relations(
    folder: str, manifest: Mapping[str, Any], documents: list[Row]
) -> None:
    """Adds places in the mixture, copies, and what documents are copies of."""
    related = [facts for facts in documents if facts["reason"] in _RELATED]
    if not related:
        return
    for facts, found in zip(related, relate(folder, manifest, related), strict=True):
        if facts["reason"] in _MIXED:
            facts |= _place_facts(facts, found, manifest)
        if found.copies:
            facts["copies"] = {"docs": found.copies, "ids": found.some}
        for match in found.originals:
            row = read_match(folder, match)
            facts["copy_of"]["documents"].append(
                {
                    schema.ID: row[schema.ID],
                    schema.SOURCE: row[schema.SOURCE],
                    schema.REASON: row.get(schema.REASON, KEPT),
                    "file": match.path,
                    "row": match.row,
                }
            )


def _place_facts(facts: Row, found: Relations, manifest: Mapping[str, Any]) -> Row:
    """Returns the place of a document, or why it is not known."""
    options = manifest["options"]
    others = [name for name in _OTHER_ORDERS if options.get(name)]
    if any(
        entry.startswith(f"{schema.WEIGHT}=") for entry in options.get("fields", ())
    ):
        others.append(f"fields {schema.WEIGHT}=")
    why = None
    if others:
        why = f"chosen by {', '.join(others)}, too; its place is not one number"
    elif manifest.get("core") and facts[schema.ORIGIN] == ORIGIN_NAMES[Origin.HUMAN]:
        why = "the archive (core) stays whole, so that a place says little"
    elif found.place is None:
        why = "not the first documents of the random order were chosen"
    place = None if why or found.place is None else found.place._asdict()
    return {"place": place, "no_place": why}


def _add_ledger(path: str, build_id: str, documents: list[Row]) -> None:
    """Adds what a ledger knows: uses by other builds, and verdicts."""
    ledger, verdicts = open_ledger(path), read_verdicts(path)
    if ledger is None and not verdicts.num_rows:
        raise UserError(f"no ledger at {path!r}; a build makes one with --ledger")
    for facts in documents:
        if schema.CONTENT_HASH not in facts:
            continue
        content_hash = facts[schema.CONTENT_HASH]
        mine = verdicts.filter(
            pc.equal(verdicts.column(schema.CONTENT_HASH), content_hash)
        )
        facts["verdicts"] = [
            {
                VERDICT: row[VERDICT],
                REVIEWER: row[REVIEWER],
                TIME: _moment(row[TIME]),
                NOTE: row[NOTE],
            }
            for row in latest_verdicts(mine).to_pylist()
        ]
        if ledger is None:
            continue
        facts["uses"] = _uses_of(ledger, content_hash, build_id)
        used = facts["used"]
        if used and used["build"]:
            number = int(used["build"], 16)
            for use in _uses_of(ledger, used[schema.CONTENT_HASH], build_id):
                if build_number(use[schema.BUILD_ID]) == number:
                    used |= {TIME: use[TIME], "id": use[schema.ID]}


def _uses_of(ledger: Ledger, content_hash: str, without: str) -> list[Row]:
    """Returns each other build that used a text, the oldest first.

    Registrations are no uses; that one knows the text stands among what says who wrote
    it.
    """
    columns = (schema.CONTENT_HASH, schema.BUILD_ID, TIME, schema.ID)
    span = (content_hash, content_hash)
    rows = {
        (row[TIME], row[schema.BUILD_ID]): row[schema.ID]
        for batch in read_uses(ledger, columns, span, without)
        for row in batch.to_pylist()
        if not is_registration(row[schema.BUILD_ID])
    }
    return [
        {schema.BUILD_ID: build, TIME: _moment(time), schema.ID: rows[time, build]}
        for time, build in sorted(rows)
    ]


def _moment(time: Any) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC")


def add_explain_command(commands: Any) -> None:
    """Adds `explain` to the commands of a parser."""
    command = add_command(
        commands, "explain", "what a build did with one document", Explain, _run
    )
    command.add_argument("folder", help="output folder of a build")
    command.add_argument(
        "document", metavar="ID", help="id, content_hash or file and place"
    )


def _run(options: argparse.Namespace) -> int:
    job = make_options(Explain, None, vars(options))
    job.run(options.folder, options.document, Reporter())
    return 0
