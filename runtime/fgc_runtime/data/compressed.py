"""Reads files that may be compressed, by the suffixes of their names."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

from fgc_runtime.packages import require_package

_SKIPPED_BYTES = 1 << 20  # at once
_DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError)


def is_damage(error: Exception) -> bool:
    """Returns True for an error caused by a damaged file, and False for one of the disk or of the program."""
    is_nobodys = isinstance(error, OSError) and error.errno is None  # as bz2 and pyarrow raise them
    return isinstance(error, _DAMAGE) or is_nobodys or type(error).__module__.startswith("pyarrow")


def inner_suffix(path: Path) -> str:
    """Returns the suffix of the file's format, without that of its compression."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _OPENED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def opened(path: Path, offset: int = 0) -> BinaryIO:
    """Opens a file and decompresses `.gz`, `.bz2`, `.xz` and `.zst`, beginning at an offset of the content."""
    file = _OPENED.get(path.suffix.lower(), Path.open)(path, "rb")
    if file.seekable():
        file.seek(offset)
        return cast(BinaryIO, file)
    while offset > 0 and (skipped := len(file.read(min(offset, _SKIPPED_BYTES)))):
        offset -= skipped
    return cast(BinaryIO, file)


def _zstandard(path: Path, mode: str) -> Any:
    require_package("pyarrow", f"the compressed file {path}")
    import pyarrow  # 0.2 s; Python's own since 3.14

    return io.BufferedReader(pyarrow.CompressedInputStream(pyarrow.OSFile(str(path), mode), "zstd"))


_OPENED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open, ".zst": _zstandard}
SUFFIXES = tuple(_OPENED)
