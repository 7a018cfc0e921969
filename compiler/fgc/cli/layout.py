"""Words to lines that fit a terminal, in colour where there is one."""

import os
import sys
from collections.abc import Iterator, Sequence
from textwrap import wrap
from unicodedata import east_asian_width

BOLD, GREEN, RED, DIM = "1", "32", "1;31", "2"


def paint(text: str, tint: str, has_color: bool) -> str:
    """A text in a colour."""
    return f"\033[{tint}m{text}\033[0m" if has_color and text and tint else text


def terminal_columns() -> int | None:
    """The width to which lines are wrapped; None for pipes and files, where a line stays a line."""
    if not sys.stdout.isatty() and not os.environ.get("COLUMNS"):
        return None
    import shutil  # 3 ms; a pipe has no width

    return max(shutil.get_terminal_size().columns, 20)


def display_width(text: str) -> int:
    """The columns that a text takes: a Chinese character takes two."""
    return sum(2 if east_asian_width(character) in "WF" else 1 for character in text)


def pad(text: str, width: int) -> str:
    """A text with spaces behind it."""
    return text + " " * (width - display_width(text))


def two_columns(rows: Sequence[tuple[str, str, str]], columns: int | None, has_color: bool) -> Iterator[str]:
    """Rows of name, tint and text: aligned, or with the text below its name where the terminal is narrow."""
    name_width = max((display_width(name) for name, _, _ in rows), default=0)
    is_narrow = columns is not None and name_width + 2 > columns // 2
    indent = 6 if is_narrow else name_width + 2
    for name, tint, text in rows:
        lines = wrap(text, columns - indent) if columns is not None else [text] if text else []
        if is_narrow or not lines:
            yield name.rstrip()
        else:
            yield pad(name, indent) + paint(lines.pop(0), tint, has_color)
        yield from (" " * indent + paint(line, tint, has_color) for line in lines)


def one_line(text: str) -> str:
    """Returns a text in which line ends and tabs are escapes: a cell makes no further rows."""
    return text if text.isprintable() else text.translate(_ESCAPES)


_ESCAPES = {ord(sign): repr(sign)[1:-1] for sign in "\n\r\t\v\f\x1c\x1d\x1e\x85\u2028\u2029"}


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yields rows of the same length as lines, each column as wide as its widest cell."""
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(display_width, column)) for column in zip(*rows, strict=True)]
    yield from ("  ".join(map(pad, row, widths)).rstrip() for row in rows)


def table(rows: Sequence[Sequence[str]], columns: int | None, has_color: bool) -> Iterator[str]:
    """Rows in columns, the last one dim; below one another where the terminal is too narrow for that."""
    count = max((len(row) for row in rows), default=0)
    widths = [max(display_width(row[place]) for row in rows) for place in range(count)]
    is_narrow = columns is not None and sum(widths) + 2 * (count - 1) > columns
    for row in rows:
        *first, last = row
        if is_narrow:
            yield row[0]
            yield from (f"    {text}" for text in first[1:])
            yield "    " + paint(last, DIM, has_color)
        else:
            cells = [pad(text, width) for text, width in zip(first, widths, strict=False)]
            yield "  ".join([*cells, paint(last, DIM, has_color)])
