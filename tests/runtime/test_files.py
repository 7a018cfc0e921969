"""Files of every format and compression to documents; what cannot be read is told by file and row."""

import bz2
import csv
import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from fgc_runtime.data import ChatEncoder, FileStream, table_files, text_files
from fgc_runtime.data.chat import _checked
from pyarrow import parquet

ROWS = [{"text": f"document {number}", "note": None if number % 2 else "odd"} for number in range(20)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def zstd(content: bytes) -> bytes:
    sink = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    found: bytes = sink.getvalue().to_pybytes()
    return found


PACKED = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress, "zst": zstd}


@pytest.mark.parametrize("ending", PACKED)
def test_compressed_files_are_read_and_gone_on_with(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"rows.jsonl.{ending}"
    path.write_bytes(PACKED[ending](LINES))
    assert list(table_files(path)) == [row["text"] for row in ROWS]
    stream = FileStream(path)
    items = iter(stream)
    before = [next(items) for _ in range(7)]
    behind = FileStream(path)
    behind.load_state_dict(stream.state_dict())
    assert [*before, *behind] == [row["text"] for row in ROWS]


@pytest.mark.parametrize("form", ["list", "lines", "pretty"])
def test_json_is_one_object_a_line_or_one_list(tmp_path: Path, form: str) -> None:
    path = tmp_path / "rows.json"
    content = {"list": json.dumps(ROWS), "lines": LINES.decode(), "pretty": "\n" + json.dumps(ROWS, indent=2)}[form]
    path.write_text(content)
    assert list(table_files(path)) == [row["text"] for row in ROWS]


def _write(path: Path) -> None:
    if path.suffix == ".parquet":
        parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["text", "note"])
            writer.writeheader()
            writer.writerows(ROWS)
    else:
        path.write_bytes(LINES)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.parquet"])
def test_several_columns_make_a_document(tmp_path: Path, name: str) -> None:
    _write(tmp_path / name)
    filled = list(table_files(tmp_path / name, document="{note}: {text}"))
    assert filled[:2] == ["odd: document 0", ": document 1"]

    def made(row: Any) -> Any:
        return [{"from": "human", "value": row["text"]}] if row["note"] else None

    assert list(FileStream(tmp_path / name, document=made))[1] == [{"from": "human", "value": "document 2"}]
    with pytest.raises(ValueError, match=r"column \('notes'\) must be one of: text, note; did you mean 'note'\?"):
        table_files(tmp_path / name, document="{notes}: {text}")
    assert FileStream(tmp_path / name, document=made).fingerprint != FileStream(tmp_path / name).fingerprint


def test_a_text_without_columns_is_refused(tmp_path: Path) -> None:
    _write(tmp_path / "rows.csv")
    for wrong in ("Q:", "{}", "{text.upper}"):
        with pytest.raises(ValueError, match="must"):
            table_files(tmp_path / "rows.csv", document=wrong)


def test_messages_of_sharegpt_have_the_roles_that_templates_know() -> None:
    talk = [{"from": "system", "value": "s"}, {"from": "human", "value": "h"}, {"from": "gpt", "value": "g"}]
    assert _checked(talk) == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "h"},
        {"role": "assistant", "content": "g"},
    ]
    assert "ShareGPT" in str(ChatEncoder.__doc__)


BROKEN: dict[str, tuple[bytes, str]] = {
    "latin.csv": ("text\nplain\nüber\n".encode("latin-1"), r"latin\.csv: row \d is not UTF-8: byte 0xfc"),
    "latin.jsonl": ('{"text": "a"}\n{"text": "ü"}\n'.encode("latin-1"), r"latin\.jsonl:2 is not UTF-8: byte 0xfc"),
    "latin.txt": ("one\nü two".encode("latin-1"), r"latin\.txt:2 is not UTF-8"),
    "cut.csv.gz": (
        gzip.compress(b"text\n" + b"some text\n" * 9999)[:60],
        r"cut\.csv\.gz is cut off or damaged behind row \d+",
    ),
    "cut.txt.xz": (lzma.compress(b"some text" * 9999)[:80], r"cut\.txt\.xz is cut off or damaged"),
    "none.jsonl.gz": (b"no gzip at all", r"none\.jsonl\.gz is cut off or damaged"),
    "none.jsonl.zst": (b"no zstd at all", r"none\.jsonl\.zst is cut off or damaged"),
    "cut.parquet": (b"PAR1 and no end", r"cut\.parquet is no Parquet file, or is cut off"),
    "cut.json": (b'[{"text": "a"}, {"te', r"cut\.json is not JSON"),
    "half.jsonl": (
        b'{"text": "a"}\n{"text": "say \\ud800 it"}\n',
        r"half\.jsonl: row 2 has half a character: \\ud800.*'say '",
    ),
    "comma.csv": (b"text,label\nfine,1\nyes, no,0\n", r"comma\.csv: row 2 has 3 cells, and the header 2"),
    "short.csv": (b"text,label\nfine\n", r"short\.csv: row 1 has 1 cells, and the header 2"),
    "quote.csv": (b'text\n"never closed\nfine\n', r"quote\.csv: row 1 is no row of a table"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_read_is_told_by_file_and_row(tmp_path: Path, name: str) -> None:
    content, message = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    read = text_files if ".txt" in name else table_files
    with pytest.raises(ValueError, match=message):
        read(tmp_path / name)


def test_a_folder_is_told_with_what_to_write(tmp_path: Path) -> None:
    _write(tmp_path / "a.jsonl")
    for read in (text_files, table_files, FileStream):
        with pytest.raises(IsADirectoryError, match=r"is a folder; name the files in it: '.*/\*\.jsonl'"):
            read(tmp_path)
