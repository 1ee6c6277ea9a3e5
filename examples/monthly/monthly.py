"""One build a month: made, checked against the months before, and then published.

python monthly.py run            the month that ended last; or: run 2026-03
python monthly.py publish 2026-03   take a month although the monitor said no
python monthly.py discard 2026-03   take it back, out of the ledger as well

In the folder DATA (--data, or where this is started) are

    build.yaml      the options that every month has
    crawl/2026-03/  what came in that month
    builds/2026-03/ the sets
    current         a link to the set that was published last
    ledger/         which text the builds used

`run` is `build`, `check` and `publish`, which a scheduler may call one by one. Exit
codes are synthfilter's: 0 published; 2 options or files are wrong; 3 there is not
enough text; 4 the monitor or the verification said no. Then the set stays where it is,
`current` stays at the month before, and no other month is built until somebody has
published or discarded it.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

RULES = ("true_share>0.5", "novelty<0.3")
HELD = 4


def synthfilter(data: Path, *arguments: str) -> int:
    """Runs a command of synthfilter in the folder and returns its exit code."""
    command = [sys.executable, "-m", "synthfilter", *arguments]
    return subprocess.run(command, cwd=data, check=False).returncode


def build(data: Path, month: str) -> int:
    """Makes the month's set; one that was stopped goes on where it was."""
    if month in finished(data):
        say(f"{month} is built already")
        return 0
    current = published(data)
    if current is not None and month < current:
        say(f"{current} is published, {month} is before it; months go in order")
        return 2
    if waiting := [name for name in finished(data) if name > (current or "")]:
        say(f"{waiting[0]} waits for publish or discard; {month} is not built")
        return HELD
    previous = [] if current is None else ["--previous", f"builds/{current}"]
    return synthfilter(
        data,
        *("build", "build.yaml", "--output", f"builds/{month}"),
        *("--unknown", f"crawl/{month}/*"),
        *("--ledger", "ledger", "--max-uses", "1"),
        *previous,
    )


def check(data: Path, month: str) -> int:
    """Verifies the files, and compares the set with those of the months before."""
    if twins := same_builds(data, month):
        say(f"{month} is the same build as {twins[0]}: nothing new came in")
        return HELD
    code = synthfilter(data, "verify", f"builds/{month}")
    if code:
        return code
    return synthfilter(
        data,
        *("monitor", "builds/*/report.json", "--fail-on", *RULES),
        *("--html", "trend.html", "--prometheus", "synthfilter.prom"),
    )


def publish(data: Path, month: str) -> int:
    """Points `current` to the month's set, in one step."""
    if month not in finished(data):
        say(f"there is no finished build of {month} to publish")
        return 2
    link = data / "current.new"
    link.unlink(missing_ok=True)
    link.symlink_to(Path("builds") / month)
    os.replace(link, data / "current")
    say(f"published {month}")
    return 0


def discard(data: Path, month: str) -> int:
    """Takes a set that is not published out of the ledger, and out of the way."""
    if month == published(data) or month not in finished(data):
        say(f"{month} is published, or there is no finished build of it")
        return 2
    named = build_id(data, month)
    if not same_builds(data, month):
        code = synthfilter(
            data, *("ledger", "forget", "--ledger", "ledger", "--build", named)
        )
        if code:
            return code
    away = data / "discarded" / f"{month}-{named}"
    away.parent.mkdir(exist_ok=True)
    (data / "builds" / month).rename(away)
    say(f"discarded {month}; its files are in {away}")
    return 0


def run(data: Path, month: str) -> int:
    """Builds, checks and publishes, as far as it goes; returns the exit code."""
    for step in (build, check, publish):
        code = step(data, month)
        if code:
            say(f"{month}: {step.__name__} ended with {code}; nothing was published")
            if code == HELD and step is check:
                say("look at trend.html, then publish or discard it")
            return code
    return 0


def finished(data: Path) -> list[str]:
    """Returns the months of which there is a finished build."""
    folders = (path.parent for path in data.glob("builds/*/manifest.json"))
    return sorted(
        folder.name
        for folder in folders
        if not (folder / "_unfinished_build.json").exists()
    )


def build_id(data: Path, month: str) -> str:
    """Returns the id of a finished build."""
    manifest = json.loads((data / "builds" / month / "manifest.json").read_bytes())
    return str(manifest["build_id"])


def same_builds(data: Path, month: str) -> list[str]:
    """Returns other months whose builds have the same id.

    The same text and options are the same build, under whatever name.
    """
    own = build_id(data, month)
    others = [name for name in finished(data) if name != month]
    return [name for name in others if build_id(data, name) == own]


def published(data: Path) -> str | None:
    """Returns the month that `current` names; None before the first."""
    link = data / "current"
    return link.readlink().name if link.is_symlink() else None


def last_month() -> str:
    """Returns the month before this one, such as 2026-03."""
    first = datetime.date.today().replace(day=1)
    return f"{first - datetime.timedelta(days=1):%Y-%m}"


def say(line: str) -> None:
    """Prints a line between those of synthfilter."""
    print(f"monthly: {line}", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a step and returns the exit code."""
    steps = {step.__name__: step for step in (run, build, check, publish, discard)}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=steps)
    parser.add_argument("month", nargs="?", default=last_month())
    parser.add_argument("--data", type=Path, default=Path())
    options = parser.parse_args(arguments)
    return steps[options.step](options.data, options.month)


if __name__ == "__main__":
    sys.exit(main())
