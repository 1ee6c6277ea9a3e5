"""Arrow files and streams, as Hugging Face datasets and Feather are, batch by batch."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from synthfilter.core import schema, storage

# A file has it at its start and its end; a stream has an end mark instead.
_MAGIC = b"ARROW1"
_END = b"\xff\xff\xff\xff\0\0\0\0"


@contextlib.contextmanager
def open_arrow(path: str) -> Iterator[tuple[Any, Any]]:
    """Opens a file or a stream; gives pyarrow's reader of it, and its bytes.

    Raises:
      OSError, pyarrow.ArrowException: it is neither, or unreadable.
    """
    with contextlib.ExitStack() as stack:
        if storage.is_local(path):
            # Of a batch as large as its file only the pages in use are in memory.
            source = stack.enter_context(pa.memory_map(path))
        else:
            raw = stack.enter_context(storage.open_raw(path))
            source = stack.enter_context(pa.PythonFile(raw, mode="r"))
        is_file = source.read(len(_MAGIC)) == _MAGIC
        source.seek(0)
        opened = pa.ipc.open_file if is_file else pa.ipc.open_stream
        yield stack.enter_context(opened(source)), source


def read_arrow(path: str) -> Iterator[tuple[pa.RecordBatch | ValueError, float]]:
    """Yields the batches of a file or stream, at last an error if it is broken.

    With each comes which part of the file is read by then. Batches are checked, so that
    damaged ones cannot do harm: of one that is not what its types say come the rows one
    by one, an error for each that is not.
    """
    part = 0.0
    try:
        with open_arrow(path) as (reader, source):
            for batch, part in _batches(reader, source):
                for found in _checked(batch):
                    yield found, part
            if isinstance(reader, pa.RecordBatchStreamReader) and not _has_end(path):
                yield ValueError(f"{schema.BROKEN_FILE}the stream has no end mark"), 1.0
    except (OSError, pa.ArrowException) as error:
        said = str(error).splitlines()[0]
        yield ValueError(f"{schema.BROKEN_FILE}{said}"), part


def _batches(reader: Any, source: Any) -> Iterator[tuple[pa.RecordBatch, float]]:
    if isinstance(reader, pa.RecordBatchStreamReader):
        size = source.size()
        for batch in reader:
            yield batch, source.tell() / size
    else:
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number), (number + 1) / reader.num_record_batches


def _has_end(path: str) -> bool:
    """Returns whether a stream ends as it should; a cut one may end between batches."""
    with storage.open_raw(path) as file:
        file.seek(-len(_END), 2)
        return file.read() == _END


def _checked(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch | ValueError]:
    """Yields a batch that is what its types say, or its rows one by one."""
    try:
        batch.validate(full=True)
    except pa.ArrowInvalid as error:
        if batch.num_rows > 1:
            for row in range(batch.num_rows):
                yield from _checked(batch.slice(row, 1))
        else:
            yield ValueError(f"invalid values: {str(error).splitlines()[0]}")
    else:
        if batch.num_rows:
            yield batch
