"""Where text comes from: files, the Python installation, the Hugging Face hub; always to a `TextDataset`.

Each source takes `split`, so that a configuration changes its data by changing the name of the function. Sources
without splits of their own divide documents by a hash of their content: adding one document moves no other.
"""

import hashlib
import json
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import overload

_SKIPPED_FOLDERS = {"site-packages", "dist-packages", "test", "tests", "idle_test"}
_TABLES = {"encodings", "pydoc_data"}  # a sixth of the library in size; long lists that say little about Python
_TABLES = {"encodings", "pydoc_data"}  # a tenth of the library in size; long lists that say little about Python
_SPLITS = ("train", "validation", "all")


class TextDataset(Sequence[str]):
    """Documents, one string each, in a fixed order; `name` says in messages where they came from."""

    def __init__(self, documents: Sequence[str], *, name: str) -> None:
        if len(documents) == 0:
            raise ValueError(f"{name} holds no documents")
        self.name = name
        self._documents = documents

    def __len__(self) -> int:
        return len(self._documents)

    def __iter__(self) -> Iterator[str]:
        return iter(self._documents)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> "TextDataset": ...
    def __getitem__(self, index: int | slice) -> "str | TextDataset":
        if isinstance(index, slice):
            return TextDataset(self._documents[index], name=self.name)
        return self._documents[index]

    def __repr__(self) -> str:
        return f"TextDataset({self.name}, {len(self)} documents)"


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
    return _split(documents, split, validation_fraction, f"Python sources in {root}", max_bytes=max_bytes)


def text_files(
    paths: str | Path | Sequence[str | Path],
    split: str = "all",
    *,
    document_separator: str | None = None,
    max_bytes: int | None = None,
    validation_fraction: float = 0.05,
) -> TextDataset:
    """UTF-8 text files, one document each; or several, where `document_separator` divides them.

    `paths` is a file, a pattern such as `data/**/*.txt`, or several of these.
    """
    documents = (
        document
        for path in _expand(paths)
        for document in _divide(path.read_text(encoding="utf-8"), document_separator)
    )
    return _split(documents, split, validation_fraction, f"text files {paths}", max_bytes=max_bytes)


def jsonl_files(
    paths: str | Path | Sequence[str | Path],
    split: str = "all",
    *,
    column: str = "text",
    max_bytes: int | None = None,
    validation_fraction: float = 0.05,
) -> TextDataset:
    """Files with one JSON object per line; the document is what stands under `column`."""
    documents = (document for path in _expand(paths) for document in _json_column(path, column))
    return _split(documents, split, validation_fraction, f"JSON lines {paths}", max_bytes=max_bytes)


def hub_dataset(
    path: str,
    name: str | None = None,
    split: str = "train",
    *,
    column: str = "text",
    data_files: str | Sequence[str] | None = None,
) -> TextDataset:
    """A data set of the Hugging Face hub, or any other that `datasets.load_dataset` reads; rows stay on disk.

    `split` is the data set's own name for it, slices such as `train[:10%]` included.
    """
    from datasets import load_dataset

    rows = load_dataset(path, name, split=split, data_files=data_files)
    if column not in rows.column_names:
        raise ValueError(f"column ({column!r}) must be one of the columns of {path}: {', '.join(rows.column_names)}")
    return TextDataset(rows[column], name=f"{path} ({split})")


def _expand(paths: str | Path | Sequence[str | Path]) -> list[Path]:
    found: list[Path] = []
    for pattern in [paths] if isinstance(paths, str | Path) else paths:
        absolute = Path(pattern).expanduser().absolute()
        matches = sorted(Path(absolute.anchor).glob(str(absolute.relative_to(absolute.anchor))))
        if not matches:
            raise FileNotFoundError(f"paths: no file matches {str(pattern)!r} in {Path.cwd()}")
        found.extend(match for match in matches if match.is_file())
    return found


def _divide(text: str, separator: str | None) -> list[str]:
    return [text] if separator is None else text.split(separator)


def _json_column(path: Path, column: str) -> Iterator[str]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}:{number} is not JSON: {error}") from error
            if not isinstance(row, dict) or not isinstance(row.get(column), str):
                found = ", ".join(row) if isinstance(row, dict) else type(row).__name__
                raise ValueError(f"{path}:{number} has no text under column ({column!r}); it has: {found}")
            yield row[column]


def _split(
    documents: Iterable[str], split: str, validation_fraction: float, name: str, *, max_bytes: int | None
) -> TextDataset:
    """Non-blank documents of one split, in the order of their hashes where `max_bytes` chooses among them."""
    if split not in _SPLITS:
        raise ValueError(f"split ({split!r}) must be one of {', '.join(_SPLITS)}")
    if not 0 <= validation_fraction < 1:
        raise ValueError(f"validation_fraction ({validation_fraction}) must be at least 0 and below 1")
    hashed = [(_hash(document), document) for document in documents if document.strip()]
    if not hashed:
        raise ValueError(f"{name}: there is no text")
    if max_bytes is not None:
        hashed = _first_bytes(sorted(hashed), max_bytes)
    chosen = [text for hash_, text in hashed if split == "all" or _in_split(hash_, split, validation_fraction)]
    if not chosen:
        raise ValueError(
            f"{name}: none of the {len(hashed)} documents falls into split {split!r} with validation_fraction "
            f"{validation_fraction}; give each split files of its own, or set document_separator"
        )
    return TextDataset(chosen, name=f"{name} ({split})")


def _hash(document: str) -> int:
    return int.from_bytes(hashlib.sha256(document.encode("utf-8", errors="replace")).digest()[:8], "big")


def _in_split(hash_: int, split: str, validation_fraction: float) -> bool:
    # the remainder and not the size decides, because max_bytes has already chosen by size
    is_validation = hash_ % 10_000 < validation_fraction * 10_000
    return is_validation == (split == "validation")


def _first_bytes(hashed: list[tuple[int, str]], max_bytes: int) -> list[tuple[int, str]]:
    taken: list[tuple[int, str]] = []
    size_bytes = 0
    for hash_, document in hashed:
        size_bytes += len(document.encode("utf-8", errors="replace"))
        if taken and size_bytes > max_bytes:
            break
        taken.append((hash_, document))
    return taken
