"""The doors: a dataclass's fields as command line flags and as YAML keys.

An option is written once, as a field with its `Args:` line; nothing is restated here.
"""

import argparse
import dataclasses
import difflib
import inspect
import numbers
import os
import reprlib
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

import docstring_parser
import yaml

from synthfilter.core import storage
from synthfilter.core.errors import UserError
from synthfilter.core.secrets import one_line

_Options = TypeVar("_Options", bound=type)


class OneLineParser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one line, with the likely spelling."""

    def flags(self) -> list[str]:
        """Returns all flags, `--seed` and the like."""
        return list(self._option_string_actions)

    def error(self, message: str) -> NoReturn:
        """Prints the message and exits with code 2."""
        unknown = message.partition("unrecognized arguments: ")[2].split()
        hint = suggest(unknown[0], self.flags()) if unknown else ""
        said = one_line(f"{message}{hint}")
        print(f"{self.prog}: error: {said}; see --help", file=sys.stderr)
        sys.exit(2)


def suggest(name: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """Returns `; did you mean X?` when a known name is so near, else nothing."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=likeness)
    return f"; did you mean {near[0]}?" if near else ""


class _AddPairs(argparse.Action):
    """Collects NAME=VALUE arguments in a dictionary."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        setattr(
            namespace,
            self.dest,
            {**(getattr(namespace, self.dest, None) or {}), **dict(values)},
        )


def add_command(
    commands: Any,
    name: str,
    help_text: str,
    job: type,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    """Adds a command that takes the options of a dataclass, and returns its parser.

    Args:
      commands: Of the parser.
      name: Of the command.
      help_text: What the list of commands says of it.
      job: The dataclass; the beginning of its docstring describes the command.
      run: Is given what was parsed, and returns the exit code.
    """
    command = commands.add_parser(name, help=help_text, allow_abbrev=False)
    command.description = (job.__doc__ or "").partition("Args:")[0].strip()
    add_flags(command, job)
    command.set_defaults(run=run, parser=command, job=job)
    return command


def add_flags(parser: argparse.ArgumentParser, options: type) -> None:
    """Adds a flag for every field of a dataclass; absent flags stay absent.

    The fields of a base class are a group of their own in the help.
    """
    texts = describe_fields(options)
    groups: dict[str, Any] = {}
    for owner in _dataclasses_of(options)[:-1]:
        title = (owner.__doc__ or "").partition("\n")[0].rstrip(".").lower()
        group = parser.add_argument_group(title)
        groups |= dict.fromkeys(owner.__annotations__, group)
    for field in dataclasses.fields(options):
        kind = kind_of(field)
        flag = f"--{field.name.replace('_', '-')}"
        shown = _default_text(field)
        how: dict[str, Any] = {"default": argparse.SUPPRESS, "dest": field.name}
        how["help"] = (texts[field.name] + shown).replace("%", "%%")
        group = groups.get(field.name, parser)
        if kind.one is bool:
            group.add_argument(flag, action=argparse.BooleanOptionalAction, **how)
            continue
        how |= {"type": kind.one, "metavar": _METAVARS.get(kind.one, "TEXT")}
        if kind.many is list:
            how |= {"nargs": "+", "action": "extend"}
        elif kind.many is dict:
            how |= {"nargs": "+", "action": _AddPairs, "type": _pair_parser(kind.one)}
            how["metavar"] = f"NAME={how['metavar']}"
        group.add_argument(flag, **how)


_METAVARS: dict[type, str] = {int: "N", float: "X"}


def _pair_parser(one: type) -> Callable[[str], tuple[str, Any]]:
    """Returns what reads NAME=VALUE."""

    def parse(said: str) -> tuple[str, Any]:
        name, separator, value = said.partition("=")
        if not name or not separator:
            raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {said!r}")
        try:
            return name, one(value)
        except ValueError as error:
            raise argparse.ArgumentTypeError(
                f"expected NAME={one.__name__}, got {said!r}"
            ) from error

    return parse


def describe_fields(options: type) -> dict[str, str]:
    """Returns the `Args:` text of every field, in one line each."""
    return {
        param.arg_name: " ".join((param.description or "").split())
        for owner in _dataclasses_of(options)
        for param in docstring_parser.parse(owner.__doc__ or "").params
    }


def describe_inherited(options: _Options) -> _Options:
    """Completes a dataclass's docstring by the `Args:` of what it inherits from.

    So help() and Beam YAML, which read one docstring, know all of its fields.
    """
    texts = describe_fields(options)
    said = inspect.cleandoc(options.__doc__ or "").partition("Args:")[0].rstrip()
    args = [
        textwrap.fill(
            f"{field.name}: {texts[field.name]}",
            width=86,
            initial_indent="  ",
            subsequent_indent="    ",
        )
        for field in dataclasses.fields(options)
    ]
    options.__doc__ = "\n".join([said, "", "Args:", *args])
    return options


def _dataclasses_of(options: type) -> list[type]:
    """Returns a dataclass and those that it inherits from, in the order of fields."""
    return [
        owner
        for owner in reversed(options.__mro__)
        if "__dataclass_fields__" in vars(owner)
    ]


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
        raise UserError(f"{path}: expected `option: value` lines, got {_brief(found)}")
    fields = {field.name: field for field in dataclasses.fields(options)}
    values = {}
    for key, value in found.items():
        name = str(key).replace("-", "_")
        if name not in fields:
            raise UserError(f"{path}: unknown option {key!r}{suggest(name, fields)}")
        values[name] = _check_value(f"{path}: {name}", value, fields[name])
    return values


def _brief(value: Any) -> str:
    """Returns a value for a message; one that aliases make huge is not spelt out."""
    return f"{reprlib.repr(value):.80}"


def check_types(options: Any) -> None:
    """Checks that each value of a dataclass is of its field's type.

    Beam YAML and other languages hand over what was written. One value stands for a
    list of it, and a Path for its text.

    Raises:
      UserError: a value is of another type.
    """
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        setattr(options, field.name, _check_value(field.name, value, field))


class Kind(typing.NamedTuple):
    """The type of one value, and list or dict where a field takes several."""

    one: type
    many: type | None

    def __str__(self) -> str:
        """Returns what a field of this kind expects, for messages."""
        if self.many is list:
            return f"a list of {self.one.__name__}"
        if self.many is dict:
            return f"`name: {self.one.__name__}` lines"
        return self.one.__name__


def kind_of(field: dataclasses.Field) -> Kind:
    """Returns what values a field of options takes."""
    kind: Any = field.type
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    many = typing.get_origin(kind)
    if many is None:
        return Kind(kind, None)
    return Kind(typing.get_args(kind)[-1], many)


_ALLOWED: dict[type, type] = {int: numbers.Integral, float: numbers.Real}


def _check_value(where: str, value: Any, field: dataclasses.Field) -> Any:
    """Returns the value as the field's type; one value stands for a list of it."""
    kind = kind_of(field)
    if value is None:
        if field.default is not None:
            raise UserError(f"{where} has no value")
        return None
    if kind.many is dict:
        if not isinstance(value, Mapping):
            raise UserError(f"{where} expects {kind}, got {_brief(value)}")
        return {str(key): _check_one(where, one, kind) for key, one in value.items()}
    if kind.many is list:
        several = isinstance(value, Collection) and not isinstance(
            value, (str, bytes, Mapping)
        )
        return [_check_one(where, one, kind) for one in (value if several else [value])]
    return _check_one(where, value, kind)


def _check_one(where: str, value: Any, kind: Kind) -> Any:
    if kind.one is str and isinstance(value, os.PathLike):
        return os.fspath(value)
    wrong = isinstance(value, bool) and kind.one is not bool
    if wrong or not isinstance(value, _ALLOWED.get(kind.one, kind.one)):
        raise UserError(f"{where} expects {kind}, got {_brief(value)}")
    return value


def _default_text(field: dataclasses.Field) -> str:
    if field.default_factory is not dataclasses.MISSING:
        default: Any = field.default_factory()
        if isinstance(default, dict):
            default = [f"{name}={value}" for name, value in default.items()]
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
