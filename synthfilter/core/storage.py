"""Files on any Beam filesystem: list, read, write whole files, open Parquet."""

import contextlib
import glob
import hashlib
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.io.filesystem import BeamIOError, CompressionTypes, FileMetadata
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.utils import retry

from synthfilter.core.errors import StoreDownError, UserError
from synthfilter.core.stores import LIST, StoreFile, forget_buckets, reaching, telling

_DRAFT = ".part"
_PIECE_BYTES = 1 << 22
# An upload is tried so often again, after 2, 4, 8 and 16 seconds or a little less.
_UPLOADS = 4
_LOGGER = logging.getLogger(__name__)


def use_credentials(options: PipelineOptions | None = None) -> None:
    """Lets object stores be used outside a pipeline.

    Args:
      options: Say which credentials, region and endpoint. What they do not say comes
        from where each store's own tools look for it. A pipeline sets its own options.
    """
    FileSystems.set_options(PipelineOptions([]) if options is None else options)
    forget_buckets()


def is_local(path: str) -> bool:
    """Returns whether the path has no scheme, so that the local disk holds it."""
    return "://" not in path


def absolute(path: str) -> str:
    """Returns the path so that it means the same from every folder."""
    return os.path.abspath(os.path.expanduser(path)) if is_local(path) else path


def join(folder: str, *parts: str) -> str:
    """Returns the path of something in a folder, on any filesystem."""
    return "/".join([folder.rstrip("/"), *parts])


def parent(path: str) -> str:
    """Returns the folder that holds the path; a bucket is in itself."""
    if is_local(path):
        return str(Path(path).absolute().parent)
    scheme, _, rest = path.rstrip("/").partition("://")
    return f"{scheme}://{rest.rpartition('/')[0] or rest}"


def list_files(pattern: str) -> list[FileMetadata]:
    """Returns the files that a path, glob or folder names, sorted by path.

    `**` crosses folders, `*` and `?` do not. Globs and folders pass over names that
    start with a dot or an underscore, and what is in such folders.

    Raises:
      UserError: the pattern matches no file, or cannot be listed.
    """
    try:
        with reaching(LIST, pattern):
            found = _match(pattern)
    except (OSError, BeamIOError, re.error) as error:
        raise UserError(f"cannot list {pattern!r}: {error}") from error
    if not found:
        raise UserError(
            f"no file matches {pattern!r}; check the path, and quote globs so that "
            "the shell leaves them alone"
        )
    return sorted(found, key=lambda entry: entry.path)


def is_folder(pattern: str) -> bool:
    """Returns whether a pattern names a folder, not files; elsewhere, by its slash."""
    if is_local(pattern):
        return os.path.isdir(os.path.expanduser(pattern))
    return pattern.endswith("/")


def _match(pattern: str) -> list[FileMetadata]:
    """Lists a pattern; a folder stands for all the files below it."""
    if is_local(pattern):
        return _match_local(os.path.normpath(os.path.expanduser(pattern)))
    if pattern.endswith("/"):
        pattern += "**"
    # Beam's own globs differ between filesystems: list by prefix, then match here.
    prefix = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
    if prefix == pattern:
        return FileSystems.match([pattern])[0].metadata_list
    wanted = re.compile(_glob_regex(pattern))
    start = len(prefix.rpartition("/")[0])
    return [
        entry
        for entry in FileSystems.match([prefix + "**"])[0].metadata_list
        if wanted.fullmatch(entry.path) and _is_shown(entry.path[start:])
    ]


def _match_local(pattern: str) -> list[FileMetadata]:
    """Lists a pattern on the local disk."""
    if os.path.isfile(pattern):
        return [_describe(pattern)]
    if os.path.isdir(pattern):
        pattern = os.path.join(glob.escape(pattern), "**")
    if not glob.has_magic(pattern):
        return []
    start = len(re.split(r"[*?\[]", pattern, maxsplit=1)[0].rpartition("/")[0])
    found = map(os.path.normpath, glob.glob(pattern, recursive=True))
    paths = [p for p in found if os.path.isfile(p) and _is_shown(p[start:])]
    # Links may lead to a file more than once, in a circle without end; the shortest
    # path stays.
    paths.sort(key=lambda path: (len(path), path), reverse=True)
    return [*map(_describe, {os.path.realpath(p): p for p in paths}.values())]


def _describe(path: str) -> FileMetadata:
    """Returns the metadata of a local file."""
    state = os.stat(path)
    return FileMetadata(path, state.st_size, state.st_mtime)


def _is_shown(path: str) -> bool:
    """Returns whether a glob may find the file: no dot or underscore name in it."""
    return not any(name.startswith((".", "_")) for name in path.split("/"))


def _glob_regex(pattern: str) -> str:
    """Translates a glob to a regular expression; `**/` also matches no folder."""
    pieces = re.split(r"(\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\])", pattern)
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(
        known.get(piece) or (_one_of(piece) if i % 2 else re.escape(piece))
        for i, piece in enumerate(pieces)
    )


def _one_of(brackets: str) -> str:
    """Translates `[abc]`, `[a-z]` and `[!a]`."""
    without = brackets[1] == "!"
    inside = re.escape(brackets[1 + without : -1]).replace(r"\-", "-")
    return f"[{'^' * without}{inside}]"


def exists(path: str) -> bool:
    """Returns whether there is a file or folder."""
    with reaching("look for", path):
        return FileSystems.exists(path)


def open_raw(path: str) -> Any:
    """Opens a file for reading its bytes as they are, compressed or not."""
    with reaching("open", path):
        file = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    return file if is_local(path) else StoreFile(file, path)


def read_bytes(path: str) -> bytes:
    """Returns a file's bytes.

    Raises:
      UserError: the file is missing or cannot be read.
    """
    try:
        with open_raw(path) as file:
            return file.read()
    except (OSError, BeamIOError) as error:
        raise UserError(f"cannot read {path!r}: {error}") from error


@contextlib.contextmanager
def staged(path: str) -> Iterator[Path]:
    """Gives a local file to write; it becomes `path` as a whole when the block ends.

    On a local disk: flushed and renamed. Elsewhere: one upload, read back and compared.
    Doing it twice leaves the same file; after an error there is none of it.

    Raises:
      OSError: it could not be written, or what is there afterwards is something else.
      StoreError: an object store refused it, or failed at it five times.
    """
    if is_local(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    folder = parent(path) if is_local(path) else None
    handle, name = tempfile.mkstemp(prefix=".", suffix=_DRAFT, dir=folder)
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
        if is_local(path):
            with draft.open("rb") as file:
                os.fsync(file.fileno())
            draft.chmod(0o644)
            _rename(draft, path)
        else:
            _upload(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def leads_out(path: str) -> bool:
    """Returns whether a local file is a link to something outside its folder."""
    if not is_local(path) or not os.path.islink(path):
        return False
    there = os.path.dirname(os.path.realpath(path))
    return there != os.path.realpath(os.path.dirname(path))


def _rename(draft: Path, path: str) -> None:
    """Gives a local file its name for good, and looks whether it has it."""
    size = draft.stat().st_size
    draft.replace(path)
    if draft.exists() or os.stat(path).st_size != size:
        raise OSError(f"{path}: was renamed, and another file is there")
    _sync_folder(parent(path))


def _sync_folder(folder: str) -> None:
    """Makes the names in a local folder outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        # Not every filesystem can.
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


@retry.with_exponential_backoff(
    num_retries=_UPLOADS,
    initial_delay_secs=2,
    retry_filter=lambda error: isinstance(error, StoreDownError),
    logger=_LOGGER.info,
)
def _upload(draft: Path, path: str) -> None:
    """Copies a local file to another filesystem; half of it is never left there."""
    sent = hashlib.sha256()
    with reaching("write", path):
        remote = FileSystems.create(
            path, compression_type=CompressionTypes.UNCOMPRESSED
        )
    try:
        with draft.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                sent.update(piece)
                with telling("write", path):
                    remote.write(piece)
    except BaseException:
        # Closing a half-written object publishes it.
        with telling("write", path):
            remote.close()
        delete([path])
        raise
    # Where this fails nothing was published; what was there before still is.
    with telling("write", path):
        remote.close()
    with open_raw(path) as file:
        found, _ = hash_stream(file)
    if found != sent.hexdigest():
        delete([path])
        raise OSError(f"{path}: what was read back is not what was written")


def hash_stream(file: Any) -> tuple[str, int]:
    """Returns the sha256 and the number of the bytes that are left in a file."""
    sha256, size = hashlib.sha256(), 0
    while piece := file.read(_PIECE_BYTES):
        sha256.update(piece)
        size += len(piece)
    return sha256.hexdigest(), size


def place(source: str, path: str) -> None:
    """Gives a whole file another name on the same filesystem, over what has it.

    On a local disk it is renamed. Elsewhere it is copied, and the source stays.

    Raises:
      OSError: it could not be done.
    """
    if is_local(path):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        _rename(Path(source), path)
    else:
        with reaching("copy a file to", path):
            # Beam's S3 returns errors that its Google Cloud Storage raises.
            for *_, error in FileSystems.copy([source], [path]) or ():
                if error is not None:
                    raise error


def write_bytes(path: str, data: Any) -> None:
    """Writes a whole file so that readers see all of it or nothing, as `staged`."""
    with staged(path) as draft:
        draft.write_bytes(data)


def delete(paths: Sequence[str]) -> None:
    """Deletes files; one that is not there is fine."""
    present = [path for path in paths if exists(path)]
    if present:
        with telling("delete", present[0]):
            FileSystems.delete(present)


def open_parquet(path: str) -> pq.ParquetFile:
    """Opens a Parquet file, reading pages as they are asked for, checksums verified.

    Raises:
      OSError, pyarrow.ArrowException: it is not a Parquet file, or unreadable.
    """
    source = path if is_local(path) else pa.PythonFile(open_raw(path), mode="r")
    return pq.ParquetFile(
        source,
        memory_map=False,
        pre_buffer=False,
        buffer_size=1 << 20,
        page_checksum_verification=True,
    )


def delete_folder(folder: str) -> None:
    """Deletes a folder and all below it; one that is not there is fine."""
    if not is_local(folder):
        delete(list_below(folder))
    elif os.path.isdir(folder):
        shutil.rmtree(folder)


def list_below(folder: str) -> list[str]:
    """Returns the paths of all files below a folder; none if it does not exist."""
    if is_local(folder):
        below = os.walk(folder)
        return sorted(join(root, name) for root, _, names in below for name in names)
    return list(sizes_below(folder))


def sizes_below(folder: str) -> dict[str, int]:
    """Returns the bytes of all files below a folder by path, sorted."""
    if is_local(folder):
        return {path: os.lstat(path).st_size for path in list_below(folder)}
    with reaching(LIST, folder):
        matched = FileSystems.match([join(folder, "**")])[0].metadata_list
    return dict(sorted((entry.path, entry.size_in_bytes) for entry in matched))


def list_drafts(folder: str) -> list[str]:
    """Returns files of a local folder that a killed process was about to write."""
    if not is_local(folder) or not os.path.isdir(folder):
        return []
    return [join(folder, name) for name in os.listdir(folder) if _is_draft(name)]


def _is_draft(name: str) -> bool:
    return name.startswith(".") and name.endswith(_DRAFT)


def is_empty(folder: str) -> bool:
    """Returns whether a folder does not exist or has no files below it but drafts.

    Raises:
      OSError: it is a file, or cannot be listed.
    """
    if is_local(folder):
        path = Path(folder)
        if not path.exists():
            return True
        return all(_is_draft(below.name) for below in path.iterdir())
    return not list_below(folder)
