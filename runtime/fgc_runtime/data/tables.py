"""Files with rows, or with one text, to the values of one column, from any place on.

A place is what JSON keeps: `[]` the beginning, otherwise the format's own numbers.
"""

import csv
import gzip
import io
import json
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, BinaryIO, cast

from fgc_runtime.packages import require_package

Place = list[int]
Value = tuple[Any, Place]  # and the place behind it

_LONGEST_FIELD = 2**31 - 1  # csv refuses fields above 131,072 characters otherwise


def values(path: Path, column: str, place: Sequence[int] = ()) -> Iterator[Value]:
    """The column's texts, or conversations, from `place` on; rows that hold nothing are left out.

    The file's name says how it is read: `.jsonl`, `.ndjson` or `.json` (an object per line), `.csv`, `.tsv`,
    `.parquet`, `.arrow` (a stream or a file), and anything else as one text; behind any of the text formats also `.gz`.
    Raises ValueError, naming file and row, for a missing column or what is neither text nor list.
    """
    reader = _READERS.get(_format(path), _text)
    for value, behind in reader(path, column, list(place)):
        if value is not None and not isinstance(value, str | list):
            kind = type(value).__name__
            raise ValueError(f"{path}: row {behind[-1]} holds no text under column ({column!r}), but {kind}")
        if value and (not isinstance(value, str) or value.strip()):
            yield value, behind


def no_column(where: str, column: str, found: Sequence[str]) -> ValueError:
    """The error for a column that is not there: names those that are, the nearest first."""
    nearest = get_close_matches(column, found, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return ValueError(f"{where}column ({column!r}) must be one of: {', '.join(found)}{hint}")


def is_table(path: Path) -> bool:
    """Whether the file has rows and columns."""
    return _format(path) in _READERS


def _format(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def _opened(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


def _text(path: Path, column: str, place: Place) -> Iterator[Value]:
    if not place:
        with _opened(path) as file:
            yield file.read().decode("utf-8"), [1]


def _json_lines(path: Path, column: str, place: Place) -> Iterator[Value]:
    """Place: offset in bytes, line."""
    offset, number = place or [0, 0]
    with _opened(path) as lines:
        lines.seek(offset)
        for line in lines:
            offset, number = offset + len(line), number + 1
            if line.strip():
                yield _json_value(line, path, number, column), [offset, number]


def _json_value(line: bytes, path: Path, number: int, column: str) -> Any:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{path}:{number} is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise ValueError(f"{path}:{number} is no object with columns, but {type(row).__name__}")
    if column not in row:
        raise no_column(f"{path}:{number}: ", column, list(row))
    return row[column]


def _csv(path: Path, column: str, place: Place) -> Iterator[Value]:
    """Place: rows."""
    csv.field_size_limit(_LONGEST_FIELD)
    with io.TextIOWrapper(_opened(path), encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t" if _format(path) == ".tsv" else ",")
        if column not in (rows.fieldnames or ()):
            raise no_column(f"{path}: ", column, list(rows.fieldnames or ()))
        for number, row in enumerate(rows, start=1):
            if not place or number > place[0]:
                yield row[column], [number]


def _parquet(path: Path, column: str, place: Place) -> Iterator[Value]:
    """Place: rows. Row groups before it are not read."""
    require_package("pyarrow", f"the Parquet file {path}")
    from pyarrow.parquet import ParquetFile  # 0.2 s

    with ParquetFile(path) as file:
        if column not in file.schema_arrow.names:
            raise no_column(f"{path}: ", column, file.schema_arrow.names)
        number = 0
        for group in range(file.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            if place and number + size <= place[0]:
                number += size
                continue
            for batch in file.iter_batches(row_groups=[group], columns=[column]):
                yield from _rows(batch.column(0), number, place)
                number += batch.num_rows


def _arrow(path: Path, column: str, place: Place) -> Iterator[Value]:
    """Place: rows."""
    require_package("pyarrow", f"the Arrow file {path}")
    import pyarrow  # 0.2 s

    with pyarrow.memory_map(str(path)) as source:
        try:
            batches: Any = pyarrow.ipc.open_stream(source)
        except pyarrow.ArrowInvalid:
            source.seek(0)
            file = pyarrow.ipc.open_file(source)
            batches = (file.get_batch(number) for number in range(file.num_record_batches))
            names = file.schema.names
        else:
            names = batches.schema.names
        if column not in names:
            raise no_column(f"{path}: ", column, names)
        number = 0
        for batch in batches:
            yield from _rows(batch.column(names.index(column)), number, place)
            number += batch.num_rows


def _rows(array: Any, number: int, place: Place) -> Iterator[Value]:
    """Rows of a batch whose first has `number` rows before it."""
    done = max(0, place[0] - number) if place else 0
    for offset in range(done, len(array)):
        yield array[offset].as_py(), [number + offset + 1]


_READERS = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json_lines,
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
    ".arrow": _arrow,
}
