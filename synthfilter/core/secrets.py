"""Hides credentials in what is shown or kept: paths, addresses, messages of errors."""

import re

import pyarrow as pa

HIDDEN = "[hidden]"

_NAMES = (
    r"sig|signature|token|secret|passw(?:or)?d|pwd|credentials?|auth|authorization|"
    r"api[_-]?key|access[_-]?key(?:[_-]?id)?|account[_-]?key|key"
)
# What is looked for has a most length, so that any text takes linear time.
_ANY_CASE = tuple(
    (re.compile(pattern, re.I), replacement)
    for pattern, replacement in (
        # Who logs in, before a host: scheme://user:password@host. A password may have
        # a slash in it, a port has none.
        (
            r"://[^/\s?#:@'\"<>]{0,256}(?::(?!\d+/)[^\s@'\"<>]{0,512})?@",
            f"://{HIDDEN}@",
        ),
        # What signs an address: ?X-Amz-Signature=..., &sig=..., ;token=...
        (
            r"([?&;](?:X-(?:Amz|Goog)-[\w-]{1,40}|AWSAccessKeyId|GoogleAccessId|"
            rf"(?:[\w.-]{{0,40}}[_.-])?(?:{_NAMES})|access(?:_?token|key))=)"
            r"[^&;#\s'\"<>]+",
            rf"\g<1>{HIDDEN}",
        ),
        # Settings and headers in messages of clients.
        (
            r"((?:token|secret|password|(?:api|access|account)[_-]?key(?:[_-]?id)?)"
            r"(?:[\"']\s?:|[\"']?\s?=)\s?[\"']?)(?!\[hidden\])[^\s'\"&,;<>]+",
            rf"\g<1>{HIDDEN}",
        ),
        (r"\b(bearer|basic)\s{1,8}[\w.~+/=-]{8,}", rf"\g<1> {HIDDEN}"),
    )
)
# Keys that are known by how they begin.
_BY_PREFIX = (
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}"), HIDDEN),
    (re.compile(r"\b(?:hf_|gh[opusr]_|github_pat_|sk-|xox[abp]-)[\w-]{16,}"), HIDDEN),
)
_RULES = (*_ANY_CASE, *_BY_PREFIX)


def redact(text: str) -> str:
    """Returns the text without passwords, tokens and signatures, as far as known.

    For what people wrote or clients say: paths of inputs, messages. Documents stay as
    they are. What is hidden stays hidden if it is redacted again.
    """
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def redact_column(texts: pa.Array) -> pa.Array:
    """Returns a column of strings, each redacted; nulls stay."""
    encoded = texts.dictionary_encode()
    told = [None if t is None else redact(t) for t in encoded.dictionary.to_pylist()]
    return pa.array(told, pa.string()).take(encoded.indices)


def one_line(text: str) -> str:
    """Returns a message as one line, redacted, without what a terminal would obey."""
    told = redact(text)
    if told.isprintable():
        return told
    return "".join(
        c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in told
    ).strip()
