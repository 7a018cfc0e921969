"""The parts of a document that mistakes have damaged: placeholders of values, and holes between lines."""

import re
from bisect import bisect_left, bisect_right

from fgc.patterns import regex
from fgc.text import Document

ROOT_KEY = regex(r"^[^\s#\-\]}].*:(?:\s|$)", re.MULTILINE)


class Damage:
    """The broken places of one document."""

    def __init__(self, document: Document) -> None:
        self._text = document.text
        self._holes = [start for start, end in document.broken if start == end]
        self._values = [(start, end) for start, end in document.broken if start < end]
        self._value_ends = [end for _, end in self._values]

    def in_scalar(self, start: int, end: int) -> bool:
        """Returns True if some of a scalar is missing; all of an empty one, if a hole follows it."""
        if not self._holes and not self._values:
            return False
        if start == end:
            end = start + len(self._text[start:]) - len(self._text[start:].lstrip())
            return self._has_hole(start, end)
        return self._has_value(start, end) or self._has_hole(start + 1, end - 1)

    def in_collection(self, start: int, end: int, *, is_flow: bool) -> bool:
        """Returns True if items of a collection may be missing. In brackets, one print may stand for many."""
        return self._has_hole(start, end) or (is_flow and self._has_value(start, end))

    def before(self, at: int) -> bool:
        """Returns True if lines are missing somewhere before an offset."""
        return bool(self._holes) and self._holes[0] <= at

    def around(self, at: int) -> bool:
        """Returns True if anything is missing between the last key of the root and an offset."""
        if not self._holes and not self._values:
            return False
        line_end = self._text.find("\n", at)
        text = self._text[: at + 1 if line_end < 0 else line_end]
        start = max((match.start() for match in ROOT_KEY.finditer(text) if match.start() < at), default=0)
        start = len(text[:start].rstrip())  # lines that are missing right before a key may be what it continues
        return self._has_hole(start, at) or self._has_value(start, at + 1)

    def _has_hole(self, start: int, end: int) -> bool:
        return bisect_left(self._holes, start) < bisect_right(self._holes, end)

    def _has_value(self, start: int, end: int) -> bool:
        at = bisect_right(self._value_ends, start)
        return at < len(self._values) and self._values[at][0] < end
