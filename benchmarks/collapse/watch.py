"""The monitor over builds of a web that is clean at first: does it tell in time?"""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.collapse.chain import advance, learn_trigrams
from benchmarks.collapse.lab import QUIET, Lab
from benchmarks.collapse.policies import POLICIES
from benchmarks.collapse.world import Setting, make_world
from synthfilter.monitor_command import Monitor

CLEAN = 8


def run_watch(policy: str, seed: int, setting: Setting) -> dict[str, Any]:
    """Runs a policy through clean generations and then those of the setting.

    Args:
      policy: One that makes builds.
      seed: Of the world.
      setting: How large it is; `CLEAN` generations come before its own.

    Returns:
      By build, the first one first: perplexity, true share and the monitor's estimate
      of it; and its alarms, builds counted from 1.
    """
    setting = setting._replace(generations=CLEAN + setting.generations)
    world = make_world(setting, seed)
    encode, size = world.vocabulary.encode, world.vocabulary.size
    perplexity, true, reports = [], [], []
    with tempfile.TemporaryDirectory(prefix="collapse-") as folder:
        lab = Lab(world, Path(folder))
        model = learn_trigrams([encode(t) for t in world.archive.texts], size, seed)
        for generation in range(setting.generations):
            advance(lab, model, clean=generation < CLEAN)
            made = POLICIES[policy].make(lab)
            model = learn_trigrams([encode(t) for t in made.texts.texts], size, seed)
            surprise = -model.log_probabilities(world.test).mean()
            perplexity.append(float(np.exp(surprise)))
            true.append(made.texts.machine_share())
            reports.append(made.report)
        told = Path(folder) / "trend.json"
        Monitor(json=str(told)).run(reports, QUIET)
        trend = json.loads(told.read_text())
    return {
        "perplexity": perplexity,
        "true": true,
        "estimated": trend["series"]["true_share"]["values"],
        "alarms": [
            {"series": alarm["series"], "build": alarm["at"]["build"]}
            for alarm in trend["alarms"]
        ],
    }
