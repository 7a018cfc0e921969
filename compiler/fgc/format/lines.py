"""A template file to its lines, each with what the line rules take it for."""

import re
from collections.abc import Iterator
from enum import Enum

from msgspec import Struct

from fgc.syntax.tables import line_pattern

_COMMENT_LINE = line_pattern("COMMENT_LINE")
_TRAILING_COMMENT = line_pattern("TRAILING_COMMENT")
_LINE_STATEMENT = line_pattern("LINE_STATEMENT")
_BLOCK_HEADER = line_pattern("BLOCK_HEADER")
_PART_MARKER = line_pattern("PART_MARKER")


class LineKind(Enum):
    """What a line is to the line rules, which look at nothing but the line."""

    BLANK = "blank"
    COMMENT = "comment"
    STATEMENT = "statement"
    HEADER = "header"
    MARKER = "marker"  # begins an inline template
    TEXT = "text"


class Line(Struct, frozen=True):
    """A line by offsets: `end` is its line end, `kept_end` where a trailing comment is cut, else the same."""

    kind: LineKind
    start: int
    kept_end: int
    end: int
    indent: str


def read_parts(text: str) -> list[tuple[int, int]]:
    """Returns where the file's own template and its inline templates begin and end."""
    markers = list(_PART_MARKER.finditer(text))
    starts = [0, *(marker.end() for marker in markers)]
    ends = [*(marker.start() for marker in markers), len(text)]
    return list(zip(starts, ends, strict=True))


def read_lines(text: str) -> Iterator[Line]:
    """Every line; what follows the last line end is one only if it is not empty."""
    markers = {marker.start() + 1 for marker in _PART_MARKER.finditer(text)}
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield _line(text, start, end, start in markers)
        start = end + 1


def _line(text: str, start: int, end: int, is_marker: bool) -> Line:
    content = text[start:end]
    indent = content[: len(content) - len(content.lstrip())]
    if is_marker:
        return Line(LineKind.MARKER, start, end, end, indent)
    if not content.strip():
        return Line(LineKind.BLANK, start, end, end, indent)
    if _COMMENT_LINE.fullmatch(content):
        return Line(LineKind.COMMENT, start, start, end, indent)
    comment = _TRAILING_COMMENT.fullmatch(content)
    kept = comment["kept"] if comment else content
    return Line(_kind(kept), start, start + len(kept), end, indent)


def _kind(kept: str) -> LineKind:
    rules: tuple[tuple[re.Pattern[str], LineKind], ...] = (
        (_LINE_STATEMENT, LineKind.STATEMENT),
        (_BLOCK_HEADER, LineKind.HEADER),
    )
    return next((kind for pattern, kind in rules if pattern.fullmatch(kept)), LineKind.TEXT)
