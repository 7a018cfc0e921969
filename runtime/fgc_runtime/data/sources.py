"""Sources of documents: files, the Python installation, the Hugging Face hub; with a length, or as streams.

Each source takes `split`, so that a configuration changes its data by changing the name of the function. Sources
without splits of their own divide documents by a hash of their content: adding one document moves no other. Where that
leaves a split empty, as it must with one file, the last part of the text is the validation split.
"""

import hashlib
import json
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

from fgc_runtime.data.cache import content_key
from fgc_runtime.data.compressed import SUFFIXES, is_damage, opened
from fgc_runtime.data.documents import Choice, Document
from fgc_runtime.data.tables import is_table, values
from fgc_runtime.packages import require_package

D = TypeVar("D")
Paths = str | Path | Sequence[str | Path]

_SKIPPED_FOLDERS = {"site-packages", "dist-packages", "test", "tests", "idle_test"}
_TABLES = {"encodings", "pydoc_data"}  # a tenth of the library in size; long lists that say little about Python
SPLITS = ("train", "validation", "all")


class DocumentDataset(Sequence[D], Generic[D]):
    """Documents in a fixed order, texts or conversations; `name` says in messages where they came from."""

    def __init__(self, documents: Sequence[D], *, name: str, find: Callable[[D], str | None] | None = None) -> None:
        if len(documents) == 0:
            raise ValueError(f"{name} holds no documents")
        self.name = name
        self._documents = documents
        self._find = find

    def place_of(self, index: int) -> str:
        """Returns where a document stands, for a message: the row of a file where that can be found again."""
        found = self._find(self._documents[index]) if self._find is not None else None
        return found or f"{self.name}, document {index + 1}"

    @property
    def fingerprint(self) -> str | None:
        """A hash of all documents, where they are in memory."""
        if not isinstance(self._documents, list):
            return None
        return content_key([_bytes(document).decode("utf-8") for document in self._documents])

    def __len__(self) -> int:
        return len(self._documents)

    def __iter__(self) -> Iterator[D]:
        return iter(self._documents)

    @overload
    def __getitem__(self, index: int) -> D: ...
    @overload
    def __getitem__(self, index: slice) -> "DocumentDataset[D]": ...
    def __getitem__(self, index: int | slice) -> "D | DocumentDataset[D]":
        if isinstance(index, slice):
            return type(self)(self._documents[index], name=self.name, find=self._find)
        return self._documents[index]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name}, {len(self)} documents)"


class TextDataset(DocumentDataset[str]):
    """Documents, one string each."""


def python_stdlib_sources(
    split: str = "train", *, max_bytes: int | None = None, validation_fraction: float = 0.05
) -> TextDataset:
    """The Python standard library's own sources: about 10 MB of text that every machine has.

    Tests, tables of characters and installed packages are left out. `max_bytes` bounds the whole before it is split:
    files are taken in the order of their content's hash until it is reached.
    """
    root = Path(sysconfig.get_path("stdlib"))
    skipped = _SKIPPED_FOLDERS | _TABLES
    paths = [path for path in root.rglob("*.py") if skipped.isdisjoint(path.relative_to(root).parts)]
    documents = (path.read_text(encoding="utf-8", errors="replace") for path in sorted(paths))
    name = f"Python sources in {root}"
    chosen = _split(documents, split, validation_fraction, name, max_bytes=max_bytes)
    return TextDataset(chosen, name=f"{name} ({split})")


def text_files(
    paths: Paths,
    split: str = "all",
    *,
    document_separator: str | None = None,
    max_bytes: int | None = None,
    validation_fraction: float = 0.05,
) -> TextDataset:
    """UTF-8 text files, one document each; or several, where `document_separator` divides them.

    `paths` is a file, a pattern such as `data/**/*.txt`, or several of these.
    """
    documents = (document for path in expand(paths) for document in _divide(_decoded(path), document_separator))
    name = f"text files {paths}"
    chosen = _split(documents, split, validation_fraction, name, max_bytes=max_bytes)
    return TextDataset(chosen, name=f"{name} ({split})")


def table_files(
    paths: Paths,
    split: str = "all",
    *,
    column: str = "text",
    document: Document | None = None,
    max_bytes: int | None = None,
    validation_fraction: float = 0.05,
) -> DocumentDataset[Any]:
    """Files with rows; the document, a text or a list of messages, is what stands under `column`.

    `document` makes it of several columns: a text with their names in braces (`"Q: {question} A: {answer}"`), or a
    function of the row, a mapping, that returns a text, a list of messages, or None to leave the row out.
    JSON lines or one list of objects (`.jsonl`, `.ndjson`, `.json`), `.csv`, `.tsv`, `.parquet` and `.arrow`, by the
    file's name; text formats also with `.gz`, `.bz2`, `.xz` or `.zst` behind.
    """
    choice, found = Choice(column, document), expand(paths)
    for path in found:
        if not is_table(path):
            raise ValueError(
                f"paths: {path} must end in .jsonl, .ndjson, .json, .csv, .tsv, .parquet or .arrow, or one of "
                f"{', '.join(SUFFIXES)} behind a text format; text_files reads plain texts"
            )
    documents = (value for path in found for value, _ in values(path, choice))
    name = f"rows of {paths}"
    chosen = _split(documents, split, validation_fraction, name, max_bytes=max_bytes)
    return DocumentDataset(chosen, name=f"{name} ({split})", find=partial(_row_of, found, choice))


def _row_of(paths: Sequence[Path], choice: Choice, document: Any) -> str | None:
    """Reads once more, up to the first row that holds a document."""
    rows = ((path, behind[-1], value) for path in paths for value, behind in values(path, choice))
    return next((f"{path}, row {number}" for path, number, value in rows if value == document), None)


def jsonl_files(
    paths: Paths,
    split: str = "all",
    *,
    column: str = "text",
    document: Document | None = None,
    max_bytes: int | None = None,
    validation_fraction: float = 0.05,
) -> DocumentDataset[Any]:
    """`table_files` for files with one JSON object per line."""
    return table_files(
        paths, split, column=column, document=document, max_bytes=max_bytes, validation_fraction=validation_fraction
    )


def hub_dataset(
    path: str,
    name: str | None = None,
    split: str = "train",
    *,
    column: str = "text",
    document: Document | None = None,
    data_files: str | Sequence[str] | None = None,
    revision: str | None = None,
) -> DocumentDataset[Any]:
    """A data set of the Hugging Face hub, or any other that `datasets` reads; rows stay on disk.

    `document` makes the document of several columns, as in `table_files`.
    `path` is a name on the hub, a builder such as `parquet` with `data_files`, or a folder that `save_to_disk` wrote.
    `split` is the data set's own name for it, slices such as `train[:10%]` included.
    """
    require_package("datasets", "hub_dataset")
    from datasets import load_dataset, load_from_disk  # 1 s

    saved = Path(path) / "dataset_dict.json"
    if saved.is_file() or saved.with_name("state.json").is_file():
        rows: Any = load_from_disk(path)
        if saved.is_file() and split not in rows:
            raise ValueError(f"split ({split!r}) must be one of those in {path}: {', '.join(rows)}")
        rows = rows[split] if saved.is_file() else rows
    else:
        rows = load_dataset(path, name, split=split, data_files=data_files, revision=revision)
    choice = Choice(column, document)
    choice.require(rows.column_names, f"{path}: ")
    chosen = rows[column] if document is None else [made for row in rows if (made := choice.of(row))]
    return DocumentDataset(chosen, name=f"{path} ({split})")


def expand(paths: Paths) -> list[Path]:
    """The files that paths and patterns name, in order. Raises FileNotFoundError, naming the nearest ones there are."""
    found: list[Path] = []
    for pattern in [paths] if isinstance(paths, str | Path) else paths:
        absolute = Path(pattern).expanduser().absolute()
        matches = sorted(Path(absolute.anchor).glob(str(absolute.relative_to(absolute.anchor))))
        files = [match for match in matches if match.is_file()]
        if not files and matches:
            example = Path(pattern) / f"*{_commonest_suffix(matches[0])}"
            raise IsADirectoryError(f"paths: {str(pattern)!r} is a folder; name the files in it: {str(example)!r}")
        if not files:
            raise FileNotFoundError(f"paths: no file matches {str(pattern)!r} in {Path.cwd()}{_nearest(absolute)}")
        found.extend(files)
    return found


def _commonest_suffix(folder: Path) -> str:
    suffixes = [path.suffix for path in folder.iterdir() if path.is_file()]
    return max(suffixes, key=suffixes.count, default=".txt")


def _nearest(missing: Path) -> str:
    folder = missing.parent
    while not folder.is_dir():
        missing, folder = folder, folder.parent
    near = get_close_matches(missing.name, [path.name for path in folder.iterdir()], n=1)
    return f"; did you mean {near[0]!r} in {folder}?" if near else ""


def _decoded(path: Path) -> str:
    try:
        with opened(path) as file:
            content = file.read()
    except Exception as error:
        if not is_damage(error):
            raise
        raise ValueError(f"{path} is cut off or damaged: {error}") from error
    try:
        return content.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}:{line} is not UTF-8: {error.reason} at byte {error.start}. Convert the file: "
            "iconv -f latin1 -t utf-8"
        ) from error


def _divide(text: str, separator: str | None) -> list[str]:
    return [text] if separator is None else text.split(separator)


def _split(
    documents: Iterable[D], split: str, validation_fraction: float, name: str, *, max_bytes: int | None
) -> list[D]:
    """Documents of one split that are not blank, in the order of their hashes where `max_bytes` chooses among them."""
    check_split(split, validation_fraction)
    hashed = [(_hash(document), document) for document in documents if not _is_blank(document)]
    if not hashed:
        raise ValueError(f"{name}: there is no text")
    if max_bytes is not None:
        hashed = _first_bytes(sorted(hashed, key=lambda pair: pair[0]), max_bytes)
    if split == "all":
        return [document for _, document in hashed]
    chosen = [document for hash_, document in hashed if _in_split(hash_, split, validation_fraction)]
    if 0 < len(chosen) < len(hashed) or validation_fraction == 0:
        return _require_some(chosen, split, name, validation_fraction)
    first, last = cut_by_position([document for _, document in hashed], validation_fraction)
    return _require_some(last if split == "validation" else first, split, name, validation_fraction)


def _require_some(chosen: list[D], split: str, name: str, validation_fraction: float) -> list[D]:
    if not chosen:
        raise ValueError(
            f"{name}: split {split!r} is empty with validation_fraction {validation_fraction}; give each split files "
            "of its own"
        )
    return chosen


def cut_by_position(documents: Sequence[D], fraction: float) -> tuple[list[D], list[D]]:
    """Returns documents in two parts, the second with about `fraction` of all characters.

    A text in which the border falls is cut at the end of a paragraph, else of a line, else between words; other
    documents stay whole. The second part is empty only where nothing can be cut.
    """
    sizes = [len(document) if isinstance(document, str) else 1 for document in documents]
    border = round(sum(sizes) * (1 - fraction))
    number = 0
    while number < len(sizes) - 1 and sizes[number] <= border:
        border -= sizes[number]
        number += 1
    before, document, after = list(documents[:number]), documents[number], list(documents[number + 1 :])
    if isinstance(document, str):
        place = _end_of_a_part(document, border)
        parts = [part for part in (document[:place], document[place:]) if part.strip()]
        if len(parts) == 2:
            return [*before, parts[0]], [parts[1], *after]  # type: ignore[list-item]  # D is str here
    return ([*before, document], after) if after or not before else (before, [document])


def _end_of_a_part(text: str, border: int) -> int:
    """Returns the place nearest to `border` at which a paragraph ends; where none does, a line; at last a word."""
    for mark in ("\n\n", "\n", " "):
        places = [text.rfind(mark, 0, border), text.find(mark, border)]
        inner = [place + len(mark) for place in places if place > 0 and text[place:].strip()]
        if inner:
            return min(inner, key=lambda place: abs(place - border))
    return len(text)


def check_split(split: str, validation_fraction: float) -> None:
    """Raises ValueError, naming parameter, value and rule."""
    if split not in SPLITS:
        raise ValueError(f"split ({split!r}) must be one of {', '.join(SPLITS)}")
    if not 0 <= validation_fraction < 1:
        raise ValueError(f"validation_fraction ({validation_fraction}) must be at least 0 and below 1")


def is_of_split(document: object, split: str, validation_fraction: float) -> bool:
    """Returns True if a document belongs to `split`; its content alone decides."""
    return split == "all" or _in_split(_hash(document), split, validation_fraction)


def _is_blank(document: object) -> bool:
    return not (document.strip() if isinstance(document, str) else document)


def _bytes(document: object) -> bytes:
    text = document if isinstance(document, str) else json.dumps(document, sort_keys=True, default=str)
    return text.encode("utf-8", errors="replace")


def _hash(document: object) -> int:
    return int.from_bytes(hashlib.sha256(_bytes(document)).digest()[:8], "big")


def _in_split(hash_: int, split: str, validation_fraction: float) -> bool:
    # the remainder and not the size decides, because max_bytes has already chosen by size
    is_validation = hash_ % 10_000 < validation_fraction * 10_000
    return is_validation == (split == "validation")


def _first_bytes(hashed: list[tuple[int, D]], max_bytes: int) -> list[tuple[int, D]]:
    taken: list[tuple[int, D]] = []
    size_bytes = 0
    for hash_, document in hashed:
        size_bytes += len(_bytes(document))
        if taken and size_bytes > max_bytes:
            break
        taken.append((hash_, document))
    return taken
