"""What a lab has in a generation, and the builds that it makes of it."""

import dataclasses
import glob
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

import synthfilter as sf
from benchmarks.collapse.world import Texts, World, join, random_of
from synthfilter.calibrate import Calibrate
from synthfilter.console import Reporter
from synthfilter.ledger_add import AddToLedger
from synthfilter.review import ExportReview, ImportVerdicts
from synthfilter.review_labels import MakeLabels

QUIET = Reporter(quiet=True)
# The archive is from before there were models, and says so.
ARCHIVED = "2020-01-01"


@dataclasses.dataclass(frozen=True)
class Made:
    """A training set.

    Attributes:
      texts: What is in it.
      shares: What the build says of its synthetic share; None where none was asked.
      human_lost: Share of the human words at hand that count as synthetic or are out
        as suspect.
      report: The build's report.json.
      detection: How its detector was used, as `sf.score_texts` takes it.
    """

    texts: Texts
    shares: dict[str, Any] | None = None
    human_lost: float | None = None
    report: str | None = None
    detection: dict[str, Any] | None = None


class Lab:
    """One lab through the generations; all that it keeps is in a folder.

    Args:
      world: Where it is.
      folder: New, for everything that it writes.
    """

    def __init__(self, world: World, folder: Path) -> None:
        """Puts the archive in the folder."""
        self.world = world
        self.folder = folder
        self.ledger = str(folder / "ledger")
        self.generation = 0
        self.crawls: list[Texts] = []
        self.written: list[Texts] = []
        self.samples: Texts | None = None
        self.own: list[Texts] = []
        archive = world.archive.write(folder / "archive.parquet", ARCHIVED)
        self._files = {"archive": archive}
        self._labels: list[str] = []
        self._reviewed: list[str] = []

    @property
    def archive(self) -> str:
        """The file of what people wrote before there were models."""
        return self._files["archive"]

    @property
    def crawl_files(self) -> list[str]:
        """The files of all crawls so far."""
        return [self._files[f"crawl{n}"] for n in range(1, self.generation + 1)]

    def registered_files(self) -> list[str]:
        """Returns the files of what models wrote and somebody registered so far."""
        return sorted(glob.glob(str(self.folder / "registered*.parquet")))

    def receive(self, crawl: Texts, written: Texts, samples: Texts) -> None:
        """Begins a generation.

        Args:
          crawl: What was found on the web.
          written: The documents in it that models wrote in this generation, the first
            of the samples.
          samples: All that the lab's own last model wrote.
        """
        self.generation += 1
        self.crawls.append(crawl)
        self.written.append(written)
        self.samples = samples
        self.own.append(samples.take(np.arange(len(written), len(samples))))
        name = f"crawl{self.generation}"
        self._files[name] = crawl.write(self.folder / f"{name}.parquet")

    def own_files(self) -> list[str]:
        """Writes what its models wrote and nobody published; returns the files."""
        return [
            texts.write(self.folder / f"own{number:02}.parquet")
            for number, texts in enumerate(self.own)
        ]

    def random(self, use: int) -> np.random.Generator:
        """Returns this generation's random numbers for one use."""
        return random_of(self.world, self.generation, use)

    def at_hand(self) -> Texts:
        """Returns the archive and all crawls."""
        return join([self.world.archive, *self.crawls])

    def register(self, coverage: float) -> str:
        """Has those who run models keep what these wrote; returns the new file.

        Of every generation a share of the new documents is kept, and no copy.
        """
        new = self.written[-1]
        chosen = np.flatnonzero(self.random(3).random(len(new)) < coverage)
        path = self.folder / f"registered{self.generation:02}.parquet"
        return new.take(chosen).write(path)

    def enter(self, path: str) -> None:
        """Has them register it in the ledger."""
        AddToLedger(ledger=self.ledger, synthetic=[path]).run(QUIET)

    def run(self, name: str, **options: Any) -> dict[str, Any]:
        """Runs a build, each generation with a seed of its own; returns the manifest.

        A seed for all would choose the same documents of the archive each time.
        """
        seed = self.world.seed * 1000 + self.generation
        output = str(self.folder / name)
        return sf.run_build(sf.Build(output=output, seed=seed, **options), workers=1)

    def build(self, name: str, **options: Any) -> Made:
        """Runs a build of a training set and looks at what is in it."""
        manifest = self.run(name, target_size=self.world.setting.budget, **options)
        known = join([self.at_hand(), *self.own])
        row = {name: place for place, name in enumerate(known.ids)}
        folder = self.folder / name
        chosen = [row[name] for (name,) in _read(folder / "data")]
        human = known.words[~known.machine].sum()
        lost = [
            row[name]
            for name, *why in _read(folder / "rejected", "origin", "reason")
            if ("synthetic" in why or "suspect" in why) and not known.machine[row[name]]
        ]
        return Made(
            known.take(np.array(chosen, np.int64)),
            manifest["shares"],
            float(known.words[lost].sum() / human),
            str(folder / "report.json"),
        )

    def calibrate(self, detector: str | None) -> str:
        """Measures a detector on text that the lab knows of; returns the file.

        Human text is the archive, machine text what was registered; what reviewers
        labelled is added.
        """
        name = f"calibration{self.generation}-{len(self._labels)}.json"
        output = str(self.folder / name)
        Calibrate(
            output=output,
            human=[self.archive],
            synthetic=self.registered_files(),
            labelled=self._labels[-1:],
            detector=detector,
        ).run(QUIET)
        return output

    def review(self, name: str) -> None:
        """Has people judge documents of a build; they are never wrong."""
        folder = self.folder / name
        sample = ExportReview(
            n=self.world.setting.reviewed,
            focus="scored",
            format="jsonl",
            ledger=self.ledger,
            seed=self.generation,
        ).run(str(folder), QUIET)
        known = self.at_hand()
        machine = {
            text: truth for text, truth in zip(known.texts, known.machine, strict=True)
        }
        judged = folder / "verdicts.jsonl"
        with open(sample) as asked, judged.open("w") as told:
            for line in map(json.loads, asked):
                said = "synthetic" if machine[line["text"]] else "human"
                told.write(
                    json.dumps({**line, "verdict": said, "reviewer": "r"}) + "\n"
                )
        ImportVerdicts(ledger=self.ledger).run([str(judged)], QUIET)
        self._reviewed.append(str(folder))
        labels = str(folder / "labelled.parquet")
        MakeLabels(ledger=self.ledger, output=labels).run(self._reviewed, QUIET)
        self._labels.append(labels)


def _read(folder: Path, *names: str) -> Iterator[tuple[str, ...]]:
    """Yields id and other columns of the documents that a build wrote to a folder."""
    for path in sorted(folder.glob("*.parquet")):
        table = pq.read_table(path, columns=["id", *names])
        yield from zip(*(column.to_pylist() for column in table.columns), strict=True)
