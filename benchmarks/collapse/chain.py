"""A lab that trains model after model, on a web that fills with what the last wrote."""

import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.collapse.lab import Lab, Made
from benchmarks.collapse.measures import Ruler, detection_rates
from benchmarks.collapse.policies import POLICIES
from benchmarks.collapse.trigram import Trigrams
from benchmarks.collapse.world import Setting, make_crawl, make_texts, make_world

# Tokens are more than words by their punctuation, and some text is left over.
TOKENS_A_WORD = 1.25


class Model(Protocol):
    """A language model."""

    def log_probabilities(self, documents: Sequence[np.ndarray]) -> np.ndarray:
        """Returns that of each token, ends of documents included."""

    def sample(self, tokens: int, rng: np.random.Generator) -> list[np.ndarray]:
        """Returns documents with at least so many tokens in all."""


Learner = Callable[[Sequence[np.ndarray], int, int], Model]


def learn_trigrams(documents: Sequence[np.ndarray], size: int, seed: int) -> Model:
    """Returns a trigram model; there is nothing random in it."""
    return Trigrams(documents, size)


def run_chain(
    policy: str,
    seed: int,
    setting: Setting,
    learn: Learner = learn_trigrams,
) -> list[dict[str, Any]]:
    """Runs a policy through all generations.

    Args:
      policy: Its name in `POLICIES`.
      seed: Of the world, and all choices in it.
      setting: How large the world is.
      learn: Makes a model of documents, the size of the vocabulary and a seed.

    Returns:
      What was measured, a dict a generation, generation 0 first.
    """
    world = make_world(setting, seed)
    ruler = Ruler(world)
    encode = world.vocabulary.encode
    with tempfile.TemporaryDirectory(prefix="collapse-") as folder:
        lab = Lab(world, Path(folder))
        size = world.vocabulary.size
        model = learn([encode(text) for text in world.archive.texts], size, seed)
        found = [ruler.measure_model(model.log_probabilities(world.test))]
        for generation in range(1, setting.generations + 1):
            start = time.process_time()
            advance(lab, model)
            made = POLICIES[policy].make(lab)
            documents = [encode(text) for text in made.texts.texts]
            model = learn(documents, size, seed + 1000 * generation)
            found.append(
                {
                    **ruler.measure_model(model.log_probabilities(world.test)),
                    **ruler.measure_set(documents),
                    **describe_set(made),
                    **describe_detection(made, lab),
                    "cpu_s": round(time.process_time() - start, 2),
                }
            )
    return found


def advance(lab: Lab, model: Model, clean: bool = False) -> None:
    """Lets a model write, and the web fill with it unless that is to be clean."""
    world, setting = lab.world, lab.world.setting
    generation = lab.generation + 1
    needed = max(setting.budget, setting.crawl)
    rng = np.random.default_rng([world.seed, generation, 0])
    samples = model.sample(round(TOKENS_A_WORD * needed), rng)
    texts = [world.vocabulary.decode(sample) for sample in samples]
    crawl = make_crawl(world, generation, texts, lab.written, clean)
    lab.receive(crawl.texts, crawl.written, make_texts(f"s{generation}", texts, True))


def describe_set(made: Made) -> dict[str, float | None]:
    """Returns the shares of a set: true, declared, estimated with its interval."""
    said = made.shares or {}
    names = ("declared", "estimated", "low", "high")
    return {
        "words": int(made.texts.words.sum()),
        "true": made.texts.machine_share(),
        **{name: said.get(name) for name in names},
        "human_lost": made.human_lost,
    }


def describe_detection(made: Made, lab: Lab) -> dict[str, float]:
    """Returns what the detector that made a set finds in the newest crawl."""
    if made.detection is None:
        return {}
    return detection_rates(lab.crawls[-1], **made.detection)
