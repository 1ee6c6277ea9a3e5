"""The command `synthfilter report`: the page of a build, made again from its report."""

import argparse
import dataclasses
from typing import Any, Optional

from synthfilter.console import Reporter
from synthfilter.core import storage
from synthfilter.core.errors import UserError
from synthfilter.core.reports import PAGE, REPORT, read_report
from synthfilter.insight.charts import INSTALL, charts_available
from synthfilter.insight.report_page import report_page
from synthfilter.options import add_command, make_options


@dataclasses.dataclass(kw_only=True)
class DrawReport:
    """Makes report.html of a finished build again, from its report.json.

    A build writes the page itself; this draws it with charts once they can be drawn, or
    as a newer synthfilter does.

    Args:
      output: File to write instead of report.html in the folder of the build.
    """

    output: Optional[str] = None

    def run(self, folder: str, reporter: Reporter) -> str:
        """Writes the page and returns its path.

        Args:
          folder: Output folder of the build.
          reporter: Where to print.

        Raises:
          UserError: there is no report, it is not one, or the page cannot be written.
        """
        if self.output is not None and storage.exists(self.output):
            raise UserError(f"output {self.output!r} exists; name a new file")
        report = read_report(folder)
        try:
            page = report_page(report)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{storage.join(folder, REPORT)!r} is not as a build wrote it: "
                f"{type(error).__name__}: {error}"
            ) from error
        path = self.output or storage.join(folder, PAGE)
        try:
            storage.write_bytes(path, page.encode())
        except OSError as error:
            raise UserError(f"{path!r} cannot be written: {error}") from error
        charts = "" if charts_available() else f", without charts; {INSTALL} draws them"
        reporter.say(f"{path}: {len(page.encode()) / 1e6:.1f} MB{charts}")
        return path


def add_report_command(commands: Any) -> None:
    """Adds `report` to the commands of a parser."""
    command = add_command(
        commands, "report", "make the page of a build again", DrawReport, _run
    )
    command.add_argument("folder", help="output folder of a build")


def _run(options: argparse.Namespace) -> int:
    job = make_options(DrawReport, None, vars(options))
    job.run(options.folder, Reporter())
    return 0
