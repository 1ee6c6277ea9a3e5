"""The main program of the Dataflow Flex Template: its parameters, then a build.

A parameter has the name of an option, with underscores, and one value: lists are
separated by commas, switches are true or false. Whatever else comes is for Beam.

    python pipelines/dataflow/launch.py --write-metadata

writes metadata.json, which tells Dataflow the parameters, from the options of `Build`.
"""

import dataclasses
import json
import runpy
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from synthfilter import Build
from synthfilter.core.errors import UserError
from synthfilter.options import describe_fields, kind_of

HERE = Path(__file__).parent
PROGRAM = HERE.parent / "build.py"
METADATA = HERE / "metadata.json"

_NUMBER = r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?"
_VALUES = {
    bool: "true|false",
    int: r"-?\d+",
    float: _NUMBER,
    str: ".+",
}
# Of no option of `Build`.
_OTHERS = [
    {
        "name": "config",
        "label": "config",
        "helpText": "YAML file of options on Cloud Storage; parameters go before it.",
        "isOptional": True,
        "regexes": ["^gs://.+$"],
    },
    {
        "name": "sdk_container_image",
        "label": "container image of the workers",
        "helpText": "The image of this template: the workers need what it holds.",
        "regexes": ["^.+$"],
    },
]


def main(arguments: Sequence[str] | None = None) -> int:
    """Starts a build and returns an exit code: see `synthfilter --help`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["--write-metadata"]:
        METADATA.write_text(json.dumps(make_metadata(), indent=2) + "\n")
        return 0
    try:
        flags = list(translate(given))
    except UserError as error:
        print(f"pipelines/dataflow/launch.py: error: {error}", file=sys.stderr)
        return 2
    # The launcher ends before the job does.
    program = runpy.run_path(str(PROGRAM))
    return int(program["main"]([*flags, "--no_wait_until_finish"]))


def make_metadata() -> dict[str, Any]:
    """Returns what Dataflow is told of the template."""
    return {
        "name": "synthfilter build",
        "description": "Builds a training set with a known share of synthetic text.",
        "streaming": False,
        "parameters": [*_parameters(), *_OTHERS],
    }


def _parameters() -> Iterator[dict[str, Any]]:
    """Yields a parameter for each option of a build."""
    texts = describe_fields(Build)
    for field in dataclasses.fields(Build):
        kind = kind_of(field)
        value = _VALUES[kind.one]
        if kind.many is dict:
            value = rf"[^=,]+=({value})(,[^=,]+=({value}))*"
        several = " Several are separated by commas." if kind.many else ""
        yield {
            "name": field.name,
            "label": field.name.replace("_", " "),
            "helpText": texts[field.name] + several,
            # An option may stand in the config file instead.
            "isOptional": True,
            "regexes": [f"^({value})$"],
        }


def translate(parameters: Sequence[str]) -> Iterator[str]:
    """Yields the flags of pipelines/build.py for `--name=value` parameters.

    Raises:
      UserError: a switch is neither true nor false.
    """
    fields = {field.name: field for field in dataclasses.fields(Build)}
    for parameter in parameters:
        name, _, value = parameter.removeprefix("--").partition("=")
        if name not in fields:
            yield parameter
            continue
        kind, flag = kind_of(fields[name]), name.replace("_", "-")
        if kind.one is bool:
            if value not in ("true", "false"):
                raise UserError(f"{name} must be true or false, got {value!r}")
            yield f"--{flag}" if value == "true" else f"--no-{flag}"
        elif kind.many:
            yield from (f"--{flag}", *value.split(","))
        else:
            yield f"--{flag}={value}"


if __name__ == "__main__":
    sys.exit(main())
