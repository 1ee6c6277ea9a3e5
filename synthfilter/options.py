"""The doors: a dataclass's fields as command line flags and as YAML keys.

An option is written once, as a field with its `Args:` line; nothing is restated here.
"""

import argparse
import dataclasses
import difflib
import sys
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

import docstring_parser
import yaml

from synthfilter.core import storage
from synthfilter.core.errors import UserError


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line, with the likely spelling."""

    def error(self, message: str) -> NoReturn:
        """Prints the message and exits with code 2."""
        unknown = message.partition("unrecognized arguments: ")[2].split()
        hint = suggest(unknown[0], self._option_string_actions) if unknown else ""
        print(f"{self.prog}: error: {message}{hint}; see --help", file=sys.stderr)
        sys.exit(2)


def suggest(name: str, known: Iterable[str]) -> str:
    """Returns `; did you mean X?` when a known name is near, else nothing."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def add_flags(parser: argparse.ArgumentParser, options: type) -> None:
    """Adds a flag for every field of a dataclass; absent flags stay absent."""
    texts = describe_fields(options)
    for field in dataclasses.fields(options):
        kind, many = _kind_of(field)
        flag = f"--{field.name.replace('_', '-')}"
        shown = _default_text(field)
        how: dict[str, Any] = {"default": argparse.SUPPRESS, "dest": field.name}
        how["help"] = (texts[field.name] + shown).replace("%", "%%")
        if kind is bool:
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, **how)
            continue
        if many:
            how |= {"nargs": "+", "action": "extend"}
        metavar = {int: "N", float: "X"}.get(kind, "TEXT")
        parser.add_argument(flag, type=kind, metavar=metavar, **how)


def describe_fields(options: type) -> dict[str, str]:
    """Returns the `Args:` text of every field, in one line each."""
    parsed = docstring_parser.parse(options.__doc__ or "")
    return {
        param.arg_name: " ".join((param.description or "").split())
        for param in parsed.params
    }


def read_yaml(path: str, options: type) -> dict[str, Any]:
    """Returns the options that a YAML file sets.

    Raises:
      UserError: it is not YAML, has an unknown key or a value of the wrong type.
    """
    try:
        found = yaml.safe_load(storage.read_bytes(path))
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())
        raise UserError(f"{path}: not readable as YAML: {said}") from error
    if not isinstance(found, dict):
        raise UserError(f"{path}: expected `option: value` lines, got {found!r:.80}")
    fields = {field.name: field for field in dataclasses.fields(options)}
    values = {}
    for key, value in found.items():
        name = str(key).replace("-", "_")
        if name not in fields:
            raise UserError(f"{path}: unknown option {key!r}{suggest(name, fields)}")
        values[name] = _check_value(path, name, value, fields[name])
    return values


def _kind_of(field: dataclasses.Field) -> tuple[type, bool]:
    """Returns the type of one value and whether the field takes a list of them."""
    kind: Any = field.type
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    if typing.get_origin(kind) is list:
        return typing.get_args(kind)[0], True
    return kind, False


def _check_value(path: str, name: str, value: Any, field: dataclasses.Field) -> Any:
    """Returns the value as the field's type; one value stands for a list of it."""
    kind, many = _kind_of(field)
    values = value if many and isinstance(value, list) else [value]
    if value is None:
        values = []
        if field.default is not None:
            raise UserError(f"{path}: {name} has no value")
    for one in values:
        allowed: tuple[type, ...] = (int, float) if kind is float else (kind,)
        if not isinstance(one, allowed) or (isinstance(one, bool) and kind is not bool):
            expected = f"a list of {kind.__name__}" if many else kind.__name__
            raise UserError(f"{path}: {name} expects {expected}, got {one!r}")
    if many:
        return values
    return value


def _default_text(field: dataclasses.Field) -> str:
    if field.default_factory is not dataclasses.MISSING:
        default: Any = field.default_factory()
        return f" (default: {' '.join(map(str, default))})" if default else ""
    if field.default in (dataclasses.MISSING, None):
        return ""
    return f" (default: {field.default})"


def make_options(options: type, config: str | None, flags: Mapping[str, Any]) -> Any:
    """Returns the dataclass from a YAML file and flags; flags override the file.

    Raises:
      UserError: a required option is missing, or a value is wrong.
    """
    values = read_yaml(config, options) if config else {}
    names = [field.name for field in dataclasses.fields(options)]
    values |= {name: value for name, value in flags.items() if name in names}
    missing = [
        f"--{field.name.replace('_', '-')}"
        for field in dataclasses.fields(options)
        if _is_required(field) and field.name not in values
    ]
    if missing:
        raise UserError(f"missing {', '.join(missing)}")
    return options(**values)


def _is_required(field: dataclasses.Field) -> bool:
    unset: Sequence[Any] = (field.default, field.default_factory)
    return all(each is dataclasses.MISSING for each in unset)
