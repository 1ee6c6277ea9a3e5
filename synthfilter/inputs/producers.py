"""Columns that programs which make machine text leave in their data sets.

What is told is who wrote the text that is read, so it matters which column that is: in
most of these data sets a prompt or a source text stands beside what the model wrote.

distilabel: a task adds `model_name` and `distilabel_metadata`; `TextGeneration` reads
`instruction` and writes `generation`, `TextClassification` reads `text` and writes
`labels` (argilla-io/distilabel, src/distilabel/steps/tasks/).
WildChat: `model` and `conversation`, a list of messages with a `role`
(allenai/WildChat-1M, README.md).
datatrove: `InferenceRunner` leaves the document's text as it is and adds
`inference_results`, now `rollout_results`, to its metadata, each with a `text`
(huggingface/datatrove, src/datatrove/pipeline/inference/run_inference.py; so does
HuggingFaceFW/finephrase). The text is the model's only if it is one of these.
RAID: `model` is `human` or a model's name, `generation` the text, `adv_source_id` that
of an attack (liamdugan/raid, README.md).
dolma: `id`, `text`, `source`, `added`, `created` and a free `metadata`; no key in it is
kept for machine text (allenai/dolma, docs/data-format.md), so a generator or a model in
it counts as it does outside.
"""

import functools
import re
from collections.abc import Mapping
from typing import NamedTuple

from synthfilter.core.schema import Says

MODEL_NAMES = ("model_name", "model")
RESULTS = ("rollout_results", "inference_results")

# Columns that a model read, and those that it wrote.
_READ = frozenset(
    "prompt instruction instructions input question system_prompt title source_text "
    "original_text".split()
)
_WRITTEN = frozenset("generation generations response completion answer output".split())
# What a model says of a text that it did not write.
_JUDGED = frozenset({"labels", "score", "scores", "rating", "ratings", "rationale"})

_HUMAN = re.compile(r"humans?(?:[ _-]?written)?", re.IGNORECASE)
_NOBODY = frozenset({"", "none", "null", "nan", "n/a", "na", "unknown", "-"})
# Programs that make web sites: what HTML calls a generator.
_SITES = re.compile(
    r"(?:wordpress|drupal|joomla|hugo|jekyll|gatsby|ghost|wix|squarespace|mediawiki|"
    r"typo3|blogger|docusaurus|sphinx|mkdocs|doxygen|pandoc|hexo|shopify|webflow|"
    r"elementor|prestashop|woocommerce|next\.?js|nuxt|astro|eleventy|vuepress)",
    re.IGNORECASE,
)
# Names that only language models have, and words that are one with a size or a kind.
_FAMILIES = re.compile(
    r"""(?:^|[/_\s-])(?:
        chat-?gpt | gpt-?(?:[2-9]|neo|j\b|oss) | (?:text-|code-)?davinci | o[134]-mini
      | claude[-_ ]?(?:[1-9]|instant|v\d|opus|sonnet|haiku)
      | (?:code-?)?llama[-_ ]?(?:\d|chat|guard) | mi[sx]tral | ministral | qwen | qwq
      | gemma[-_ ]?\d | gemini[-_ ]?(?:\d|pro|flash|ultra|nano) | deepseek
      | vicuna | alpaca[-_ ]\d | zephyr[-_ ]\d | (?:chat)?glm[-_ ]?\d | internlm
      | baichuan | stablelm | pythia[-_ ]\d | olmo | t[uü]lu[-_ ]?\d | smollm
      | starcoder | codellama | nemotron | grok[-_ ]\d | jamba[-_ ] | dbrx | wizardlm
      | bloomz | mpt[-_ ](?:\d+b|chat|instruct) | cohere | command-r | flan-t5
      | palm-?2 | phi-\d | kimi[-_ ]k | ernie[-_ ]\d | doubao | hunyuan | minimax-
      | (?:falcon|opt|bloom|yi|granite|solar|koala|dolly|aya|orca|exaone)
        [\w.-]*[-_ ](?:v?\d+(?:\.\d+)?[-_])?\d+(?:\.\d+)?[bm]\b
    )
    | ^[\w.-]+/[\w.-]*\d(?:\.\d+)?b\b""",
    re.IGNORECASE | re.VERBOSE,
)
_USERS = frozenset({"user", "human", "prompter", "system", "tool", "function"})
_LONGEST_NAME = 200


class Producer(NamedTuple):
    """Where a file or record says what wrote its text.

    Attributes:
      column: Holds the name of a model, or `human`.
      certain: Whether every name there is that of a model.
      role: Holds who wrote a message of a chat, where that is told.
    """

    column: str
    certain: bool
    role: str | None


@functools.lru_cache(maxsize=1024)
def find_producer(
    columns: tuple[str, ...], text: str | None, generator: str | None
) -> Producer | None:
    """Returns where these columns say what wrote the text; None for nowhere.

    Args:
      columns: All names of the file, or of the record.
      text: The one that holds the text.
      generator: The one that holds the field `generator`.
    """
    names = frozenset(columns)
    if text in _READ:
        return None
    role = "role" if "role" in names else None
    if generator is not None and generator not in MODEL_NAMES:
        return Producer(generator, True, role)
    if text not in _WRITTEN and names & _WRITTEN:
        return None
    if "distilabel_metadata" in names or {"model_name", "generation"} <= names:
        judged = text not in _WRITTEN and names & _JUDGED
        found = "model_name" in names and not judged
        return Producer("model_name", True, role) if found else None
    if "model" in names and names & {"conversation", "adv_source_id"}:
        return Producer("model", True, role)
    model = next((name for name in MODEL_NAMES if name in names), None)
    return None if model is None else Producer(model, False, role)


def says_generator(name: str, certain: bool) -> Says:
    """Returns what the name of a text's generator says.

    Args:
      name: As it stands in the column.
      certain: Whether only models are named there, and the programs of web sites;
        otherwise it must look like a language model, as products have models, too.
    """
    name = name[:_LONGEST_NAME].strip()
    if _HUMAN.fullmatch(name):
        return Says.HUMAN
    if certain:
        machine = name.lower() not in _NOBODY and not _SITES.match(name)
    else:
        machine = _FAMILIES.search(name) is not None
    return Says.SYNTHETIC if machine else Says.NOTHING


def is_users(role: str) -> bool:
    """Returns whether a message of a chat is not the model's: it may be anybody's."""
    return role.strip().lower() in _USERS


def result_texts(results: object) -> list[str]:
    """Returns the texts among a document's results of inference, as JSON has them."""
    found = results if isinstance(results, list) else []
    texts = [each.get("text") for each in found if isinstance(each, Mapping)]
    return [text for text in texts if isinstance(text, str)]
