"""Samples machine-written documents from a small interpolated word trigram model.

A few lines of numpy stand in for a language model, so that the demo has hundreds of
synthetic documents without a download. What comes out has no meaning, but it has
the words and the short phrases of the texts that it was trained on.
"""

import dataclasses
import re
from collections.abc import Sequence

import numpy as np

# The share of each model in the mixture. Backing off this often keeps the samples
# from following one of the few training texts for long.
TRIGRAM_SHARE = 0.8
BIGRAM_SHARE = 0.195  # what is left goes to single words

BREAK = "\n"
SENTENCE_ENDS = frozenset(".!?")
MIN_LINE_TOKENS = 8
FENCED_CODE = re.compile(r"```.*?```", re.S)
LIST_MARKER = re.compile(r"^\s*([-•→☐]|\d+[./)])\s*")
MARKUP = re.compile(r"[*_`#\"“”()\[\]]")
TOKEN = re.compile(r"[^\W_]+(?:['\u2019.,:-][^\W_]+)*%?|[.,;:!?…—]")


@dataclasses.dataclass(kw_only=True)
class Trigrams:
    """The training tokens, and where each context of one or two tokens occurs.

    Args:
      vocabulary: The distinct tokens.
      tokens: Index into the vocabulary of every training token, in order.
      contexts: By context length: the sorted keys of all contexts, and beside each
        the position of the token that followed.
    """

    vocabulary: list[str]
    tokens: np.ndarray
    contexts: dict[int, tuple[np.ndarray, np.ndarray]]


def split_tokens(text: str) -> list[str]:
    """Splits a text into words and punctuation, with a BREAK after each line.

    Markup goes, and so do code, headings, verses and other lines that are no
    sentences, so that every line ends with a sentence end.
    """
    tokens: list[str] = []
    for line in FENCED_CODE.sub("", text).split("\n"):
        found = TOKEN.findall(LIST_MARKER.sub("", MARKUP.sub("", line)))
        if len(found) >= MIN_LINE_TOKENS and found[-1] in SENTENCE_ENDS:
            tokens += [*found, BREAK]
    return tokens


def join_tokens(tokens: Sequence[str]) -> str:
    """Joins tokens to a text: spacing, paragraphs, capitals at sentence starts."""
    text = " ".join(tokens).replace(f" {BREAK} ", "\n\n").strip()
    text = re.sub(r" (?=[.,;:!?…])", "", text).replace(" — ", "—")
    return re.sub(r"(^|[.!?]\s+)(\w)", lambda m: m[1] + m[2].upper(), text)


def train(texts: Sequence[str]) -> Trigrams:
    """Indexes the contexts of all texts, each with a BREAK before it."""
    words = [BREAK, BREAK]
    for text in texts:
        words += [*split_tokens(text), BREAK]
    vocabulary, tokens = np.unique(np.array(words, dtype=object), return_inverse=True)
    pairs = tokens[:-1] * len(vocabulary) + tokens[1:]
    contexts = {}
    for length, keys in ((1, tokens[:-1]), (2, pairs[:-1])):
        order = np.argsort(keys, kind="stable")
        contexts[length] = (keys[order], order + length)
    return Trigrams(vocabulary=vocabulary.tolist(), tokens=tokens, contexts=contexts)


def next_token(model: Trigrams, before: int, last: int, draws: np.ndarray) -> int:
    """Draws the next token from the mixture of trigrams, bigrams and single words.

    A uniform draw among the places with the same context is a draw from that
    context's distribution; the first draw says how long a context is looked at.
    """
    pair = before * len(model.vocabulary) + last
    for share, length, key in (
        (TRIGRAM_SHARE, 2, pair),
        (TRIGRAM_SHARE + BIGRAM_SHARE, 1, last),
    ):
        keys, nexts = model.contexts[length]
        low, high = np.searchsorted(keys, [key, key + 1])
        if draws[0] < share and low < high:
            return int(model.tokens[nexts[low + int(draws[1] * (high - low))]])
    return int(model.tokens[int(draws[1] * len(model.tokens))])


def sample(model: Trigrams, words: int, seed: int, number: int) -> str:
    """Samples one document of about `words` words, up to the end of a sentence.

    The same (seed, number) gives the same text, whatever else is sampled.
    """
    before = last = model.vocabulary.index(BREAK)
    tokens, found = [BREAK], 0
    generator = np.random.Generator(np.random.PCG64([seed, number]))
    for draws in generator.random((2 * words + 100, 2)):
        before, last = last, next_token(model, before, last, draws)
        token = model.vocabulary[last]
        is_word, after_word = token[0].isalnum(), tokens[-1][0].isalnum()
        if tokens[-1] in SENTENCE_ENDS if token == BREAK else is_word or after_word:
            tokens.append(token)
            found += is_word
        if found >= words and token in SENTENCE_ENDS:
            break
    return join_tokens(tokens)
