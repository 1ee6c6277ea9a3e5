"""Draws the pictures of the documentation from real builds of the demo's text.

    python examples/demo/make_pictures.py demo/inputs docs/pictures

Needs the extras `report` and `test`, and a Chromium. Fourteen builds make the trend: in
the first nine a tenth of the words is synthetic, then three hundredths more each time.
"""

import glob
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

STEADY, BUILDS = 9, 14
WIDTH = 1240
# File, part of the page, and how much of it.
PICTURES = (
    ("report.png", "set/report.html", 1500),
    ("trend.png", "trend.html", 1150),
    ("sweep.png", "sweep.html", 800),
)


def run(*arguments: str, codes: tuple[int, ...] = (0,)) -> None:
    """Runs a command of synthfilter."""
    done = subprocess.run([sys.executable, "-m", "synthfilter", *arguments])
    if done.returncode not in codes:
        sys.exit(done.returncode)


def make_pages(inputs: Path, folder: Path) -> None:
    """Makes a set, a sweep of it, and a trend of sets."""
    texts = ["--human", f"{inputs}/human/*.parquet", "--quiet"]
    texts += ["--synthetic", f"{inputs}/synthetic/*.jsonl.gz", "--unit", "words"]
    crawl = ["--unknown", f"{inputs}/crawl/**/*.jsonl", "--near-duplicates", "0.8"]
    asked = ["--synthetic-fraction", "0.3", "--output", f"{folder}/set"]
    run("build", *texts, *crawl, *asked)
    values = ["--threshold", "0.5:0.99:12", "--near-duplicates", "0.7:0.9:3"]
    run("sweep", f"{folder}/set", *values, "--html", f"{folder}/sweep.html")
    for number in range(BUILDS):
        share = 0.1 + 0.03 * max(0, number - STEADY + 1)
        asked = ["--synthetic-fraction", f"{share:.2f}", "--target-size", "150000"]
        asked += ["--count", "declared", "--seed", str(number)]
        run("build", *texts, *asked, "--output", f"{folder}/builds/{number:02}")
    reports = sorted(glob.glob(f"{folder}/builds/*/report.json"))
    page = ["--html", f"{folder}/trend.html", "--latest", str(BUILDS)]
    run("monitor", *reports, *page, codes=(0, 4))


def main() -> None:
    """Makes the pages and takes the pictures."""
    inputs, target = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        make_pages(inputs, Path(folder))
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        for name, source, height in PICTURES:
            page = browser.new_page(viewport={"width": WIDTH, "height": height})
            page.goto(Path(folder, source).as_uri())
            page.screenshot(path=target / name)
        browser.close()


if __name__ == "__main__":
    main()
