"""Which files of a folder are data: also in those of Hugging Face datasets."""

import orjson
from apache_beam.io.filesystem import FileMetadata

from synthfilter.core import storage
from synthfilter.core.errors import UserError
from synthfilter.inputs.formats import format_of

# What `datasets` and the Hub keep beside the data; `save_to_disk` names its files here.
_STATE = "state.json"
_BOOKS = frozenset(
    {_STATE, "dataset_info.json", "dataset_dict.json", "dataset_infos.json"}
)


def list_pattern(pattern: str) -> list[FileMetadata]:
    """Lists a pattern; of a folder, only the files that are data.

    Raises:
      UserError: there is none, or one that a dataset names is missing.
    """
    found = storage.list_files(pattern)
    if not storage.is_folder(pattern):
        return found
    usable = [entry for entry in found if format_of(entry.path)[0] is not None]
    data = _without_books(usable)
    if not data:
        raise UserError(
            f"no file of a known format in the folder {pattern!r}; name another "
            "folder or a glob"
        )
    return data


def _without_books(found: list[FileMetadata]) -> list[FileMetadata]:
    """Returns files without what a dataset keeps beside its data.

    In a folder of `save_to_disk`, the files that it names are the data: others, such as
    what `map` has cached, are not. Where nothing else would be left, nothing goes.
    """
    states = {
        storage.parent(entry.path): entry.path
        for entry in found
        if _name(entry.path) == _STATE
    }
    named = {}
    for folder, path in states.items():
        files = _named_files(path)
        if files is not None:
            named[folder] = files
    data = [
        entry
        for entry in found
        if _is_data(entry.path, named.get(storage.parent(entry.path)))
    ]
    for folder, files in named.items():
        there = {_name(e.path) for e in data if storage.parent(e.path) == folder}
        if missing := sorted(files - there):
            raise UserError(
                f"{states[folder]}: names {missing[0]!r}, which is not there; the "
                "dataset is not whole"
            )
    return data or found


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _is_data(path: str, named: set[str] | None) -> bool:
    return _name(path) in named if named is not None else _name(path) not in _BOOKS


def _named_files(path: str) -> set[str] | None:
    """Returns the files that a dataset's state names; None if it is no such state."""
    try:
        files = orjson.loads(storage.read_bytes(path))["_data_files"]
        return {file["filename"] for file in files}
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return None
