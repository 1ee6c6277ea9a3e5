"""The page on which people judge documents: one HTML file that needs no server.

What the build knew of a document is told only after the verdict on it. The verdicts
stay in the browser until they are downloaded.
"""

import html
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Optional

import orjson
import xxhash

from synthfilter.insight.parts import page_head, read_part

_KEYS = {
    "h": "A person wrote it.",
    "s": "A machine wrote it, all or most of it.",
    "r": "Reject: wrong, harmful or useless, whoever wrote it.",
    "u": "Unsure.",
    "j, →": "The next document.",
    "k, ←": "The one before.",
    "n": "Write a note; Escape ends it.",
    "z": "Take the last verdict back.",
    "b": "After the verdict: what the build knew.",
    "d": "Download the verdicts.",
    "?": "This help.",
}
_VERDICTS = {"human": "h", "synthetic": "s", "reject": "r", "unsure": "u"}


class PageDocument(NamedTuple):
    """A document to judge.

    Attributes:
      content_hash: Of its text.
      text: What is judged.
      about: What must come back with the verdict, as JSON.
      facts: Names and values that are told after the verdict.
    """

    content_hash: str
    text: str
    about: Mapping[str, Any]
    facts: Sequence[tuple[str, str]]


def review_page(
    build_id: str,
    focus: str,
    file_format: str,
    documents: Sequence[PageDocument],
    reviewer: Optional[str] = None,
) -> str:
    """Returns the page; nothing in a document can become HTML or a script.

    Args:
      build_id: Of the build that is reviewed.
      focus: How the documents were chosen; only the download's name says it.
      file_format: What the download says that it is.
      documents: In the order in which they are shown.
      reviewer: Who judges; None asks once.
    """
    hashes = "".join(document.content_hash for document in documents)
    data = {
        "format": file_format,
        "build_id": build_id,
        # Verdicts in the browser belong to this sample in this order.
        "sample": xxhash.xxh3_128_hexdigest(hashes.encode()),
        "focus": focus,
        "reviewer": reviewer,
        "documents": [document._asdict() for document in documents],
    }
    # No `<` in it can end or open a script; JSON has another way to write it.
    told = orjson.dumps(data).replace(b"<", b"\\u003c").decode()
    style, script = (read_part(f"review_page.{kind}") for kind in ("css", "js"))
    head = page_head(f"Review of {build_id}", style, script)
    data_part = f'<script type="application/json" id="data">{told}</script>\n'
    return f"{head}{_body()}{data_part}<script>{script}</script>\n</body></html>\n"


def _body() -> str:
    """Returns the elements of the page, without a document in them."""
    verdicts = "".join(
        f'<button id="{name}" aria-pressed="false" aria-keyshortcuts="{key}">'
        f"{name.capitalize()} <kbd>{key}</kbd></button>\n"
        for name, key in _VERDICTS.items()
    )
    keys = "".join(
        f'<tr><th scope="row"><kbd>{html.escape(key)}</kbd></th>'
        f"<td>{html.escape(said)}</td></tr>\n"
        for key, said in _KEYS.items()
    )
    return f"""<body>
<header>
<div class="row">
<h1>Review</h1> <span id="count"></span>
<span class="tools">
<button id="reviewer" aria-label="Reviewer, change" title="Reviewer"></button>
<button id="undo" aria-keyshortcuts="z">Undo <kbd>z</kbd></button>
<button id="download" class="primary" aria-keyshortcuts="d">Download</button>
<button id="help-button" aria-keyshortcuts="?" aria-label="Help">?</button>
</span>
</div>
<progress id="progress" value="0" aria-label="Judged"></progress>
<p id="warning" role="alert" hidden>This browser keeps nothing for this page: download
your verdicts before you close it.</p>
</header>
<main>
<div id="text" dir="auto" tabindex="0" role="region" aria-label="The document"></div>
<div class="beside">
<label for="note">Note</label> <kbd>n</kbd>
<textarea id="note" rows="1" dir="auto"></textarea>
<button id="facts-button" hidden aria-expanded="false" aria-controls="facts"
aria-keyshortcuts="b"><span id="facts-name"></span> <kbd>b</kbd></button>
<dl id="facts" hidden></dl>
</div>
</main>
<footer>
<div class="row">
<p class="question" id="question">Who wrote this text? Reject what nobody should learn
from.</p>
<div class="verdicts" role="group" aria-labelledby="question">
<button id="previous" class="step" aria-label="Previous document">←</button>
{verdicts}<button id="next" class="step" aria-label="Next document">→</button>
</div>
<div id="status"><span id="said" role="status"></span>
<label><input type="checkbox" id="onward" checked> go on after a verdict</label></div>
</div>
</footer>
<dialog id="who" aria-labelledby="who-title">
<form id="who-form">
<h2 id="who-title">Who is reviewing?</h2>
<input type="text" id="name" required maxlength="100" autocomplete="name"
aria-label="Your name">
<p>Your name stands beside your verdicts. They stay in this browser until you download
them; each reviewer has their own.</p>
<button class="primary">Begin</button>
</form>
</dialog>
<dialog id="help" aria-labelledby="help-title">
<h2 id="help-title">Keys</h2>
<table>{keys}</table>
<p>Judge each text by itself. Build <code id="build"></code>.</p>
<button id="help-close" class="primary">Close</button>
</dialog>
"""
