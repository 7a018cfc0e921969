"""Files with rows, or with one text, to documents, from any place on.

A place is what JSON keeps: `[]` the beginning, otherwise the format's own numbers.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fgc_runtime.data.compressed import inner_suffix, is_damage, opened
from fgc_runtime.data.documents import Choice, Row
from fgc_runtime.packages import require_package

Place = list[int]
Value = tuple[Any, Place]  # and the place behind it
Rows = Iterator[tuple[Row, Place]]

_EXCERPT = 20  # characters of a text in a message
_LONGEST_FIELD = 2**31 - 1  # csv refuses fields above 131,072 characters otherwise


def values(path: Path, choice: Choice, place: Sequence[int] = ()) -> Iterator[Value]:
    """The documents of a file, texts or conversations, from `place` on; rows that hold nothing are left out.

    The file's name says how it is read: `.jsonl`, `.ndjson` or `.json` (an object per line, or one list of objects),
    `.csv`, `.tsv`, `.parquet`, `.arrow` (a stream or a file), and anything else as one text; behind any of the text
    formats also `.gz`, `.bz2`, `.xz` or `.zst`. Raises ValueError, naming file and row, for what cannot be read, a
    missing column, and what is neither text nor list.
    """
    for row, behind in _readable(path, _READERS.get(inner_suffix(path), _text)(path, choice, list(place))):
        value = choice.of(row)
        if value is not None and not isinstance(value, str | list):
            raise ValueError(f"{path}: row {behind[-1]} holds {_no_document(choice, value)}")
        if value and (not isinstance(value, str) or value.strip()):
            _require_whole_characters(value, f"{path}: row {behind[-1]}")
            yield value, behind


def is_table(path: Path) -> bool:
    """Returns True if the file has rows and columns."""
    return inner_suffix(path) in _READERS


def _readable(path: Path, rows: Rows) -> Rows:
    """The rows. Raises ValueError, naming file and row, for a file that is damaged or in another encoding."""
    number = 0
    while True:
        try:
            row, behind = next(rows)
        except StopIteration:
            return
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: row {number + 1} is {_not_utf8(error)}") from error
        except csv.Error as error:
            raise ValueError(f"{path}: row {number + 1} is no row of a table: {error}") from error
        except Exception as error:
            if not is_damage(error):
                raise
            raise ValueError(f"{path} is cut off or damaged behind row {number}: {error}") from error
        number = behind[-1]
        yield row, behind


def _not_utf8(error: UnicodeDecodeError) -> str:
    byte = error.object[error.start]
    return f"not UTF-8: byte 0x{byte:02x} ({error.reason}). Convert the file: iconv -f latin1 -t utf-8"


def _no_document(choice: Choice, value: object) -> str:
    kind = type(value).__name__
    return (
        f"no text under column ({choice.column!r}), but {kind}"
        if choice.names == [choice.column]
        else f"no text, but {kind}"
    )


def _require_whole_characters(value: Any, where: str) -> None:
    """Raises ValueError for half a character, such as JSON can write, which no tokenizer takes."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        before = text[max(0, error.start - _EXCERPT) : error.start]
        raise ValueError(
            f"{where} has half a character: \\u{ord(text[error.start]):04x}, a surrogate alone, behind {before!r}"
        ) from error


def _text(path: Path, choice: Choice, place: Place) -> Rows:
    if not place:
        with opened(path) as file:
            yield {name: file.read().decode("utf-8") for name in (choice.names or ["text"])[:1]}, [1]


def _json(path: Path, choice: Choice, place: Place) -> Rows:
    """Place: offset in bytes, line; of a list, the row."""
    with opened(path) as file:
        is_list = file.read(4096).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    yield from (_json_list if is_list else _json_lines)(path, choice, place)


def _json_list(path: Path, choice: Choice, place: Place) -> Rows:
    with opened(path) as file:
        content = file.read().decode("utf-8-sig")
    try:
        rows = json.loads(content)
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from error
    for number, row in enumerate(rows, start=1):
        if not place or number > place[-1]:
            yield _object(row, f"{path}: row {number}", choice), [number]


def _json_lines(path: Path, choice: Choice, place: Place) -> Rows:
    offset, number = place or [0, 0]
    with opened(path, offset) as lines:
        for line in lines:
            offset, number = offset + len(line), number + 1
            if line.strip():
                yield _object(_parsed(line, f"{path}:{number}"), f"{path}:{number}", choice), [offset, number]


def _parsed(line: bytes, where: str) -> Any:
    try:
        return json.loads(line.removeprefix(b"\xef\xbb\xbf"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{where} is {_not_utf8(error)}") from error
    except ValueError as error:
        raise ValueError(f"{where} is not JSON: {error}") from error


def _object(row: Any, where: str, choice: Choice) -> Row:
    if not isinstance(row, Mapping):
        raise ValueError(f"{where} is no object with columns, but {type(row).__name__}")
    choice.require(list(row), f"{where}: ")
    return row


def _csv(path: Path, choice: Choice, place: Place) -> Rows:
    """Place: rows."""
    csv.field_size_limit(_LONGEST_FIELD)
    with io.TextIOWrapper(opened(path), encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t" if inner_suffix(path) == ".tsv" else ",", strict=True)
        choice.require(list(rows.fieldnames or ()), f"{path}: ")
        for number, row in enumerate(rows, start=1):
            if not place or number > place[0]:
                _require_cells(row, rows.fieldnames or (), f"{path}: row {number}")
                yield row, [number]


def _require_cells(row: Mapping[Any, Any], names: Sequence[str], where: str) -> None:
    """Raises ValueError for a row with more or fewer cells than the header: a text would be cut at its comma."""
    num_cells = sum(value is not None for name, value in row.items() if name is not None) + len(row.get(None) or ())
    if num_cells != len(names):
        raise ValueError(
            f"{where} has {num_cells} cells, and the header {len(names)}: a text that holds a comma, a quote or a line "
            'end must stand in quotes ("...")'
        )


def _parquet(path: Path, choice: Choice, place: Place) -> Rows:
    """Place: rows. Row groups before it are not read."""
    require_package("pyarrow", f"the Parquet file {path}")
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile  # 0.2 s

    try:
        file = ParquetFile(path)
    except ArrowException as error:
        raise ValueError(f"{path} is no Parquet file, or is cut off: {error}") from error
    with file:
        choice.require(file.schema_arrow.names, f"{path}: ")
        number = 0
        for group in range(file.num_row_groups):
            size = file.metadata.row_group(group).num_rows
            if place and number + size <= place[0]:
                number += size
                continue
            for batch in file.iter_batches(row_groups=[group], columns=choice.names):
                yield from _rows(batch, number, place)
                number += batch.num_rows


def _arrow(path: Path, choice: Choice, place: Place) -> Rows:
    """Place: rows."""
    require_package("pyarrow", f"the Arrow file {path}")
    import pyarrow  # 0.2 s

    with pyarrow.memory_map(str(path)) as source:
        try:
            batches: Any = pyarrow.ipc.open_stream(source)
        except pyarrow.ArrowInvalid:
            source.seek(0)
            try:
                file = pyarrow.ipc.open_file(source)
            except pyarrow.ArrowInvalid as error:
                raise ValueError(f"{path} is no Arrow file, or is cut off: {error}") from error
            batches = (file.get_batch(number) for number in range(file.num_record_batches))
            names = file.schema.names
        else:
            names = batches.schema.names
        choice.require(names, f"{path}: ")
        number = 0
        for batch in batches:
            yield from _rows(batch.select(choice.names or names), number, place)
            number += batch.num_rows


def _rows(batch: Any, number: int, place: Place) -> Rows:
    """Rows of a batch whose first has `number` rows before it."""
    done = max(0, place[0] - number) if place else 0
    columns = list(zip(batch.schema.names, batch.columns, strict=True))
    for offset in range(done, batch.num_rows):
        yield {name: column[offset].as_py() for name, column in columns}, [number + offset + 1]


_READERS: dict[str, Callable[[Path, Choice, Place], Rows]] = {
    ".jsonl": _json,
    ".ndjson": _json,
    ".json": _json,
    ".csv": _csv,
    ".tsv": _csv,
    ".parquet": _parquet,
    ".arrow": _arrow,
}
